/* SPDX-License-Identifier: MIT */
/*
 * ring: a bounded FIFO of references to frames that records what it loses. Knows nothing of time and sockets.
 *
 * Design notes
 *
 * A gap marker is a frame of its own kind and takes a slot at the place of the loss, so order needs no bookkeeping. Two
 * rules keep the markers few and the slots enough:
 *
 * - Dropping the newest leaves the full ring as it is. Its marker waits behind the last slot (tail_gap) and moves into
 *   a slot when the dropping ends, at the low watermark, where there always is one. There is a tail_gap only while
 *   is_dropping.
 * - Dropping the oldest turns the oldest frame that isn't pinned into a marker, or grows the marker that stands there.
 *   The marker needs the slot that the first loss frees, so a second frame goes with the first.
 *
 * A pinned head is never touched: its bytes are being written.
 */
#include "ring.h"

#include "pool.h"
#include "ring_index.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

struct fluxbp_ring {
  fluxbp__ring_t ring;
  fluxbp__policy_t policy;
  fluxbp__ring_memory_t memory;
};

/* A lent array, while no ring has it. */
typedef union fluxbp__lent {
  union fluxbp__lent *next;
  fluxbp_frame_t *slots[FLUXBP__LENT_SLOTS];
} lent_t;

void fluxbp__ring_init(fluxbp__ring_t *ring) {
  memset(ring, 0, sizeof *ring);
  ring->capacity = FLUXBP__INLINE_SLOTS;
}

static int take_slots(fluxbp__ring_memory_t *memory, uint32_t capacity, fluxbp_frame_t ***slots) {
  if (capacity > FLUXBP__LENT_SLOTS) {
    void *array;
    int err = fluxbp__pool_alloc(memory->pool, FLUXBP__CONTROL, capacity * sizeof(fluxbp_frame_t *), &array);
    if (!err) *slots = array;
    return err;
  }
  lent_t *lent = memory->free;
  if (lent != NULL)
    memory->free = lent->next;
  else
    lent = fluxbp__pool_alloc_object(memory->pool, sizeof *lent);
  if (lent == NULL) return UV_ENOMEM;
  *slots = lent->slots;
  return 0;
}

static void give_slots_back(fluxbp__ring_memory_t *memory, uint32_t capacity, fluxbp_frame_t **slots) {
  if (capacity > FLUXBP__LENT_SLOTS) {
    fluxbp__pool_free(memory->pool, FLUXBP__CONTROL, slots, capacity * sizeof(fluxbp_frame_t *));
    return;
  }
  lent_t *lent = (lent_t *) slots;
  lent->next = memory->free;
  memory->free = lent;
}

void fluxbp__ring_memory_clear(fluxbp__ring_memory_t *memory) {
  while (memory->free != NULL) {
    lent_t *lent = memory->free;
    memory->free = lent->next;
    fluxbp__pool_free_object(memory->pool, lent, sizeof *lent);
  }
}

/* Take another array, and give the one before back. */
static void replace_slots(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, fluxbp_frame_t **slots,
                          uint32_t capacity) {
  if (ring->has_index) fluxbp__ring_index_destroy(ring, memory->pool); /* the slots get other numbers */
  for (uint32_t i = 0; i < ring->count; i++) slots[i] = fluxbp__ring_at(ring, i);
  if (ring->has_array) give_slots_back(memory, ring->capacity, ring->array);
  ring->array = slots;
  ring->has_array = true;
  ring->capacity = (uint16_t) capacity;
  ring->head = 0;
}

void fluxbp__ring_reset_slots(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory) {
  assert(ring->count == 0 && !ring->has_tail_gap);
  if (ring->has_index) fluxbp__ring_index_destroy(ring, memory->pool);
  if (ring->has_array) give_slots_back(memory, ring->capacity, ring->array);
  ring->has_array = false;
  ring->capacity = FLUXBP__INLINE_SLOTS;
}

