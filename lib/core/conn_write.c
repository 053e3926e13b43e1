/* SPDX-License-Identifier: MIT */
/*
 * conn_write: the one way from a message to the kernel. Staging, flushing, being refused, draining. No other file
 * writes to a stream. Nothing here calls the user.
 *
 * Design notes
 *
 * A connection is in one of three conditions while it is open:
 *
 *   idle     the ring is empty, it is in no list
 *   dirty    something is staged that the kernel hasn't been offered; in the turn's dirty list
 *   refused  the kernel has had enough (is_writing): one uv_write carries the rest of the head alone; the callback of
 *            that write is how we learn that the socket is writable again
 *
 * - uv_try_write answers EAGAIN while a uv_write is queued, so there is never more than one, and libuv's queue never
 *   holds more than one message. Everything behind the head can still be dropped.
 * - The callback drains by itself as far as the iteration's budget goes; if it is refused again it queues the next head
 *   before libuv could stop watching the socket, which saves two calls of epoll_ctl.
 * - A head of which bytes are with the kernel or with libuv is pinned in the ring.
 * - A message of a log topic that finds no room is lost by the overflow rule. A value of a state topic isn't: nothing is done
 *   and counted, and the caller has it staged later (catch_up.c).
 * - After a burst many connections are due the same frames. The hub remembers what the last flush has gathered (its run),
 *   and a second connection with it has it copied into one buffer, which the kernel takes faster than many. A run is known
 *   by the frames' addresses, and the pool's generation says that they still stand for the same frames.
 * - A write that fails dooms the connection; closing is the loop's work, since we may be inside a call of the user's.
 */
#include "conn.h"

#include "pool.h"
#include "writability.h"

#include <assert.h>
#include <string.h>

static void on_written(uv_write_t *req, int status);

static void mark_dirty(fluxbp_conn_t *conn) {
  if (!fluxbp__link_is_linked(&conn->due))
    fluxbp__turn_add(&fluxbp__conn_hub(conn)->turn, FLUXBP__DUE_FLUSH, &conn->due);
}

uint32_t fluxbp__conn_head_written(const fluxbp_conn_t *conn) {
  if (!conn->is_writing) return conn->head_written;
  return fluxbp__ring_at(&conn->ring, 0)->len - (uint32_t) uv_stream_get_write_queue_size(&conn->uv.stream);
}

uint64_t fluxbp__conn_written_bytes(const fluxbp_conn_t *conn) {
  return conn->written_bytes + (fluxbp__conn_head_written(conn) - conn->head_written);
}

fluxbp__backlog_t fluxbp__conn_backlog(const fluxbp_conn_t *conn) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (ring->count == 0) return (fluxbp__backlog_t){0};
  return (fluxbp__backlog_t){.queued = ring->count,
                             .bytes = ring->bytes,
                             .head_bytes = fluxbp__ring_at(ring, 0)->len,
                             .head_written = fluxbp__conn_head_written(conn)};
}

uint64_t fluxbp__conn_unacked_bytes(const fluxbp_conn_t *conn) {
  /* on a UNIX socket the kernel counts its own overhead, which says nothing */
  int64_t bytes = conn->uv.handle.type == UV_TCP ? fluxbp__probe_unacked(&conn->uv.tcp) : 0;
  return bytes > 0 ? (uint64_t) bytes : 0;
}

/* How long the frame at `offset` has been waiting; 0 if there is none. */
static uint64_t age_ms(const fluxbp_conn_t *conn, uint32_t offset) {
  if (conn->ring.count <= offset) return 0;
  uint64_t now_ms = fluxbp__conn_hub(conn)->observed_ms;
  uint64_t age_ms = now_ms - fluxbp__ring_at(&conn->ring, offset)->time_ms;
  if (conn->pressure == NULL) return conn->catching_up > 0 ? 0 : age_ms;
  /* a frame that was published long ago may have been staged just now, but not before the ring last was empty */
  uint64_t refused_ms = now_ms - conn->pressure->clocks.refused_ms;
  return age_ms < refused_ms ? age_ms : refused_ms;
}

uint64_t fluxbp__conn_head_ms(const fluxbp_conn_t *conn) {
  return age_ms(conn, 0);
}

uint64_t fluxbp__conn_oldest_ms(const fluxbp_conn_t *conn) {
  return age_ms(conn, fluxbp__conn_head_written(conn) > 0);
}

