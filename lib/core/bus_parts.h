/* SPDX-License-Identifier: MIT */
/*
 * What the files of the bus share: bus.c and bus_readers.c. The rules of these structs stand on top of bus.c.
 */
#ifndef FLUXBP_LIB_BUS_PARTS_H
#define FLUXBP_LIB_BUS_PARTS_H

#include "bus.h"
#include "bus_topics.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <uv.h>

enum {
  CACHE_LINE = 64,
  SLOT_BYTES = 32 /* so that no slot lies in two lines */
};

/* `head`: the next position, above two bits of state. Publishers move the position; the holder of the lock changes the
 * state. */
enum { POSITION_SHIFT = 2, STATE_MASK = 3 };
#define ONE_POSITION ((uint64_t) 1 << POSITION_SHIFT)
typedef enum state {
  NOBODY, /* no reader: ids are given out, slots are not used */
  OPEN,
  SHUT,  /* the set of readers is being changed */
  CLOSED /* for good */
} state_t;

/* An alarm: whether it rings, and above that how many publishers are in the callback. */
enum { RINGS = 1, RINGER = 2 };

/* The cursor of a seat that nobody has. */
#define NO_CURSOR UINT64_MAX

/* In the `topic` of a slot, above the topic's number: the origin of the message stands in `origins`. */
#define HAS_ORIGIN ((uint32_t) 1 << 31)
_Static_assert(FLUXBP_BUS_TOPICS_MAX <= HAS_ORIGIN, "a number leaves that bit free");

typedef struct slot {
  alignas(SLOT_BYTES) _Atomic uint64_t sequence; /* the position + 1, when the rest is complete */
  fluxbp_msg_t *msg;
  uint64_t id;
  uint32_t topic;            /* its number, and perhaps HAS_ORIGIN */
  _Atomic uint32_t unpassed; /* readers that have to pass it yet */
} slot_t;
_Static_assert(sizeof(slot_t) == SLOT_BYTES, "a slot has grown");

struct fluxbp__bus_seat {
  alignas(CACHE_LINE) _Atomic uint64_t cursor; /* written for every message, seldom read */
  alignas(CACHE_LINE) atomic_uint alarm;       /* read for every message, seldom written */
  fluxbp__bus_wake_cb wake;
  void *wake_arg;
  void *user;
};

struct fluxbp_bus {
  alignas(CACHE_LINE) _Atomic uint64_t head;
  alignas(CACHE_LINE) _Atomic uint64_t slowest; /* no cursor is below it */
  _Atomic uint64_t refused;
  uint64_t last_id; /* the caller's, under the lock */

  alignas(CACHE_LINE) slot_t *slots; /* from here on hardly anything is ever written */
  uint64_t *origins;                 /* of each slot; means something while the slot says so */
  uint64_t slot_count;
  uint32_t readers;       /* changed while the gate is shut; read by publishers between claim and sequence */
  atomic_uint seats_used; /* seats from this one on were never taken */
  uint64_t first_id;
  uint64_t epoch;
  bool has_own_ids;
  uint64_t settled; /* under the lock: what was claimed before it needn't be waited for */
  uv_mutex_t lock;  /* over joining, leaving, closing */
  fluxbp_pool_t *pool;
  void *memory;
  size_t memory_size;
  fluxbp__bus_topics_t topics;
  fluxbp__bus_seat_t seats[FLUXBP_BUS_READERS_MAX];
};

static inline state_t state_of(uint64_t head) {
  return (state_t) (head & STATE_MASK);
}

static inline uint64_t position_of(uint64_t head) {
  return head >> POSITION_SHIFT;
}

static inline uint64_t *origin_at(const fluxbp_bus_t *bus, uint64_t position) {
  return &bus->origins[position & (bus->slot_count - 1)];
}

static inline slot_t *slot_at(const fluxbp_bus_t *bus, uint64_t position) {
  return &bus->slots[position & (bus->slot_count - 1)];
}

/* Returns the position of the head. Only the state's own bits change, whatever publishers do to the rest meanwhile. */
static inline uint64_t set_state(fluxbp_bus_t *bus, state_t state) {
  state_t now = state_of(atomic_load_explicit(&bus->head, memory_order_relaxed));
  uint64_t change = (uint64_t) (now ^ state);
  return position_of(atomic_fetch_xor_explicit(&bus->head, change, memory_order_acq_rel));
}

#endif
