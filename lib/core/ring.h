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
 * Where rings get their slots; one for all rings of a hub. An array for LENT_SLOTS goes from a ring that is drained to
 * the next one that needs it, so there are as many as were ever needed at the same time, and bursts cost no allocation.
 */
typedef struct fluxbp__ring_memory {
  fluxbp_pool_t *pool;
  union fluxbp__lent *free; /* arrays that no ring has */
} fluxbp__ring_memory_t;

/* Every connection has one, and it takes 32 bytes of it. */
typedef struct fluxbp__ring {
  uint32_t bytes; /* of all frames in it, the written part of the head included */
  uint16_t head;  /* index of the oldest */
  uint16_t count; /* frames and markers */
  uint16_t capacity;
  uint16_t markers;            /* of `count` */
  unsigned has_array : 1;      /* of slots; it has none of its own then */
  unsigned has_index : 1;      /* of where the values of state topics stand: once that is worth it */
  unsigned has_tail_gap : 1;   /* a marker behind the last slot; only while is_dropping */
  unsigned is_dropping : 1;    /* the newest are lost until the low watermark */
  unsigned is_head_pinned : 1; /* the head's bytes are on their way */
  unsigned has_values : 1;     /* values of state topics may be in it that fluxbp__ring_take_values hasn't seen */
  union {                      /* see fluxbp__ring_slots */
    fluxbp_frame_t *inline_slots[FLUXBP__INLINE_SLOTS];
    struct {                  /* only a ring with an array has these */
      fluxbp_frame_t **array; /* for `capacity`: a lent one, or a larger one from the pool */
      union {                 /* the tail gap of a ring with an index stands there */
        struct fluxbp__ring_index *index;
        fluxbp_frame_t *tail_gap;
      };
    };
  };
} fluxbp__ring_t;

_Static_assert(sizeof(void *) != 8 || sizeof(fluxbp__ring_t) == 32, "a connection has no room for more");

/* A full ring, or one message, which always fits; the words for a gap in the place of a marker at its head; and two
 * more messages: a reply in front, and the last message behind, or one that is to be staged. */
_Static_assert(FLUXBP_RING_BYTES_MAX <= FLUXBP_MSG_MAX_BYTES && 3 * (uint64_t) FLUXBP_MSG_MAX_BYTES < UINT32_MAX - 4096,
               "`bytes` of a ring has 32 bits");

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

/* Push a frame behind everything, whatever the limits say, a loss that goes on included: that ends here. 0, or
 * UV_ENOBUFS or UV_ENOMEM: it would take more slots, for which there is no memory. */
int fluxbp__ring_push_last(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, fluxbp_frame_t *frame);

/* Have a slot in front of the others, whatever the limits say. False: the head is being written, or there is no memory
 * for more slots. */
bool fluxbp__ring_reserve_front(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory);

/* Put a frame, which is no marker and no value, into the slot that was reserved. The ring takes over the reference. */
void fluxbp__ring_push_front(fluxbp__ring_t *ring, fluxbp_frame_t *frame);

/* Let a value of a state topic take the place of the queued one of its key. False: there is none, except perhaps a
 * pinned head, or the new one is too large; nothing was changed. */
bool fluxbp__ring_replace(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                          fluxbp_frame_t *frame);

/* Let a frame take the place of the one at `offset`, which isn't a pinned head. False: it is too large; nothing was
 * changed. */
bool fluxbp__ring_set(fluxbp__ring_t *ring, uint32_t offset, const fluxbp__limits_t *limits, fluxbp_frame_t *frame);

/* Remove each value of a state topic for which `may_go` says yes, a pinned head excepted. Returns how many were
 * removed. */
uint32_t fluxbp__ring_take_values(fluxbp__ring_t *ring, bool (*may_go)(void *arg, const fluxbp_frame_t *value),
                                  void *arg);

