/* SPDX-License-Identifier: MIT */
/*
 * slo: reading and judging.
 */
#include "slo.h"

#include "results.h"
#include "values.h"

#include <string.h>

static const char form[] = "expected p50|p90|p99|p99.9|p99.99|max [(CLASS)] < DURATION, loss(CLASS)==N, "
                           "evicted(CLASS)==N|all, eviction<DURATION "
                           "or rate>N, such as 'p99<5ms'";

struct text {
  const char *data;
  size_t length;
};

static bool text_is(struct text text, const char *literal) {
  return text.length == strlen(literal) && memcmp(text.data, literal, text.length) == 0;
}

static bool read_metric(struct slo *slo, struct text name) {
  static const struct {
    const char *name;
    enum slo_metric metric;
  } metrics[] = {
      {"max", SLO_MAX}, {"loss", SLO_LOSS}, {"evicted", SLO_EVICTED}, {"eviction", SLO_EVICTION}, {"rate", SLO_RATE}};
  for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
    if (!text_is(name, metrics[i].name)) continue;
    slo->metric = metrics[i].metric;
    return true;
  }
  slo->metric = SLO_PERCENTILE;
  if (name.length < 2 || name.data[0] != 'p') return false;
  return values_read_decimal(name.data + 1, name.length - 1, &slo->percentile) && slo->percentile > 0 &&
         slo->percentile <= 100;
}

/* Reads NAME or NAME(CLASS). */
static bool read_left(struct slo *slo, struct text left) {
  const char *bracket = memchr(left.data, '(', left.length);
  struct text name = {left.data, bracket != NULL ? (size_t) (bracket - left.data) : left.length};
  if (!read_metric(slo, name)) return false;
  slo->class = slo->metric == SLO_EVICTION ? CLIENT_STALLED : CLIENT_HEALTHY;
  bool wants_class = slo->metric == SLO_LOSS || slo->metric == SLO_EVICTED;
  bool takes_class = wants_class || slo->metric == SLO_PERCENTILE || slo->metric == SLO_MAX;
  if (bracket == NULL) return !wants_class;
  if (!takes_class || left.data[left.length - 1] != ')') return false;
  int class = mix_class_by_name(bracket + 1, left.length - name.length - 2);
  if (class >= 0) slo->class = (enum client_class) class;
  return class >= 0;
}

static bool read_limit(struct slo *slo, struct text limit) {
  if (slo->metric == SLO_EVICTED && text_is(limit, "all")) {
    slo->is_limit_all = true;
    return true;
  }
  uint64_t ns;
  if (!slo_is_time(slo)) return values_read_decimal(limit.data, limit.length, &slo->limit);
  if (!values_read_duration(limit.data, limit.length, false, &ns)) return false;
  slo->limit = (double) ns;
  return true;
}

/* Without the blanks around it. */
static struct text trimmed(const char *begin, const char *end) {
  while (begin < end && *begin == ' ') begin++;
  while (end > begin && end[-1] == ' ') end--;
  return (struct text){begin, (size_t) (end - begin)};
}

const char *slo_parse(struct slo *slo, const char *text) {
  static const struct {
    const char *sign;
    unsigned allowed;
  } signs[] = {
      {"<=", SLO_LESS | SLO_EQUAL}, {">=", SLO_MORE | SLO_EQUAL}, {"==", SLO_EQUAL}, {"<", SLO_LESS}, {">", SLO_MORE}};
  *slo = (struct slo){.text = text};
  const char *sign = strpbrk(text, "<>=");
  if (sign == NULL) return form;
  for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
    size_t length = strlen(signs[i].sign);
    if (strncmp(sign, signs[i].sign, length) != 0) continue;
    slo->allowed = signs[i].allowed;
    bool is_read = read_left(slo, trimmed(text, sign)) && read_limit(slo, trimmed(sign + length, text + strlen(text)));
    return is_read ? NULL : form;
  }
  return form;
}

bool slo_is_time(const struct slo *slo) {
  return slo->metric == SLO_PERCENTILE || slo->metric == SLO_MAX || slo->metric == SLO_EVICTION;
}

/* @return whether there is something to measure */
static bool measure(const struct slo *slo, const struct totals *totals, double *measured) {
  const struct class_results *class = &totals->classes[slo->class];
  switch (slo->metric) {
  case SLO_PERCENTILE:
    *measured = (double) histogram_percentile(&class->latency, slo->percentile);
    return class->latency.count > 0;
  case SLO_MAX:
    *measured = (double) class->latency.max_ns;
    return class->latency.count > 0;
  case SLO_LOSS:
    *measured = (double) class->integrity.lost;
    return class->clients > 0;
  case SLO_EVICTED:
    *measured = (double) class->evicted;
    return class->clients > 0;
  case SLO_EVICTION:
    *measured = (double) class->eviction.max_ns;
    return class->eviction.count > 0;
  case SLO_RATE:
    *measured = totals->messages_per_second;
    return true;
  }
  return false;
}

bool slo_is_met(const struct slo *slo, const struct totals *totals, double *measured) {
  *measured = 0;
  if (!measure(slo, totals, measured)) return false;
  double limit = slo->is_limit_all ? (double) totals->classes[slo->class].clients : slo->limit;
  unsigned relation = *measured < limit ? SLO_LESS : *measured > limit ? SLO_MORE : SLO_EQUAL;
  return (slo->allowed & relation) != 0;
}
