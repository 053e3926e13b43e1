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
 * The polite end is the same for fluxbp_conn_close, with a last message or without, and for evictions that say farewell:
 * DRAINING until the ring is empty, then FIN (FINISHING), then the peer's FIN or the deadline, then uv_close. FIN comes only
 * when nothing is queued: behind a stalled peer a shutdown would never complete. Reading goes on until the end and what
 * comes is thrown away, because a socket that is closed with unread data answers with a reset, which can destroy what the
 * peer hasn't read yet.
 */
#include "conn_close.h"

#include "conn_stage.h"
#include "eviction.h"

#include "msg.h"
#include "pool.h"
#include "writability.h"

#include <assert.h>

enum {
  FIN_BYTES = 1,      /* the kernel counts an unacknowledged FIN as one byte */
  FAREWELL_MS = 1000, /* an evicted client has so long to take its farewell */
  LINGER_MS = 1000,   /* a peer that has everything before our FIN has so long to answer with its own */
  HALF_OPEN_MS = 1000 /* what was queued when the peer said FIN has so long to get out */
};

static void on_closed(uv_handle_t *handle) {
  fluxbp_conn_t *conn = fluxbp__conn_of(handle);
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp_metrics_t *totals = &hub->totals;

  uint64_t bytes = conn->ring.bytes - conn->head_written;
  size_t messages = fluxbp__ring_clear(&conn->ring, &hub->ring_memory);
  conn->head_written = 0;
  conn->discarded = (uint16_t) (conn->discarded + messages);
  totals->discarded += messages;
  totals->queued -= messages;
  totals->queued_bytes -= bytes;
  totals->closed += conn->was_started;
  fluxbp__conn_release_pressure(conn);

  void (*on_close)(fluxbp_conn_t *, int) = FLUXBP__HANDLER(conn, on_close);
  if (on_close != NULL) on_close(conn, conn->status);

  fluxbp__conn_free_policy(conn);
  fluxbp_pool_t *pool = hub->pool;
  if (conn->rare != NULL) fluxbp__link_remove(&conn->rare->refilling);
  fluxbp__hub_remove(hub, conn); /* the hub may go with its last connection */
  fluxbp__pool_free_object(pool, conn->rare, sizeof *conn->rare);
  fluxbp__pool_free_object(pool, fluxbp__conn_memory(conn),
                           fluxbp__conn_size(fluxbp__conn_transport(conn), conn->user_bytes));
}

/* Every state but OPEN is entered through here, from whichever it was. */
static void set_state(fluxbp_conn_t *conn, fluxbp__conn_state_t state) {
  if (conn->state == FLUXBP__CONN_OPEN) {
    fluxbp__conn_hub(conn)->open_count--;
    fluxbp__conn_hub(conn)->patrol.open_count -= conn->uv.handle.type == UV_TCP;
  }
  conn->state = (uint8_t) state;
}

static void close_stream(fluxbp_conn_t *conn, bool resets) {
  assert(conn->state != FLUXBP__CONN_CLOSING);
  fluxbp__writability_release(conn);
  fluxbp__conn_unsubscribe_all(conn);
  fluxbp__conn_forget_pause(conn);
  fluxbp__link_remove(&conn->due);
  if (conn->pressure != NULL) fluxbp__link_remove(&conn->pressure->event);
  set_state(conn, FLUXBP__CONN_CLOSING);
  if (resets && conn->uv.handle.type == UV_TCP) fluxbp__probe_close_resets(&conn->uv.tcp);
  uv_close(&conn->uv.handle, on_closed);
}

/* What on_close will be told, as far as it is known. */
static int status_of(const fluxbp_conn_t *conn) {
  return conn->state == FLUXBP__CONN_OPEN ? 0 : conn->status;
}

void fluxbp_conn_reset(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_CLOSING) return;
  conn->status = UV_ECANCELED;
  close_stream(conn, true);
}

/* Begin the polite end; the pressure block holds the deadline. */
static void drain(fluxbp_conn_t *conn, uint32_t deadline_ms, int status) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  conn->status = (int16_t) status;
  int err = fluxbp__conn_take_pressure(conn);
  if (err) { /* no memory for a polite end */
    if (conn->status == 0) conn->status = (int16_t) err;
    close_stream(conn, true);
    return;
  }
  conn->pressure->deadline_ms = fluxbp__hub_clock_ms(hub) + deadline_ms;
  fluxbp__sweep_by(hub, conn->pressure->deadline_ms);
  if (conn->state == FLUXBP__CONN_FINISHING) return;

  set_state(conn, FLUXBP__CONN_DRAINING);
  fluxbp_conn_resume_read(conn); /* to the end: see above */
  fluxbp__writability_release(conn);
  fluxbp__conn_flush(conn);
}