/* The kernel has taken `bytes` from the front of the ring. Returns how many frames went whole. */
static uint32_t consume(fluxbp_conn_t *conn, size_t bytes) {
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  fluxbp__ring_t *ring = &conn->ring;
  size_t rest = conn->head_written + bytes;
  uint64_t last_id = conn->last_id;
  fluxbp_frame_t *const *slots = fluxbp__ring_slots(ring);
  uint32_t capacity = ring->capacity;
  uint32_t slot = ring->head;
  uint32_t frames = 0;

  for (; rest > 0; frames++) {
    fluxbp_frame_t *frame = slots[slot];
    if (rest < frame->len) break;
    rest -= frame->len;
    if (frame->id != 0) last_id = frame->id;
    fluxbp__frame_unref(frame);
    if (++slot == capacity) slot = 0;
  }
  if (frames > 0) fluxbp__ring_skip(ring, frames, (uint32_t) (conn->head_written + bytes - rest));
  if (rest > 0) ring->is_head_pinned = true;
  conn->head_written = (uint32_t) rest;
  conn->last_id = last_id;

  conn->written += frames;
  conn->written_bytes += bytes;
  totals->written += frames;
  totals->written_bytes += bytes;
  totals->queued -= frames;
  totals->queued_bytes -= bytes;
  return frames;
}

/* The fill has changed: the dropping may end, watermarks may have been crossed. */
static void settle(fluxbp_conn_t *conn) {
  const fluxbp__policy_t *policy = conn->policy;
  fluxbp__ring_t *ring = &conn->ring;

  fluxbp__ring_settle(ring, &fluxbp__conn_hub(conn)->ring_memory, &policy->limits);
  if (conn->is_holding && fluxbp__limits_is_low(&policy->limits, ring->count, ring->bytes))
    fluxbp__writability_release(conn);
  if (conn->pressure != NULL) fluxbp__conn_watermarks(conn);
}

/* The head of the ring is a marker: report the gap, and let the codec's words for it take its place. */
static int resolve_marker(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp_frame_t *marker = fluxbp__ring_at(&conn->ring, 0);
  fluxbp_frame_t *notice;
  int err = fluxbp__conn_take_pressure(conn);
  if (err) return err;
  err = fluxbp__frame_create_gap_notice(hub->pool, hub->codecs[conn->codec], &marker->gap, &notice);
  if (err) return err;

  fluxbp_gap_t *gap = &conn->pressure->gap;
  if (gap->first_id == 0) gap->first_id = marker->gap.first_id;
  gap->last_id = marker->gap.last_id;
  gap->count += marker->gap.count;
  hub->totals.gaps++;
  fluxbp__conn_event(conn);

  if (notice == NULL) {
    fluxbp__frame_unref(fluxbp__ring_pop(&conn->ring));
    return 0;
  }
  notice->time_ms = marker->time_ms;
  fluxbp__ring_slots(&conn->ring)[conn->ring.head] = notice;
  conn->ring.markers--;
  conn->ring.bytes += notice->len;
  hub->totals.accepted++;
  hub->totals.queued++;
  hub->totals.queued_bytes += notice->len;
  fluxbp__frame_unref(marker);
  return 0;
}

/* Whether the whole ring is what the hub's last flush has gathered, too. If it isn't, it is remembered. */
static bool is_known_run(const fluxbp_conn_t *conn) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (ring->count > FLUXBP__RUN_FRAMES || ring->bytes > FLUXBP__RUN_BYTES || ring->markers > 0) return false;
  if (conn->head_written > 0 || ring->head + ring->count > ring->capacity) return false;

  fluxbp__run_t *run = &fluxbp__conn_hub(conn)->run;
  fluxbp_frame_t **frames = fluxbp__ring_slots(ring) + ring->head;
  uint64_t generation = fluxbp__pool_generation(fluxbp__conn_hub(conn)->pool);
  size_t size = ring->count * sizeof(fluxbp_frame_t *);
  if (run->generation == generation && run->count == ring->count && memcmp(run->frames, frames, size) == 0) return true;
  memcpy(run->frames, frames, size);
  run->count = ring->count;
  run->generation = generation;
  run->is_copied = false;
  return false;
}

/* For the second connection that has it; the others find it done. */
static void copy_run(fluxbp__run_t *run) {
  char *to = run->bytes;
  for (uint32_t i = 0; i < run->count; i++) {
    memcpy(to, run->frames[i]->data, run->frames[i]->len);
    to += run->frames[i]->len;
  }
  run->is_copied = true;
}

