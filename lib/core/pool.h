/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the pool: blocks within the budget, and objects outside of it.
 */
#ifndef FLUXBP_LIB_POOL_H
#define FLUXBP_LIB_POOL_H

#include "fluxbp/pool.h"

#include <stdbool.h>

/* What a block is for. Each leaves a reserve of the budget to those behind it, which help to get rid of it: a message
 * that waits in a bus is passed only when it can be encoded, and what is encoded needs rings and clocks. */
typedef enum fluxbp__block { FLUXBP__MESSAGE, FLUXBP__PAYLOAD, FLUXBP__CONTROL } fluxbp__block_t;

/* A block within the budget. 0, UV_ENOBUFS (over the budget) or UV_ENOMEM. Any thread. */
int fluxbp__pool_alloc(fluxbp_pool_t *pool, fluxbp__block_t kind, size_t size, void **memory);
void fluxbp__pool_free(fluxbp_pool_t *pool, fluxbp__block_t kind, void *memory, size_t size);

/* Hubs, topics, connections: from the same allocator, zeroed, outside of the budget. NULL if it refused. Any thread. */
void *fluxbp__pool_alloc_object(fluxbp_pool_t *pool, size_t size);
void fluxbp__pool_free_object(fluxbp_pool_t *pool, void *memory, size_t size);

/* How many items an array of objects should have room for that is too small with `capacity`: twice as many, but of
 * thousands, one for each connection, no more than an eighth is left unused. `least` is for an array that isn't
 * there. */
uint32_t fluxbp__pool_next_capacity(uint32_t capacity, uint32_t least);

/* The array of `capacity` objects, each of `size` bytes, that takes the place of `array`, which has `from` of them and
 * is freed; those that it hasn't are zeroed. NULL if the allocator refused: nothing has changed. */
void *fluxbp__pool_grow_array(fluxbp_pool_t *pool, void *array, size_t size, uint32_t from, uint32_t capacity);

/* Destroy it as soon as nothing of it is in use: its owner is gone, messages of it may still be held. */
void fluxbp__pool_orphan(fluxbp_pool_t *pool);

/* Whether less than 1/32 of the budget is in use. Any thread. */
bool fluxbp__pool_is_roomy(const fluxbp_pool_t *pool);

/* Whether 7/8 of the budget are in use, `going_bytes` not counted: time to get rid of something. Any thread. */
bool fluxbp__pool_is_tight(fluxbp_pool_t *pool, uint64_t going_bytes);

/* Another number after each block but a message: while it is the same, no address has come to stand for another frame.
 * Any thread. */
uint64_t fluxbp__pool_generation(const fluxbp_pool_t *pool);

/* The bytes that a block of `size` really takes. */
size_t fluxbp__pool_block_size(size_t size);

#endif
