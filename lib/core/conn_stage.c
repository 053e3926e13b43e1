/* SPDX-License-Identifier: MIT */
/*
 * conn_stage: how a frame gets into the ring of a connection, and what becomes of a frame for which there is no room.
 * Writes to no stream: conn_write.c takes from the ring. Nothing here calls the user.
 *
 * A message of a log topic that finds no room is lost by the overflow rule. A value of a state topic isn't: nothing is
 * done and counted, and the caller has the value staged later (catch_up.c).
 */
#include "conn_stage.h"

#include "conn_blocks.h"
#include "conn_end.h"
#include "conn_pressure.h"
#include "conn_write.h"
#include "writability.h"

static fluxbp_overflow_t overflow_rule(fluxbp_conn_t *conn) {
  const fluxbp_policy_t *set = &conn->policy->set;
  if (set->overflow != FLUXBP_OVERFLOW_EVICT || !set->is_shadow) return set->overflow;
  bool is_reported = conn->pressure == NULL || conn->pressure->shadow_reason != FLUXBP_EVICT_NONE;
  if (!is_reported) fluxbp__conn_shadow(conn, fluxbp__writability_overflow_reason(conn));
  return FLUXBP_OVERFLOW_DROP_NEWEST;
}

/* The ring has no room, and the kernel has been offered what is in it: lose something by the rule. */
static int overflow(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__ring_t *ring = &conn->ring;
  fluxbp_overflow_t rule = overflow_rule(conn);
  bool was_dropping = ring->is_dropping;
  uint64_t bytes_before = ring->bytes;

  bool can_count = rule == FLUXBP_OVERFLOW_EVICT || fluxbp__conn_take_rare(conn);
  int lost = UV_ENOBUFS;
  if (can_count) lost = fluxbp__ring_push_or_drop(ring, &engine->ring_memory, &conn->policy->limits, frame, rule);
  if (!was_dropping) fluxbp__ledger_fill_ring(&engine->ledger);
  if (lost < 0) {
    conn->discarded++;
    fluxbp__ledger_turn_away(&engine->ledger);
    fluxbp__conn_evict(conn,
                       rule == FLUXBP_OVERFLOW_EVICT ? fluxbp__writability_overflow_reason(conn) : FLUXBP_EVICT_BUDGET);
    return 0;
  }
  if (conn->pressure != NULL) fluxbp__clocks_lost(&conn->pressure->clocks);
  if (lost > 0) conn->rare->dropped += (uint64_t) lost;
  fluxbp__ledger_overflow(&engine->ledger, rule, (uint64_t) lost, bytes_before, ring->bytes);
  return ring->count > 0 && fluxbp__ring_at(ring, ring->count - 1) == frame;
}

/* The ring is full. If the kernel hasn't been offered what is in it, that comes first; then what can wait elsewhere
 * makes room, before anything is lost. */
static int stage_in_full_ring(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (!conn->is_writing || conn->ring.has_values) {
    if (!conn->is_writing) fluxbp__conn_offer(conn);
    if (conn->state == FLUXBP__CONN_OPEN && conn->is_writing && conn->ring.has_values) { /* else the ring is empty */
      engine->feed->take_values_back(conn);
      fluxbp__conn_settle(conn);
    }
    if (conn->state != FLUXBP__CONN_OPEN) {
      conn->discarded++;
      fluxbp__ledger_turn_away(&engine->ledger);
      return 0;
    }
    if (fluxbp__ring_push(&conn->ring, &engine->ring_memory, &conn->policy->limits, frame) == 0) {
      fluxbp__ledger_queue(&engine->ledger, frame->len);
      return 1;
    }
  }
  return overflow(conn, frame);
}

bool fluxbp__conn_has_room_for(const fluxbp_conn_t *conn, const fluxbp_frame_t *frame) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (conn->state != FLUXBP__CONN_OPEN || conn->is_writing || ring->is_dropping) return false;
  uint64_t bytes = (uint64_t) ring->bytes + (frame != NULL ? frame->len : 0);
  return ring->count == 0 || !fluxbp__limits_is_high(&conn->policy->limits, ring->count + 1U, bytes);
}

void fluxbp__conn_lose(fluxbp_conn_t *conn, const fluxbp_frame_t *lost) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->state > FLUXBP__CONN_OPEN) return;
  if (!fluxbp__conn_take_rare(conn) ||
      fluxbp__ring_lose(&conn->ring, &engine->ring_memory, &conn->policy->limits, lost) != 0) {
    conn->discarded++;
    fluxbp__ledger_turn_away(&engine->ledger);
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return;
  }
  conn->rare->dropped++;
  fluxbp__ledger_lose(&engine->ledger);
  if (conn->state == FLUXBP__CONN_OPEN && !conn->is_writing) fluxbp__conn_mark_dirty(conn);
}

