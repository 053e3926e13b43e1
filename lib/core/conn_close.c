/* SPDX-License-Identifier: MIT */
/*
 * conn_close: every way in which a connection ends, and its eviction.
 *
 * Design notes
 *
 * Nothing closes a stream inside a call of the user's except the user's own fluxbp_conn_reset: a verdict or a failure
 * marks the connection DOOMED, so it takes no more messages, and the loop executes it (fluxbp__conn_execute) at its
 * next turn. That is also what makes it safe to walk a topic's members while staging.
 *
 * The polite end is the same for fluxbp_conn_close, with a last message or without, and for evictions that say
 * farewell: DRAINING until the ring is empty, then FIN (FINISHING), then the peer's FIN or the deadline, then uv_close.
 * FIN comes only when nothing is queued: behind a stalled peer a shutdown would never complete. Reading goes on until
 * the end and what comes is thrown away, because a socket that is closed with unread data answers with a reset, which
 * can destroy what the peer hasn't read yet.
 */
#include "conn_close.h"

#include "conn_backlog.h"
#include "conn_end.h"
#include "conn_evidence.h"
#include "conn_pressure.h"
#include "conn_read.h"
#include "conn_stage.h"
#include "conn_write.h"
#include "eviction.h"
#include "msg.h"
#include "writability.h"

#include <assert.h>

enum {
  FAREWELL_MS = 1000, /* an evicted client has so long to take its farewell */
  HALF_OPEN_MS = 1000 /* what was queued when the peer said FIN has so long to get out */
};

void fluxbp_conn_reset(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_CLOSING) return;
  conn->status = UV_ECANCELED;
  fluxbp__conn_close_stream(conn, true);
}

/* Begin the polite end; the pressure block holds the deadline. */
static void drain(fluxbp_conn_t *conn, uint32_t deadline_ms, int status) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  conn->status = (int16_t) status;
  int err = fluxbp__conn_take_pressure(conn);
  if (err) { /* no memory for a polite end */
    if (conn->status == 0) conn->status = (int16_t) err;
    fluxbp__conn_close_stream(conn, true);
    return;
  }
  conn->pressure->deadline_ms = fluxbp__engine_clock_ms(engine) + deadline_ms;
  fluxbp__engine_sweep_by(engine, conn->pressure->deadline_ms);
  if (conn->state == FLUXBP__CONN_FINISHING) return;

  fluxbp__conn_set_state(conn, FLUXBP__CONN_DRAINING);
  fluxbp__conn_read_on(conn); /* to the end: see above */
  fluxbp__writability_release(conn);
  fluxbp__conn_flush(conn);
}

void fluxbp_conn_close(fluxbp_conn_t *conn, uint32_t deadline_ms) {
  switch ((fluxbp__conn_state_t) conn->state) {
  case FLUXBP__CONN_NEW: /* nothing to be polite about */
    conn->status = 0;
    fluxbp__conn_close_stream(conn, false);
    break;
  case FLUXBP__CONN_OPEN:
  case FLUXBP__CONN_DRAINING:
  case FLUXBP__CONN_FINISHING:
    if (conn->state == FLUXBP__CONN_OPEN) fluxbp__conn_engine(conn)->feed->detach(conn);
    drain(conn, deadline_ms, fluxbp__conn_end_status(conn));
    break;
  case FLUXBP__CONN_DOOMED:
  case FLUXBP__CONN_CLOSING:
    break; /* it is ending already */
  }
}

static int stage_last(fluxbp_conn_t *conn, fluxbp_msg_t *msg) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_frame_t *frame;
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  int err = fluxbp__conn_take_pressure(conn); /* what the polite end needs */
  if (!err) err = fluxbp__frame_create(engine->pool, msg, engine->codecs[conn->codec], NULL, 0, &frame);
  if (err) return err;
  fluxbp__ledger_publish(&engine->ledger);
  err = fluxbp__conn_stage_last(conn, frame);
  fluxbp__frame_unref(frame);
  return err;
}

int fluxbp_conn_close_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint32_t deadline_ms) {
  int err = stage_last(conn, msg);
  fluxbp_conn_close(conn, deadline_ms);
  return err;
}

void fluxbp__conn_peer_closed(fluxbp_conn_t *conn) {
  conn->has_peer_closed = true;
  if (conn->state == FLUXBP__CONN_OPEN) {
    int (*on_half_close)(fluxbp_conn_t *) = FLUXBP__HANDLER(conn, on_half_close);
    bool stays = on_half_close != NULL && on_half_close(conn) != 0;
    if (stays || conn->state != FLUXBP__CONN_OPEN) return;
    fluxbp__conn_engine(conn)->feed->detach(conn);
    drain(conn, HALF_OPEN_MS, UV_EOF);
  } else if (conn->has_said_fin) {
    fluxbp__conn_close_stream(conn, false);
  } /* otherwise it is ending, and will find that there is no FIN to wait for */
}

void fluxbp__conn_expire(fluxbp_conn_t *conn) {
  bool has_finished = conn->state == FLUXBP__CONN_FINISHING && fluxbp__conn_kept_bytes(conn) == 0;
  if (has_finished && fluxbp__conn_unacked_bytes(conn) <= FLUXBP__FIN_BYTES) {
    fluxbp__conn_close_stream(conn, false); /* the peer has everything: a reset could only take it away again */
    return;
  }
  if (conn->status == 0) conn->status = UV_ETIMEDOUT;
  fluxbp__conn_close_stream(conn, true);
}

static void say_farewell(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_frame_t *farewell;

  fluxbp__conn_discard(conn);
  int err = fluxbp__frame_create_farewell(engine->pool, engine->codecs[conn->codec],
                                          (fluxbp_evict_reason_t) conn->reason, &farewell);
  if (!err && farewell != NULL) {
    (void) fluxbp__conn_stage_last(conn, farewell); /* there is a slot for it */
    fluxbp__frame_unref(farewell);
  }
  drain(conn, FAREWELL_MS, UV_ECONNABORTED);
}

void fluxbp__conn_execute(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_DOOMED);
  fluxbp__conn_engine(conn)->feed->detach(conn);
  if (conn->reason == FLUXBP_EVICT_NONE) {
    fluxbp__conn_close_stream(conn, false);
    return;
  }

  fluxbp_eviction_t record = fluxbp__conn_record(conn, (fluxbp_evict_reason_t) conn->reason);
  fluxbp__ledger_evict(&fluxbp__conn_engine(conn)->ledger, record.reason);
  void (*on_evicted)(fluxbp_conn_t *, const fluxbp_eviction_t *) = FLUXBP__HANDLER(conn, on_evicted);
  if (on_evicted != NULL) on_evicted(conn, &record);
  fluxbp__engine_record(fluxbp__conn_engine(conn), &record);
  if (conn->state != FLUXBP__CONN_DOOMED) return; /* a callback has closed it */

  conn->status = UV_ECONNABORTED;
  if (fluxbp__evict_reason_has_farewell(record.reason)) {
    say_farewell(conn);
    return;
  }
  fluxbp__conn_discard(conn); /* what it held is free now, not when libuv has closed it */
  fluxbp__conn_close_stream(conn, true);
}

void fluxbp__conn_evict_for_room(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_OPEN) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    fluxbp__link_remove(&conn->due);
    fluxbp__conn_execute(conn);
  } else if (conn->state == FLUXBP__CONN_DRAINING) {
    if (conn->status == 0) conn->status = UV_ENOBUFS;
    fluxbp__conn_discard(conn);
    fluxbp__conn_close_stream(conn, true);
  }
}
