/* SPDX-License-Identifier: MIT */
/*
 * table: linear hashing (W. Litwin: Linear Hashing: A New Tool for File and Table Addressing, 1980). Relies on the pool
 * for memory outside of the budget; knows nothing of the items.
 *
 * The buckets 0 to bucket_count - 1 are in use. A hash has its bucket at its lower bits, as many as `mask` has; where
 * that one isn't in use yet, at one bit less. An insertion that makes the items more than the buckets adds the next
 * bucket, and moves into it what belongs there of the one bucket that had it so far. Buckets stand in pieces, so adding
 * one copies nothing but now and then the list of pieces. A table never shrinks.
 */
#include "table.h"

#include "pool.h"

#include <stdbool.h>
#include <uv.h>

enum { PIECE_BUCKETS = 256, PIECES_MIN = 4 };

void fluxbp__table_init(fluxbp__table_t *table, fluxbp_pool_t *pool) {
  *table = (fluxbp__table_t){.pool = pool};
}

void fluxbp__table_free(fluxbp__table_t *table) {
  for (size_t i = 0; i < table->piece_count; i++)
    fluxbp__pool_free_object(table->pool, table->pieces[i], PIECE_BUCKETS * sizeof **table->pieces);
  fluxbp__pool_free_object(table->pool, table->pieces, table->piece_capacity * sizeof *table->pieces);
  fluxbp__table_init(table, table->pool);
}

static fluxbp__table_link_t **bucket_at(const fluxbp__table_t *table, size_t index) {
  return &table->pieces[index / PIECE_BUCKETS][index % PIECE_BUCKETS];
}

static size_t index_of(const fluxbp__table_t *table, uint64_t hash) {
  uint64_t index = hash & table->mask;
  return (size_t) (index < table->bucket_count ? index : hash & table->mask >> 1);
}

static fluxbp__table_link_t **bucket_of(const fluxbp__table_t *table, uint64_t hash) {
  return bucket_at(table, index_of(table, hash));
}

/* Add an empty piece. 0 or UV_ENOMEM. */
static int add_piece(fluxbp__table_t *table) {
  if (table->piece_count == table->piece_capacity) {
    size_t capacity = table->piece_capacity > 0 ? table->piece_capacity * 2 : PIECES_MIN;
    fluxbp__table_link_t ***pieces = fluxbp__pool_grow_array(table->pool, table->pieces, sizeof *pieces,
                                                             (uint32_t) table->piece_capacity, (uint32_t) capacity);
    if (pieces == NULL) return UV_ENOMEM;
    table->pieces = pieces;
    table->piece_capacity = capacity;
  }
  fluxbp__table_link_t **piece = fluxbp__pool_alloc_object(table->pool, PIECE_BUCKETS * sizeof *piece);
  if (piece == NULL) return UV_ENOMEM;
  table->pieces[table->piece_count++] = piece;
  return 0;
}

/* Use one more bucket, and move its items there. */
static void split_bucket(fluxbp__table_t *table) {
  size_t added = table->bucket_count++;
  if (added > table->mask) table->mask = table->mask * 2 + 1;
  fluxbp__table_link_t **to = bucket_at(table, added);
  fluxbp__table_link_t **from = bucket_at(table, added & table->mask >> 1);
  while (*from != NULL) {
    fluxbp__table_link_t *link = *from;
    if ((link->hash & table->mask) != added) {
      from = &link->next;
      continue;
    }
    *from = link->next;
    link->next = *to;
    *to = link;
  }
}

/* Keep the buckets short. Without memory for it they get longer, unless there is none at all. */
static int grow_table(fluxbp__table_t *table) {
  bool is_first = table->bucket_count == 0;
  bool has_room = table->bucket_count < table->piece_count * PIECE_BUCKETS;
  if (!has_room && add_piece(table) != 0) return is_first ? UV_ENOMEM : 0;
  if (!is_first) {
    split_bucket(table);
    return 0;
  }
  table->bucket_count = PIECE_BUCKETS;
  table->mask = PIECE_BUCKETS - 1;
  return 0;
}

int fluxbp__table_add(fluxbp__table_t *table, fluxbp__table_link_t *link) {
  if (table->count >= table->bucket_count && grow_table(table) != 0) return UV_ENOMEM;
  fluxbp__table_link_t **bucket = bucket_of(table, link->hash);
  link->next = *bucket;
  *bucket = link;
  table->count++;
  return 0;
}

void fluxbp__table_remove(fluxbp__table_t *table, fluxbp__table_link_t *link) {
  fluxbp__table_link_t **at = bucket_of(table, link->hash);
  while (*at != link) at = &(*at)->next;
  *at = link->next;
  table->count--;
}

fluxbp__table_link_t *fluxbp__table_bucket(const fluxbp__table_t *table, uint64_t hash) {
  return table->bucket_count > 0 ? *bucket_of(table, hash) : NULL;
}

fluxbp__table_link_t *fluxbp__table_next(const fluxbp__table_t *table, const fluxbp__table_link_t *link) {
  if (link != NULL && link->next != NULL) return link->next;
  for (size_t i = link != NULL ? index_of(table, link->hash) + 1 : 0; i < table->bucket_count; i++)
    if (*bucket_at(table, i) != NULL) return *bucket_at(table, i);
  return NULL;
}