void fluxbp_conn_close(fluxbp_conn_t *conn, uint32_t deadline_ms) {
  switch ((fluxbp__conn_state_t) conn->state) {
  case FLUXBP__CONN_NEW: /* nothing to be polite about */
    conn->status = 0;
    close_stream(conn, false);
    break;
  case FLUXBP__CONN_OPEN:
  case FLUXBP__CONN_DRAINING:
  case FLUXBP__CONN_FINISHING:
    if (conn->state == FLUXBP__CONN_OPEN) fluxbp__conn_unsubscribe_all(conn);
    drain(conn, deadline_ms, status_of(conn));
    break;
  case FLUXBP__CONN_DOOMED:
  case FLUXBP__CONN_CLOSING:
    break; /* it is ending already */
  }
}

static int stage_last(fluxbp_conn_t *conn, fluxbp_msg_t *msg) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp_frame_t *frame;
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  int err = fluxbp__conn_take_pressure(conn); /* what the polite end needs */
  if (!err) err = fluxbp__frame_create(hub->pool, msg, hub->codecs[conn->codec], NULL, 0, &frame);
  if (err) return err;
  hub->totals.published++;
  err = fluxbp__conn_stage_last(conn, frame);
  fluxbp__frame_unref(frame);
  return err;
}

int fluxbp_conn_close_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint32_t deadline_ms) {
  int err = stage_last(conn, msg);
  fluxbp_conn_close(conn, deadline_ms);
  return err;
}

static void on_shutdown(uv_shutdown_t *req, int status) {
  fluxbp_conn_t *conn = fluxbp__conn_of(req->handle);
  if (conn->state == FLUXBP__CONN_CLOSING) return;
  if (status != 0) {
    fluxbp__conn_fail(conn, status);
    return;
  }
  conn->has_said_fin = true;
  uint64_t now_ms = fluxbp__hub_clock_ms(fluxbp__conn_hub(conn));
  bool is_in_haste = conn->status == 0 && now_ms >= conn->pressure->deadline_ms;
  if (conn->has_peer_closed || is_in_haste) {
    close_stream(conn, false); /* what was written is still on its way: the kernel delivers it, or gives up on it */
    return;
  }
  fluxbp__conn_linger(conn, fluxbp__conn_unacked_bytes(conn));
  fluxbp__sweep_by(fluxbp__conn_hub(conn), conn->pressure->deadline_ms);
}

void fluxbp__conn_linger(fluxbp_conn_t *conn, uint64_t unacked_bytes) {
  fluxbp__pressure_t *pressure = conn->pressure;
  if (!conn->has_said_fin || pressure->is_lingering || unacked_bytes > FIN_BYTES) return;
  pressure->is_lingering = true;
  uint64_t linger_ms = fluxbp__hub_clock_ms(fluxbp__conn_hub(conn)) + LINGER_MS;
  if (linger_ms < pressure->deadline_ms) pressure->deadline_ms = linger_ms;
}

void fluxbp__conn_finish(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_DRAINING && conn->ring.count == 0);
  int err = uv_shutdown(&conn->pressure->req.shutdown, &conn->uv.stream, on_shutdown);
  if (err)
    fluxbp__conn_fail(conn, err);
  else
    set_state(conn, FLUXBP__CONN_FINISHING);
}

void fluxbp__conn_peer_closed(fluxbp_conn_t *conn) {
  conn->has_peer_closed = true;
  if (conn->state == FLUXBP__CONN_OPEN) {
    int (*on_half_close)(fluxbp_conn_t *) = FLUXBP__HANDLER(conn, on_half_close);
    bool stays = on_half_close != NULL && on_half_close(conn) != 0;
    if (stays || conn->state != FLUXBP__CONN_OPEN) return;
    fluxbp__conn_unsubscribe_all(conn);
    drain(conn, HALF_OPEN_MS, UV_EOF);
  } else if (conn->has_said_fin) {
    close_stream(conn, false);
  } /* otherwise it is ending, and will find that there is no FIN to wait for */
}

void fluxbp__conn_expire(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_FINISHING && fluxbp__conn_unacked_bytes(conn) <= FIN_BYTES) {
    close_stream(conn, false); /* the peer has everything: a reset could only take it away again */
    return;
  }
  if (conn->status == 0) conn->status = UV_ETIMEDOUT;
  close_stream(conn, true);
}

static void doom(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason, int status) {
  if (conn->state == FLUXBP__CONN_DOOMED || conn->state == FLUXBP__CONN_CLOSING) return;
  if (conn->state != FLUXBP__CONN_OPEN) reason = FLUXBP_EVICT_NONE; /* it is ending already: no verdict any more */
  if (status_of(conn) == 0) conn->status = (int16_t) status;
  conn->reason = (uint8_t) reason;
  set_state(conn, FLUXBP__CONN_DOOMED);
  fluxbp__writability_release(conn);
  fluxbp__link_remove(&conn->due);
  fluxbp__turn_add(&fluxbp__conn_hub(conn)->turn, FLUXBP__DUE_VERDICT, &conn->due);
}

void fluxbp__conn_evict(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  doom(conn, reason, UV_ECONNABORTED);
}

