/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the ring: embedded in a connection, with pool and limits as arguments.
 */
#ifndef FLUXBP_LIB_RING_H
#define FLUXBP_LIB_RING_H

#include "fluxbp/ring.h"
#include "frame.h"
#include "policy.h"

#include <stdbool.h>

/* What a ring may hold besides the budget, as connections are besides it: up to 2 messages in itself, up to 16 in an
 * array that is lent. */
enum { FLUXBP__INLINE_SLOTS = 2, FLUXBP__LENT_SLOTS = 16 };
_Static_assert(FLUXBP_SLOTS_MAX <= UINT16_MAX, "numbers and counts of slots have 16 bits");

/*
 * Where rings get their slots; one for all rings of a hub. An array for LENT_SLOTS goes from a ring that is drained to the
 * next one that needs it, so there are as many as were ever needed at the same time, and bursts cost no allocation.
 */
typedef struct fluxbp__ring_memory {
  fluxbp_pool_t *pool;
  union fluxbp__lent *free; /* arrays that no ring has */
} fluxbp__ring_memory_t;

typedef struct fluxbp__ring {
  fluxbp_frame_t **slots; /* inline_slots, or an array for `capacity`: a lent one, or a larger one from the pool */
  uint64_t bytes;         /* of all frames in it, the written part of the head included */
  uint16_t head;          /* index of the oldest */
  uint16_t count;         /* frames and markers */
  uint16_t capacity;
  uint16_t markers; /* of `count` */
  union {
    fluxbp_frame_t *inline_slots[FLUXBP__INLINE_SLOTS];
    struct { /* only a ring that has other slots has these */
      struct fluxbp__ring_index *index;
      fluxbp_frame_t *tail_gap;
    };
  };
  bool has_index;      /* of where the values of state topics stand: once that is worth it */
  bool has_tail_gap;   /* a marker behind the last slot; only while is_dropping */
  bool is_dropping;    /* the newest are lost until the low watermark */
  bool is_head_pinned; /* the head's bytes are on their way */
} fluxbp__ring_t;

void fluxbp__ring_init(fluxbp__ring_t *ring);

/* Free the arrays that no ring has. */
void fluxbp__ring_memory_clear(fluxbp__ring_memory_t *memory);

/* As the public functions of the same names. */
int fluxbp__ring_push_slowly(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                             fluxbp_frame_t *frame);
int fluxbp__ring_push_or_drop(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                              fluxbp_frame_t *frame, fluxbp_overflow_t rule);
fluxbp_frame_t *fluxbp__ring_pop(fluxbp__ring_t *ring);
size_t fluxbp__ring_discard(fluxbp__ring_t *ring);

/* Record the loss of `lost`, which was to come after everything in the ring. 0 or UV_ENOBUFS. */
int fluxbp__ring_lose(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                      const fluxbp_frame_t *lost);

/* Let a value of a state topic take the place of the queued one of its key. False: there is none, except perhaps a
 * pinned head, or the new one is too large; nothing was changed. */
bool fluxbp__ring_replace(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                          fluxbp_frame_t *frame);

/* Frames have left: end the dropping at the low watermark, give grown slots back when nothing is left. Has to follow
 * every pop (or run of pops) and every discard. */
void fluxbp__ring_settle(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits);

/* Release everything, a pinned head too. Returns the number of messages and notices that it held. */
size_t fluxbp__ring_clear(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory);

static inline uint32_t fluxbp__ring_slot(const fluxbp__ring_t *ring, uint32_t offset) {
  uint32_t index = ring->head + offset;
  return index < ring->capacity ? index : index - ring->capacity;
}

static inline fluxbp_frame_t *fluxbp__ring_at(const fluxbp__ring_t *ring, uint32_t offset) {
  return ring->slots[fluxbp__ring_slot(ring, offset)];
}

/* Messages and notices, without markers. */
static inline uint32_t fluxbp__ring_messages(const fluxbp__ring_t *ring) {
  return ring->count - ring->markers;
}

static inline bool fluxbp__ring_has_room(const fluxbp__ring_t *ring, const fluxbp__limits_t *limits, uint32_t bytes) {
  if (ring->is_dropping || ring->count >= limits->slots) return false;
  return ring->bytes + bytes <= limits->max_bytes || ring->count == ring->markers; /* one message always fits */
}

/* Whether the next frame, if the limits allow one, needs nothing but its slot. */
static inline bool fluxbp__ring_has_slot(const fluxbp__ring_t *ring) {
  return ring->count < ring->capacity && !ring->has_index && !ring->is_dropping;
}

/* Put a frame that isn't a marker there. */
static inline void fluxbp__ring_append(fluxbp__ring_t *ring, fluxbp_frame_t *frame) {
  ring->slots[fluxbp__ring_slot(ring, ring->count)] = frame;
  ring->count++;
  ring->bytes += frame->len;
  frame->refs++;
}

/* The path of nearly every delivery: there is a free slot, and no index. */
static inline int fluxbp__ring_push(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                                    fluxbp_frame_t *frame) {
  if (!fluxbp__ring_has_slot(ring) || !fluxbp__ring_has_room(ring, limits, frame->len))
    return fluxbp__ring_push_slowly(ring, memory, limits, frame);
  fluxbp__ring_append(ring, frame);
  return 0;
}

/* Forget the first frames, none of them a marker, which have been given back already: `count` of `bytes`. */
static inline void fluxbp__ring_skip(fluxbp__ring_t *ring, uint32_t count, uint64_t bytes) {
  ring->head = (uint16_t) fluxbp__ring_slot(ring, count);
  ring->count = (uint16_t) (ring->count - count);
  ring->bytes -= bytes;
  ring->is_head_pinned = false;
}

#endif
