/* SPDX-License-Identifier: MIT */
/*
 * pool: size classes, the hard budget, the caches, and who frees the pool.
 */
#include "pool.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024, BUDGET = 64 * KIB };

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
} fixture_t;

static int make_pool(fixture_t *f, uint64_t max_bytes) {
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = max_bytes;
  options.allocator = alloc_hook_allocator(&f->hook);
  return fluxbp_pool_create(&options, &f->pool);
}

static void open_pool(fixture_t *f, uint64_t max_bytes) {
  assert_int_equal(make_pool(f, max_bytes), 0);
}

static void close_pool(fixture_t *f) {
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
  assert_int_equal(f->hook.live_bytes, 0);
}

static fluxbp_pool_stats_t stats_of(const fixture_t *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  assert_int_equal(fluxbp_pool_used_bytes(f->pool), stats.used_bytes);
  return stats;
}

static void *take(fixture_t *f, fluxbp__block_t kind, size_t size) {
  void *memory = NULL;
  assert_int_equal(fluxbp__pool_alloc(f->pool, kind, size, &memory), 0);
  memset(memory, 0x5a, size);
  return memory;
}

static int try_to_take(fixture_t *f, fluxbp__block_t kind, size_t size) {
  void *memory;
  int err = fluxbp__pool_alloc(f->pool, kind, size, &memory);
  if (err == 0) fluxbp__pool_free(f->pool, kind, memory, size);
  return err;
}

/* ---- size classes ---- */

static void pool_blocks_waste_a_quarter_of_the_request_at_most(void **state) {
  (void) state;
  size_t last = 0;
  for (size_t size = 1; size <= 2 * MIB; size += size < 8 * KIB ? 1 : 61) {
    size_t block = fluxbp__pool_block_size(size);
    assert_true(block >= size);
    assert_true(block >= last);
    if (size > 64) assert_true((block - size) * 4 <= size);
    assert_int_equal(fluxbp__pool_block_size(block), block); /* a class is its own class */
    last = block;
  }
}

static void pool_blocks_have_four_classes_to_a_doubling(void **state) {
  (void) state;
  assert_int_equal(fluxbp__pool_block_size(0), 64);
  assert_int_equal(fluxbp__pool_block_size(1), 64);
  assert_int_equal(fluxbp__pool_block_size(64), 64);
  assert_int_equal(fluxbp__pool_block_size(65), 80);
  assert_int_equal(fluxbp__pool_block_size(80), 80);
  assert_int_equal(fluxbp__pool_block_size(81), 96);
  assert_int_equal(fluxbp__pool_block_size(97), 112);
  assert_int_equal(fluxbp__pool_block_size(113), 128);
  assert_int_equal(fluxbp__pool_block_size(128), 128);
  assert_int_equal(fluxbp__pool_block_size(129), 160);
  assert_int_equal(fluxbp__pool_block_size(MIB - 1), MIB);
  assert_int_equal(fluxbp__pool_block_size(MIB), MIB);
  assert_int_equal(fluxbp__pool_block_size(MIB + 1), MIB + 1); /* too rare to be rounded and cached */
  assert_int_equal(fluxbp__pool_block_size(SIZE_MAX), SIZE_MAX);
}

/* ---- the budget ---- */

static void pool_counts_a_block_with_its_class_size_until_it_is_freed(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *payload = take(&f, FLUXBP__PAYLOAD, 65);
  void *control = take(&f, FLUXBP__CONTROL, 129);

  fluxbp_pool_stats_t stats = stats_of(&f);
  assert_int_equal(stats.max_bytes, BUDGET);
  assert_int_equal(stats.used_bytes, 80 + 160);
  assert_int_equal(stats.payload_bytes, 80);
  assert_int_equal(stats.held_bytes, 80 + 160);

  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, payload, 65);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, control, 129);
  stats = stats_of(&f);
  assert_int_equal(stats.used_bytes, 0);
  assert_int_equal(stats.payload_bytes, 0);
  assert_int_equal(stats.held_bytes, 80 + 160); /* cached */
  assert_int_equal(stats.peak_used_bytes, 80 + 160);
  close_pool(&f);
}

