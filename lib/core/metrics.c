/* SPDX-License-Identifier: MIT */
/*
 * metrics: the snapshot. Counting itself is the ledger's.
 */
#include "conn_backlog.h"
#include "conn_pressure.h"
#include "hub.h"
#include "metrics_table.h"
#include "options.h"

/* Mean fill of the rings of backpressured connections, in percent. */
static uint32_t mean_fill(const fluxbp__engine_t *engine) {
  uint64_t sum = 0;
  uint64_t count = 0;
  for (const fluxbp_conn_t *conn = fluxbp__pressured_next(engine, NULL); conn != NULL;
       conn = fluxbp__pressured_next(engine, conn)) {
    if (!conn->pressure->clocks.is_backpressured) continue;
    sum += fluxbp__conn_fill(conn);
    count++;
  }
  return count ? fluxbp__fill_percent(sum / count) : 0;
}

static double write_success_rate(const fluxbp_metrics_t *metrics) {
  uint64_t offered = metrics->written + metrics->dropped + metrics->conflated;
  return offered ? (double) metrics->written_at_once / (double) offered : 1.0;
}

/* One statement for each value of the table's column `adding`. */
#define ADD_sum(field) sum->field += more->field;
#define ADD_sum_by_reason(field)                                                                                       \
  for (int reason = 0; reason < FLUXBP_EVICT_REASON_COUNT; reason++) sum->field[reason] += more->field[reason];
#define ADD_largest(field)                                                                                             \
  if (more->field > sum->field) sum->field = more->field;
#define ADD_any(field) sum->field = sum->field || more->field;
#define ADD_derived(field) /* below */
#define ADD_ROW(field, adding, ...) ADD_##adding(field)

_Static_assert(FLUXBP_EVICT_REASON_COUNT <= FLUXBP_EVICT_REASONS_MAX, "each reason has a figure");

static void add_metrics(fluxbp_metrics_t *sum, const fluxbp_metrics_t *more) {
  uint64_t fill =
      sum->backpressured * sum->backpressured_fill_percent + more->backpressured * more->backpressured_fill_percent;
  FLUXBP__METRICS(ADD_ROW)
  sum->backpressured_fill_percent = sum->backpressured ? (uint32_t) (fill / sum->backpressured) : 0;
  sum->write_success_rate = write_success_rate(sum);
}

void fluxbp_metrics_add_sized(fluxbp_metrics_t *sum, const fluxbp_metrics_t *more, size_t size) {
  fluxbp_metrics_t both;
  fluxbp_metrics_t second;
  fluxbp__result_write(&both, sizeof both, sum, size);
  fluxbp__result_write(&second, sizeof second, more, size);
  add_metrics(&both, &second);
  fluxbp__result_write(sum, size, &both, sizeof both);
}

void fluxbp_hub_get_metrics_sized(const fluxbp_hub_t *hub, fluxbp_metrics_t *out, size_t size) {
  const fluxbp__engine_t *engine = &hub->engine;
  fluxbp_metrics_t metrics = engine->ledger.totals;
  metrics.connections = metrics.opened - metrics.closed;
  metrics.topics = hub->topics.names.count - hub->topics.dormant;
  metrics.longest_turn_us = engine->turn.longest_ns / 1000;
  metrics.is_crowd_slow = engine->crowd.is_slow;
  metrics.backpressured_fill_percent = mean_fill(engine);
  metrics.write_success_rate = write_success_rate(&metrics);
  metrics.input_us = engine->input.total_ns / 1000;
  metrics.input_waiting = engine->input.queue.waiting;
  metrics.history_messages = hub->topics.history.count;
  metrics.history_bytes = hub->topics.history.bytes;
  fluxbp__result_write(out, size, &metrics, sizeof metrics);
}

void fluxbp_hub_get_broadcast_times_sized(const fluxbp_hub_t *hub, fluxbp_histogram_t *times, size_t size) {
  const fluxbp_histogram_t *counted = &hub->topics.broadcast.times;
  fluxbp__options_init(times, size, counted, sizeof *counted);
}
