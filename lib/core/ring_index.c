/* SPDX-License-Identifier: MIT */
/*
 * ring_index: in which slot of a ring the value of a key of a state topic stands, so that replacing one costs the same
 * however long the ring is.
 *
 * Design notes
 *
 * A table of slot numbers with linear probing, four times as large as the ring. Nothing is ever taken out of it: a
 * value stays in its slot until it is popped, dropped or taken out, so an entry is good if its slot is in use and holds
 * a value of the key that is looked for; others are passed over. When half of the table has been used, or values have
 * been taken out, it is made anew from what the ring holds, which costs each push a constant on average. A ring of few
 * messages has no table, nor has one for which the pool has no memory: those are searched from the tail. Values that
 * were staged while the kernel took everything may stand in the ring several times for one key; the newest one is the
 * one that counts.
 */
#include "ring_index.h"

#include "hash.h"
#include "pool.h"

#include <assert.h>
#include <string.h>

enum { SEARCHED_SLOTS = 16, EMPTY = UINT16_MAX };
_Static_assert((int) SEARCHED_SLOTS >= (int) FLUXBP__INLINE_SLOTS, "a ring that has an index has slots elsewhere");
_Static_assert(FLUXBP_SLOTS_MAX <= EMPTY, "a slot's number fits into an entry");

struct fluxbp__ring_index {
  uint32_t mask;            /* the number of entries, a power of two, less one */
  uint32_t used;            /* entries that aren't EMPTY */
  fluxbp_frame_t *tail_gap; /* of the ring, if it has one */
  uint16_t entries[];
};

static size_t index_size(uint32_t mask) {
  return sizeof(struct fluxbp__ring_index) + ((size_t) mask + 1) * sizeof(uint16_t);
}

static bool has_same_key(const fluxbp_frame_t *a, const fluxbp_frame_t *b) {
  return fluxbp__frame_is_state(a) && a->state.key == b->state.key && a->state.topic == b->state.topic;
}

/* Whether `slot` holds a value with the key of `frame` that may be replaced. */
static bool is_match(const fluxbp__ring_t *ring, uint32_t slot, const fluxbp_frame_t *frame) {
  uint32_t offset = slot >= ring->head ? slot - ring->head : slot + ring->capacity - ring->head;
  if (offset >= ring->count || (offset == 0 && ring->is_head_pinned)) return false;
  return has_same_key(fluxbp__ring_slots(ring)[slot], frame);
}

static uint32_t search(const fluxbp__ring_t *ring, const fluxbp_frame_t *frame) {
  for (uint32_t offset = ring->count; offset-- > (ring->is_head_pinned ? 1U : 0U);)
    if (has_same_key(fluxbp__ring_at(ring, offset), frame)) return fluxbp__ring_slot(ring, offset);
  return FLUXBP__NO_RING_SLOT;
}

/* The entry of that key, or the empty one where it would be. */
static uint16_t *entry_of(const fluxbp__ring_t *ring, const fluxbp_frame_t *frame) {
  struct fluxbp__ring_index *index = ring->index;
  uint32_t place = (uint32_t) fluxbp__hash_key(frame->state.key ^ frame->state.topic) & index->mask;
  while (index->entries[place] != EMPTY && !is_match(ring, index->entries[place], frame))
    place = (place + 1) & index->mask;
  return &index->entries[place];
}

void fluxbp__ring_index_fill(fluxbp__ring_t *ring) {
  struct fluxbp__ring_index *index = ring->index;
  memset(index->entries, 0xff, ((size_t) index->mask + 1) * sizeof(uint16_t));
  index->used = 0;
  for (uint32_t offset = ring->is_head_pinned ? 1 : 0; offset < ring->count; offset++)
    fluxbp__ring_index_add(ring, fluxbp__ring_slot(ring, offset));
}

static void create(fluxbp__ring_t *ring, fluxbp_pool_t *pool) {
  uint32_t mask = 1;
  while (mask < 4U * ring->capacity - 1) mask = mask * 2 + 1;
  void *memory;
  if (fluxbp__pool_alloc(pool, FLUXBP__CONTROL, index_size(mask), &memory) != 0) return;
  struct fluxbp__ring_index *index = memory;
  index->mask = mask;
  index->tail_gap = ring->has_tail_gap ? ring->tail_gap : NULL; /* whose place it takes */
  ring->index = index;
  ring->has_index = true;
  fluxbp__ring_index_fill(ring);
}

fluxbp_frame_t **fluxbp__ring_index_tail_gap(struct fluxbp__ring_index *index) {
  return &index->tail_gap;
}

uint32_t fluxbp__ring_index_find(fluxbp__ring_t *ring, fluxbp_pool_t *pool, const fluxbp_frame_t *frame) {
  if (!ring->has_index && ring->count > SEARCHED_SLOTS) create(ring, pool);
  if (!ring->has_index) return search(ring, frame);
  uint16_t slot = *entry_of(ring, frame);
  return slot == EMPTY ? FLUXBP__NO_RING_SLOT : slot;
}

void fluxbp__ring_index_add(fluxbp__ring_t *ring, uint32_t slot) {
  struct fluxbp__ring_index *index = ring->index;
  const fluxbp_frame_t *frame = fluxbp__ring_slots(ring)[slot];
  if (!fluxbp__frame_is_state(frame)) return;
  if (index->used > index->mask / 2) {
    fluxbp__ring_index_fill(ring); /* with this one */
    return;
  }
  uint16_t *entry = entry_of(ring, frame);
  index->used += *entry == EMPTY;
  *entry = (uint16_t) slot;
}

void fluxbp__ring_index_destroy(fluxbp__ring_t *ring, fluxbp_pool_t *pool) {
  assert(!ring->has_tail_gap);
  fluxbp__pool_free(pool, FLUXBP__CONTROL, ring->index, index_size(ring->index->mask));
  ring->has_index = false;
}
