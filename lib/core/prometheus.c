/* SPDX-License-Identifier: MIT */
/*
 * prometheus: a snapshot, or a histogram, as text in the exposition format 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats).
 */
#include "histogram.h"
#include "metrics_table.h"
#include "options.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct text {
  char *out;
  size_t capacity;
  size_t len;     /* of the whole text, whether it fits or not */
  uint64_t above; /* sum of the values that have been written under the present name */
} text_t;

typedef struct row {
  const char *name;
  const char *type;
  const char *label;
  const char *help;
} row_t;

__attribute__((format(printf, 2, 3))) static void append(text_t *text, const char *format, ...) {
  size_t room = text->len < text->capacity ? text->capacity - text->len : 0;
  va_list args;
  va_start(args, format);
  int len = vsnprintf(room ? text->out + text->len : NULL, room, format, args);
  va_end(args);
  if (len > 0) text->len += (size_t) len;
}

/* Powers of two, which are where buckets begin: what is counted below one took less than that. */
static const uint8_t bounds_log2_us[] = {6, 8, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22};
enum { BOUNDS = sizeof bounds_log2_us / sizeof bounds_log2_us[0] };

/* With a point whatever the host's locale says, which is why it isn't printed as a double. */
static void append_millionths(text_t *text, uint64_t millionths) {
  append(text, "%" PRIu64 ".%06" PRIu64, millionths / 1000000, millionths % 1000000);
}

/* Begin a metric, unless the row above has the same name. */
static void append_help(text_t *text, const row_t *row) {
  if (row->help == NULL) return;
  append(text, "# HELP fluxbp_%s %s\n# TYPE fluxbp_%s %s\n", row->name, row->help, row->name, row->type);
  text->above = 0;
}

/* ---- one function for each value of the table's column `format` ---- */

static void append_whole(text_t *text, const row_t *row, uint64_t value) {
  if (row->label != NULL)
    append(text, "fluxbp_%s{%s} %" PRIu64 "\n", row->name, row->label, value);
  else
    append(text, "fluxbp_%s %" PRIu64 "\n", row->name, value);
  text->above += value;
}

static void append_flag(text_t *text, const row_t *row, int flag) {
  append_whole(text, row, flag != 0);
}

/* The figures of several hubs may be the largest of each, which need not be of one moment. */
static void append_rest(text_t *text, const row_t *row, uint64_t total) {
  append_whole(text, row, total > text->above ? total - text->above : 0);
}

static void append_by_reason(text_t *text, const row_t *row, const uint64_t *values) {
  for (int reason = FLUXBP_EVICT_NONE + 1; reason < FLUXBP_EVICT_REASON_COUNT; reason++)
    append(text, "fluxbp_%s{reason=\"%s\"} %" PRIu64 "\n", row->name,
           fluxbp_evict_reason_name((fluxbp_evict_reason_t) reason), values[reason]);
}

static void append_micros(text_t *text, const row_t *row, uint64_t micros) {
  append(text, "fluxbp_%s ", row->name);
  append_millionths(text, micros);
  append(text, "\n");
}

static void append_ratio(text_t *text, const row_t *row, double ratio) {
  append_micros(text, row, (uint64_t) (ratio * 1e6 + 0.5));
}

static void append_percent(text_t *text, const row_t *row, uint32_t percent) {
  append_ratio(text, row, percent / 100.0);
}

#define APPEND_ROW(field, adding, type, format, name, label, help)                                                     \
  row = (row_t){name, #type, label, help};                                                                             \
  append_help(&text, &row);                                                                                            \
  append_##format(&text, &row, metrics.field);

size_t fluxbp_metrics_prometheus_sized(const fluxbp_metrics_t *given, size_t size, char *out, size_t capacity) {
  fluxbp_metrics_t metrics;
  fluxbp__result_write(&metrics, sizeof metrics, given, size);
  text_t text = {.out = out, .capacity = capacity};
  row_t row;
  FLUXBP__METRICS(APPEND_ROW)
  return text.len;
}

size_t fluxbp_histogram_prometheus(const fluxbp_histogram_t *histogram, const char *name, const char *help, char *out,
                                   size_t capacity) {
  text_t text = {.out = out, .capacity = capacity};
  append(&text, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
  uint64_t below = 0;
  size_t bucket = 0;
  for (int i = 0; i < BOUNDS; i++) {
    uint64_t bound_us = (uint64_t) 1 << bounds_log2_us[i];
    for (; bucket < fluxbp__histogram_bucket(bound_us); bucket++) below += histogram->buckets[bucket];
    append(&text, "%s_bucket{le=\"", name);
    append_millionths(&text, bound_us);
    append(&text, "\"} %" PRIu64 "\n", below);
  }
  append(&text, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, histogram->count, name);
  append_millionths(&text, histogram->sum_us);
  append(&text, "\n%s_count %" PRIu64 "\n", name, histogram->count);
  return text.len;
}
