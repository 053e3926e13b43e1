/* SPDX-License-Identifier: MIT */
/*
 * conn_write: the one way from a ring to the transport. Flushing, waiting for room, draining. conn_stage.c fills the
 * ring. Between the halves of a flush submission.c writes; no other file writes to a transport. Nothing here calls the
 * user.
 *
 * Design notes
 *
 * A connection is in one of three conditions while it is open:
 *
 *   idle     the ring is empty, it is in no list
 *   dirty    something is staged that the kernel hasn't been offered; in the turn's dirty list
 *   refused  the transport takes no more (is_writing): it may write the rest of the head by itself, and answers when it
 *            takes messages again. A built-in transport does that by one uv_write
 *
 * - Nothing is offered before the answer, so a transport never has more than the rest of one message, and what it keeps
 *   of those that it has taken. Everything behind the head can still be dropped.
 * - The answer drains the ring as far as the iteration's budget goes; if the kernel refuses again, a built-in transport
 *   queues the next head before libuv could stop watching the socket, which saves two calls of epoll_ctl.
 * - A head of which bytes are with the kernel or with the transport is pinned in the ring.
 * - After a burst many connections are due the same frames. The engine remembers what the last flush has collected (its
 *   run), and a second connection with it has it copied into one buffer, which the kernel takes faster than many. A run
 *   is known by the frames' addresses, and the pool's generation says that they still stand for the same frames.
 * - A write that fails dooms the connection; closing is the loop's work, since we may be inside a call of the user's.
 */
#include "conn_write.h"

#include "conn_end.h"
#include "conn_lane.h"
#include "conn_pressure.h"
#include "conn_reply.h"
#include "pool.h"
#include "writability.h"

#include <assert.h>
#include <string.h>

/* So many frames, or more, of so many bytes on average, or less, are copied into one buffer for a single connection. */
enum { SMALL_FRAMES_MIN = 8, SMALL_FRAME_BYTES = 256 };

/* Tell the codec of a frame that was written whole. */
static inline void tell_codec(fluxbp_conn_t *conn, const fluxbp_frame_t *frame) {
  const fluxbp_codec_t *codec = fluxbp__conn_engine(conn)->codecs[conn->codec];
  if (frame->note_bytes > 0 && frame->note_bytes == codec->note_bytes)
    codec->written(codec, conn, frame->data + frame->len);
}

/* Tell the codec of each frame that is whole when `bytes` from the front of the ring were written. */
__attribute__((noinline, cold)) static void tell_codec_of_ring(fluxbp_conn_t *conn, size_t bytes) {
  size_t rest = conn->head_written + bytes;
  for (uint32_t offset = 0; rest > 0; offset++) {
    const fluxbp_frame_t *frame = fluxbp__ring_at(&conn->ring, offset);
    if (rest < frame->len) return;
    rest -= frame->len;
    tell_codec(conn, frame);
  }
}

/* The same of the replies. */
static void tell_codec_of_lane(fluxbp_conn_t *conn, const fluxbp__lane_t *lane, size_t bytes) {
  for (uint32_t i = 0; i < lane->count && lane->frames[i]->len <= bytes; i++) {
    bytes -= lane->frames[i]->len;
    tell_codec(conn, lane->frames[i]);
  }
}

/* The kernel has taken `bytes` from the front of the ring. Returns how many frames went whole. */
static uint32_t consume(fluxbp_conn_t *conn, size_t bytes) {
  fluxbp__ring_t *ring = &conn->ring;
  if (conn->has_notes) tell_codec_of_ring(conn, bytes);
  size_t rest = conn->head_written + bytes;
  uint64_t last_id = conn->last_id;
  fluxbp_frame_t *const *slots = fluxbp__ring_slots(ring);
  fluxbp_frame_t *const *end = slots + ring->capacity;
  fluxbp_frame_t *const *slot = slots + ring->head;
  uint32_t frames = 0;

  for (; rest > 0; frames++) {
    fluxbp_frame_t *frame = *slot;
    if (rest < frame->len) break;
    rest -= frame->len;
    if (frame->id != 0) last_id = frame->id;
    fluxbp__frame_unref(frame);
    if (++slot == end) slot = slots;
  }
  if (frames > 0) fluxbp__ring_skip(ring, frames, (uint32_t) (conn->head_written + bytes - rest));
  if (rest > 0) ring->is_head_pinned = true;
  conn->head_written = (uint32_t) rest;
  conn->last_id = last_id;

  conn->written += frames;
  conn->written_bytes += bytes;
  fluxbp__ledger_write(&fluxbp__conn_engine(conn)->ledger, frames, bytes);
  return frames;
}