/* UV_ETIMEDOUT, too, by which the kernel gives up on a peer: that is no verdict. */
void fluxbp__conn_fail(fluxbp_conn_t *conn, int err) {
  doom(conn, FLUXBP_EVICT_NONE, err);
}

static fluxbp_cause_t cause_of(const fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  if (reason == FLUXBP_EVICT_UNREACHABLE) return FLUXBP_CAUSE_UNREACHABLE;
  if (conn->pressure == NULL || conn->uv.handle.type != UV_TCP) return FLUXBP_CAUSE_UNKNOWN;
  const fluxbp__sample_t *samples = conn->pressure->samples;
  fluxbp__sample_t now;
  fluxbp__probe_sample(&conn->uv.tcp, &now);
  return fluxbp__sample_cause(samples[0].is_known ? &samples[0] : &samples[1], &now, reason != FLUXBP_EVICT_STALLED);
}

/* Which verdict is nearest, of a connection that is judged. */
static void add_standing(fluxbp_eviction_t *record, const fluxbp_conn_t *conn, uint64_t now_ms) {
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DOOMED) return;
  fluxbp__observation_t seen = {
      .backlog = conn->is_writing ? fluxbp__conn_backlog(conn) : (fluxbp__backlog_t){0},
      .oldest_ms = fluxbp__conn_oldest_ms(conn),
      .is_crowd_slow = fluxbp__crowd_has_grace(&fluxbp__conn_hub(conn)->crowd, now_ms),
  };
  fluxbp__standing_t standing = fluxbp__policy_standing(conn->policy, &conn->pressure->clocks, &seen, now_ms);
  record->nearest = standing.reason;
  record->used_ms = standing.used_ms;
  record->limit_ms = standing.limit_ms;
  record->put_off = standing.put_off;
}

fluxbp_eviction_t fluxbp__conn_record(const fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  uint64_t now_ms = fluxbp__hub_observe(fluxbp__conn_hub(conn));
  fluxbp_eviction_t record = {
      .conn_id = conn->id,
      .reason = reason,
      .cause = cause_of(conn, reason),
      .time_ms = fluxbp__hub_clock_ms(fluxbp__conn_hub(conn)),
      .oldest_ms = fluxbp__conn_oldest_ms(conn),
      .queued = fluxbp__ring_messages(&conn->ring),
      .queued_bytes = conn->ring.bytes - fluxbp__conn_head_written(conn),
      .dropped = fluxbp__conn_dropped(conn),
      .kernel_bytes = fluxbp__conn_unacked_bytes(conn),
      .last_id = conn->last_id,
  };
  if (conn->pressure != NULL) {
    const fluxbp__clocks_t *clocks = &conn->pressure->clocks;
    record.since_progress_ms = now_ms - clocks->progress_ms;
    if (clocks->is_behind) record.backpressured_ms = now_ms - clocks->min_fill_ms;
    record.unanswered = clocks->unanswered;
    if (clocks->is_silent) record.unanswered_ms = now_ms - clocks->silent_ms;
    add_standing(&record, conn, now_ms);
  }
  return record;
}

static void say_farewell(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp_frame_t *farewell;

  fluxbp__conn_discard(conn);
  int err = fluxbp__frame_create_farewell(hub->pool, hub->codecs[conn->codec], (fluxbp_evict_reason_t) conn->reason,
                                          &farewell);
  if (!err && farewell != NULL) {
    (void) fluxbp__conn_stage_last(conn, farewell); /* there is a slot for it */
    fluxbp__frame_unref(farewell);
  }
  drain(conn, FAREWELL_MS, UV_ECONNABORTED);
}

void fluxbp__conn_execute(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_DOOMED);
  fluxbp__conn_unsubscribe_all(conn);
  if (conn->reason == FLUXBP_EVICT_NONE) {
    close_stream(conn, false);
    return;
  }

  fluxbp_eviction_t record = fluxbp__conn_record(conn, (fluxbp_evict_reason_t) conn->reason);
  fluxbp__conn_hub(conn)->totals.evictions[record.reason]++;
  void (*on_evicted)(fluxbp_conn_t *, const fluxbp_eviction_t *) = FLUXBP__HANDLER(conn, on_evicted);
  if (on_evicted != NULL) on_evicted(conn, &record);
  fluxbp__hub_record(fluxbp__conn_hub(conn), &record);
  if (conn->state != FLUXBP__CONN_DOOMED) return; /* a callback has closed it */

  conn->status = UV_ECONNABORTED;
  if (fluxbp__evict_reason_has_farewell(record.reason)) {
    say_farewell(conn);
    return;
  }
  fluxbp__conn_discard(conn); /* what it held is free now, not when libuv has closed it */
  close_stream(conn, true);
}

void fluxbp__conn_evict_for_room(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_OPEN) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    fluxbp__link_remove(&conn->due);
    fluxbp__conn_execute(conn);
  } else if (conn->state == FLUXBP__CONN_DRAINING) {
    if (conn->status == 0) conn->status = UV_ENOBUFS;
    fluxbp__conn_discard(conn);
    close_stream(conn, true);
  }
}