/* Only of a ring with an array. */
static fluxbp_frame_t **tail_gap_of(fluxbp__ring_t *ring) {
  return ring->has_index ? fluxbp__ring_index_tail_gap(ring->index) : &ring->tail_gap;
}

static int grow(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits) {
  uint32_t capacity = ring->capacity < FLUXBP__LENT_SLOTS ? FLUXBP__LENT_SLOTS : ring->capacity * 2U;
  if (capacity > limits->slots) capacity = limits->slots;
  fluxbp_frame_t **slots;
  int err = take_slots(memory, capacity, &slots);
  if (!err) replace_slots(ring, memory, slots, capacity);
  return err;
}

/* The caller has made sure that there is a slot. */
static void append_frame(fluxbp__ring_t *ring, fluxbp_frame_t *frame) {
  assert(ring->count < ring->capacity);
  uint32_t slot = fluxbp__ring_slot(ring, ring->count);
  fluxbp__ring_slots(ring)[slot] = frame;
  ring->count++;
  if (frame->kind == FLUXBP__FRAME_GAP) ring->markers++;
  ring->bytes += frame->len;
  if (ring->has_index) fluxbp__ring_index_add(ring, slot);
}

int fluxbp__ring_push_slowly(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                             fluxbp_frame_t *frame) {
  if (!fluxbp__ring_has_room(ring, limits, frame->len)) return UV_ENOBUFS;
  if (ring->count == ring->capacity && grow(ring, memory, limits) != 0) return UV_ENOBUFS;
  append_frame(ring, frame);
  frame->refs++;
  return 0;
}

/* For what is queued whatever the limits say. */
static const fluxbp__limits_t no_limits = {.slots = UINT16_MAX, .max_bytes = UINT32_MAX};

int fluxbp__ring_push_last(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, fluxbp_frame_t *frame) {
  fluxbp_frame_t *tail_gap = ring->has_tail_gap ? *tail_gap_of(ring) : NULL;
  bool has_slots = ring->count + (tail_gap != NULL) < ring->capacity;

  ring->has_tail_gap = false; /* it comes into a slot: its place may go with the array */
  int err = has_slots ? 0 : grow(ring, memory, &no_limits);
  if (err) {
    ring->has_tail_gap = tail_gap != NULL;
    return err;
  }
  ring->is_dropping = false;
  if (tail_gap != NULL) append_frame(ring, tail_gap);
  append_frame(ring, frame);
  frame->refs++;
  return 0;
}

bool fluxbp__ring_reserve_front(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory) {
  if (ring->is_head_pinned) return false;
  if (ring->count < ring->capacity) return true;
  fluxbp_frame_t *tail_gap = ring->has_tail_gap ? *tail_gap_of(ring) : NULL;
  ring->has_tail_gap = false; /* its place may go with the array */
  int err = grow(ring, memory, &no_limits);
  ring->has_tail_gap = tail_gap != NULL;
  if (tail_gap != NULL) *tail_gap_of(ring) = tail_gap;
  return err == 0;
}

void fluxbp__ring_push_front(fluxbp__ring_t *ring, fluxbp_frame_t *frame) {
  assert(ring->count < ring->capacity && !ring->is_head_pinned);
  ring->head = (uint16_t) fluxbp__ring_slot(ring, ring->capacity - 1U);
  fluxbp__ring_slots(ring)[ring->head] = frame;
  ring->count++;
  ring->bytes += frame->len;
}

/* Note the loss of `frame`, which was to come after everything in the ring: by a new marker, or by the last one, which
 * covers it too (NULL). */
static int record_newest(fluxbp__ring_t *ring, fluxbp_pool_t *pool, const fluxbp_frame_t *frame,
                         fluxbp_frame_t **marker) {
  fluxbp_frame_t *last = NULL;
  if (ring->has_tail_gap)
    last = *tail_gap_of(ring);
  else if (ring->count > 0)
    last = fluxbp__ring_at(ring, ring->count - 1);
  *marker = NULL;
  if (last == NULL || last->kind != FLUXBP__FRAME_GAP)
    return fluxbp__frame_create_gap(pool, frame, marker) == 0 ? 0 : UV_ENOBUFS;
  fluxbp__frame_extend_gap(last, frame);
  return 0;
}