void fluxbp__conn_settle(fluxbp_conn_t *conn) {
  const fluxbp__policy_t *policy = conn->policy;
  fluxbp__ring_t *ring = &conn->ring;

  fluxbp__ring_settle(ring, &fluxbp__conn_engine(conn)->ring_memory, &policy->limits);
  if (conn->is_holding && fluxbp__limits_is_low(&policy->limits, ring->count, ring->bytes))
    fluxbp__writability_release(conn);
  if (conn->pressure != NULL) fluxbp__conn_watermarks(conn);
}

/* The head of the ring is a marker: report the gap, and let the codec's words for it take its place. */
static int resolve_marker(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_frame_t *marker = fluxbp__ring_at(&conn->ring, 0);
  fluxbp_frame_t *notice;
  int err = fluxbp__conn_take_pressure(conn);
  if (err) return err;
  err = fluxbp__frame_create_gap_notice(engine->pool, engine->codecs[conn->codec], &marker->gap, &notice);
  if (err) return err;

  fluxbp__gap_extend(&conn->pressure->gap, &marker->gap);
  fluxbp__ledger_report_gap(&engine->ledger);
  fluxbp__conn_note_event(conn);

  if (notice == NULL) {
    fluxbp__frame_unref(fluxbp__ring_pop(&conn->ring));
    return 0;
  }
  notice->time_ms = marker->time_ms;
  fluxbp__ring_slots(&conn->ring)[conn->ring.head] = notice;
  conn->ring.markers--;
  conn->ring.bytes += notice->len;
  fluxbp__ledger_queue(&engine->ledger, notice->len);
  fluxbp__frame_unref(marker);
  return 0;
}

/* Whether the ring holds what the last flush of this loop has collected, all of it unwritten and in one piece. Then its
 * length and its frames are those of a run, which has no markers. */
static inline bool is_run(const fluxbp_conn_t *conn, const fluxbp__run_t *run, uint64_t generation) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (run->count != ring->count || run->generation != generation) return false;
  if (conn->head_written > 0 || ring->head + ring->count > ring->capacity) return false;
  return memcmp(run->frames, fluxbp__ring_slots(ring) + ring->head, ring->count * sizeof(fluxbp_frame_t *)) == 0;
}

/* Remember what the ring holds as the run, if it can be one: written at once, from the beginning of its head, in one
 * piece. */
static bool remember_run(const fluxbp_conn_t *conn, fluxbp__run_t *run, uint64_t generation) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (ring->count > FLUXBP__RUN_FRAMES || ring->bytes > FLUXBP__RUN_BYTES || ring->markers > 0) return false;
  if (conn->head_written > 0 || ring->head + ring->count > ring->capacity) return false;
  memcpy(run->frames, fluxbp__ring_slots(ring) + ring->head, ring->count * sizeof(fluxbp_frame_t *));
  run->count = ring->count;
  run->generation = generation;
  run->is_copied = false;
  return true;
}

/* Whether the kernel takes longer for the buffers than it takes to copy them into one. */
static inline bool is_of_small_frames(const fluxbp__ring_t *ring) {
  return ring->count >= SMALL_FRAMES_MIN && ring->bytes <= ring->count * SMALL_FRAME_BYTES;
}

/* For the second connection with the same frames, or the first one if these are small; the others find it done. */
static void copy_run(fluxbp__run_t *run) {
  char *to = run->bytes;
  for (uint32_t i = 0; i < run->count; i++) {
    memcpy(to, run->frames[i]->data, run->frames[i]->len);
    to += run->frames[i]->len;
  }
  run->is_copied = true;
}

/* As `collect`, for a ring with several frames or a marker. 0: there is a marker at the head, or the room is too small,
 * and isn't all that there is. */
