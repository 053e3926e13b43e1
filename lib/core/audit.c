/* SPDX-License-Identifier: MIT */
/*
 * audit: counts everything anew, from connections and rings, and compares that with the ledger. For the tests.
 */
#include "audit.h"

#include "conn.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_equal(const char *what, uint64_t counted, uint64_t kept) {
  if (counted == kept) return true;
  (void) fprintf(stderr, "accounts: %s: counted %" PRIu64 ", kept %" PRIu64 "\n", what, counted, kept);
  return false;
}

static void add_books(fluxbp__books_t *books, const fluxbp_conn_t *conn) {
  books->written += conn->written;
  books->dropped += fluxbp__conn_dropped(conn);
  books->conflated += fluxbp__conn_conflated(conn);
  books->discarded += conn->discarded;
}

/* The ledger counts for itself, beside its connections. */
static bool books_balance(const fluxbp__engine_t *engine, uint64_t queued) {
  const fluxbp_metrics_t *totals = &engine->ledger.totals;
  fluxbp__books_t all = engine->ledger.gone;
  for (size_t i = 0; i < engine->conn_count; i++) add_books(&all, engine->conns[i]);
  bool balances = is_equal("written", all.written, totals->written);
  balances = is_equal("dropped", all.dropped, totals->dropped) && balances;
  balances = is_equal("conflated", all.conflated, totals->conflated) && balances;
  balances = is_equal("discarded", all.discarded, totals->discarded) && balances;
  return is_equal("accepted", all.written + all.dropped + all.conflated + all.discarded + queued, totals->accepted) &&
         balances;
}

bool fluxbp__audit_balances(const fluxbp__engine_t *engine) {
  const fluxbp_metrics_t *totals = &engine->ledger.totals;
  uint64_t queued = 0;
  uint64_t queued_bytes = 0;
  uint64_t refused = 0;
  uint64_t backpressured = 0;
  uint64_t holding = 0;
  uint64_t open = 0;
  uint64_t kernel_bytes = 0;
  bool balances = true;
  for (size_t i = 0; i < engine->conn_count; i++) {
    const fluxbp_conn_t *conn = engine->conns[i];
    uint64_t bytes = 0;
    for (uint32_t slot = 0; slot < conn->ring.count; slot++) bytes += fluxbp__ring_at(&conn->ring, slot)->len;
    balances = is_equal("bytes of a ring", bytes, conn->ring.bytes) && balances;
    queued += fluxbp__conn_queued(conn);
    queued_bytes += fluxbp__conn_queued_bytes(conn, conn->head_written);
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
  balances = is_equal("holding", holding, engine->writability.holding) && balances;
  balances = is_equal("open", open, engine->open_count) && balances;
  balances = is_equal("bytes in the kernel", kernel_bytes, totals->kernel_bytes) && balances;
  return books_balance(engine, queued) && balances;
}
