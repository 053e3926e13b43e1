/* SPDX-License-Identifier: MIT */
/*
 * State topics and clients that are behind, while memory is short: they lose nothing.
 */
#include "pool.h"

#include "support/alloc_hook.h"
#include "support/state_fixture.h"

#include <stdlib.h>
#include <string.h>

/* Take all that there is of the budget; returns how many blocks that took. */
static int take_all_memory(fluxbp_pool_t *pool, void **blocks, size_t *sizes, int count) {
  int taken = 0;
  for (size_t size = 65536; size >= 16; size /= 2)
    while (taken < count && fluxbp__pool_alloc(pool, FLUXBP__CONTROL, size, &blocks[taken]) == 0) sizes[taken++] = size;
  assert_in_range(taken, 1, count - 1);
  return taken;
}

/* Rings can't grow while the values of which they have missed a change are staged. */
static void memory_that_is_short_loses_nothing(const fluxbp_transport_t *transport) {
  enum { KEYS = 600, BLOCKS = 4096 };
  static void *blocks[BLOCKS];
  static size_t sizes[BLOCKS];
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_EVICT; rule++) {
    state_world_t *world = state_world_new();
    world->fx.pool_options.max_bytes = 2 << 20;
    world->fx.policy.overflow = (fluxbp_overflow_t) rule;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_refused(world, transport, &fluxbp_codec_newline);
    for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(state_set(world, 0, key, 300), 1);
    int taken = take_all_memory(world->fx.pool, blocks, sizes, BLOCKS);
    assert_int_equal(state_set(world, 0, 1, 0), UV_ENOBUFS); /* nobody gets it, and the older one stays */
    for (int i = 0; i < 50; i++) {
      state_client_read(client, 3000);
      fixture_turns(&world->fx, 1);
    }
    state_client_drain(client);
    state_client_is_whole(world, client);
    while (taken-- > 0) fluxbp__pool_free(world->fx.pool, FLUXBP__CONTROL, blocks[taken], sizes[taken]);
    state_set_all(world, KEYS, 1);
    state_client_drain(client);
    state_client_is_whole(world, client);
    state_world_end(world, client);
  }
}
FIXTURE_BOTH(memory_that_is_short_loses_nothing)

enum { TAKEN_MAX = 256 };

typedef struct taken {
  void *blocks[TAKEN_MAX];
  size_t sizes[TAKEN_MAX];
  size_t count;
} taken_t;

static void take(fluxbp_pool_t *pool, taken_t *taken, size_t size) {
  assert_true(taken->count < TAKEN_MAX);
  taken->sizes[taken->count] = size;
  assert_int_equal(fluxbp__pool_alloc(pool, FLUXBP__CONTROL, size, &taken->blocks[taken->count++]), 0);
}

static void give_back(fluxbp_pool_t *pool, taken_t *taken) {
  while (taken->count > 0) {
    taken->count--;
    fluxbp__pool_free(pool, FLUXBP__CONTROL, taken->blocks[taken->count], taken->sizes[taken->count]);
  }
}

/* Leave nothing in the pool's cache for rings of 128 slots and more. Smaller ones share a class with pressure blocks,
 * of which the cache has enough. */
static void take_cached(fluxbp_pool_t *pool, const alloc_hook_t *hook, taken_t *taken) {
  for (int i = 0; i < 4; i++) take(pool, taken, sizeof(fluxbp__pressure_t));
  give_back(pool, taken);
  for (size_t slots = 128; slots <= 256; slots *= 2) {
    uint64_t allocs = hook->allocs;
    while (hook->allocs == allocs) take(pool, taken, slots * sizeof(void *));
  }
}

/* The kernel refuses in the middle of a walk, and the ring has no slot for the next value. */
static void a_ring_that_cannot_grow_loses_nothing(void **state) {
  enum { KEYS = 600 };
  (void) state;
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_EVICT; rule++) {
    state_world_t *world = state_world_new();
    alloc_hook_t hook;
    alloc_hook_init(&hook);
    world->fx.pool_options.allocator = alloc_hook_allocator(&hook);
    world->fx.policy.slots = 16;
    world->fx.policy.overflow = (fluxbp_overflow_t) rule;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
    for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(state_set(world, 0, key, 300), 1);
    fluxbp_policy_t policy = world->fx.policy;
    policy.slots = 256; /* which its ring hasn't needed so far */
    assert_int_equal(fluxbp_conn_set_policy(client->peer->conn, &policy), 0);
    taken_t taken = {.count = 0};
    take_cached(world->fx.pool, &hook, &taken);
    alloc_hook_fail_from(&hook, 1);
    for (int i = 0; i < 500; i++) {
      state_client_read(client, 1000);
      fixture_turns(&world->fx, 1);
    }
    assert_true(hook.failures > 0);
    alloc_hook_heal(&hook);
    give_back(world->fx.pool, &taken);
    state_client_drain(client);
    state_client_is_whole(world, client);
    state_world_end(world, client);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(memory_that_is_short_loses_nothing),
      cmocka_unit_test(a_ring_that_cannot_grow_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