static void pool_refuses_one_byte_over_the_budget_and_counts_it(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *most = take(&f, FLUXBP__CONTROL, BUDGET - 8 * KIB);

  assert_int_equal(try_to_take(&f, FLUXBP__CONTROL, 8 * KIB + 1), UV_ENOBUFS);
  assert_int_equal(stats_of(&f).refused, 1);
  assert_int_equal(try_to_take(&f, FLUXBP__CONTROL, 8 * KIB), 0);
  assert_int_equal(stats_of(&f).refused, 1);

  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, most, BUDGET - 8 * KIB);
  close_pool(&f);
}

static void pool_leaves_something_to_what_gets_rid_of_messages(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  enum { BLOCK = BUDGET / 16 };
  void *messages[15];
  for (int i = 0; i < 15; i++) messages[i] = take(&f, FLUXBP__MESSAGE, BLOCK);

  assert_int_equal(try_to_take(&f, FLUXBP__MESSAGE, 1), UV_ENOBUFS);
  void *encoded = take(&f, FLUXBP__PAYLOAD, BLOCK / 2);
  assert_int_equal(try_to_take(&f, FLUXBP__PAYLOAD, 1), UV_ENOBUFS);
  void *control = take(&f, FLUXBP__CONTROL, BLOCK / 2);
  assert_int_equal(stats_of(&f).used_bytes, BUDGET);
  assert_int_equal(stats_of(&f).payload_bytes, BUDGET - BLOCK / 2);
  assert_int_equal(try_to_take(&f, FLUXBP__CONTROL, 1), UV_ENOBUFS);
  assert_int_equal(stats_of(&f).refused, 3);

  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, control, BLOCK / 2);
  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, encoded, BLOCK / 2);
  for (int i = 0; i < 15; i++) fluxbp__pool_free(f.pool, FLUXBP__MESSAGE, messages[i], BLOCK);
  assert_int_equal(stats_of(&f).payload_bytes, 0);
  close_pool(&f);
}

static void pool_lets_control_take_all_of_the_budget(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *all = take(&f, FLUXBP__CONTROL, BUDGET);
  assert_int_equal(stats_of(&f).used_bytes, BUDGET);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, all, BUDGET);
  close_pool(&f);
}

static void pool_refuses_sizes_that_no_budget_has(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  assert_int_equal(try_to_take(&f, FLUXBP__PAYLOAD, SIZE_MAX), UV_ENOBUFS);
  assert_int_equal(try_to_take(&f, FLUXBP__CONTROL, SIZE_MAX), UV_ENOBUFS);
  assert_int_equal(stats_of(&f).held_bytes, 0);
  close_pool(&f);
}

static void pool_gives_cached_blocks_back_to_make_room_for_another_class(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  enum { SMALL = 128, COUNT = BUDGET / SMALL };
  void *small[COUNT];
  for (int i = 0; i < COUNT; i++) small[i] = take(&f, FLUXBP__CONTROL, SMALL);
  for (int i = 0; i < COUNT; i++) fluxbp__pool_free(f.pool, FLUXBP__CONTROL, small[i], SMALL);
  assert_int_equal(stats_of(&f).held_bytes, BUDGET); /* all cached, in the wrong size */

  void *large = take(&f, FLUXBP__CONTROL, BUDGET / 2);
  assert_true(stats_of(&f).held_bytes <= BUDGET);
  assert_int_equal(stats_of(&f).used_bytes, BUDGET / 2);

  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, large, BUDGET / 2);
  close_pool(&f);
}

