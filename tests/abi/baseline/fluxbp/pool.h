/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_POOL_H
#define FLUXBP_POOL_H
#include "fluxbp/export.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct fluxbp_pool fluxbp_pool_t;
typedef struct fluxbp_allocator {
  void *(*alloc)(size_t size, void *arg);
  void (*free)(void *memory, size_t size, void *arg);
  void *arg;
} fluxbp_allocator_t;
typedef struct fluxbp_pool_options {
  size_t size;
  uint64_t max_bytes;
  fluxbp_allocator_t allocator;
} fluxbp_pool_options_t;
typedef struct fluxbp_pool_stats {
  uint64_t max_bytes;
  uint64_t used_bytes;
  uint64_t payload_bytes;
  uint64_t held_bytes;
  uint64_t peak_used_bytes;
  uint64_t refused;
  uint64_t allocator_calls;
  uint64_t reserved_bytes;
} fluxbp_pool_stats_t;
#define fluxbp_pool_options_init(options) fluxbp_pool_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_pool_options_init_sized(fluxbp_pool_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_pool_create(const fluxbp_pool_options_t *options, fluxbp_pool_t **pool);
FLUXBP_EXTERN int fluxbp_pool_destroy(fluxbp_pool_t *pool);
FLUXBP_EXTERN void fluxbp_pool_trim(fluxbp_pool_t *pool);
FLUXBP_EXTERN int fluxbp_pool_reserve(fluxbp_pool_t *pool, uint64_t bytes);
FLUXBP_EXTERN void fluxbp_pool_release(fluxbp_pool_t *pool, uint64_t bytes);
#define fluxbp_pool_get_stats(pool,stats) fluxbp_pool_get_stats_sized((pool), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_pool_get_stats_sized(fluxbp_pool_t *pool, fluxbp_pool_stats_t *stats, size_t size);
FLUXBP_EXTERN uint64_t fluxbp_pool_used_bytes(const fluxbp_pool_t *pool);
#ifdef __cplusplus
}
#endif
#endif
