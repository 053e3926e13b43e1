/* SPDX-License-Identifier: MIT */
/*
 * metrics: the snapshot, and the audit that proves it. Counting itself is done where things happen.
 */
#include "conn.h"
#include "metrics_table.h"
#include "options.h"

#include <inttypes.h>
#include <stdio.h>

/* Mean fill of the rings of backpressured connections, in percent. */
static uint32_t mean_fill(const fluxbp_hub_t *hub) {
  uint64_t sum = 0;
  uint64_t count = 0;
  for (const fluxbp_conn_t *conn = fluxbp__sweep_next(hub, NULL); conn != NULL; conn = fluxbp__sweep_next(hub, conn)) {
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
  fluxbp_metrics_t metrics = hub->totals;
  metrics.connections = metrics.opened - metrics.closed;
  metrics.topics = hub->topics.count - hub->topics.dormant;
  metrics.longest_turn_us = hub->turn.longest_ns / 1000;
  metrics.is_crowd_slow = hub->crowd.is_slow;
  metrics.backpressured_fill_percent = mean_fill(hub);
  metrics.write_success_rate = write_success_rate(&metrics);
  metrics.history_messages = hub->history.count;
  metrics.history_bytes = hub->history.bytes;
  fluxbp__result_write(out, size, &metrics, sizeof metrics);
}

static bool is_equal(const char *what, uint64_t counted, uint64_t kept) {
  if (counted == kept) return true;
  (void) fprintf(stderr, "accounts: %s: counted %" PRIu64 ", kept %" PRIu64 "\n", what, counted, kept);
  return false;
}

void fluxbp__books_add(fluxbp__books_t *books, const fluxbp_conn_t *conn) {
  books->written += conn->written;
  books->dropped += fluxbp__conn_dropped(conn);
  books->conflated += fluxbp__conn_conflated(conn);
  books->discarded += conn->discarded;
}

/* The hub counts for itself, beside its connections. */
static bool books_balance(const fluxbp_hub_t *hub, uint64_t queued) {
  const fluxbp_metrics_t *totals = &hub->totals;
  fluxbp__books_t all = hub->gone;
  for (size_t i = 0; i < hub->conn_count; i++) fluxbp__books_add(&all, hub->conns[i]);
  bool balances = is_equal("written", all.written, totals->written);
  balances = is_equal("dropped", all.dropped, totals->dropped) && balances;
  balances = is_equal("conflated", all.conflated, totals->conflated) && balances;
  balances = is_equal("discarded", all.discarded, totals->discarded) && balances;
  return is_equal("accepted", all.written + all.dropped + all.conflated + all.discarded + queued, totals->accepted) &&
         balances;
}

bool fluxbp__hub_accounts_balance(const fluxbp_hub_t *hub) {
  const fluxbp_metrics_t *totals = &hub->totals;
  uint64_t queued = 0;
  uint64_t queued_bytes = 0;
  uint64_t refused = 0;
  uint64_t backpressured = 0;
  uint64_t holding = 0;
  uint64_t open = 0;
  uint64_t kernel_bytes = 0;
  bool balances = true;
  for (size_t i = 0; i < hub->conn_count; i++) {
    const fluxbp_conn_t *conn = hub->conns[i];
    uint64_t bytes = 0;
    for (uint32_t slot = 0; slot < conn->ring.count; slot++) bytes += fluxbp__ring_at(&conn->ring, slot)->len;
    balances = is_equal("bytes of a ring", bytes, conn->ring.bytes) && balances;
    queued += fluxbp__ring_messages(&conn->ring);
    queued_bytes += bytes - conn->head_written;
    refused += conn->is_writing;
    backpressured += (uint64_t) fluxbp_conn_is_backpressured(conn);
    holding += conn->is_holding;
    open += conn->state == FLUXBP__CONN_OPEN;
    if (conn->pressure != NULL) kernel_bytes += conn->pressure->kernel_bytes;
  }
  balances = is_equal("queued", queued, totals->queued) && balances;
  balances = is_equal("queued bytes", queued_bytes, totals->queued_bytes) && balances;
  balances = is_equal("refused", refused, totals->refused) && balances;
  balances = is_equal("backpressured", backpressured, totals->backpressured) && balances;
  balances = is_equal("holding", holding, hub->writability.holding) && balances;
  balances = is_equal("open", open, hub->open_count) && balances;
  balances = is_equal("bytes in the kernel", kernel_bytes, totals->kernel_bytes) && balances;
  return books_balance(hub, queued) && balances;
}
