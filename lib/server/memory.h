/* SPDX-License-Identifier: MIT */
/*
 * memory: blocks whose size a client decides, such as half a request. Each block counts against the server's budget
 * and against a share of it, so that input can't starve deliveries. Relies on the pool; knows no session. Thread: any.
 *
 * There are two shares: heads of HTTP requests may take 1/16 of the budget, all other input 3/16. So bodies and
 * messages can't keep administrators out. A quarter of each share is reserved as long as the server is there, so that
 * deliveries can't keep input out: 1/16 of the budget together.
 */
#ifndef FLUXBP_SERVER_MEMORY_H
#define FLUXBP_SERVER_MEMORY_H

#include <fluxbp/pool.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* What the server says to a client for whose input there is no memory. */
#define MEMORY_REFUSAL "the server is out of memory; try again later"

/* A share. */
enum memory_kind {
  MEMORY_HEADS, /* HTTP requests without their bodies */
  MEMORY_INPUT, /* all other input */
  MEMORY_KINDS
};

struct memory_account {
  struct memory *memory;
  uint64_t max_bytes;              /* the share */
  uint64_t own_bytes;              /* reserved for it, whether used or not */
  atomic_uint_fast64_t used_bytes; /* of its blocks; written under the lock, read without */
};

struct memory {
  fluxbp_pool_t *pool;
  uv_mutex_t lock; /* over what charges and discharges */
  struct memory_account accounts[MEMORY_KINDS];
  atomic_uint_fast64_t refused; /* the same */
};

struct memory_stats {
  uint64_t used_bytes; /* of all blocks */
  uint64_t max_bytes;  /* both shares together */
  uint64_t idle_bytes; /* reserved in the pool, and not used */
  uint64_t refused;    /* blocks, as a share or the budget was used up */
};

/** Reserve what is for input alone in a new pool. @return 0 or a libuv error, after which nothing is to be undone */
int memory_init(struct memory *memory, fluxbp_pool_t *pool);

/** Release what is for input alone. No block may be left. A memory of zeros is left alone. */
void memory_end(struct memory *memory);

/** Count bytes that are allocated elsewhere. @return false: there is no room, and nothing was counted */
bool memory_charge(struct memory *memory, enum memory_kind kind, size_t bytes);

/** Return the greatest block that a client may ever have: half of a share, so that a block has room to grow. */
size_t memory_most(const struct memory *memory, enum memory_kind kind);

/** Take back what memory_charge has counted, or a part of it. */
void memory_discharge(struct memory *memory, enum memory_kind kind, size_t bytes);

/**
 * Allocate a block of zeros.
 *
 * @param memory NULL: the block isn't counted, as in a program that has no server
 * @return NULL: there is no room, or no memory
 */
void *memory_alloc(struct memory *memory, enum memory_kind kind, size_t size);

/**
 * Make a block larger or smaller. The bytes that it has had stay; those behind them are undefined.
 *
 * @param block NULL: allocate one
 * @return NULL: there is no room, or no memory; the block is as it was
 */
void *memory_resize(struct memory *memory, enum memory_kind kind, void *block, size_t size);

/** Allocate a copy of these bytes, with a NUL behind them. @return NULL: there is no room, or no memory */
char *memory_copy(struct memory *memory, enum memory_kind kind, const void *data, size_t length);

/** Free a block, and count it no more. NULL is no block. */
void memory_free(void *block);

/** Read the figures of one moment. */
void memory_get_stats(const struct memory *memory, struct memory_stats *stats);

/** Read the figures of the pool; what is reserved for input and not used doesn't count as used there. */
void memory_get_pool_stats(const struct memory *memory, fluxbp_pool_stats_t *stats);

#endif
