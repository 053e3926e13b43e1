/* SPDX-License-Identifier: MIT */
/*
 * backbone_blocks: what is found, what has to go, and whose turn it is.
 */
#include "nats/backbone_blocks.h"

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
  blocks_init(&fixture.blocks);
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
static struct block *make(struct fixture *f, uint64_t first, uint64_t end) {
  fluxbp_msg_t *msg;
  struct block *block = block_create(first);
  assert_non_null(block);
  assert_int_equal(fluxbp_msg_create(f->pool, "x", 1, &msg), 0);
  block_add(block, end - 1, 7, msg);
  block->end = end;
  return block;
}

/* What the fetcher does: false if nothing is to be fetched. The block is that of the id alone. */
static bool fetch(struct fixture *f, size_t most, uint64_t *id) {
  if (!blocks_next_wanted(&f->blocks, most, id)) return false;
  struct block *block = make(f, *id, *id + 1);
  blocks_keep(&f->blocks, block);
  block_unref(block);
  return true;
}

static void expect_fetched(struct fixture *f, uint64_t wanted) {
  uint64_t id;
  assert_true(fetch(f, BLOCKS_KEPT, &id));
  assert_int_equal(id, wanted);
}

static bool get(struct fixture *f, struct block_want *want, uint64_t id) {
  struct block *block = blocks_get(&f->blocks, want, id);
  if (block != NULL) assert_true(block->first <= id && id < block->end);
  block_unref(block);
  return block != NULL;
}

/* For somebody who doesn't wait for it. */
static bool has(struct fixture *f, uint64_t id) {
  struct block_want want = {.block = NULL};
  bool is_there = get(f, &want, id);
  block_want_forget(&want);
  return is_there;
}

/* One that nobody is waiting for. */
static void keep(struct fixture *f, uint64_t first, uint64_t end, size_t most) {
  struct block_want want = {.block = NULL};
  uint64_t id;
  assert_false(get(f, &want, first));
  assert_true(blocks_next_wanted(&f->blocks, most, &id));
  assert_int_equal(id, first);
  struct block *block = make(f, first, end);
  blocks_keep(&f->blocks, block);
  block_unref(block);
  assert_true(get(f, &want, first));
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

static void what_has_gone_from_the_stream_is_cut_off(void **state) {
  struct fixture *f = *state;
  struct block *block = make(f, 100, 110); /* 109 */
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, "y", 1, &msg), 0);
  block_add(block, 120, 7, msg);
  block->end = 121;
  block_trim(block, 99);
  assert_int_equal(block->first, 100);
  block_trim(block, 109);
  assert_int_equal(block->first, 109);
  assert_int_equal(block->count, 2);
  block_trim(block, 110);
  assert_int_equal(block->first, 110);
  assert_int_equal(block->count, 1);
  assert_int_equal(block->messages[0].id, 120);
  block_unref(block); /* and the pool finds that nothing is left */
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
  keep(f, 3000, 3001, 1);
  assert_int_equal(f->blocks.count, 1);
  assert_true(has(f, 3000));
}

static void a_block_in_use_outlives_its_place(void **state) {
  struct fixture *f = *state;
  struct block_want want = {.block = NULL};
  keep(f, 5, 6, BLOCKS_KEPT);
  struct block *block = blocks_get(&f->blocks, &want, 5);
  blocks_clear(&f->blocks);
  assert_false(has(f, 5));
  assert_int_equal(fluxbp_pool_destroy(f->pool), UV_EBUSY);
  assert_int_equal(block->messages[0].id, 5);
  assert_int_equal(block->messages[0].topic, 7);
  block_unref(block);
}

static void what_is_wanted_comes_in_order_and_once(void **state) {
  struct fixture *f = *state;
  struct block_want wants[4] = {{.id = 0}};
  uint64_t id;
  assert_false(fetch(f, BLOCKS_KEPT, &id));
  for (uint64_t i = 0; i < 3; i++) {
    assert_false(get(f, &wants[i], 10 * i));
    assert_false(get(f, &wants[i], 10 * i));
  }
  assert_false(get(f, &wants[3], 0)); /* as another one does */
  for (uint64_t i = 0; i < 3; i++) expect_fetched(f, 10 * i);
  assert_false(fetch(f, BLOCKS_KEPT, &id));
  for (uint64_t i = 0; i < 4; i++) assert_true(get(f, &wants[i], 10 * i % 30));
}

