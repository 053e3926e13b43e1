/* SPDX-License-Identifier: MIT */
/*
 * conn_set: the memory of a set of connections. It grows with the loop's list of connections, and is kept for the next
 * set.
 */
#include "conn_set.h"

#include "pool.h"

#include <uv.h>

int fluxbp__conn_set_reserve(fluxbp__conn_set_t *set, fluxbp_pool_t *pool, size_t capacity) {
  size_t count = (capacity + 63) / 64;
  if (count <= set->count) return 0;
  uint64_t *words = fluxbp__pool_alloc_object(pool, count * sizeof *words);
  if (words == NULL) return UV_ENOMEM;
  fluxbp__conn_set_free(set, pool);
  *set = (fluxbp__conn_set_t){.words = words, .count = count};
  return 0;
}

void fluxbp__conn_set_free(fluxbp__conn_set_t *set, fluxbp_pool_t *pool) {
  fluxbp__pool_free_object(pool, set->words, set->count * sizeof *set->words);
  *set = (fluxbp__conn_set_t){0};
}
