/* SPDX-License-Identifier: MIT */
#include "ring_model.h"

#include <assert.h>

static uint32_t room(const sim_ring_t *ring, const sim_ring_kind_t *kind) {
  if (ring->is_dropping) return 0;
  uint32_t by_slots = kind->limits.slots - sim_ring_count(ring);
  uint32_t by_bytes = kind->most - ring->messages;
  return by_slots < by_bytes ? by_slots : by_bytes;
}

static void compare(const sim_ring_t *ring, const sim_ring_kind_t *kind) {
  if (ring->real == NULL) return;
  assert(ring->real->count == sim_ring_count(ring));
  assert(ring->real->bytes == sim_ring_bytes(ring, kind));
  assert(ring->real->is_dropping == ring->is_dropping);
}

uint32_t sim_ring_push(sim_ring_t *ring, const sim_ring_kind_t *kind, uint32_t messages) {
  uint32_t free_slots = room(ring, kind);
  uint32_t pushed = messages < free_slots ? messages : free_slots;
  ring->messages += pushed;
  if (ring->real == NULL) return pushed;
  for (uint32_t i = 0; i < pushed; i++) {
    int err = fluxbp__ring_push(ring->real, kind->memory, &kind->limits, kind->frame);
    assert(err == 0);
    (void) err;
  }
  compare(ring, kind);
  return pushed;
}

void sim_ring_drop(sim_ring_t *ring, const sim_ring_kind_t *kind) {
  ring->is_dropping = true;
  if (ring->real != NULL)
    (void) fluxbp__ring_push_or_drop(ring->real, kind->memory, &kind->limits, kind->frame, FLUXBP_OVERFLOW_DROP_NEWEST);
  compare(ring, kind);
}

void sim_ring_pop(sim_ring_t *ring, uint32_t messages) {
  assert(messages <= ring->messages);
  bool pops_marker = ring->has_marker && messages >= ring->ahead;
  if (ring->real != NULL)
    for (uint32_t i = 0; i < messages + pops_marker; i++) fluxbp__frame_unref(fluxbp__ring_pop(ring->real));
  ring->messages -= messages;
  ring->ahead -= pops_marker || !ring->has_marker ? ring->ahead : messages;
  if (pops_marker) ring->has_marker = false;
}

void sim_ring_settle(sim_ring_t *ring, const sim_ring_kind_t *kind) {
  if (ring->real != NULL) fluxbp__ring_settle(ring->real, kind->memory, &kind->limits);
  bool is_low = fluxbp__limits_is_low(&kind->limits, sim_ring_count(ring), sim_ring_bytes(ring, kind));
  if (ring->is_dropping && is_low) {
    assert(!ring->has_marker && "who is dropping has written the marker of the time before");
    ring->is_dropping = false;
    ring->has_marker = true;
    ring->ahead = ring->messages;
  }
  compare(ring, kind);
}

void sim_ring_clear(sim_ring_t *ring, const sim_ring_kind_t *kind) {
  if (ring->real != NULL) (void) fluxbp__ring_clear(ring->real, kind->memory);
  *ring = (sim_ring_t){.real = ring->real};
}