/* However many others there are, and whatever they want. */
static void who_wants_most_waits_behind_who_has_waited_longer(void **state) {
  enum { MANY = 1000 };
  static struct block_want greedy[MANY], late;
  struct fixture *f = *state;
  uint64_t next = 1;
  uint64_t id;
  for (size_t i = 0; i < MANY; i++) assert_false(get(f, &greedy[i], next++));
  assert_false(get(f, &late, 1000000));
  size_t fetched = 0;
  for (size_t i = 0; !get(f, &late, 1000000); i = (i + 1) % MANY) {
    assert_true(fetch(f, BLOCKS_KEPT, &id));
    fetched++;
    if (get(f, &greedy[i], greedy[i].id)) assert_false(get(f, &greedy[i], next++)); /* and on it goes */
  }
  assert_int_equal(fetched, MANY + 1);
  for (size_t i = 0; i < MANY; i++) block_want_forget(&greedy[i]);
}

static void a_block_waits_for_who_wanted_it(void **state) {
  static struct block_want wants[BLOCKS_KEPT + 10];
  struct fixture *f = *state;
  uint64_t id;
  for (uint64_t i = 0; i < BLOCKS_KEPT + 10; i++) assert_false(get(f, &wants[i], i));
  for (uint64_t i = 0; i < BLOCKS_KEPT; i++) expect_fetched(f, i);
  assert_false(fetch(f, BLOCKS_KEPT, &id)); /* there is no place for more */
  blocks_drop_unused(&f->blocks);
  assert_true(get(f, &wants[7], 7)); /* somebody comes for one, and makes a place */
  block_want_forget(&wants[8]);      /* or doesn't want it any more */
  expect_fetched(f, BLOCKS_KEPT);
  expect_fetched(f, BLOCKS_KEPT + 1);
  assert_false(fetch(f, BLOCKS_KEPT, &id));
  assert_true(get(f, &wants[0], 0));
  assert_false(has(f, 7));
  assert_false(has(f, 8));
  for (uint64_t i = 0; i < BLOCKS_KEPT + 10; i++) block_want_forget(&wants[i]);
}

static void with_little_memory_one_is_served_at_a_time(void **state) {
  struct fixture *f = *state;
  struct block_want wants[2] = {{.id = 0}};
  uint64_t id;
  for (uint64_t i = 0; i < 2; i++) assert_false(get(f, &wants[i], i));
  assert_true(fetch(f, 1, &id));
  assert_false(fetch(f, 1, &id));
  assert_true(get(f, &wants[0], 0));
  assert_true(fetch(f, 1, &id));
  assert_int_equal(id, 1);
  assert_true(get(f, &wants[1], 1));
}

static void what_cannot_be_fetched_goes_to_the_end(void **state) {
  struct fixture *f = *state;
  struct block_want wants[2] = {{.id = 0}};
  uint64_t id;
  for (uint64_t i = 0; i < 2; i++) assert_false(get(f, &wants[i], i));
  assert_true(blocks_next_wanted(&f->blocks, BLOCKS_KEPT, &id));
  blocks_put_off(&f->blocks, id);
  expect_fetched(f, 1);
  assert_true(blocks_next_wanted(&f->blocks, BLOCKS_KEPT, &id));
  block_want_forget(&wants[0]);
  blocks_put_off(&f->blocks, id); /* whose client has gone meanwhile */
  assert_false(fetch(f, BLOCKS_KEPT, &id));
  assert_true(get(f, &wants[1], 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_block_is_found_by_any_id_of_its_range, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_has_gone_from_the_stream_is_cut_off, set_up, tear_down),
      cmocka_unit_test_setup_teardown(those_used_least_recently_go, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_block_in_use_outlives_its_place, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_wanted_comes_in_order_and_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(who_wants_most_waits_behind_who_has_waited_longer, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_block_waits_for_who_wanted_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(with_little_memory_one_is_served_at_a_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_cannot_be_fetched_goes_to_the_end, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
