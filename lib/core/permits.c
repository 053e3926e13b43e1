/* SPDX-License-Identifier: MIT */
/*
 * permits: a slot each, with a generation that changes when it is given back. Free slots form a list, the last one
 * given back first, so that as few as possible are touched.
 */
#include "permits.h"

#include "pool.h"

#include <assert.h>
#include <uv.h>

enum { CAPACITY_MIN = 64, GENERATION_SHIFT = 32 };

void fluxbp__permits_init(fluxbp__permits_t *permits, fluxbp_pool_t *pool, uint32_t max_permits) {
  *permits = (fluxbp__permits_t){.pool = pool, .max_permits = max_permits, .first_free = FLUXBP__NO_PERMIT_SLOT};
}

void fluxbp__permits_free(fluxbp__permits_t *permits) {
  fluxbp__pool_free_object(permits->pool, permits->slots, permits->capacity * sizeof *permits->slots);
  permits->slots = NULL;
  permits->capacity = 0;
  permits->first_free = FLUXBP__NO_PERMIT_SLOT;
}

int fluxbp__permits_reserve(fluxbp__permits_t *permits) {
  if (permits->first_free != FLUXBP__NO_PERMIT_SLOT || permits->capacity == permits->max_permits) return 0;

  uint32_t capacity = fluxbp__pool_next_capacity(permits->capacity, CAPACITY_MIN);
  if (capacity > permits->max_permits) capacity = permits->max_permits;
  fluxbp__permit_slot_t *slots =
      fluxbp__pool_grow_array(permits->pool, permits->slots, sizeof *slots, permits->capacity, capacity);
  if (slots == NULL) return UV_ENOMEM;
  for (uint32_t i = permits->capacity; i < capacity; i++) {
    slots[i].generation = 1;
    slots[i].next_free = i + 1 < capacity ? i + 1 : FLUXBP__NO_PERMIT_SLOT;
  }
  permits->slots = slots;
  permits->first_free = permits->capacity;
  permits->capacity = capacity;
  return 0;
}

uint64_t fluxbp__permits_issue(fluxbp__permits_t *permits, fluxbp__permitted_t permitted) {
  assert(permits->first_free != FLUXBP__NO_PERMIT_SLOT && "room was not reserved");
  uint32_t index = permits->first_free;
  fluxbp__permit_slot_t *slot = &permits->slots[index];
  permits->first_free = slot->next_free;
  slot->address_key = permitted.address_key;
  slot->is_refusal = permitted.is_refusal;
  slot->is_out = true;
  return (uint64_t) slot->generation << GENERATION_SHIFT | index;
}

bool fluxbp__permits_return(fluxbp__permits_t *permits, uint64_t permit, fluxbp__permitted_t *permitted) {
  uint32_t index = (uint32_t) permit;
  if (index >= permits->capacity) return false;
  fluxbp__permit_slot_t *slot = &permits->slots[index];
  if (!slot->is_out || slot->generation != permit >> GENERATION_SHIFT) return false;

  *permitted = (fluxbp__permitted_t){.address_key = slot->address_key, .is_refusal = slot->is_refusal};
  slot->is_out = false;
  if (++slot->generation == 0) slot->generation = 1;
  slot->next_free = permits->first_free;
  permits->first_free = index;
  return true;
}