static unsigned collect_several(const fluxbp_conn_t *conn, uv_buf_t *buffers, unsigned room, size_t *bytes) {
  const fluxbp__ring_t *ring = &conn->ring;
  fluxbp__run_t *run = &fluxbp__conn_engine(conn)->run;
  uint64_t generation = fluxbp__pool_generation(fluxbp__conn_engine(conn)->pool);
  bool is_worth_copying =
      is_run(conn, run, generation) || (remember_run(conn, run, generation) && is_of_small_frames(ring));
  if (is_worth_copying && !run->is_copied && !run->is_lent) copy_run(run);
  if (is_worth_copying && run->is_copied) {
    run->is_lent = true;
    *bytes = ring->bytes;
    buffers[0] = (uv_buf_t){.base = run->bytes, .len = ring->bytes};
    return 1;
  }
  if (ring->count > room && room < FLUXBP__BUFFERS_MAX) return 0;

  uint32_t count = ring->count < room ? ring->count : room;
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

static inline uv_buf_t rest_of_head(const fluxbp_conn_t *conn) {
  const fluxbp_frame_t *head = fluxbp__ring_slots(&conn->ring)[conn->ring.head];
  return (uv_buf_t){.base = (char *) (uintptr_t) head->data + conn->head_written,
                    .len = head->len - conn->head_written};
}

/* Collect what stands in front of the first marker into at most `room` buffers: the first half of a flush. Returns the
 * number of buffers. */
static inline unsigned collect(const fluxbp_conn_t *conn, uv_buf_t *buffers, unsigned room, size_t *bytes) {
  if (conn->ring.count > 1 || conn->ring.markers > 0) return collect_several(conn, buffers, room, bytes);
  buffers[0] = rest_of_head(conn);
  *bytes = buffers[0].len;
  return 1;
}

/* The kernel takes no more: have the transport say when it does, and let it write the rest of the head meanwhile. */
static void wait_for_room(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (fluxbp__conn_take_pressure(conn) != 0) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return;
  }

  uv_buf_t rest = rest_of_head(conn);
  int err = fluxbp__conn_transport(conn)->want_writable(conn, &rest);
  if (err) {
    fluxbp__conn_fail(conn, err);
    return;
  }
  conn->is_writing = true;
  conn->ring.is_head_pinned = true;
  fluxbp__ledger_begin_refused(&engine->ledger);
  fluxbp__conn_note_progress(conn); /* every way here begins with something that moved: an offer, or an answer */
}

/* The built-in transports are called in place. */
static inline int try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  if (conn->transport < FLUXBP__TRANSPORTS_BUILT_IN) return uv_try_write(&conn->uv.stream, buffers, count);
  return fluxbp__conn_transport(conn)->try_write(conn, buffers, count);
}

/* Writing has failed. A transport may have found no room in the budget for what it has to keep. */
static void fail_to_write(fluxbp_conn_t *conn, int err) {
  if (err == UV_ENOBUFS)
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
  else
    fluxbp__conn_fail(conn, err);
}

/* What was collected, `bytes` in all, was offered, and `taken` came back: the second half of a flush. Returns whether
 * there may be more to offer. */
static inline bool complete(fluxbp_conn_t *conn, size_t bytes, int taken, bool is_first_offer) {
  fluxbp__ledger_t *ledger = &fluxbp__conn_engine(conn)->ledger;
  fluxbp__ledger_offer(ledger);
  if (taken < 0 && taken != UV_EAGAIN) {
    fail_to_write(conn, taken);
    return false;
  }
  uint32_t frames = taken > 0 ? consume(conn, (size_t) taken) : 0;
  if (is_first_offer) fluxbp__ledger_write_at_once(ledger, frames);
  if (taken >= 0 && (size_t) taken == bytes) return true;
  fluxbp__ledger_note_refusal(ledger);
  wait_for_room(conn);
  return false;
}

/* Offer the kernel the rest of a head that is partly written, or was refused, and nothing behind it. Returns as
 * complete. */
static bool write_head(fluxbp_conn_t *conn) {
  uv_buf_t rest = rest_of_head(conn);
  return complete(conn, rest.len, try_write(conn, &rest, 1), false);
}

/* Offer the kernel the replies, which come between two messages of the ring. One that is refused takes a slot of the
 * ring; without memory for the slot the ring comes first. Returns whether the ring may be offered now. */
