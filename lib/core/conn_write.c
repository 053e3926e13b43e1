/* SPDX-License-Identifier: MIT */
/*
 * conn_write: the one way from a ring to the kernel. Flushing, being refused, draining. No other file writes to a stream;
 * conn_stage.c fills the ring. Nothing here calls the user.
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
 * - After a burst many connections are due the same frames. The hub remembers what the last flush has gathered (its run),
 *   and a second connection with it has it copied into one buffer, which the kernel takes faster than many. A run is known
 *   by the frames' addresses, and the pool's generation says that they still stand for the same frames.
 * - A write that fails dooms the connection; closing is the loop's work, since we may be inside a call of the user's.
 */
#include "conn_close.h"
#include "conn_stage.h"

#include "pool.h"
#include "writability.h"

#include <assert.h>
#include <string.h>

static void on_written(uv_write_t *req, int status);

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

void fluxbp__conn_settle(fluxbp_conn_t *conn) {
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

  fluxbp__gap_extend(&conn->pressure->gap, &marker->gap);
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
    fluxbp__conn_settle(conn); /* which may end the dropping, and put its marker into the empty ring */
  } while (conn->ring.count > 0 && !conn->is_writing && conn->state != FLUXBP__CONN_DOOMED);

  if (conn->is_writing || conn->state == FLUXBP__CONN_DOOMED) return;
  if (conn->state == FLUXBP__CONN_DRAINING) {
    fluxbp__conn_finish(conn);
    return;
  }
  if (conn->state != FLUXBP__CONN_OPEN) return;
  if (conn->pressure != NULL) fluxbp__conn_release_pressure(conn);
  if (conn->catching_up > 0)
    fluxbp__conn_mark_dirty(conn); /* the next batch is for its next visit: others come in between */
}

void fluxbp__conn_offer(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_OPEN || conn->state == FLUXBP__CONN_DRAINING);
  fluxbp__link_remove(&conn->due);
  if (!conn->is_writing) write_and_settle(conn, conn->pressure == NULL);
}

void fluxbp__conn_flush(fluxbp_conn_t *conn) {
  if (conn->catching_up > 0 && !conn->is_writing) fluxbp__conn_refill(conn);
  if (conn->state != FLUXBP__CONN_DOOMED) fluxbp__conn_offer(conn);
}

int fluxbp_conn_flush(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DRAINING) return UV_ENOTCONN;
  fluxbp__conn_flush(conn);
  return 0;
}

void fluxbp__conn_catch_up(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_OPEN && !conn->is_writing) fluxbp__conn_mark_dirty(conn);
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
    fluxbp__conn_settle(conn);
    fluxbp__conn_mark_dirty(conn);
    return;
  }
  write_and_settle(conn, false);
  fluxbp__turn_end(&hub->turn);
}

void fluxbp__conn_discard(fluxbp_conn_t *conn) {
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  uint64_t bytes_before = conn->ring.bytes;
  size_t messages = fluxbp__ring_discard(&conn->ring);

  conn->discarded = (uint16_t) (conn->discarded + messages);
  totals->discarded += messages;
  totals->queued -= messages;
  totals->queued_bytes -= bytes_before - conn->ring.bytes;
  fluxbp__conn_settle(conn);
}