/* Collect what stands in front of the first marker. */
static unsigned gather(const fluxbp_conn_t *conn, uv_buf_t *buffers, size_t *bytes) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (ring->count > 1 && is_known_run(conn)) {
    fluxbp__run_t *run = &fluxbp__conn_hub(conn)->run;
    if (!run->is_copied) copy_run(run);
    *bytes = ring->bytes;
    buffers[0] = uv_buf_init(run->bytes, ring->bytes);
    return 1;
  }

  uint32_t count = ring->count < FLUXBP__BUFFERS_MAX ? ring->count : FLUXBP__BUFFERS_MAX;
  fluxbp_frame_t *const *slots = fluxbp__ring_slots(ring);
  uint32_t slot = ring->head;
  size_t sum = 0;
  uint32_t n = 0;

  for (; n < count; n++) {
    const fluxbp_frame_t *frame = slots[slot];
    if (frame->kind == FLUXBP__FRAME_GAP) break;
    buffers[n].base = (char *) (uintptr_t) frame->data; /* libuv only reads it, but its type doesn't say so */
    buffers[n].len = frame->len;
    sum += frame->len;
    if (++slot == ring->capacity) slot = 0;
  }
  if (n > 0) {
    buffers[0].base += conn->head_written;
    buffers[0].len -= conn->head_written;
    sum -= conn->head_written;
  }
  *bytes = sum;
  return n;
}

/* The kernel has had enough: hand the rest of the head to libuv, which tells us when it is gone. */
static void refuse(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (fluxbp__conn_take_pressure(conn) != 0) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return;
  }

  const fluxbp_frame_t *head = fluxbp__ring_at(&conn->ring, 0);
  uv_buf_t rest = uv_buf_init((char *) (uintptr_t) head->data + conn->head_written, head->len - conn->head_written);
  int err = uv_write(&conn->pressure->req.write, &conn->uv.stream, &rest, 1, on_written);
  if (err) {
    fluxbp__conn_fail(conn, err);
    return;
  }
  conn->is_writing = true;
  conn->ring.is_head_pinned = true;
  hub->totals.refused++;
  /* every way here begins with something that moved: the first offer, or a write that was completed */
  fluxbp__clocks_progress(&conn->pressure->clocks, fluxbp__hub_observe(hub), conn->written_bytes);
}

/* Offer the kernel everything, until the ring is empty, it is refused, or it fails. */
static void write_out(fluxbp_conn_t *conn, bool is_first_offer) {
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  uv_buf_t *buffers = fluxbp__conn_hub(conn)->buffers;

  while (conn->ring.count > 0 && conn->state != FLUXBP__CONN_DOOMED) {
    size_t bytes;
    unsigned count = gather(conn, buffers, &bytes);
    if (count == 0) {
      if (resolve_marker(conn) != 0) fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
      continue;
    }

    int taken = uv_try_write(&conn->uv.stream, buffers, count);
    totals->writes++;
    if (taken < 0 && taken != UV_EAGAIN) {
      fluxbp__conn_fail(conn, taken);
      return;
    }
    uint32_t frames = taken > 0 ? consume(conn, (size_t) taken) : 0;
    if (is_first_offer) totals->written_at_once += frames;
    if (taken < 0 || (size_t) taken < bytes) {
      totals->refusals++;
      refuse(conn);
      return;
    }
  }
}

/* Write, and bring everything that depends on the ring up to date. */
static void write_and_settle(fluxbp_conn_t *conn, bool is_first_offer) {
  do {
    write_out(conn, is_first_offer);
    settle(conn); /* which may end the dropping, and put its marker into the empty ring */
  } while (conn->ring.count > 0 && !conn->is_writing && conn->state != FLUXBP__CONN_DOOMED);

  if (conn->is_writing || conn->state == FLUXBP__CONN_DOOMED) return;
  if (conn->state == FLUXBP__CONN_DRAINING) {
    fluxbp__conn_finish(conn);
    return;
  }
  if (conn->state != FLUXBP__CONN_OPEN) return;
  if (conn->pressure != NULL) fluxbp__conn_release_pressure(conn);
  if (conn->catching_up > 0) mark_dirty(conn); /* the next batch is for its next visit: others come in between */
}

static void offer(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_OPEN || conn->state == FLUXBP__CONN_DRAINING);
  fluxbp__link_remove(&conn->due);
  if (!conn->is_writing) write_and_settle(conn, conn->pressure == NULL);
}

void fluxbp__conn_flush(fluxbp_conn_t *conn) {
  if (conn->catching_up > 0 && !conn->is_writing) fluxbp__conn_refill(conn);
  if (conn->state != FLUXBP__CONN_DOOMED) offer(conn);
}

int fluxbp_conn_flush(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DRAINING) return UV_ENOTCONN;
  fluxbp__conn_flush(conn);
  return 0;
}

void fluxbp__conn_catch_up(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_OPEN && !conn->is_writing) mark_dirty(conn);
}