/* The marker has to wait for a slot, and whatever comes behind it. */
static int keep_behind(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, fluxbp_frame_t *marker) {
  if (!ring->has_array) {
    fluxbp_frame_t **slots;
    if (take_slots(memory, ring->capacity, &slots) != 0) {
      fluxbp__frame_unref(marker);
      return UV_ENOBUFS;
    }
    replace_slots(ring, memory, slots, ring->capacity);
  }
  *tail_gap_of(ring) = marker;
  ring->has_tail_gap = true;
  ring->is_dropping = true;
  return 0;
}

int fluxbp__ring_lose(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                      const fluxbp_frame_t *lost) {
  fluxbp_frame_t *marker;
  int err = record_newest(ring, memory->pool, lost, &marker);
  if (err || marker == NULL) return err;
  bool has_slot = ring->count < ring->capacity;
  if (!ring->is_dropping && !has_slot && ring->capacity < limits->slots) has_slot = grow(ring, memory, limits) == 0;
  if (ring->is_dropping || !has_slot) return keep_behind(ring, memory, marker);
  append_frame(ring, marker);
  return 0;
}

/* Replace the frames at `offset` and behind it by one marker at the latter's place, and close up from the front. */
static void merge_into_marker(fluxbp__ring_t *ring, uint32_t offset, fluxbp_frame_t *marker) {
  fluxbp_frame_t **slots = fluxbp__ring_slots(ring);
  uint32_t behind = fluxbp__ring_slot(ring, offset + 1);
  fluxbp_frame_t *lost = slots[behind];
  if (lost->kind == FLUXBP__FRAME_GAP) ring->markers--;
  ring->bytes -= lost->len;
  fluxbp__frame_extend_gap(marker, lost);
  fluxbp__frame_abandon(lost, UV_ENOBUFS);
  slots[behind] = marker;
  if (offset == 1) slots[fluxbp__ring_slot(ring, 1)] = slots[ring->head]; /* the pinned head moves up */
  ring->head = (uint16_t) fluxbp__ring_slot(ring, 1);
  ring->count--;
}

/* Free one slot at the cost of the oldest frames. The number of messages lost, or UV_ENOBUFS if that can't be done. */
static int drop_oldest(fluxbp__ring_t *ring, fluxbp_pool_t *pool) {
  uint32_t offset = ring->is_head_pinned ? 1 : 0;
  if (ring->count < offset + 2) return UV_ENOBUFS;

  int lost = 0;
  fluxbp_frame_t *marker = fluxbp__ring_at(ring, offset);
  if (marker->kind != FLUXBP__FRAME_GAP) {
    fluxbp_frame_t *oldest = marker;
    if (fluxbp__frame_create_gap(pool, oldest, &marker) != 0) return UV_ENOBUFS;
    fluxbp__ring_slots(ring)[fluxbp__ring_slot(ring, offset)] = marker;
    ring->markers++;
    ring->bytes -= oldest->len;
    fluxbp__frame_abandon(oldest, UV_ENOBUFS);
    lost++;
  }
  lost += fluxbp__ring_at(ring, offset + 1)->kind != FLUXBP__FRAME_GAP;
  merge_into_marker(ring, offset, marker);
  return lost;
}

static int push_and_drop_newest(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp_frame_t *frame) {
  fluxbp_frame_t *marker;
  if (record_newest(ring, memory->pool, frame, &marker) != 0) return UV_ENOBUFS;
  if (marker != NULL && keep_behind(ring, memory, marker) != 0) return UV_ENOBUFS;
  ring->is_dropping = true;
  return 1;
}

