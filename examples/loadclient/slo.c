/* SPDX-License-Identifier: MIT */
/*
 * slo: reading and judging. A metric is a percentile of times, a counter of a class, or the rate of the run.
 */
#include "slo.h"

#include "common/units.h"
#include "results.h"

#include <string.h>

static const char form[] = "expected p50|p90|p99|p99.9|p99.99|max [(CLASS)] < DURATION, loss(CLASS)==N, "
                           "evicted(CLASS)==N|all, eviction<DURATION or rate>N, such as 'p99<5ms'";

/* Relations of the measured number to the limit; a comparison allows one or two of them. */
enum { LESS = 1, EQUAL = 2, MORE = 4 };

static const struct {
  const char *sign;
  unsigned allowed;
} signs[] = {{"<=", LESS | EQUAL}, {">=", MORE | EQUAL}, {"==", EQUAL}, {"<", LESS}, {">", MORE}};

enum class_rule { CLASS_NONE, CLASS_MAY, CLASS_MUST };

struct slo_metric {
  const char *name;
  enum class_rule rule; /* whether a class stands behind the name */
  enum client_class class;
  enum { METRIC_RATE, METRIC_COUNT, METRIC_TIME } kind;
  size_t offset; /* in class_counts or class_times */
};

#define COUNT(member) METRIC_COUNT, offsetof(struct class_counts, member)
#define TIME(member) METRIC_TIME, offsetof(struct class_times, member)

static const struct slo_metric metrics[] = {
    {"max", CLASS_MAY, CLIENT_HEALTHY, TIME(latency)},
    {"loss", CLASS_MUST, CLIENT_HEALTHY, COUNT(integrity.lost)},
    {"evicted", CLASS_MUST, CLIENT_HEALTHY, COUNT(evicted)},
    {"eviction", CLASS_NONE, CLIENT_STALLED, TIME(eviction)},
    {"rate", CLASS_NONE, CLIENT_HEALTHY, METRIC_RATE, 0},
    {NULL, CLASS_MAY, CLIENT_HEALTHY, TIME(latency)}, /* p and a percentile */
};

/* Read NAME or NAME(CLASS). */
static bool read_metric(struct slo *slo, char *name) {
  static const char *const units[] = {[METRIC_RATE] = "messages/s", [METRIC_COUNT] = "count", [METRIC_TIME] = "ms"};
  const struct slo_metric *metric = metrics;
  char *class_name = name;
  strsep(&class_name, "(");
  while (metric->name != NULL && strcmp(name, metric->name) != 0) metric++;
  slo->metric = metric;
  slo->is_time = metric->kind == METRIC_TIME;
  slo->unit = units[metric->kind];
  slo->class = metric->class;
  slo->percentile = 100;
  if (metric->name == NULL && (name[0] != 'p' || !units_read(name + 1, UNITS_DECIMAL, &slo->percentile) ||
                               slo->percentile <= 0 || slo->percentile > 100))
    return false;
  if (class_name == NULL) return metric->rule != CLASS_MUST;
  size_t length = strlen(class_name);
  if (metric->rule == CLASS_NONE || length == 0 || class_name[length - 1] != ')') return false;
  class_name[length - 1] = '\0';
  int class = mix_class_by_name(class_name);
  slo->class = (enum client_class) class;
  return class >= 0;
}

const char *slo_parse(struct slo *slo, const char *text) {
  char copy[64];
  size_t length = 0;
  *slo = (struct slo){.text = text};
  for (const char *from = text; *from != '\0' && length < sizeof copy - 1; from++)
    if (*from != ' ') copy[length++] = *from;
  copy[length] = '\0';
  char *limit = copy + strcspn(copy, "<>=");
  for (size_t i = 0; i < sizeof signs / sizeof signs[0] && slo->allowed == 0; i++) {
    length = strlen(signs[i].sign);
    if (strncmp(limit, signs[i].sign, length) == 0) slo->allowed = signs[i].allowed;
  }
  if (slo->allowed == 0) return form;
  *limit = '\0';
  limit += length;
  if (!read_metric(slo, copy)) return form;
  slo->is_limit_all = slo->metric == &metrics[2] && strcmp(limit, "all") == 0;
  if (slo->is_limit_all) return NULL;
  return units_read(limit, slo->is_time ? UNITS_DURATION : UNITS_DECIMAL, &slo->limit) ? NULL : form;
}

/* @return whether there is something to measure */
static bool measure(const struct slo *slo, const struct totals *totals, double *measured) {
  const struct class_counts *counts = &totals->view.classes[slo->class];
  const char *times = (const char *) &totals->times[slo->class];
  const struct histogram *histogram = (const void *) (times + slo->metric->offset);
  switch (slo->metric->kind) {
  case METRIC_RATE:
    *measured = totals->messages_per_second;
    return true;
  case METRIC_COUNT:
    *measured = (double) *(const uint64_t *) (const void *) ((const char *) counts + slo->metric->offset);
    return counts->clients > 0;
  case METRIC_TIME:
    *measured = (double) histogram_percentile(histogram, slo->percentile);
    return histogram->count > 0;
  }
  return false;
}

bool slo_is_met(const struct slo *slo, const struct totals *totals, double *measured) {
  *measured = 0;
  if (!measure(slo, totals, measured)) return false;
  double limit = slo->is_limit_all ? (double) totals->view.classes[slo->class].clients : slo->limit;
  unsigned relation = *measured < limit ? LESS : *measured > limit ? MORE : EQUAL;
  return (slo->allowed & relation) != 0;
}