static bool write_replies(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__lane_t *lane = fluxbp__conn_lane(conn);
  if (lane == NULL) return true;
  if (conn->ring.is_head_pinned && !write_head(conn)) return false;
  if (!fluxbp__ring_reserve_front(&conn->ring, &engine->ring_memory)) return true;
  fluxbp__ledger_t *ledger = &engine->ledger;
  uv_buf_t *buffers = engine->buffers;
  size_t bytes = (size_t) lane->bytes;
  int taken = try_write(conn, buffers, fluxbp__lane_collect(lane, buffers));
  fluxbp__ledger_offer(ledger);
  if (taken < 0 && taken != UV_EAGAIN) {
    fail_to_write(conn, taken);
    return false;
  }
  size_t written = taken > 0 ? (size_t) taken : 0;
  size_t rest = written;
  if (conn->has_notes) tell_codec_of_lane(conn, lane, written);
  uint32_t frames = fluxbp__lane_consume(lane, &rest);
  conn->written += frames;
  conn->written_bytes += written;
  fluxbp__ledger_write(ledger, frames, written);
  if (conn->pressure == NULL) fluxbp__ledger_write_at_once(ledger, frames);
  bool is_refused = written < bytes;
  if (is_refused) {
    fluxbp_frame_t *refused = fluxbp__lane_pop(lane);
    refused->is_reply = true;
    fluxbp__ring_push_front(&conn->ring, refused);
    conn->head_written = (uint32_t) rest;
    conn->ring.is_head_pinned = true;
    fluxbp__ledger_note_refusal(ledger);
  }
  fluxbp__reply_settle(conn);
  if (is_refused) wait_for_room(conn);
  return !is_refused;
}

/* Offer the kernel everything that a ring with something in it has, until the ring is empty, the kernel takes no more,
 * or writing fails. */
static void write_out(fluxbp_conn_t *conn, bool is_first_offer) {
  uv_buf_t *buffers = fluxbp__conn_engine(conn)->buffers;
  do {
    size_t bytes;
    unsigned count = collect(conn, buffers, FLUXBP__BUFFERS_MAX, &bytes);
    if (count > 0) {
      int taken = try_write(conn, buffers, count);
      fluxbp__conn_engine(conn)->run.is_lent = false;
      if (!complete(conn, bytes, taken, is_first_offer)) return;
    } else if (resolve_marker(conn) != 0) {
      fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
      return;
    }
  } while (conn->ring.count > 0);
}

/* Whether writing can go on: nothing is waited for, and the connection isn't doomed. */
static inline bool can_write(const fluxbp_conn_t *conn) {
  return !conn->is_writing && conn->state != FLUXBP__CONN_DOOMED;
}

/* The ring of a draining connection is empty: put what the codec has for its end there. Without memory for that it ends
 * without. Returns whether there is something to write. */
static bool stage_end(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_frame_t *end;
  if (conn->pressure->has_end) return false;
  conn->pressure->has_end = true;
  if (fluxbp__frame_create_end(engine->pool, engine->codecs[conn->codec], conn, &end) != 0 || end == NULL) return false;
  end->time_ms = engine->observed_ms;
  bool is_staged = fluxbp__ring_push_last(&conn->ring, &engine->ring_memory, end) == 0;
  if (is_staged) fluxbp__ledger_queue(&engine->ledger, end->len);
  fluxbp__frame_unref(end);
  return is_staged;
}

/* Something was written: bring everything that depends on the ring up to date. */
static inline void settle_written(fluxbp_conn_t *conn, bool is_first_offer) {
  fluxbp__conn_settle(conn); /* which may end the dropping, and put its marker into the empty ring */
  while (conn->ring.count > 0 && can_write(conn)) {
    write_out(conn, is_first_offer);
    fluxbp__conn_settle(conn);
  }

  if (!can_write(conn)) return;
  if (conn->state == FLUXBP__CONN_DRAINING) {
    if (fluxbp__conn_lane(conn) != NULL)
      fluxbp__conn_mark_dirty(conn); /* there was no memory for a slot in the ring */
    else if (stage_end(conn))
      settle_written(conn, false);
    else
      fluxbp__conn_finish(conn);
    return;
  }
  if (conn->state != FLUXBP__CONN_OPEN) return;
  if (conn->pressure != NULL) fluxbp__conn_release_pressure(conn);
  /* the next batch is for its next visit: others come in between */
  if (conn->catching_up > 0) fluxbp__conn_engine(conn)->feed->wait(conn);
}

/* Write, and bring everything that depends on the ring up to date. */
static void write_and_settle(fluxbp_conn_t *conn, bool is_first_offer) {
  if (conn->ring.count > 0) write_out(conn, is_first_offer);
  settle_written(conn, is_first_offer);
}