static int push_and_drop_oldest(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                                fluxbp_frame_t *frame) {
  int lost = 0;
  while (fluxbp__ring_push(ring, memory, limits, frame) != 0) {
    int freed = drop_oldest(ring, memory->pool);
    if (freed < 0) { /* all that is left is pinned, or too large to go with this one */
      int err = push_and_drop_newest(ring, memory, frame);
      return err < 0 ? err : lost + 1;
    }
    lost += freed;
  }
  return lost;
}

int fluxbp__ring_push_or_drop(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                              fluxbp_frame_t *frame, fluxbp_overflow_t rule) {
  if (fluxbp__ring_push(ring, memory, limits, frame) == 0) return 0;
  if (rule == FLUXBP_OVERFLOW_EVICT) return UV_ENOBUFS;
  if (rule == FLUXBP_OVERFLOW_DROP_NEWEST || ring->is_dropping) return push_and_drop_newest(ring, memory, frame);
  return push_and_drop_oldest(ring, memory, limits, frame);
}

static bool set_slot(fluxbp__ring_t *ring, uint32_t slot, const fluxbp__limits_t *limits, fluxbp_frame_t *frame) {
  fluxbp_frame_t **place = &fluxbp__ring_slots(ring)[slot];
  fluxbp_frame_t *older = *place;
  uint64_t bytes = (uint64_t) ring->bytes - older->len + frame->len;
  if (bytes > limits->max_bytes && bytes > ring->bytes) return false;

  *place = frame;
  ring->bytes = (uint32_t) bytes; /* no more than the limit, or than before */
  frame->refs++;
  fluxbp__frame_unref(older);
  return true;
}

bool fluxbp__ring_set(fluxbp__ring_t *ring, uint32_t offset, const fluxbp__limits_t *limits, fluxbp_frame_t *frame) {
  return set_slot(ring, fluxbp__ring_slot(ring, offset), limits, frame);
}

bool fluxbp__ring_replace(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                          fluxbp_frame_t *frame) {
  uint32_t slot = fluxbp__ring_index_find(ring, memory->pool, frame);
  return slot != FLUXBP__NO_RING_SLOT && set_slot(ring, slot, limits, frame);
}

uint32_t fluxbp__ring_take_values(fluxbp__ring_t *ring, bool (*may_go)(void *arg, const fluxbp_frame_t *value),
                                  void *arg) {
  fluxbp_frame_t **slots = fluxbp__ring_slots(ring);
  uint32_t count = ring->count;
  uint32_t kept = ring->is_head_pinned ? 1 : 0;
  for (uint32_t offset = kept; offset < count; offset++) {
    fluxbp_frame_t *frame = fluxbp__ring_at(ring, offset);
    if (fluxbp__frame_is_state(frame) && may_go(arg, frame)) {
      ring->bytes -= frame->len;
      fluxbp__frame_unref(frame);
    } else {
      slots[fluxbp__ring_slot(ring, kept++)] = frame;
    }
  }
  ring->count = (uint16_t) kept;
  ring->has_values = false;
  if (ring->has_index && kept < count) fluxbp__ring_index_fill(ring);
  return count - kept;
}

fluxbp_frame_t *fluxbp__ring_pop(fluxbp__ring_t *ring) {
  if (ring->count == 0) return NULL;
  fluxbp_frame_t *frame = fluxbp__ring_at(ring, 0);
  ring->head = (uint16_t) fluxbp__ring_slot(ring, 1);
  ring->count--;
  if (frame->kind == FLUXBP__FRAME_GAP) ring->markers--;
  ring->bytes -= frame->len;
  ring->is_head_pinned = false;
  return frame;
}

void fluxbp__ring_end_dropping(fluxbp__ring_t *ring, const fluxbp__limits_t *limits) {
  if (ring->count == ring->capacity || !fluxbp__limits_is_low(limits, ring->count, ring->bytes)) return;
  ring->is_dropping = false;
  if (ring->has_tail_gap) append_frame(ring, *tail_gap_of(ring));
  ring->has_tail_gap = false;
}