static void on_written(uv_write_t *req, int status) {
  fluxbp_conn_t *conn = fluxbp__conn_of(req->handle);
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);

  uint64_t in_flight = fluxbp__ring_at(&conn->ring, 0)->len - conn->head_written;
  conn->is_writing = false;
  hub->totals.refused--;
  if (status != 0) {
    fluxbp__conn_fail(conn, status);
    return;
  }

  consume(conn, in_flight);
  fluxbp__clocks_progress(&conn->pressure->clocks, fluxbp__hub_observe(hub), conn->written_bytes);
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DRAINING) return;

  if (!fluxbp__turn_begin(&hub->turn)) {
    settle(conn);
    mark_dirty(conn);
    return;
  }
  write_and_settle(conn, false);
  fluxbp__turn_end(&hub->turn);
}

static fluxbp_overflow_t overflow_rule(fluxbp_conn_t *conn) {
  const fluxbp_policy_t *set = &conn->policy->set;
  if (set->overflow != FLUXBP_OVERFLOW_EVICT || !set->is_shadow) return set->overflow;
  bool is_reported = conn->pressure == NULL || conn->pressure->shadow_reason != FLUXBP_EVICT_NONE;
  if (!is_reported) fluxbp__conn_shadow(conn, fluxbp__writability_overflow_reason(conn));
  return FLUXBP_OVERFLOW_DROP_NEWEST;
}

/* The ring has no room, and the kernel has been offered what is in it: lose something by the rule. */
static int overflow(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp__ring_t *ring = &conn->ring;
  fluxbp_overflow_t rule = overflow_rule(conn);
  bool was_dropping = ring->is_dropping;
  uint64_t bytes_before = ring->bytes;

  bool can_count = rule == FLUXBP_OVERFLOW_EVICT || fluxbp__conn_take_rare(conn);
  int lost = UV_ENOBUFS;
  if (can_count) lost = fluxbp__ring_push_or_drop(ring, &hub->ring_memory, &conn->policy->limits, frame, rule);
  if (!was_dropping) hub->totals.ring_full_events++;
  if (lost < 0) {
    conn->discarded++;
    hub->totals.discarded++;
    fluxbp__conn_evict(conn,
                       rule == FLUXBP_OVERFLOW_EVICT ? fluxbp__writability_overflow_reason(conn) : FLUXBP_EVICT_BUDGET);
    return 0;
  }
  if (conn->pressure != NULL) fluxbp__clocks_lost(&conn->pressure->clocks);
  if (lost > 0) conn->rare->dropped += (uint64_t) lost;
  hub->totals.dropped += (uint64_t) lost;
  *(rule == FLUXBP_OVERFLOW_DROP_OLDEST ? &hub->totals.dropped_oldest : &hub->totals.dropped_newest) += (uint64_t) lost;
  hub->totals.queued += 1 - (uint64_t) lost; /* unsigned arithmetic: may subtract */
  hub->totals.queued_bytes += ring->bytes - bytes_before;
  return ring->count > 0 && fluxbp__ring_at(ring, ring->count - 1) == frame;
}

/* The ring is full. If the kernel hasn't been offered what is in it, that comes first; then what can wait elsewhere makes
 * room, before anything is lost. */
