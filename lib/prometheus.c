/* SPDX-License-Identifier: MIT */
/*
 * prometheus: a snapshot as text in the exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
 */
#include "fluxbp/metrics.h"

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
static void ratio(text_t *text, const char *name, const char *help, double value) {
  uint64_t millionths = (uint64_t) (value * 1e6 + 0.5);
  describe(text, name, "gauge", help);
  append(text, "fluxbp_%s %" PRIu64 ".%06" PRIu64 "\n", name, millionths / 1000000, millionths % 1000000);
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
  counter(text, "deliveries_dropped_total", "Deliveries lost by an overflow rule.", metrics->dropped);
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

  counter(text, "verdicts_spared_total", "Verdicts that the server did not want carried out.", metrics->spared);
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
