/* SPDX-License-Identifier: MIT */
/*
 * prometheus: a snapshot, or a histogram, as text in the exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
 */
#include "fluxbp/metrics.h"
#include "histogram.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct text {
  char *out;
  size_t capacity;
  size_t len; /* of the whole text, whether it fits or not */
} text_t;

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

static void describe(text_t *text, const char *name, const char *type, const char *help) {
  append(text, "# HELP fluxbp_%s %s\n# TYPE fluxbp_%s %s\n", name, help, name, type);
}

static void counter(text_t *text, const char *name, const char *help, uint64_t value) {
  describe(text, name, "counter", help);
  append(text, "fluxbp_%s %" PRIu64 "\n", name, value);
}

static void gauge(text_t *text, const char *name, const char *help, uint64_t value) {
  describe(text, name, "gauge", help);
  append(text, "fluxbp_%s %" PRIu64 "\n", name, value);
}

/* With a point whatever the host's locale says, which is why it isn't printed as a double. */
static void append_millionths(text_t *text, uint64_t millionths) {
  append(text, "%" PRIu64 ".%06" PRIu64, millionths / 1000000, millionths % 1000000);
}

static void gauge_of_millionths(text_t *text, const char *name, const char *help, uint64_t millionths) {
  describe(text, name, "gauge", help);
  append(text, "fluxbp_%s ", name);
  append_millionths(text, millionths);
  append(text, "\n");
}

static void ratio(text_t *text, const char *name, const char *help, double value) {
  gauge_of_millionths(text, name, help, (uint64_t) (value * 1e6 + 0.5));
}

static void dropped_by_rule(text_t *text, const fluxbp_metrics_t *metrics) {
  const char *name = "messages_dropped_total";
  uint64_t by_none = metrics->dropped - metrics->dropped_newest - metrics->dropped_oldest;
  describe(text, name, "counter",
           "Deliveries lost, by overflow rule; by none if the history had forgotten them or a codec refused them.");
  append(text, "fluxbp_%s{rule=\"drop_newest\"} %" PRIu64 "\n", name, metrics->dropped_newest);
  append(text, "fluxbp_%s{rule=\"drop_oldest\"} %" PRIu64 "\n", name, metrics->dropped_oldest);
  append(text, "fluxbp_%s{rule=\"none\"} %" PRIu64 "\n", name, by_none);
}

/* The figures of several hubs are the largest of each, which need not be of one moment. */
static void forgotten_by_limit(text_t *text, const fluxbp_metrics_t *metrics) {
  const char *name = "history_forgotten_total";
  uint64_t by_one = metrics->history_forgotten_by_topic + metrics->history_forgotten_by_age;
  uint64_t by_all = metrics->history_forgotten > by_one ? metrics->history_forgotten - by_one : 0;
  describe(text, name, "counter",
           "Messages that the history has forgotten, by the limit: of their topic, of their age, of all together.");
  append(text, "fluxbp_%s{limit=\"topic\"} %" PRIu64 "\n", name, metrics->history_forgotten_by_topic);
  append(text, "fluxbp_%s{limit=\"age\"} %" PRIu64 "\n", name, metrics->history_forgotten_by_age);
  append(text, "fluxbp_%s{limit=\"all\"} %" PRIu64 "\n", name, by_all);
}

static void by_reason(text_t *text, const char *name, const char *help, const uint64_t *values) {
  describe(text, name, "counter", help);
  for (int reason = FLUXBP_EVICT_NONE + 1; reason < FLUXBP_EVICT_REASON_COUNT; reason++)
    append(text, "fluxbp_%s{reason=\"%s\"} %" PRIu64 "\n", name,
           fluxbp_evict_reason_name((fluxbp_evict_reason_t) reason), values[reason]);
}

static void append_counters(text_t *text, const fluxbp_metrics_t *metrics) {
  counter(text, "messages_published_total", "Messages published on topics or sent to one connection.",
          metrics->published);
  counter(text, "deliveries_accepted_total", "Deliveries due: messages times their receivers.", metrics->accepted);
  counter(text, "deliveries_written_total", "Deliveries handed to the kernel whole.", metrics->written);
  counter(text, "deliveries_written_at_once_total", "Deliveries that the kernel took at the first offer.",
          metrics->written_at_once);
  dropped_by_rule(text, metrics);
  counter(text, "deliveries_conflated_total", "Deliveries replaced by a newer value.", metrics->conflated);
  counter(text, "deliveries_discarded_total", "Deliveries thrown away with their connection.", metrics->discarded);
  counter(text, "written_bytes_total", "Bytes handed to the kernel.", metrics->written_bytes);
  counter(text, "received_bytes_total", "Bytes received from clients.", metrics->received_bytes);
  counter(text, "writes_total", "Attempts to write.", metrics->writes);
  counter(text, "writes_refused_total", "Attempts to write that the kernel took in part or not at all.",
          metrics->refusals);
  counter(text, "backpressure_events_total", "Connections that came above their high watermark.",
          metrics->backpressure_events);
  counter(text, "ring_full_events_total", "Full rings at which an overflow rule began to act.",
          metrics->ring_full_events);
  counter(text, "gaps_total", "Gaps reported.", metrics->gaps);
  counter(text, "connections_opened_total", "Connections started.", metrics->opened);
  counter(text, "connections_closed_total", "Connections that are gone.", metrics->closed);

  forgotten_by_limit(text, metrics);
  counter(text, "verdicts_spared_total", "Verdicts that the server did not want carried out.", metrics->spared);
  counter(text, "messages_unkept_total", "Messages that their state topic had no place for.", metrics->unkept);
  counter(text, "crowd_slow_events_total", "Times that nearly all connections became slow together.",
          metrics->crowd_slow_events);
  by_reason(text, "evictions_total", "Connections evicted, by reason.", metrics->evictions);
  by_reason(text, "shadow_evictions_total", "Verdicts of shadow policies, not carried out, by reason.",
            metrics->shadow_evictions);
}

static void append_gauges(text_t *text, const fluxbp_metrics_t *metrics) {
  gauge(text, "connections", "Connections.", metrics->connections);
  gauge(text, "topics", "Topics.", metrics->topics);
  gauge(text, "pending_deliveries", "Deliveries in rings.", metrics->queued);
  gauge(text, "pending_bytes", "Bytes in rings that the kernel has not taken.", metrics->queued_bytes);
  gauge(text, "connections_refused", "Connections whose last write the kernel refused.", metrics->refused);
  gauge(text, "connections_backpressured", "Connections that cannot keep up.", metrics->backpressured);
  gauge(text, "kernel_bytes", "Bytes sent by refused connections and not acknowledged.", metrics->kernel_bytes);
  gauge(text, "history_messages", "Messages in the history.", metrics->history_messages);
  gauge(text, "history_bytes", "Bytes of these messages.", metrics->history_bytes);
  gauge_of_millionths(text, "longest_turn_seconds", "The longest that the loop was kept at once.",
                      metrics->longest_turn_us);
  gauge(text, "crowd_slow", "1 while nearly all connections are slow together.", (uint64_t) metrics->is_crowd_slow);
  ratio(text, "backpressured_fill_ratio", "Mean fill of the rings of backpressured connections.",
        metrics->backpressured_fill_percent / 100.0);
  ratio(text, "write_success_ratio", "Deliveries taken at the first offer, of all written or lost.",
        metrics->write_success_rate);
}

size_t fluxbp_metrics_prometheus(const fluxbp_metrics_t *metrics, char *out, size_t capacity) {
  text_t text = {.out = out, .capacity = capacity};
  append_counters(&text, metrics);
  append_gauges(&text, metrics);
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
