/* SPDX-License-Identifier: MIT */
/*
 * conn_events: the callbacks on_gap, on_backpressure, on_reply_room, and on_verdict for a verdict that is only
 * reported.
 */
#include "conn_events.h"

#include "conn_evidence.h"
#include "conn_pressure.h"

static void report_gap(fluxbp_conn_t *conn) {
  fluxbp_gap_t gap = conn->pressure->gap;
  if (gap.count == 0) return;
  conn->pressure->gap = (fluxbp_gap_t){0};
  void (*on_gap)(fluxbp_conn_t *, const fluxbp_gap_t *) = FLUXBP__HANDLER(conn, on_gap);
  if (on_gap != NULL) on_gap(conn, &gap);
}

static void report_backpressure(fluxbp_conn_t *conn) {
  bool is_backpressured = conn->pressure->clocks.is_backpressured;
  if (is_backpressured == conn->pressure->reported_backpressure) return;
  conn->pressure->reported_backpressure = is_backpressured;
  void (*on_backpressure)(fluxbp_conn_t *, int) = FLUXBP__HANDLER(conn, on_backpressure);
  if (on_backpressure != NULL) on_backpressure(conn, is_backpressured);
}

static void report_shadow(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__pressure_t *pressure = conn->pressure;
  if (pressure->shadow_reason == FLUXBP_EVICT_NONE || pressure->is_shadow_told) return;
  pressure->is_shadow_told = true;
  fluxbp_eviction_t record = fluxbp__conn_record(conn, (fluxbp_evict_reason_t) pressure->shadow_reason);
  record.is_shadow = 1;
  fluxbp__ledger_shadow(&engine->ledger, record.reason);
  int (*on_verdict)(fluxbp_conn_t *, const fluxbp_eviction_t *) = FLUXBP__HANDLER(conn, on_verdict);
  if (on_verdict != NULL) (void) on_verdict(conn, &record);
  fluxbp__engine_record(engine, &record);
}

static void report_reply_room(fluxbp_conn_t *conn) {
  bool has_reply_room = conn->pressure->has_reply_room && !conn->is_lane_full;
  conn->pressure->has_reply_room = false;
  void (*on_reply_room)(fluxbp_conn_t *) = FLUXBP__HANDLER(conn, on_reply_room);
  if (has_reply_room && on_reply_room != NULL) on_reply_room(conn);
}

void fluxbp__conn_deliver_events(fluxbp_conn_t *conn) {
  /* a callback may close the connection, or flush it, and then the pressure block may be gone */
  if (conn->state == FLUXBP__CONN_OPEN) report_gap(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->pressure != NULL) report_backpressure(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->pressure != NULL) report_shadow(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->pressure != NULL) report_reply_room(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->ring.count == 0 && !conn->is_writing)
    fluxbp__conn_release_pressure(conn);
}
