/* SPDX-License-Identifier: MIT */
/*
 * backbone_blocks: what is found, what has to go, and what is wanted next.
 */
#include "gateway/backbone_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
  fluxbp_pool_t *pool;
  struct blocks blocks;
};

static int set_up(void **state) {
  static struct fixture fixture;
  fixture = (struct fixture){0};
  assert_int_equal(fluxbp_pool_create(NULL, &fixture.pool), 0);
  *state = &fixture;
  return 0;
}

/* The pool would tell if a message wasn't given back. */
static int tear_down(void **state) {
  struct fixture *f = *state;
  blocks_clear(&f->blocks);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  return 0;
}

/* A block with one message, its last. */
static void keep(struct fixture *f, uint64_t first, uint64_t end, size_t most) {
  fluxbp_msg_t *msg;
  struct block *block = block_create(first);
  assert_non_null(block);
  assert_int_equal(fluxbp_msg_create(f->pool, "x", 1, &msg), 0);
  block_add(block, end - 1, 7, msg);
  block->end = end;
  blocks_keep(&f->blocks, block, most);
  block_unref(block);
}

static bool has(struct fixture *f, uint64_t id) {
  struct block *block = blocks_find(&f->blocks, id);
  if (block != NULL) assert_true(block->first <= id && id < block->end);
  block_unref(block);
  return block != NULL;
}

static void a_block_is_found_by_any_id_of_its_range(void **state) {
  struct fixture *f = *state;
  keep(f, 128, 300, BLOCKS_KEPT);
  keep(f, 300, 301, BLOCKS_KEPT);
  assert_false(has(f, 127));
  assert_true(has(f, 128));
  assert_true(has(f, 299));
  assert_true(has(f, 300));
  assert_false(has(f, 301));
}

static void those_used_least_recently_go(void **state) {
  struct fixture *f = *state;
  for (uint64_t i = 0; i < BLOCKS_KEPT; i++) keep(f, i, i + 1, BLOCKS_KEPT);
  assert_true(has(f, 0));
  keep(f, 1000, 1001, BLOCKS_KEPT);
  assert_true(has(f, 0));
  assert_false(has(f, 1));
  keep(f, 2000, 2001, 2); /* memory is short: one besides it */
  assert_int_equal(f->blocks.count, 2);
  assert_true(has(f, 2000));
  assert_true(has(f, 0));
  keep(f, 3000, 3001, 0); /* at least this one */
  assert_int_equal(f->blocks.count, 1);
  assert_true(has(f, 3000));
}

static void a_block_in_use_outlives_its_place(void **state) {
  struct fixture *f = *state;
  keep(f, 5, 6, BLOCKS_KEPT);
  struct block *block = blocks_find(&f->blocks, 5);
  blocks_clear(&f->blocks);
  assert_false(has(f, 5));
  assert_int_equal(fluxbp_pool_destroy(f->pool), UV_EBUSY);
  assert_int_equal(block->messages[0].id, 5);
  assert_int_equal(block->messages[0].topic, 7);
  block_unref(block);
}

static void what_is_wanted_comes_in_order_and_once(void **state) {
  struct fixture *f = *state;
  uint64_t id;
  assert_false(blocks_take_wanted(&f->blocks, &id));
  for (uint64_t i = 0; i < 3; i++) {
    blocks_want(&f->blocks, 10 * i);
    blocks_want(&f->blocks, 10 * i);
  }
  assert_true(blocks_take_wanted(&f->blocks, &id));
  assert_int_equal(id, 0);
  keep(f, 10, 15, BLOCKS_KEPT); /* it has come in the meantime */
  assert_true(blocks_take_wanted(&f->blocks, &id));
  assert_int_equal(id, 20);
  assert_false(blocks_take_wanted(&f->blocks, &id));
}

static void too_many_wanted_are_left_out(void **state) {
  struct fixture *f = *state;
  uint64_t id;
  blocks_want(&f->blocks, 1);
  assert_true(blocks_take_wanted(&f->blocks, &id)); /* so that they wrap around */
  for (uint64_t i = 0; i < BLOCKS_WANTED + 10; i++) blocks_want(&f->blocks, i);
  for (uint64_t i = 0; i < BLOCKS_WANTED; i++) {
    assert_true(blocks_take_wanted(&f->blocks, &id));
    assert_int_equal(id, i);
  }
  assert_false(blocks_take_wanted(&f->blocks, &id));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_block_is_found_by_any_id_of_its_range, set_up, tear_down),
      cmocka_unit_test_setup_teardown(those_used_least_recently_go, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_block_in_use_outlives_its_place, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_wanted_comes_in_order_and_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(too_many_wanted_are_left_out, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