static void offer_ring(fluxbp_conn_t *conn) {
  assert(conn->state == FLUXBP__CONN_OPEN || conn->state == FLUXBP__CONN_DRAINING);
  fluxbp__link_remove(&conn->due);
  if (!conn->is_writing) write_and_settle(conn, conn->pressure == NULL);
}

void fluxbp__conn_offer(fluxbp_conn_t *conn) {
  if (conn->catching_up > 0 && !conn->is_writing) (void) write_replies(conn);
  if (conn->state != FLUXBP__CONN_DOOMED) offer_ring(conn);
}

/* Replies first, then what topics still have for it. */
static void flush(fluxbp_conn_t *conn, bool with_past) {
  bool is_behind = conn->catching_up > 0 && !conn->is_writing;
  if (is_behind && write_replies(conn) && conn->state == FLUXBP__CONN_OPEN)
    fluxbp__conn_engine(conn)->feed->refill(conn, with_past);
  if (conn->state != FLUXBP__CONN_DOOMED) offer_ring(conn);
}

unsigned fluxbp__conn_begin_flush(fluxbp_conn_t *conn, uv_buf_t *buffers, unsigned room, size_t *bytes) {
  if (conn->transport != FLUXBP__TRANSPORT_TCP || conn->is_writing || conn->catching_up > 0) return 0;
  if (conn->ring.count == 0 || conn->uv.stream.write_queue_size > 0) return 0; /* the program has written for itself */
  return collect(conn, buffers, room, bytes);
}

void fluxbp__conn_end_flush(fluxbp_conn_t *conn, size_t bytes, int taken) {
  bool is_first_offer = conn->pressure == NULL;
  if (complete(conn, bytes, taken, is_first_offer) && conn->ring.count > 0) write_out(conn, is_first_offer);
  settle_written(conn, is_first_offer);
}

void fluxbp__conn_flush(fluxbp_conn_t *conn) {
  flush(conn, false);
}

void fluxbp__conn_flush_with_past(fluxbp_conn_t *conn) {
  flush(conn, true);
}

int fluxbp_conn_flush(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DRAINING) return UV_ENOTCONN;
  fluxbp__conn_flush_with_past(conn);
  return 0;
}

void fluxbp__conn_catch_up(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_OPEN && !conn->is_writing) fluxbp__conn_mark_dirty(conn);
}

static bool is_reply_at_head(const fluxbp__ring_t *ring) {
  return ring->count > 0 && fluxbp__ring_at(ring, 0)->is_reply;
}

void fluxbp__conn_writable(fluxbp_conn_t *conn, ssize_t taken) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (!conn->is_writing) return; /* it is closed: nothing is waited for any more */
  conn->is_writing = false;
  fluxbp__ledger_end_refused(&engine->ledger);
  if (taken < 0) {
    fluxbp__conn_fail(conn, (int) taken);
    return;
  }

  if (taken > 0) (void) consume(conn, (size_t) taken);
  /* until the answer the transport had the rest of the head; a reply is pinned until it is written */
  conn->ring.is_head_pinned = conn->head_written > 0 || is_reply_at_head(&conn->ring);
  fluxbp__conn_note_progress(conn);
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DRAINING) return;
  if (conn->catching_up > 0 && conn->ring.has_values) engine->feed->refresh(conn);

  if (!fluxbp__turn_begin(&engine->turn)) {
    fluxbp__conn_settle(conn);
    if (conn->catching_up > 0)
      engine->feed->wait(conn);
    else
      fluxbp__conn_mark_dirty(conn);
    return;
  }
  if (conn->catching_up > 0) (void) write_replies(conn);
  if (can_write(conn))
    write_and_settle(conn, false);
  else
    fluxbp__conn_settle(conn);
  fluxbp__turn_end(&engine->turn);
}

void fluxbp__conn_discard(fluxbp_conn_t *conn) {
  uint64_t bytes_before = conn->ring.bytes;
  size_t messages = fluxbp__ring_discard(&conn->ring);
  uint64_t reply_bytes;
  messages += fluxbp__lane_discard(conn, &reply_bytes);

  conn->discarded = (uint16_t) (conn->discarded + messages);
  fluxbp__ledger_discard(&fluxbp__conn_engine(conn)->ledger, messages, bytes_before - conn->ring.bytes + reply_bytes);
  fluxbp__conn_settle(conn);
}
