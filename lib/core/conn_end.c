/* SPDX-License-Identifier: MIT */
/*
 * conn_end: the steps that every end of a connection is made of. on_closed frees the connection, and calls on_close.
 *
 * Nothing closes a stream inside a call of the user's except the user's own fluxbp_conn_reset: a verdict or a failure
 * marks the connection DOOMED, so it takes no more messages, and the loop executes that at its next turn
 * (conn_close.c). That is also what makes it safe to walk a topic's members while staging.
 */
#include "conn_end.h"

#include "conn_backlog.h"
#include "conn_blocks.h"
#include "conn_lane.h"
#include "conn_pressure.h"
#include "conn_sent.h"
#include "pool.h"
#include "writability.h"

#include <assert.h>

/* A peer that has everything before our FIN has so long to answer with its own. */
enum { LINGER_MS = 1000 };

void fluxbp__conn_set_state(fluxbp_conn_t *conn, fluxbp__conn_state_t state) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->state == FLUXBP__CONN_OPEN) {
    engine->open_count--;
    engine->patrol.open_count -= fluxbp__conn_is_patrolled(conn);
  }
  conn->state = (uint8_t) state;
}

int fluxbp__conn_end_status(const fluxbp_conn_t *conn) {
  return conn->state == FLUXBP__CONN_OPEN ? 0 : conn->status;
}

static void doom(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason, int status) {
  if (conn->state == FLUXBP__CONN_DOOMED || conn->state == FLUXBP__CONN_CLOSING) return;
  if (conn->state != FLUXBP__CONN_OPEN) reason = FLUXBP_EVICT_NONE; /* it is ending already: no verdict any more */
  if (fluxbp__conn_end_status(conn) == 0) conn->status = (int16_t) status;
  conn->reason = (unsigned) reason & 0xfU;
  fluxbp__conn_set_state(conn, FLUXBP__CONN_DOOMED);
  fluxbp__writability_release(conn);
  fluxbp__link_remove(&conn->due);
  fluxbp__turn_add(&fluxbp__conn_engine(conn)->turn, FLUXBP__DUE_VERDICT, &conn->due);
}

void fluxbp__conn_evict(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  doom(conn, reason, UV_ECONNABORTED);
}

/* UV_ETIMEDOUT, too, by which the kernel gives up on a peer: that is no verdict. */
void fluxbp__conn_fail(fluxbp_conn_t *conn, int err) {
  doom(conn, FLUXBP_EVICT_NONE, err);
}

/* Take the connection out of the engine's books and lists, and free what belongs to it. */
static void free_conn(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_pool_t *pool = engine->pool;
  fluxbp__books_t books = {.written = conn->written,
                           .dropped = fluxbp__conn_dropped(conn),
                           .conflated = fluxbp__conn_conflated(conn),
                           .discarded = conn->discarded};
  fluxbp__ledger_take_over(&engine->ledger, &books);
  fluxbp__conn_free_policy(conn);
  if (conn->rare != NULL) fluxbp__link_remove(&conn->rare->refilling);
  fluxbp_conn_t *moved = fluxbp__engine_remove(engine, conn->index);
  if (moved != NULL) moved->index = conn->index;
  fluxbp__pool_free_object(pool, conn->rare, sizeof *conn->rare);
  fluxbp__pool_free_object(pool, fluxbp__conn_memory(conn),
                           fluxbp__conn_size(fluxbp__conn_transport(conn), conn->user_bytes));
}

static void on_closed(uv_handle_t *handle) {
  fluxbp_conn_t *conn = fluxbp__conn_of(handle);
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  uint64_t bytes = conn->ring.bytes - conn->head_written;
  size_t messages = fluxbp__ring_clear(&conn->ring, &engine->ring_memory);
  conn->head_written = 0;
  uint64_t reply_bytes;
  messages += fluxbp__lane_discard(conn, &reply_bytes);
  conn->discarded = (uint16_t) (conn->discarded + messages);
  fluxbp__ledger_discard(&engine->ledger, messages, bytes + reply_bytes);
  if (conn->is_writing) fluxbp__ledger_end_refused(&engine->ledger);
  conn->is_writing = false;
  if (conn->was_started) fluxbp__ledger_close(&engine->ledger);
  fluxbp__conn_release_pressure(conn);

  fluxbp__sent_deliver_all(engine); /* before the connection goes, and its notes with it */
  void (*on_close)(fluxbp_conn_t *, int) = FLUXBP__HANDLER(conn, on_close);
  if (on_close != NULL) on_close(conn, conn->status);
  free_conn(conn);
  engine->on_conn_gone(engine); /* the hub may go with its last connection */
}

void fluxbp__conn_close_stream(fluxbp_conn_t *conn, bool resets) {
  assert(conn->state != FLUXBP__CONN_CLOSING);
  fluxbp__writability_release(conn);
  fluxbp__conn_engine(conn)->feed->detach(conn);
  fluxbp__conn_forget_pause(conn);
  fluxbp__conn_forget_input(conn);
  fluxbp__conn_forget_turn(conn);
  fluxbp__link_remove(&conn->due);
  if (conn->pressure != NULL) fluxbp__link_remove(&conn->pressure->event);
  fluxbp__conn_set_state(conn, FLUXBP__CONN_CLOSING);
  fluxbp__conn_transport(conn)->close(conn, resets);
}

void fluxbp__conn_closed(fluxbp_conn_t *conn) {
  uv_close(&conn->uv.handle, on_closed);
}

void fluxbp__conn_finish(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_DRAINING && conn->ring.count == 0);
  fluxbp__conn_set_state(conn, FLUXBP__CONN_FINISHING); /* the transport may answer at once */
  int err = fluxbp__conn_transport(conn)->shutdown(conn);
  if (err) fluxbp__conn_fail(conn, err);
}

void fluxbp__conn_shut(fluxbp_conn_t *conn, int status) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->state == FLUXBP__CONN_CLOSING) return;
  if (status != 0) {
    fluxbp__conn_fail(conn, status);
    return;
  }
  conn->has_said_fin = true;
  bool is_in_haste = conn->status == 0 && fluxbp__engine_clock_ms(engine) >= conn->pressure->deadline_ms;
  if (conn->has_peer_closed || is_in_haste) {
    fluxbp__conn_close_stream(conn, false); /* the kernel delivers what was written, or gives up on it */
    return;
  }
  fluxbp__conn_linger(conn, fluxbp__conn_unacked_bytes(conn));
  fluxbp__engine_sweep_by(engine, conn->pressure->deadline_ms);
}

void fluxbp__conn_linger(fluxbp_conn_t *conn, uint64_t unacked_bytes) {
  fluxbp__pressure_t *pressure = conn->pressure;
  if (!conn->has_said_fin || pressure->is_lingering || unacked_bytes > FLUXBP__FIN_BYTES) return;
  pressure->is_lingering = true;
  uint64_t linger_ms = fluxbp__engine_clock_ms(fluxbp__conn_engine(conn)) + LINGER_MS;
  if (linger_ms < pressure->deadline_ms) pressure->deadline_ms = linger_ms;
}
