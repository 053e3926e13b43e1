/* SPDX-License-Identifier: MIT */
/*
 * pool: memory for messages, frames, ring arrays and pressure blocks.
 *
 * Blocks come in size classes with a free list each, so a steady load doesn't call the allocator at all. The budget is
 * hard: the blocks that are used and cached never exceed it together. Messages and frames may take 15/16 of the budget,
 * frames another 1/32; the rest is kept for the memory that it takes to get rid of messages. A program counts memory of
 * its own against the same budget with fluxbp_pool_reserve.
 *
 * Thread: any, for every function here.
 */
#ifndef FLUXBP_POOL_H
#define FLUXBP_POOL_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_pool fluxbp_pool_t;

/**
 * An allocator, from which a pool gets its memory. `alloc` returns memory aligned for any type, or NULL. `free` gets
 * the same `size` back. Both are called on any thread that uses the pool, one at a time, and must not call the pool.
 * This struct never gets another member, as it lies inside of another struct.
 */
typedef struct fluxbp_allocator {
  void *(*alloc)(size_t size, void *arg);
  void (*free)(void *memory, size_t size, void *arg);
  void *arg;
} fluxbp_allocator_t;

typedef struct fluxbp_pool_options {
  /* Set by fluxbp_pool_options_init. */
  size_t size;
  /* Budget in bytes; at least 1; default 256 MiB. */
  uint64_t max_bytes;
  /* Default: malloc and free. */
  fluxbp_allocator_t allocator;
} fluxbp_pool_options_t;

typedef struct fluxbp_pool_stats {
  /* Budget. */
  uint64_t max_bytes;
  /* Bytes of blocks in use, rounded up to their size class. */
  uint64_t used_bytes;
  /* Part of used_bytes in messages, in frames, and reserved by the program. */
  uint64_t payload_bytes;
  /* Bytes that the allocator has given, used and cached, and those reserved by the program. */
  uint64_t held_bytes;
  /* Largest value that used_bytes has had. */
  uint64_t peak_used_bytes;
  /* Requests refused because of the budget. */
  uint64_t refused;
  /* Calls of the allocator's alloc and free, since the pool was made. */
  uint64_t allocator_calls;
  /* Part of payload_bytes that fluxbp_pool_reserve has counted and fluxbp_pool_release has not taken back. */
  uint64_t reserved_bytes;
} fluxbp_pool_stats_t;

/** Write the defaults into `*options`. */
#define fluxbp_pool_options_init(options) fluxbp_pool_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_pool_options_init_sized(fluxbp_pool_options_t *options, size_t size);

/**
 * Make a pool.
 *
 * @param options NULL for the defaults
 * @return 0, or
 *   UV_EINVAL  max_bytes is 0, or one of the allocator's functions is missing
 *   UV_E2BIG   options come from a newer version of the library and use what this one doesn't know
 *   UV_ENOMEM  the allocator refused
 */
FLUXBP_EXTERN int fluxbp_pool_create(const fluxbp_pool_options_t *options, fluxbp_pool_t **pool);

/**
 * Give all memory back to the allocator.
 *
 * @return 0, or
 *   UV_EBUSY  a message, a frame, a ring, a hub, a bus or a reservation of this pool is still there. Nothing was done
 */
FLUXBP_EXTERN int fluxbp_pool_destroy(fluxbp_pool_t *pool);

/** Give the cached blocks back to the allocator. The next burst has to allocate again. */
FLUXBP_EXTERN void fluxbp_pool_trim(fluxbp_pool_t *pool);

/**
 * Count `bytes` that the program allocates by itself against the budget: a buffer for what a peer sends, for example.
 * The pool allocates nothing; cached blocks are given back to the allocator where the bytes need their place. A
 * reservation has room where a message has. May be called from any fluxbp callback.
 *
 * @param bytes more than 0
 * @return 0; give them back with fluxbp_pool_release before the pool is destroyed; or
 *   UV_EINVAL   bytes is 0
 *   UV_ENOBUFS  the budget has no room. Nothing was done
 */
FLUXBP_EXTERN int fluxbp_pool_reserve(fluxbp_pool_t *pool, uint64_t bytes);

/**
 * Take back what fluxbp_pool_reserve has counted, all of it or a part. May be called from any fluxbp callback.
 *
 * @param bytes at most what is reserved
 */
FLUXBP_EXTERN void fluxbp_pool_release(fluxbp_pool_t *pool, uint64_t bytes);

/** Read the figures of one moment. */
#define fluxbp_pool_get_stats(pool, stats) fluxbp_pool_get_stats_sized((pool), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_pool_get_stats_sized(fluxbp_pool_t *pool, fluxbp_pool_stats_t *stats, size_t size);

/** Return `used_bytes` alone, without a lock. What another thread does at this moment may be missing. */
FLUXBP_EXTERN uint64_t fluxbp_pool_used_bytes(const fluxbp_pool_t *pool);

#ifdef __cplusplus
}
#endif

#endif