static int stage_in_full_ring(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (!conn->is_writing || conn->ring.has_values) {
    if (!conn->is_writing) offer(conn);
    if (conn->state == FLUXBP__CONN_OPEN && conn->is_writing && conn->ring.has_values) { /* else the ring is empty */
      fluxbp__conn_take_values_back(conn);
      settle(conn);
    }
    if (conn->state != FLUXBP__CONN_OPEN) {
      conn->discarded++;
      hub->totals.discarded++;
      return 0;
    }
    if (fluxbp__ring_push(&conn->ring, &hub->ring_memory, &conn->policy->limits, frame) == 0) {
      hub->totals.queued++;
      hub->totals.queued_bytes += frame->len;
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
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  if (conn->state > FLUXBP__CONN_OPEN) return;
  totals->accepted++;
  if (!fluxbp__conn_take_rare(conn) ||
      fluxbp__ring_lose(&conn->ring, &fluxbp__conn_hub(conn)->ring_memory, &conn->policy->limits, lost) != 0) {
    conn->discarded++;
    totals->discarded++;
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return;
  }
  conn->rare->dropped++;
  totals->dropped++;
  if (conn->state == FLUXBP__CONN_OPEN && !conn->is_writing) mark_dirty(conn);
}

/* At or above the high watermark. Backpressured it is only when the kernel has refused it. */
static void note_high(fluxbp_conn_t *conn) {
  fluxbp__writability_high(conn);
  if (!conn->is_writing) fluxbp__conn_hub(conn)->bus.is_brimming = true;
  if (conn->is_writing && !conn->pressure->clocks.is_backpressured) fluxbp__conn_watermarks(conn);
}

/* Of a connection that the kernel refuses, or whose ring is filling up. Apart from the short path, which needs no
 * registers saved. */
__attribute__((noinline)) static int stage_slowly(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  const fluxbp__limits_t *limits = &conn->policy->limits;
  int is_queued = 1;

  hub->totals.accepted++;
  if (fluxbp__ring_push(&conn->ring, &hub->ring_memory, limits, frame) == 0) {
    hub->totals.queued++;
    hub->totals.queued_bytes += frame->len;
  } else {
    is_queued = stage_in_full_ring(conn, frame);
    if (conn->state != FLUXBP__CONN_OPEN) return 0;
  }

  if (fluxbp__limits_is_high(limits, conn->ring.count, conn->ring.bytes)) note_high(conn);
  if (!conn->is_writing) mark_dirty(conn);
  return is_queued;
}

/* The path of nearly every delivery is short: there is a free slot, and the ring stays below its high watermark. False: it
 * isn't that simple, and nothing was done. */
static inline bool stage_quickly(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  fluxbp__ring_t *ring = &conn->ring;
  uint32_t count = ring->count + 1U;
  uint64_t len = frame->len;
  uint32_t bytes = ring->bytes + (uint32_t) len;
  bool is_high = fluxbp__limits_is_high(&conn->policy->limits, count, bytes);
  if (is_high || !fluxbp__ring_has_slot(ring)) return false; /* it has none while it is refused */

  fluxbp__ring_append(ring, frame, count, bytes);
  totals->accepted++;
  totals->queued++;
  totals->queued_bytes += len;
  mark_dirty(conn);
  return true;
}

int fluxbp__conn_stage(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  return stage_quickly(conn, frame) ? 1 : stage_slowly(conn, frame);
}

static bool push_value(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (fluxbp__ring_push(&conn->ring, &hub->ring_memory, &conn->policy->limits, frame) != 0) return false;
  conn->ring.has_values = true;
  hub->totals.accepted++;
  hub->totals.queued++;
  hub->totals.queued_bytes += frame->len;
  return true;
}

static bool replace_value(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  uint64_t bytes_before = conn->ring.bytes;
  if (!fluxbp__conn_take_rare(conn)) return false; /* it couldn't be counted */
  if (!fluxbp__ring_replace(&conn->ring, &hub->ring_memory, &conn->policy->limits, frame)) return false;
  conn->rare->conflated++;
  hub->totals.accepted++;
  hub->totals.conflated++;
  hub->totals.queued_bytes += conn->ring.bytes - bytes_before; /* unsigned arithmetic: may subtract */
  return true;
}

/* Whether the ring of a refused connection may get a value of a key that isn't queued. While other values wait in their
 * topics the ring has to be drained: a walk that is to stage them begins with an empty one. */
static bool may_take_new_key(const fluxbp_conn_t *conn, const fluxbp_frame_t *frame) {
  const fluxbp__rare_t *rare = conn->rare;
  if (rare != NULL && rare->missing + rare->walks > 0) return false;
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
    offer(conn);
    is_queued = conn->state == FLUXBP__CONN_OPEN && queue_value(conn, frame);
  }
  if (conn->state != FLUXBP__CONN_OPEN) return 0;
  if (fluxbp__limits_is_high(&conn->policy->limits, conn->ring.count, conn->ring.bytes)) note_high(conn);
  if (!conn->is_writing) mark_dirty(conn);
  return is_queued;
}

int fluxbp__conn_stage_state(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  if (!stage_quickly(conn, frame)) return stage_state_slowly(conn, frame);
  conn->ring.has_values = true;
  return 1;
}

int fluxbp__conn_stage_last(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp_metrics_t *totals = &hub->totals;

  frame->time_ms = hub->observed_ms;
  int err = fluxbp__ring_push_last(&conn->ring, &hub->ring_memory, frame);
  if (err) return err;
  totals->accepted++;
  totals->queued++;
  totals->queued_bytes += frame->len;
  return 0;
}

void fluxbp__conn_discard(fluxbp_conn_t *conn) {
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  uint64_t bytes_before = conn->ring.bytes;
  size_t messages = fluxbp__ring_discard(&conn->ring);

  conn->discarded = (uint16_t) (conn->discarded + messages);
  totals->discarded += messages;
  totals->queued -= messages;
  totals->queued_bytes -= bytes_before - conn->ring.bytes;
  settle(conn);
}
