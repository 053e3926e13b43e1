/* SPDX-License-Identifier: MIT */
/*
 * Internal side of conn_set: a set of connections of one loop, as one bit for each index in the loop's list of
 * connections. For a set that lives within one call, since the index of a connection changes when another one goes.
 */
#ifndef FLUXBP_LIB_CONN_SET_H
#define FLUXBP_LIB_CONN_SET_H

#include "fluxbp/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty, without memory. */
typedef struct fluxbp__conn_set {
  uint64_t *words;
  size_t count; /* of the words */
} fluxbp__conn_set_t;

/* Make room for indexes below `capacity` in an empty set. Its memory comes from the pool's allocator, outside of the
 * budget. 0 or UV_ENOMEM. */
int fluxbp__conn_set_reserve(fluxbp__conn_set_t *set, fluxbp_pool_t *pool, size_t capacity);
void fluxbp__conn_set_free(fluxbp__conn_set_t *set, fluxbp_pool_t *pool);

/* Add an index. Return whether it is new. */
static inline bool fluxbp__conn_set_add(fluxbp__conn_set_t *set, uint32_t index) {
  uint64_t bit = (uint64_t) 1 << index % 64;
  bool is_new = (set->words[index / 64] & bit) == 0;
  set->words[index / 64] |= bit;
  return is_new;
}

/* Remove an index, and perhaps others: for emptying a set by removing each of what was added. */
static inline void fluxbp__conn_set_clear(fluxbp__conn_set_t *set, uint32_t index) {
  set->words[index / 64] = 0;
}

#endif