static void pool_never_holds_more_than_the_budget_whatever_the_mix_of_sizes(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  uint64_t pool_itself = f.hook.live_bytes;
  enum { LIVE = 64 };
  struct {
    void *memory;
    size_t size;
    fluxbp__block_t kind;
  } live[LIVE] = {0};
  uint32_t random = 12345;
  uint64_t used = 0;
  uint64_t refused = 0;
  for (int turn = 0; turn < 50000; turn++) {
    random = random * 1664525u + 1013904223u;
    unsigned i = (random >> 8) % LIVE;
    if (live[i].memory != NULL) {
      used -= fluxbp__pool_block_size(live[i].size);
      fluxbp__pool_free(f.pool, live[i].kind, live[i].memory, live[i].size);
      live[i].memory = NULL;
    } else {
      live[i].size = 1 + (random >> 14) % (turn % 1000 < 500 ? 512 : 8 * KIB);
      live[i].kind = random >> 31 ? FLUXBP__PAYLOAD : FLUXBP__CONTROL;
      int err = fluxbp__pool_alloc(f.pool, live[i].kind, live[i].size, &live[i].memory);
      if (err == 0) {
        used += fluxbp__pool_block_size(live[i].size);
      } else {
        assert_int_equal(err, UV_ENOBUFS);
        live[i].memory = NULL;
        refused++;
      }
    }
    fluxbp_pool_stats_t stats = stats_of(&f);
    assert_int_equal(stats.used_bytes, used);
    assert_true(stats.held_bytes >= stats.used_bytes);
    assert_true(stats.held_bytes <= BUDGET);
    assert_int_equal(stats.held_bytes, f.hook.live_bytes - pool_itself); /* it says the truth */
    assert_true(stats.payload_bytes <= BUDGET / 16 * 15);
  }
  assert_int_equal(stats_of(&f).refused, refused);
  assert_true(refused > 100); /* the test has been at the limit */
  for (int i = 0; i < LIVE; i++) fluxbp__pool_free(f.pool, live[i].kind, live[i].memory, live[i].size);
  close_pool(&f);
}

/* ---- reservations ---- */

static void pool_counts_what_the_program_reserves_until_it_is_released(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *cached = take(&f, FLUXBP__CONTROL, BUDGET);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, cached, BUDGET); /* its place is needed */

  assert_int_equal(fluxbp_pool_reserve(f.pool, 0), UV_EINVAL);
  assert_int_equal(fluxbp_pool_reserve(f.pool, 1000), 0);
  assert_int_equal(fluxbp_pool_reserve(f.pool, 1), 0);
  fluxbp_pool_stats_t stats = stats_of(&f);
  assert_int_equal(stats.reserved_bytes, 1001);
  assert_int_equal(stats.payload_bytes, 1001);
  assert_int_equal(stats.used_bytes, 1001);
  assert_int_equal(stats.held_bytes, 1001);
  assert_int_equal(stats.peak_used_bytes, BUDGET);
  assert_int_equal(fluxbp_pool_destroy(f.pool), UV_EBUSY);

  fluxbp_pool_release(f.pool, 1000);
  assert_int_equal(stats_of(&f).reserved_bytes, 1);
  fluxbp_pool_release(f.pool, 1);
  assert_int_equal(stats_of(&f).used_bytes, 0);
  assert_int_equal(stats_of(&f).held_bytes, 0);
  close_pool(&f);
}

static void pool_reserves_no_more_than_messages_may_take(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *message = take(&f, FLUXBP__MESSAGE, 8 * KIB);
  uint64_t most = BUDGET / 16 * 15 - 8 * KIB;
  assert_int_equal(fluxbp_pool_reserve(f.pool, most + 1), UV_ENOBUFS);
  assert_int_equal(fluxbp_pool_reserve(f.pool, UINT64_MAX), UV_ENOBUFS);
  assert_int_equal(stats_of(&f).refused, 2);
  assert_int_equal(fluxbp_pool_reserve(f.pool, most), 0);
  assert_int_equal(try_to_take(&f, FLUXBP__MESSAGE, 1), UV_ENOBUFS);
  assert_int_equal(try_to_take(&f, FLUXBP__PAYLOAD, BUDGET / 32), 0); /* what is there can still be sent */
  fluxbp_pool_release(f.pool, most);
  fluxbp__pool_free(f.pool, FLUXBP__MESSAGE, message, 8 * KIB);
  close_pool(&f);
}

/* ---- the allocator ---- */

static void pool_says_enomem_when_the_allocator_refuses(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(try_to_take(&f, FLUXBP__PAYLOAD, 100), UV_ENOMEM);
  assert_int_equal(stats_of(&f).used_bytes, 0);
  assert_int_equal(stats_of(&f).held_bytes, 0);
  assert_int_equal(stats_of(&f).refused, 0); /* that counts the budget alone */
  assert_int_equal(try_to_take(&f, FLUXBP__PAYLOAD, 100), 0);

  alloc_hook_fail_once(&f.hook, 1);
  assert_null(fluxbp__pool_alloc_object(f.pool, 100));
  close_pool(&f); /* the object that never was doesn't keep it busy */
}

