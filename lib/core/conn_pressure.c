/* SPDX-License-Identifier: MIT */
/*
 * conn_pressure: the block from the pool that a connection has while the kernel refuses it, while its peer doesn't
 * answer, and while it is closing. Calls no callback: events are marked here, and delivered by conn_events.c.
 */
#include "conn_pressure.h"

#include "conn_backlog.h"
#include "conn_blocks.h"
#include "pool.h"
#include "writability.h"

#include <assert.h>
#include <string.h>

void fluxbp__conn_begin_grace(fluxbp_conn_t *conn) {
  conn->grace_from_ms = (uint32_t) fluxbp__engine_observe(fluxbp__conn_engine(conn));
}

static void start_clocks(fluxbp_conn_t *conn) {
  uint64_t now_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn));
  uint32_t since_grace_ms = (uint32_t) now_ms - conn->grace_from_ms;
  uint64_t written_bytes = fluxbp__conn_written_bytes(conn);
  uint64_t acked_bytes = fluxbp__conn_acked_bytes(written_bytes, fluxbp__conn_unacked_bytes(conn));
  fluxbp__clocks_drained(&conn->pressure->clocks, now_ms - since_grace_ms, now_ms, written_bytes, acked_bytes);
}

void fluxbp__conn_note_progress(fluxbp_conn_t *conn) {
  uint64_t now_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn));
  fluxbp__clocks_progress(&conn->pressure->clocks, now_ms, fluxbp__conn_written_bytes(conn));
}

int fluxbp__conn_take_pressure(fluxbp_conn_t *conn) {
  if (conn->pressure != NULL) return 0;
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  void *memory;
  int err = fluxbp__pool_alloc(engine->pool, FLUXBP__CONTROL, sizeof(fluxbp__pressure_t), &memory);
  if (err) return err;

  conn->pressure = memset(memory, 0, sizeof(fluxbp__pressure_t));
  conn->pressure->conn = conn;
  start_clocks(conn);
  fluxbp__list_append(&engine->pressured, &conn->pressure->sweep);
  fluxbp__writability_take_up(conn, engine->observed_ms);
  fluxbp__engine_sweep_soon(engine, conn->policy);
  return 0;
}

/* A callback may lead here before the next event of the same delivery is told: then the link isn't in the list. */
static bool has_untold_event(const fluxbp__pressure_t *pressure) {
  bool has_shadow = pressure->shadow_reason != FLUXBP_EVICT_NONE && !pressure->is_shadow_told;
  return fluxbp__link_is_linked(&pressure->event) || pressure->has_reply_room || has_shadow;
}

void fluxbp__conn_release_pressure(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__pressure_t *pressure = conn->pressure;
  if (pressure == NULL) return;
  /* An event that isn't told yet keeps the block, but not its clocks; its delivery comes back here. A peer that doesn't
   * answer keeps the block until it does, and a full lane until there is room for a reply. */
  bool is_needed = has_untold_event(pressure) || pressure->clocks.is_silent || conn->is_lane_full;
  if (is_needed && conn->state != FLUXBP__CONN_CLOSING) {
    start_clocks(conn);
    return;
  }
  fluxbp__writability_put_away(conn);
  assert(!conn->is_writing);

  if (pressure->clocks.is_backpressured) fluxbp__ledger_end_backpressure(&engine->ledger);
  fluxbp__ledger_note_kernel_bytes(&engine->ledger, pressure->kernel_bytes, 0);
  fluxbp__link_remove(&pressure->event);
  fluxbp__link_remove(&pressure->sweep);
  fluxbp__pool_free(engine->pool, FLUXBP__CONTROL, pressure, sizeof *pressure);
  conn->pressure = NULL;
  fluxbp__conn_release_rare(conn); /* it was taken for values that might have been conflated */
}

void fluxbp__conn_watermarks(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__clocks_t *clocks = &conn->pressure->clocks;
  fluxbp__backlog_t backlog = fluxbp__conn_backlog(conn);
  if (!fluxbp__clocks_watermarks(clocks, conn->policy, &backlog, fluxbp__engine_observe(engine))) return;
  if (clocks->is_backpressured)
    fluxbp__ledger_begin_backpressure(&engine->ledger);
  else
    fluxbp__ledger_end_backpressure(&engine->ledger);
  fluxbp__conn_note_event(conn);
}

void fluxbp__conn_note_event(fluxbp_conn_t *conn) {
  fluxbp__link_t *event = &conn->pressure->event;
  if (!fluxbp__link_is_linked(event)) fluxbp__turn_add(&fluxbp__conn_engine(conn)->turn, FLUXBP__DUE_EVENT, event);
}

void fluxbp__conn_shadow(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  if (conn->pressure->shadow_reason != FLUXBP_EVICT_NONE) return; /* once is enough, until it is drained */
  conn->pressure->shadow_reason = (uint8_t) reason;
  fluxbp__conn_note_event(conn);
}

fluxbp_conn_t *fluxbp__pressured_next(const fluxbp__engine_t *engine, const fluxbp_conn_t *conn) {
  const fluxbp__link_t *next = conn != NULL ? conn->pressure->sweep.next : engine->pressured.next;
  if (next == &engine->pressured) next = engine->unswept.next;
  return next != &engine->unswept ? FLUXBP__CONTAINER(next, fluxbp__pressure_t, sweep)->conn : NULL;
}
