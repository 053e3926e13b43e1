/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the ring share: a ring with a pool that counts, and short words for pushing and checking.
 */
#ifndef FLUXBP_TESTS_RING_FIXTURE_H
#define FLUXBP_TESTS_RING_FIXTURE_H

#include "pool.h"
#include "ring.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_ring_t *ring;
} fixture_t;

fluxbp_policy_t policy_of(uint32_t slots, uint64_t max_bytes);
void open_ring_in(fixture_t *f, uint64_t budget, const fluxbp_policy_t *policy);
void open_ring(fixture_t *f, uint32_t slots, uint64_t max_bytes);
void close_ring(fixture_t *f);
uint64_t used_bytes(const fixture_t *f);
fluxbp_frame_t *frame_of(fixture_t *f, uint64_t id, size_t len);
int push_bytes(fixture_t *f, uint64_t id, size_t len);
int push(fixture_t *f, uint64_t id);
int push_or_drop_bytes(fixture_t *f, uint64_t id, size_t len, fluxbp_overflow_t rule);
int push_or_drop(fixture_t *f, uint64_t id, fluxbp_overflow_t rule);
void fill(fixture_t *f, uint64_t first_id, uint64_t last_id);
void assert_pops(fixture_t *f, uint64_t id);
void assert_pops_gap(fixture_t *f, uint64_t first_id, uint64_t last_id, uint64_t count);
void assert_is_empty(fixture_t *f);

#endif
