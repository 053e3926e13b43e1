/* SPDX-License-Identifier: MIT */
/*
 * The topics of a bus: names on one side, dense numbers on the other.
 *
 * A topic is held, by a caller that asked for its number, or the topic is idle: then it stays until all readers have
 * passed the last message that was published on it, and its number goes to another name. So a reader can turn the
 * number in a slot that it hasn't passed into a name without a lock, and a stranger's name costs memory no longer than
 * its message.
 */
#ifndef FLUXBP_LIB_BUS_TOPICS_H
#define FLUXBP_LIB_BUS_TOPICS_H

#include "fluxbp/bus.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

enum { FLUXBP__BUS_TOPICS_CHUNK = 1024, FLUXBP__BUS_TOPICS_CHUNKS = FLUXBP_BUS_TOPICS_MAX / FLUXBP__BUS_TOPICS_CHUNK };

/* Its name, number and serial never change. The rest is for the holder of the lock. */
typedef struct fluxbp__bus_name fluxbp__bus_name_t;
struct fluxbp__bus_name {
  uint64_t serial;            /* no other topic of this bus has it, or had it */
  fluxbp__bus_name_t *next;   /* in its bucket */
  fluxbp__bus_name_t *before; /* while idle: in the order of last_use */
  fluxbp__bus_name_t *behind;
  uint64_t hash;
  uint64_t holders;  /* 0: idle */
  uint64_t last_use; /* while idle: no message of the topic has a position above it */
  uint32_t number;
  uint32_t length; /* of its name */
  char text[];
};

/* Of a number. */
typedef struct fluxbp__bus_place {
  _Atomic(fluxbp__bus_name_t *) name; /* NULL: the number is free */
  uint32_t next_free;
} fluxbp__bus_place_t;

typedef struct fluxbp__bus_topics {
  fluxbp_pool_t *pool;
  atomic_uint count; /* numbers that were ever in use: below it there are places */
  fluxbp__bus_place_t *chunks[FLUXBP__BUS_TOPICS_CHUNKS];

  uv_mutex_t lock; /* over what follows, and over changes to what is above */
  uint32_t max;
  uint32_t used; /* topics that there are */
  uint32_t idle; /* of them */
  uint32_t first_free;
  fluxbp__bus_name_t *oldest; /* idle */
  fluxbp__bus_name_t *newest;
  uint64_t last_serial;
  uint64_t seed;
  fluxbp__bus_name_t **buckets;
  size_t bucket_count; /* a power of two, or 0 */
} fluxbp__bus_topics_t;

/* `topics` is zeroed. 0, or what libuv returns. */
int fluxbp__bus_topics_init(fluxbp__bus_topics_t *topics, fluxbp_pool_t *pool, uint32_t max);
void fluxbp__bus_topics_destroy(fluxbp__bus_topics_t *topics);

/* A name that is to be looked up, with its hash: computed before the lock is taken. */
typedef struct fluxbp__bus_wanted {
  const char *text;
  uint32_t length;
  uint64_t hash;
} fluxbp__bus_wanted_t;

/* False: it is no name. */
bool fluxbp__bus_topics_want(const fluxbp__bus_topics_t *topics, const char *name, fluxbp__bus_wanted_t *wanted);

/* ---- under the lock ---- */

/*
 * Find the topic or make it. A new one is neither held nor idle: hold it, note its use, or drop it.
 *
 * 0, or UV_ENOMEM, UV_ENOSPC (all topics are held), UV_EAGAIN (some are idle, and go when readers have passed them)
 */
int fluxbp__bus_topics_take(fluxbp__bus_topics_t *topics, const fluxbp__bus_wanted_t *wanted, fluxbp__bus_name_t **name,
                            bool *is_new);
void fluxbp__bus_topics_drop(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name);

void fluxbp__bus_topics_hold(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name);

/* A message of it has been published at `position`, which is above all that came before. */
void fluxbp__bus_topics_note_use(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name, uint64_t position);

/* Give up one hold; `last_use` is at or above the position of every message so far. False: it isn't held. */
bool fluxbp__bus_topics_give_up(fluxbp__bus_topics_t *topics, uint32_t number, uint64_t last_use);

/* Whether an idle topic can go, as all readers are at `cursor` or behind that. */
static inline bool fluxbp__bus_topics_has_passed(const fluxbp__bus_topics_t *topics, uint64_t cursor) {
  return topics->oldest != NULL && topics->oldest->last_use < cursor;
}

/* Let idle topics go, a few at a time: more than one call can add. */
void fluxbp__bus_topics_release_passed(fluxbp__bus_topics_t *topics, uint64_t cursor);

/* ---- without the lock ---- */

/* The topic of a number that is held, or in a slot that the calling reader hasn't passed; NULL: it has none. */
static inline const fluxbp__bus_name_t *fluxbp__bus_topics_at(const fluxbp__bus_topics_t *topics, uint32_t number) {
  if (number >= atomic_load_explicit(&topics->count, memory_order_acquire)) return NULL;
  const fluxbp__bus_place_t *place =
      &topics->chunks[number / FLUXBP__BUS_TOPICS_CHUNK][number % FLUXBP__BUS_TOPICS_CHUNK];
  return atomic_load_explicit(&place->name, memory_order_acquire);
}

#endif
