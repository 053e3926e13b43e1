/* SPDX-License-Identifier: MIT */
/*
 * memory: blocks count against their share and against the pool, and what was charged is released.
 */
#include "server/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { KIB = 1024, BUDGET = 1024 * KIB, HEADER = 16 };
enum { OWN = BUDGET / 16, HEADS = BUDGET / 16, INPUT = BUDGET / 16 * 3 };

struct fixture {
  fluxbp_pool_t *pool;
  struct memory memory;
};

static void open_memory(struct fixture *f) {
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = BUDGET;
  memset(f, 0, sizeof *f);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  assert_int_equal(memory_init(&f->memory, f->pool), 0);
}

static void close_memory(struct fixture *f) {
  memory_end(&f->memory);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0); /* nothing is reserved any more */
}

static uint64_t reserved_in(const struct fixture *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  return stats.reserved_bytes;
}

static uint64_t used_of(const struct fixture *f) {
  struct memory_stats stats;
  memory_get_stats(&f->memory, &stats);
  return stats.used_bytes;
}

static uint64_t refused_of(const struct fixture *f) {
  struct memory_stats stats;
  memory_get_stats(&f->memory, &stats);
  return stats.refused;
}

static void memory_counts_a_block_with_its_header_until_it_is_freed(void **state) {
  (void) state;
  struct fixture f;
  fluxbp_pool_stats_t pool;
  open_memory(&f);
  char *block = memory_alloc(&f.memory, MEMORY_INPUT, 1000);
  assert_non_null(block);
  for (int i = 0; i < 1000; i++) assert_int_equal(block[i], 0);
  assert_int_equal(used_of(&f), 1000 + HEADER);
  memory_get_pool_stats(&f.memory, &pool);
  assert_int_equal(pool.used_bytes, 1000 + HEADER);

  memset(block, 'a', 1000);
  block = memory_resize(&f.memory, MEMORY_INPUT, block, 100000);
  assert_int_equal(block[999], 'a');
  assert_int_equal(used_of(&f), 100000 + HEADER);
  block = memory_resize(&f.memory, MEMORY_INPUT, block, 10);
  assert_int_equal(block[9], 'a');
  assert_int_equal(used_of(&f), 10 + HEADER);

  char *copy = memory_copy(&f.memory, MEMORY_HEADS, "name", 4);
  assert_string_equal(copy, "name");
  memory_free(copy);
  memory_free(block);
  memory_free(NULL);
  assert_int_equal(used_of(&f), 0);
  memory_get_pool_stats(&f.memory, &pool);
  assert_int_equal(pool.used_bytes, 0);
  assert_int_equal(reserved_in(&f), OWN);
  close_memory(&f);
}

static void memory_without_an_account_is_counted_nowhere(void **state) {
  (void) state;
  char *block = memory_resize(NULL, MEMORY_INPUT, NULL, 10);
  assert_non_null(block);
  block = memory_resize(NULL, MEMORY_INPUT, block, 1000);
  assert_non_null(block);
  memory_free(block);
  assert_true(memory_charge(NULL, MEMORY_INPUT, SIZE_MAX));
  memory_discharge(NULL, MEMORY_INPUT, SIZE_MAX);
}

static void memory_gives_input_its_share_and_leaves_heads_theirs(void **state) {
  (void) state;
  struct fixture f;
  open_memory(&f);
  void *input = memory_alloc(&f.memory, MEMORY_INPUT, INPUT - HEADER);
  assert_non_null(input);
  assert_null(memory_alloc(&f.memory, MEMORY_INPUT, 1));
  assert_null(memory_resize(&f.memory, MEMORY_INPUT, input, INPUT - HEADER + 1));
  assert_int_equal(refused_of(&f), 2);
  assert_int_equal(used_of(&f), INPUT);
  void *heads = memory_alloc(&f.memory, MEMORY_HEADS, HEADS - HEADER);
  assert_non_null(heads);
  assert_false(memory_charge(&f.memory, MEMORY_HEADS, 1));
  assert_int_equal(reserved_in(&f), INPUT + HEADS);
  memory_free(input);
  memory_free(heads);
  assert_int_equal(reserved_in(&f), OWN);
  close_memory(&f);
}

static void memory_has_a_part_that_messages_can_not_fill(void **state) {
  (void) state;
  struct fixture f;
  open_memory(&f);
  uint64_t rest = BUDGET / 16 * 15 - OWN;
  assert_int_equal(fluxbp_pool_reserve(f.pool, rest), 0); /* as messages do */
  assert_true(memory_charge(&f.memory, MEMORY_INPUT, INPUT / 4));
  assert_false(memory_charge(&f.memory, MEMORY_INPUT, 1)); /* the pool refuses it */
  assert_true(memory_charge(&f.memory, MEMORY_HEADS, HEADS / 4));
  assert_false(memory_charge(&f.memory, MEMORY_HEADS, 1));
  fluxbp_pool_release(f.pool, rest);
  assert_true(memory_charge(&f.memory, MEMORY_INPUT, 1));
  memory_discharge(&f.memory, MEMORY_INPUT, INPUT / 4 + 1);
  memory_discharge(&f.memory, MEMORY_HEADS, HEADS / 4);
  close_memory(&f);
}

/* Blocks of all sizes come and go: the account is the sum of those that are there. */
static void memory_is_the_sum_of_its_blocks_whatever_happens(void **state) {
  (void) state;
  struct fixture f;
  open_memory(&f);
  enum { LIVE = 40 };
  struct {
    void *block;
    size_t size;
  } live[LIVE] = {0};
  uint32_t random = 4711;
  uint64_t used = 0, refused = 0;
  for (int turn = 0; turn < 50000; turn++) {
    random = random * 1664525u + 1013904223u;
    unsigned i = (random >> 8) % LIVE;
    enum memory_kind kind = i % 4 == 0 ? MEMORY_HEADS : MEMORY_INPUT;
    size_t size = (random >> 14) % (16 * KIB);
    if (live[i].block != NULL && random >> 31) {
      memory_free(live[i].block);
      used -= live[i].size + HEADER;
      live[i].block = NULL;
    } else {
      void *moved = memory_resize(&f.memory, kind, live[i].block, size);
      refused += moved == NULL;
      if (moved != NULL && live[i].block == NULL) used += HEADER;
      if (moved != NULL) used += size - (live[i].block != NULL ? live[i].size : 0);
      if (moved != NULL) live[i].block = moved, live[i].size = size;
    }
    assert_int_equal(used_of(&f), used);
    assert_true(used <= INPUT + HEADS);
    assert_true(reserved_in(&f) >= used && reserved_in(&f) <= used + OWN);
  }
  assert_int_equal(refused_of(&f), refused);
  assert_true(refused > 100); /* the test has been at the limit */
  for (int i = 0; i < LIVE; i++) memory_free(live[i].block);
  assert_int_equal(used_of(&f), 0);
  assert_int_equal(reserved_in(&f), OWN);
  close_memory(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_counts_a_block_with_its_header_until_it_is_freed),
      cmocka_unit_test(memory_without_an_account_is_counted_nowhere),
      cmocka_unit_test(memory_gives_input_its_share_and_leaves_heads_theirs),
      cmocka_unit_test(memory_has_a_part_that_messages_can_not_fill),
      cmocka_unit_test(memory_is_the_sum_of_its_blocks_whatever_happens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
