/* SPDX-License-Identifier: MIT */
/*
 * The topics of a bus: names on one side, dense numbers on the other. Nothing is ever forgotten or moved, so a number
 * that was handed out can be turned into its name without a lock.
 */
#ifndef FLUXBP_LIB_BUS_TOPICS_H
#define FLUXBP_LIB_BUS_TOPICS_H

#include "fluxbp/bus.h"

#include <stdatomic.h>
#include <uv.h>

enum { FLUXBP__BUS_TOPICS_CHUNK = 256, FLUXBP__BUS_TOPICS_CHUNKS = FLUXBP_BUS_TOPICS_MAX / FLUXBP__BUS_TOPICS_CHUNK };

typedef struct fluxbp__bus_topic fluxbp__bus_topic_t;

typedef struct fluxbp__bus_topics {
  fluxbp_pool_t *pool;
  atomic_uint count; /* a topic below it is complete and stays as it is */
  fluxbp__bus_topic_t **chunks[FLUXBP__BUS_TOPICS_CHUNKS];

  uv_mutex_t lock; /* over what follows, and over additions to what is above */
  uint64_t seed;
  fluxbp__bus_topic_t **buckets;
  size_t bucket_count; /* a power of two, or 0 */
} fluxbp__bus_topics_t;

/* `topics` is zeroed. 0, or what libuv returns. */
int fluxbp__bus_topics_init(fluxbp__bus_topics_t *topics, fluxbp_pool_t *pool);
void fluxbp__bus_topics_destroy(fluxbp__bus_topics_t *topics);

/* As fluxbp_bus_topic and fluxbp_bus_topic_name. Any thread. */
int fluxbp__bus_topics_open(fluxbp__bus_topics_t *topics, const char *name, uint32_t *number);
const char *fluxbp__bus_topics_name(const fluxbp__bus_topics_t *topics, uint32_t number);

/* Is it the number of a topic? What made the topic happened before. Any thread. */
static inline int fluxbp__bus_topics_has(const fluxbp__bus_topics_t *topics, uint32_t number) {
  return number < atomic_load_explicit(&topics->count, memory_order_acquire);
}

#endif