/* At or above the high watermark. Backpressured it is only when the kernel has refused it. */
static void note_high(fluxbp_conn_t *conn) {
  fluxbp__writability_high(conn);
  if (!conn->is_writing) fluxbp__conn_engine(conn)->is_brimming = true;
  if (conn->is_writing && !conn->pressure->clocks.is_backpressured) fluxbp__conn_watermarks(conn);
}

/* Of a connection that the kernel refuses, or whose ring is filling up. Apart from the short path, which needs no
 * registers saved. */
__attribute__((noinline)) static int stage_slowly(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  const fluxbp__limits_t *limits = &conn->policy->limits;
  int is_queued = 1;

  if (fluxbp__ring_push(&conn->ring, &engine->ring_memory, limits, frame) == 0) {
    fluxbp__ledger_queue(&engine->ledger, frame->len);
  } else {
    is_queued = stage_in_full_ring(conn, frame);
    if (conn->state != FLUXBP__CONN_OPEN) return 0;
  }

  if (fluxbp__limits_is_high(limits, conn->ring.count, conn->ring.bytes)) note_high(conn);
  if (!conn->is_writing) fluxbp__conn_mark_dirty(conn);
  return is_queued;
}

/* The path of nearly every delivery is short: there is a free slot, and the ring stays below its high watermark. False:
 * it isn't that simple, and nothing was done. */
static inline bool stage_quickly(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__ring_t *ring = &conn->ring;
  uint32_t count = ring->count + 1U;
  uint64_t len = frame->len;
  uint32_t bytes = ring->bytes + (uint32_t) len;
  bool is_high = fluxbp__limits_is_high(&conn->policy->limits, count, bytes);
  if (is_high || !fluxbp__ring_has_slot(ring)) return false; /* it has none while it is refused */

  fluxbp__ring_append(ring, frame, count, bytes);
  fluxbp__ledger_queue(&fluxbp__conn_engine(conn)->ledger, len);
  fluxbp__conn_mark_dirty(conn);
  return true;
}

int fluxbp__conn_stage(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  return stage_quickly(conn, frame) ? 1 : stage_slowly(conn, frame);
}

static bool push_value(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (fluxbp__ring_push(&conn->ring, &engine->ring_memory, &conn->policy->limits, frame) != 0) return false;
  conn->ring.has_values = true;
  fluxbp__ledger_queue(&engine->ledger, frame->len);
  return true;
}

static bool replace_value(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  uint64_t bytes_before = conn->ring.bytes;
  if (!fluxbp__conn_take_rare(conn)) return false; /* it couldn't be counted */
  if (!fluxbp__ring_replace(&conn->ring, &engine->ring_memory, &conn->policy->limits, frame)) return false;
  conn->rare->conflated++;
  fluxbp__ledger_replace(&engine->ledger, bytes_before, conn->ring.bytes);
  return true;
}

/* Whether the ring of a refused connection may get a value of a key that isn't queued. While values of other topics
 * wait, the ring has to be drained: a walk that is to stage them begins with an empty one. */
static bool may_take_new_key(const fluxbp_conn_t *conn, const fluxbp_frame_t *frame) {
  if (fluxbp__conn_behind_count(conn) > 0) return false;
  return !fluxbp__limits_is_high(&conn->policy->limits, conn->ring.count + 1U,
                                 (uint64_t) conn->ring.bytes + frame->len);
}

static bool queue_value(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  if (!conn->is_writing) return push_value(conn, frame);
  return replace_value(conn, frame) || (may_take_new_key(conn, frame) && push_value(conn, frame));
}

/* The value isn't lost if there is no room: its topic has it, and the connection is going to get it from there. */
__attribute__((noinline)) static int stage_state_slowly(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  bool is_queued = queue_value(conn, frame);
  if (!is_queued && !conn->is_writing) {
    fluxbp__conn_offer(conn);
    is_queued = conn->state == FLUXBP__CONN_OPEN && queue_value(conn, frame);
  }
  if (conn->state != FLUXBP__CONN_OPEN) return 0;
  if (fluxbp__limits_is_high(&conn->policy->limits, conn->ring.count, conn->ring.bytes)) note_high(conn);
  if (!conn->is_writing) fluxbp__conn_mark_dirty(conn);
  return is_queued;
}

int fluxbp__conn_stage_state(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  if (!stage_quickly(conn, frame)) return stage_state_slowly(conn, frame);
  conn->ring.has_values = true;
  return 1;
}

int fluxbp__conn_stage_last(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  frame->time_ms = engine->observed_ms;
  int err = fluxbp__ring_push_last(&conn->ring, &engine->ring_memory, frame);
  if (err) return err;
  fluxbp__ledger_queue(&engine->ledger, frame->len);
  return 0;
}
