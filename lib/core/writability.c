/* SPDX-License-Identifier: MIT */
/*
 * writability: flow control towards the publisher. Which connections hold it up, and for how long each of them may.
 *
 * Design notes
 *
 * - A connection begins to hold the publisher up at its high watermark, and ends at its low one, when its bucket of
 *   patience is empty (patience.h), or when it is evicted, fails or is closed. The hub is writable while no connection
 *   holds.
 * - A connection that waits for our flush holds without a look at its bucket: that time is the hub's own, and the flush
 *   comes in this turn or one of the next.
 * - The sweep takes silence out of the bucket of a connection that the kernel refuses, and comes at the latest when the
 *   bucket is empty. What one connection has used says nothing about another.
 * - The bucket lives in the pressure block. When the block goes and the bucket isn't full, the block for what is rare
 *   keeps the time at which it will be; the sweep frees that memory then. Without memory for it the connection starts
 *   with an empty bucket the next time: so a lack of memory can't make a connection hold the publisher up for ever.
 */
#include "writability.h"

#include "conn_backlog.h"
#include "conn_blocks.h"

/* The size of the bucket. A connection of which nothing moves for stall_ms is STALLED anyway. */
static uint32_t size_ms(const fluxbp_conn_t *conn) {
  uint32_t patience_ms = fluxbp__conn_engine(conn)->patience_ms;
  uint32_t stall_ms = conn->policy->set.stall_ms;
  return stall_ms != 0 && stall_ms < patience_ms ? stall_ms : patience_ms;
}

static uint64_t left_ms(const fluxbp_conn_t *conn, uint64_t now_ms) {
  const fluxbp__pressure_t *pressure = conn->pressure;
  return fluxbp__patience_left_ms(&pressure->patience, pressure->clocks.progress_ms, size_ms(conn), now_ms);
}

/* See to it that a sweep comes when the bucket is empty. */
static void sweep_when_empty(const fluxbp_conn_t *conn, uint64_t now_ms) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__engine_sweep_by(engine, fluxbp__engine_clock_ms(engine) + left_ms(conn, now_ms));
}

/* Return false if the bucket is empty. */
static bool begin_counting(fluxbp_conn_t *conn) {
  if (conn->pressure->patience.is_out) return false;
  uint64_t now_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn));
  if (!fluxbp__patience_hold(&conn->pressure->patience, size_ms(conn), now_ms)) return false;
  sweep_when_empty(conn, now_ms);
  return true;
}

void fluxbp__writability_high(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->is_holding || engine->patience_ms == 0) return;
  if (conn->is_writing && !begin_counting(conn)) return;
  conn->is_holding = true;
  engine->writability.holding++;
}

void fluxbp__writability_release(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (!conn->is_holding) return;
  conn->is_holding = false;
  if (--engine->writability.holding > 0) return;
  engine->writability.is_event_due = true;
  fluxbp__turn_wake(&engine->turn);
}

void fluxbp__writability_swept(fluxbp_conn_t *conn, uint64_t now_ms) {
  const fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (engine->patience_ms == 0) return;
  fluxbp__pressure_t *pressure = conn->pressure;
  fluxbp__patience_count(&pressure->patience, conn->is_holding, pressure->clocks.progress_ms, size_ms(conn), now_ms);
  if (pressure->patience.is_out)
    fluxbp__writability_release(conn);
  else if (conn->is_holding)
    sweep_when_empty(conn, now_ms);
  else if (fluxbp__limits_is_high(&conn->policy->limits, conn->ring.count, conn->ring.bytes))
    fluxbp__writability_high(conn); /* its bucket had run empty, and it moves again */
}

/* Whether something has moved since the last sweep. */
static bool has_just_moved(const fluxbp_conn_t *conn) {
  const fluxbp__clocks_t *clocks = &conn->pressure->clocks;
  uint64_t written_bytes = fluxbp__conn_written_bytes(conn);
  return written_bytes != clocks->written_bytes ||
         fluxbp__conn_acked_bytes(written_bytes, fluxbp__conn_unacked_bytes(conn)) != clocks->acked_bytes;
}

fluxbp_evict_reason_t fluxbp__writability_overflow_reason(const fluxbp_conn_t *conn) {
  if (!conn->is_writing || !conn->pressure->patience.is_out) return FLUXBP_EVICT_OVERFLOW;
  uint32_t stall_ms = conn->policy->set.stall_ms;
  uint64_t idle_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn)) - conn->pressure->clocks.progress_ms;
  bool has_stalled = stall_ms != 0 && idle_ms >= stall_ms && !has_just_moved(conn);
  return has_stalled ? FLUXBP_EVICT_STALLED : FLUXBP_EVICT_SLOW;
}

static void forget_bucket(fluxbp_conn_t *conn) {
  fluxbp__link_remove(&conn->rare->refilling);
  conn->rare->patience_full_ms = 0;
  fluxbp__conn_release_rare(conn);
}

void fluxbp__writability_take_up(fluxbp_conn_t *conn, uint64_t now_ms) {
  uint64_t full_ms = conn->rare != NULL ? conn->rare->patience_full_ms : 0;
  if (full_ms != 0) forget_bucket(conn);
  if (conn->has_lost_patience) full_ms = UINT64_MAX;
  conn->has_lost_patience = false;
  fluxbp__patience_start(&conn->pressure->patience, full_ms, size_ms(conn), now_ms);
  if (conn->is_holding) sweep_when_empty(conn, now_ms);
}

void fluxbp__writability_put_away(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  uint64_t full_ms = conn->pressure->patience.full_ms;
  bool is_full = fluxbp__patience_used_ms(full_ms, fluxbp__engine_observe(engine)) == 0;
  if (is_full || conn->state != FLUXBP__CONN_OPEN) return;
  conn->has_lost_patience = !fluxbp__conn_take_rare(conn);
  if (conn->has_lost_patience) return;
  conn->rare->conn = conn;
  conn->rare->patience_full_ms = full_ms;
  fluxbp__list_append(&engine->writability.refilling, &conn->rare->refilling);
}

bool fluxbp__writability_forget_full(fluxbp__engine_t *engine) {
  const fluxbp__link_t *refilling = &engine->writability.refilling;
  if (fluxbp__list_is_empty(refilling)) return false;
  const fluxbp__rare_t *first = FLUXBP__CONTAINER(refilling->next, fluxbp__rare_t, refilling);
  if (fluxbp__patience_used_ms(first->patience_full_ms, engine->observed_ms) > 0) return false;
  forget_bucket(first->conn);
  return true;
}