static void pool_creation_says_enomem_when_the_allocator_refuses(void **state) {
  (void) state;
  alloc_hook_t hook = {0};
  alloc_hook_fail_from(&hook, 1);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&hook);
  fluxbp_pool_t *pool;
  assert_int_equal(fluxbp_pool_create(&options, &pool), UV_ENOMEM);
  assert_int_equal(hook.live_blocks, 0);
}

static void pool_creation_refuses_wrong_options(void **state) {
  (void) state;
  fluxbp_pool_t *pool;
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  assert_int_equal(options.max_bytes, 256 * (uint64_t) MIB);
  assert_int_equal(fluxbp_pool_create(&options, NULL), UV_EINVAL);

  options.max_bytes = 0;
  assert_int_equal(fluxbp_pool_create(&options, &pool), UV_EINVAL);

  fluxbp_pool_options_init(&options);
  options.allocator.alloc = NULL;
  assert_int_equal(fluxbp_pool_create(&options, &pool), UV_EINVAL);

  fluxbp_pool_options_init(&options);
  options.allocator.free = NULL;
  assert_int_equal(fluxbp_pool_create(&options, &pool), UV_EINVAL);
}

static void pool_without_options_has_the_documented_budget(void **state) {
  (void) state;
  fixture_t f;
  assert_int_equal(fluxbp_pool_create(NULL, &f.pool), 0);
  assert_int_equal(stats_of(&f).max_bytes, 256 * (uint64_t) MIB);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, take(&f, FLUXBP__CONTROL, 100), 100);
  assert_int_equal(fluxbp_pool_destroy(f.pool), 0);
}

static void pool_calls_the_allocator_not_once_after_a_warm_up(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, MIB);
  static const size_t sizes[] = {40, 65, 120, 1000, 1400, 4096, 70000};
  enum { COUNT = sizeof sizes / sizeof sizes[0] };
  void *blocks[COUNT];
  uint64_t calls = 0;
  for (int round = 0; round < 100; round++) {
    for (int i = 0; i < COUNT; i++) blocks[i] = take(&f, FLUXBP__PAYLOAD, sizes[i] - (size_t) (round % 5));
    for (int i = 0; i < COUNT; i++)
      fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, blocks[i], sizes[i] - (size_t) (round % 5));
    if (round == 4) calls = f.hook.allocs + f.hook.frees;
  }
  assert_int_equal(f.hook.allocs + f.hook.frees, calls);
  assert_int_equal(stats_of(&f).allocator_calls, calls);
  close_pool(&f);
}

static void pool_gives_large_blocks_straight_back(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, 8 * MIB);
  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, take(&f, FLUXBP__PAYLOAD, MIB + 1), MIB + 1);
  assert_int_equal(stats_of(&f).held_bytes, 0);
  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, take(&f, FLUXBP__PAYLOAD, MIB), MIB);
  assert_int_equal(stats_of(&f).held_bytes, MIB);
  close_pool(&f);
}

static void pool_trim_gives_back_what_is_cached_and_keeps_what_is_used(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  char *used = take(&f, FLUXBP__PAYLOAD, 100);
  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, take(&f, FLUXBP__PAYLOAD, 100), 100);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, take(&f, FLUXBP__CONTROL, 5000), 5000);

  fluxbp_pool_trim(f.pool);
  assert_int_equal(stats_of(&f).held_bytes, 112);
  assert_int_equal(stats_of(&f).used_bytes, 112);
  assert_int_equal(f.hook.live_blocks, 2); /* the pool and the block */
  assert_int_equal(used[99], 0x5a);

  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, used, 100);
  close_pool(&f);
}

static void pool_with_an_unlimited_budget_gives_everything_back(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, UINT64_MAX);
  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, take(&f, FLUXBP__PAYLOAD, 100), 100);
  fluxbp_pool_trim(f.pool);
  assert_int_equal(stats_of(&f).held_bytes, 0);
  close_pool(&f);
}