size_t fluxbp__ring_discard(fluxbp__ring_t *ring) {
  fluxbp_frame_t *pinned = ring->is_head_pinned ? fluxbp__ring_pop(ring) : NULL;
  size_t messages = fluxbp__ring_messages(ring);
  while (ring->count > 0) fluxbp__frame_abandon(fluxbp__ring_pop(ring), UV_ECANCELED);
  if (ring->has_tail_gap) fluxbp__frame_unref(*tail_gap_of(ring));
  ring->has_tail_gap = false;
  ring->is_dropping = false;
  if (pinned != NULL) {
    append_frame(ring, pinned);
    ring->is_head_pinned = true;
  }
  return messages;
}

size_t fluxbp__ring_clear(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory) {
  ring->is_head_pinned = false;
  size_t messages = fluxbp__ring_discard(ring);
  ring->head = 0;
  fluxbp__ring_reset_slots(ring, memory);
  return messages;
}

int fluxbp_ring_create(fluxbp_pool_t *pool, const fluxbp_policy_t *policy, fluxbp_ring_t **out) {
  if (pool == NULL || out == NULL) return UV_EINVAL;
  fluxbp__policy_t prepared;
  int err = fluxbp__policy_prepare(policy, &prepared);
  if (err) return err;

  fluxbp_ring_t *ring = fluxbp__pool_alloc_object(pool, sizeof *ring);
  if (ring == NULL) return UV_ENOMEM;
  fluxbp__ring_init(&ring->ring);
  ring->policy = prepared;
  ring->memory = (fluxbp__ring_memory_t){.pool = pool};
  *out = ring;
  return 0;
}

void fluxbp_ring_destroy(fluxbp_ring_t *ring) {
  if (ring == NULL) return;
  (void) fluxbp__ring_clear(&ring->ring, &ring->memory);
  fluxbp__ring_memory_clear(&ring->memory);
  fluxbp__pool_free_object(ring->memory.pool, ring, sizeof *ring);
}

int fluxbp_ring_push(fluxbp_ring_t *ring, fluxbp_frame_t *frame) {
  return fluxbp__ring_push(&ring->ring, &ring->memory, &ring->policy.limits, frame);
}

int fluxbp_ring_push_or_drop(fluxbp_ring_t *ring, fluxbp_frame_t *frame, fluxbp_overflow_t rule) {
  return fluxbp__ring_push_or_drop(&ring->ring, &ring->memory, &ring->policy.limits, frame, rule);
}

fluxbp_frame_t *fluxbp_ring_head(const fluxbp_ring_t *ring) {
  return ring->ring.count > 0 ? fluxbp__ring_at(&ring->ring, 0) : NULL;
}

fluxbp_frame_t *fluxbp_ring_pop(fluxbp_ring_t *ring) {
  fluxbp_frame_t *frame = fluxbp__ring_pop(&ring->ring);
  fluxbp__ring_settle(&ring->ring, &ring->memory, &ring->policy.limits);
  return frame;
}

void fluxbp_ring_pin_head(fluxbp_ring_t *ring) {
  ring->ring.is_head_pinned = ring->ring.count > 0;
}

size_t fluxbp_ring_discard(fluxbp_ring_t *ring) {
  size_t messages = fluxbp__ring_discard(&ring->ring);
  fluxbp__ring_settle(&ring->ring, &ring->memory, &ring->policy.limits);
  return messages;
}

size_t fluxbp_ring_count(const fluxbp_ring_t *ring) {
  return fluxbp__ring_messages(&ring->ring);
}

size_t fluxbp_ring_bytes(const fluxbp_ring_t *ring) {
  return ring->ring.bytes;
}

unsigned fluxbp_ring_fill_percent(const fluxbp_ring_t *ring) {
  fluxbp__backlog_t backlog = {.queued = ring->ring.count, .bytes = ring->ring.bytes};
  return fluxbp__fill_percent(fluxbp__backlog_fill(&ring->policy.limits, &backlog));
}