/* End the dropping of a ring, if the ring is at its low watermark. */
void fluxbp__ring_end_dropping(fluxbp__ring_t *ring, const fluxbp__limits_t *limits);

/* Give the array of an empty ring back. */
void fluxbp__ring_reset_slots(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory);

/* Release everything, a pinned head too. Returns the number of messages and notices that it held. */
size_t fluxbp__ring_clear(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory);

static inline uint32_t fluxbp__ring_slot(const fluxbp__ring_t *ring, uint32_t offset) {
  uint32_t index = ring->head + offset;
  return index < ring->capacity ? index : index - ring->capacity;
}

static inline fluxbp_frame_t **fluxbp__ring_slots(const fluxbp__ring_t *ring) {
  if (ring->has_array) return ring->array;
  return (fluxbp_frame_t **) (uintptr_t) ring->inline_slots; /* they aren't what is constant */
}

static inline fluxbp_frame_t *fluxbp__ring_at(const fluxbp__ring_t *ring, uint32_t offset) {
  return fluxbp__ring_slots(ring)[fluxbp__ring_slot(ring, offset)];
}

/* Messages and notices, without markers. */
static inline uint32_t fluxbp__ring_messages(const fluxbp__ring_t *ring) {
  return ring->count - ring->markers;
}

static inline bool fluxbp__ring_has_room(const fluxbp__ring_t *ring, const fluxbp__limits_t *limits, uint32_t bytes) {
  if (ring->is_dropping || ring->count >= limits->slots) return false;
  return (uint64_t) ring->bytes + bytes <= limits->max_bytes || ring->count == ring->markers; /* one always fits */
}

/* Whether the next frame, if the limits allow one, needs nothing but its slot, and the head isn't on its way (so that
 * one test is enough for a connection, too). */
static inline bool fluxbp__ring_has_slot(const fluxbp__ring_t *ring) {
  return ring->count < ring->capacity && (ring->has_index == 0 && ring->is_dropping == 0 && ring->is_head_pinned == 0);
}

/* Put a frame that isn't a marker there. `count` and `bytes` are the ring's then. */
static inline void fluxbp__ring_append(fluxbp__ring_t *ring, fluxbp_frame_t *frame, uint32_t count, uint32_t bytes) {
  fluxbp__ring_slots(ring)[fluxbp__ring_slot(ring, ring->count)] = frame;
  ring->count = (uint16_t) count;
  ring->bytes = bytes;
  frame->refs++;
}

/* The path of nearly every delivery: there is a free slot, and no index. */
static inline int fluxbp__ring_push(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory, const fluxbp__limits_t *limits,
                                    fluxbp_frame_t *frame) {
  if (!fluxbp__ring_has_slot(ring) || !fluxbp__ring_has_room(ring, limits, frame->len))
    return fluxbp__ring_push_slowly(ring, memory, limits, frame);
  fluxbp__ring_append(ring, frame, ring->count + 1U, ring->bytes + frame->len);
  return 0;
}

/* Forget the first frames, none of them a marker, which have been given back already: `count` of `bytes`. */
static inline void fluxbp__ring_skip(fluxbp__ring_t *ring, uint32_t count, uint32_t bytes) {
  ring->head = (uint16_t) fluxbp__ring_slot(ring, count);
  ring->count = (uint16_t) (ring->count - count);
  ring->bytes -= bytes;
  ring->is_head_pinned = false;
}

/* Frames have left: end the dropping at the low watermark, give grown slots back when nothing is left. Has to follow
 * every pop (or run of pops), every discard and every removal of values. */
static inline void fluxbp__ring_settle(fluxbp__ring_t *ring, fluxbp__ring_memory_t *memory,
                                       const fluxbp__limits_t *limits) {
  if (ring->is_dropping) fluxbp__ring_end_dropping(ring, limits);
  if (ring->count > 0) return;
  ring->head = 0;
  if (ring->has_array) fluxbp__ring_reset_slots(ring, memory);
}

#endif