static void pool_objects_are_zeroed_and_outside_of_the_budget(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, 1);
  unsigned char *object = fluxbp__pool_alloc_object(f.pool, 1000);
  assert_non_null(object);
  for (int i = 0; i < 1000; i++) assert_int_equal(object[i], 0);
  assert_int_equal(stats_of(&f).used_bytes, 0);
  assert_int_equal(fluxbp_pool_destroy(f.pool), UV_EBUSY);
  fluxbp__pool_free_object(f.pool, object, 1000);
  close_pool(&f);
}

/* ---- its end ---- */

static void pool_with_a_live_block_is_busy_and_stays_usable(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *live = take(&f, FLUXBP__CONTROL, 100);
  assert_int_equal(fluxbp_pool_destroy(f.pool), UV_EBUSY);
  assert_int_equal(try_to_take(&f, FLUXBP__PAYLOAD, 200), 0);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, live, 100);
  close_pool(&f);
}

static void pool_orphan_goes_at_once_when_nothing_is_in_use(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  assert_int_equal(try_to_take(&f, FLUXBP__CONTROL, 100), 0); /* something is cached */
  fluxbp__pool_orphan(f.pool);
  assert_int_equal(f.hook.live_blocks, 0);
}

static void pool_orphan_goes_with_its_last_block_or_object(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f, BUDGET);
  void *first = take(&f, FLUXBP__PAYLOAD, 100);
  void *second = take(&f, FLUXBP__CONTROL, 3000);
  void *object = fluxbp__pool_alloc_object(f.pool, 50);
  assert_non_null(object);

  fluxbp__pool_orphan(f.pool);
  fluxbp__pool_free(f.pool, FLUXBP__PAYLOAD, first, 100);
  assert_true(f.hook.live_blocks > 0);
  fluxbp__pool_free_object(f.pool, object, 50);
  assert_true(f.hook.live_blocks > 0);
  fluxbp__pool_free(f.pool, FLUXBP__CONTROL, second, 3000);
  assert_int_equal(f.hook.live_blocks, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pool_blocks_waste_a_quarter_of_the_request_at_most),
      cmocka_unit_test(pool_blocks_have_four_classes_to_a_doubling),
      cmocka_unit_test(pool_counts_a_block_with_its_class_size_until_it_is_freed),
      cmocka_unit_test(pool_refuses_one_byte_over_the_budget_and_counts_it),
      cmocka_unit_test(pool_leaves_something_to_what_gets_rid_of_messages),
      cmocka_unit_test(pool_lets_control_take_all_of_the_budget),
      cmocka_unit_test(pool_refuses_sizes_that_no_budget_has),
      cmocka_unit_test(pool_gives_cached_blocks_back_to_make_room_for_another_class),
      cmocka_unit_test(pool_never_holds_more_than_the_budget_whatever_the_mix_of_sizes),
      cmocka_unit_test(pool_counts_what_the_program_reserves_until_it_is_released),
      cmocka_unit_test(pool_reserves_no_more_than_messages_may_take),
      cmocka_unit_test(pool_says_enomem_when_the_allocator_refuses),
      cmocka_unit_test(pool_creation_says_enomem_when_the_allocator_refuses),
      cmocka_unit_test(pool_creation_refuses_wrong_options),
      cmocka_unit_test(pool_without_options_has_the_documented_budget),
      cmocka_unit_test(pool_calls_the_allocator_not_once_after_a_warm_up),
      cmocka_unit_test(pool_gives_large_blocks_straight_back),
      cmocka_unit_test(pool_trim_gives_back_what_is_cached_and_keeps_what_is_used),
      cmocka_unit_test(pool_with_an_unlimited_budget_gives_everything_back),
      cmocka_unit_test(pool_objects_are_zeroed_and_outside_of_the_budget),
      cmocka_unit_test(pool_with_a_live_block_is_busy_and_stays_usable),
      cmocka_unit_test(pool_orphan_goes_at_once_when_nothing_is_in_use),
      cmocka_unit_test(pool_orphan_goes_with_its_last_block_or_object),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
