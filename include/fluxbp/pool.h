/* SPDX-License-Identifier: MIT */
/*
 * pool: where messages, frames, ring arrays and pressure blocks live.
 *
 * Blocks come in size classes with a free list each, so that a steady load calls the allocator not once. The budget is
 * hard: what the pool has from its allocator, in use and cached together, never exceeds it. Messages and frames
 * may take 15/16 of the budget, frames another 1/32; the rest is kept for what the library needs to get rid of them.
 *
 * Thread: every function here may be called from any thread.
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
 * Where a pool gets its memory. `alloc` returns memory aligned for any type, or NULL; `free` gets the same `size` back.
 * Both may be called from any thread that uses the pool, one at a time, and must not call back into the pool. This
 * struct has these three members for good, as it lies inside of another one.
 */
typedef struct fluxbp_allocator {
  void *(*alloc)(size_t size, void *arg);
  void (*free)(void *memory, size_t size, void *arg);
  void *arg;
} fluxbp_allocator_t;

typedef struct fluxbp_pool_options {
  size_t size;                  /* set by fluxbp_pool_options_init */
  uint64_t max_bytes;           /* the budget in bytes; default 256 MiB; 0 is refused */
  fluxbp_allocator_t allocator; /* default: malloc and free */
} fluxbp_pool_options_t;

typedef struct fluxbp_pool_stats {
  uint64_t max_bytes;       /* the budget */
  uint64_t used_bytes;      /* in blocks that are in use, rounded up to their size class */
  uint64_t payload_bytes;   /* the part of used_bytes in messages and frames */
  uint64_t held_bytes;      /* had from the allocator: used and cached */
  uint64_t peak_used_bytes; /* the most that used_bytes has been */
  uint64_t refused;         /* requests refused because of the budget */
  uint64_t allocator_calls; /* calls of the allocator's alloc and free, since the pool was made */
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
 *   UV_EBUSY  a message, a frame, a ring, a hub or a bus of this pool is still there; nothing was done
 */
FLUXBP_EXTERN int fluxbp_pool_destroy(fluxbp_pool_t *pool);

/** Give the cached blocks back to the allocator. Costs the next burst allocations; nothing needs it in steady state. */
FLUXBP_EXTERN void fluxbp_pool_trim(fluxbp_pool_t *pool);

/** Read all figures of one moment. */
#define fluxbp_pool_get_stats(pool, stats) fluxbp_pool_get_stats_sized((pool), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_pool_get_stats_sized(fluxbp_pool_t *pool, fluxbp_pool_stats_t *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
