/* SPDX-License-Identifier: MIT */
/*
 * ring_model: a ring of messages of one size, as lib/core/ring.c keeps it under drop-newest, by counting. In some seeds
 * a real ring goes beside it, which proves that the two are alike.
 */
#ifndef FLUXBP_TESTS_RING_MODEL_H
#define FLUXBP_TESTS_RING_MODEL_H

#include "ring.h"

typedef struct sim_ring {
  uint32_t messages;
  uint32_t ahead; /* messages in front of the marker */
  bool has_marker;
  bool is_dropping;
  fluxbp__ring_t *real; /* NULL: there is none beside it */
} sim_ring_t;

/* What all rings of a simulation share. */
typedef struct sim_ring_kind {
  fluxbp__limits_t limits;
  uint32_t size; /* of a message, in bytes */
  uint32_t most; /* messages that max_bytes allow */
  fluxbp_pool_t *pool;
  fluxbp__ring_memory_t *memory;
  fluxbp_frame_t *frame; /* that stands for every message in a real ring */
} sim_ring_kind_t;

static inline uint64_t sim_ring_bytes(const sim_ring_t *ring, const sim_ring_kind_t *kind) {
  return (uint64_t) ring->messages * kind->size;
}

static inline uint32_t sim_ring_count(const sim_ring_t *ring) {
  return ring->messages + ring->has_marker;
}

/* Queue as many of `messages` as there is room for; how many that was. */
uint32_t sim_ring_push(sim_ring_t *ring, const sim_ring_kind_t *kind, uint32_t messages);

/* Lose a message for which there is no room, and what comes after it until the low watermark. */
void sim_ring_drop(sim_ring_t *ring, const sim_ring_kind_t *kind);

/* So many messages were written, and a marker that stands next with them. */
void sim_ring_pop(sim_ring_t *ring, uint32_t messages);

/* Frames have left: the dropping may end. */
void sim_ring_settle(sim_ring_t *ring, const sim_ring_kind_t *kind);

/* Give back what a real ring holds. */
void sim_ring_clear(sim_ring_t *ring, const sim_ring_kind_t *kind);

#endif
