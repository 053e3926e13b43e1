/* SPDX-License-Identifier: MIT */
/*
 * table: a hash table of links that are embedded in the items. It grows by one bucket at a time, so no insertion has to
 * move more than the items of one bucket, however many items there are.
 */
#ifndef FLUXBP_LIB_TABLE_H
#define FLUXBP_LIB_TABLE_H

#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>

typedef struct fluxbp__table_link {
  struct fluxbp__table_link *next; /* in its bucket */
  uint64_t hash;
} fluxbp__table_link_t;

typedef struct fluxbp__table {
  fluxbp_pool_t *pool;
  fluxbp__table_link_t ***pieces; /* arrays of buckets, all of the same length */
  size_t piece_count;
  size_t piece_capacity;
  size_t bucket_count;
  uint64_t mask; /* the next power of two from `bucket_count` on, less one */
  size_t count;  /* of items */
} fluxbp__table_t;

/* Set up an empty table, which takes no memory. */
void fluxbp__table_init(fluxbp__table_t *table, fluxbp_pool_t *pool);

/* Free the memory of the table. The items are the caller's. */
void fluxbp__table_free(fluxbp__table_t *table);

/* Add an item; the caller has set the hash of its link. 0, or UV_ENOMEM: it is the first one, and there is no memory.
 */
int fluxbp__table_add(fluxbp__table_t *table, fluxbp__table_link_t *link);

/* Remove an item of the table. */
void fluxbp__table_remove(fluxbp__table_t *table, fluxbp__table_link_t *link);

/* Return the first item of the bucket for `hash`, or NULL. The caller looks along `next` for the one that it means. */
fluxbp__table_link_t *fluxbp__table_bucket(const fluxbp__table_t *table, uint64_t hash);

/* Return the item after `link`, or after NULL the first one; NULL: there are no more. The order is good for a visit of
 * all items, as long as none is added. */
fluxbp__table_link_t *fluxbp__table_next(const fluxbp__table_t *table, const fluxbp__table_link_t *link);

#endif
