/* SPDX-License-Identifier: MIT */
/*
 * alloc_hook: an allocator for a pool that counts, and that fails when a test wants it to.
 *
 * Every block is checked when it comes back: it must be one of this hook's and have the size that it was asked for
 * with. New memory is full of garbage. A hook serves the pools of one thread, or one pool of many threads: the pool
 * calls its allocator under its own lock.
 */
#ifndef TESTS_SUPPORT_ALLOC_HOOK_H
#define TESTS_SUPPORT_ALLOC_HOOK_H

#include "fluxbp/pool.h"

#include <stdint.h>

typedef struct alloc_hook {
  uint64_t allocs;      /* calls of alloc, the failed ones included */
  uint64_t frees;       /* calls of free */
  uint64_t failures;    /* calls of alloc that were made to fail */
  uint64_t live_blocks; /* had and not given back */
  uint64_t live_bytes;  /* of those */
  uint64_t peak_bytes;  /* the most that live_bytes has been */
  uint64_t fail_from;   /* the number of the first call that fails, counted as `allocs`; 0: none */
  uint64_t fail_to;     /* and of the last one */
} alloc_hook_t;

/* Nothing counted, nothing fails. A zeroed alloc_hook_t is as good. */
void alloc_hook_init(alloc_hook_t *hook);

/* For fluxbp_pool_options_t.allocator; the hook must outlive the pool. */
fluxbp_allocator_t alloc_hook_allocator(alloc_hook_t *hook);

/* The `nth` alloc from now on fails (1: the next one): once, or with all that come after it. */
void alloc_hook_fail_once(alloc_hook_t *hook, uint64_t nth);
void alloc_hook_fail_from(alloc_hook_t *hook, uint64_t nth);

/* Nothing fails any more. */
void alloc_hook_heal(alloc_hook_t *hook);

#endif
