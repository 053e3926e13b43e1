/* SPDX-License-Identifier: MIT */
/*
 * history: what is kept, what goes first, and where an id stands. Topics are only passed through, so any pointer will do.
 */
#include "history.h"

#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__history_t history;
  fluxbp_topic_t *topic;
} fixture_t;

static void open_history(fixture_t *f, uint64_t budget, uint64_t max_messages, uint64_t max_bytes) {
  fluxbp_pool_options_t options;
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.max_bytes = budget;
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__history_init(&f->history, f->pool, max_messages, max_bytes, 0);
  f->topic = (fluxbp_topic_t *) (void *) f;
}

static void close_history(fixture_t *f) {
  while (!fluxbp__history_is_empty(&f->history)) assert_ptr_equal(fluxbp__history_remove(&f->history), f->topic);
  fluxbp__history_destroy(&f->history);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static bool add(fixture_t *f, uint64_t id, size_t len) {
  static const char data[1000];
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, data, len, &msg), 0);
  bool added = fluxbp__history_add(&f->history, f->topic, msg, id);
  fluxbp_msg_unref(msg);
  return added;
}

static uint64_t count(const fixture_t *f) {
  return f->history.end - f->history.first;
}

static void history_is_limited_by_messages_and_by_bytes(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, 3, 100);
  assert_true(add(&f, 1, 30));
  assert_true(add(&f, 2, 30));
  assert_false(add(&f, 3, 41));
  assert_true(add(&f, 3, 40));
  assert_false(add(&f, 4, 1)); /* a fourth message */
  assert_int_equal(f.history.bytes, 100);
  assert_ptr_equal(fluxbp__history_remove(&f.history), f.topic);
  assert_int_equal(f.history.lost_id, 1);
  assert_true(add(&f, 4, 30));
  assert_int_equal(count(&f), 3);
  close_history(&f);
}

static void history_finds_what_comes_after_an_id_where_ids_have_holes(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, 1000, 1 << 20);
  assert_int_equal(fluxbp__history_after(&f.history, 5), 0);
  for (uint64_t id = 10; id <= 1000; id += 10) assert_true(add(&f, id, 1));
  for (uint64_t id = 0; id <= 1005; id++) {
    uint64_t number = fluxbp__history_after(&f.history, id);
    assert_true(number == f.history.end || fluxbp__history_at(&f.history, number)->id > id);
    assert_true(number == f.history.first || fluxbp__history_at(&f.history, number - 1)->id <= id);
  }
  close_history(&f);
}

static void history_numbers_go_on_beyond_thirty_two_bits(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, 100, 1 << 20);
  f.history.first = f.history.end = UINT32_MAX - 150;
  for (uint64_t id = UINT32_MAX - 150; id < UINT32_MAX + (uint64_t) 150; id++) {
    if (count(&f) == 100) (void) fluxbp__history_remove(&f.history);
    assert_true(add(&f, id, 1));
    assert_int_equal(fluxbp__history_after(&f.history, id - 1), id);
    assert_int_equal(fluxbp__history_at(&f.history, id)->id, id);
  }
  close_history(&f);
}

static void history_without_memory_to_grow_wants_the_first_to_go(void **state) {
  fixture_t f;
  fluxbp_msg_t *msg;
  (void) state;
  open_history(&f, 64 * 1024, 100000, 1 << 20);
  assert_int_equal(fluxbp_msg_create(f.pool, "m", 1, &msg), 0);
  uint64_t id = 0;
  while (fluxbp__history_add(&f.history, f.topic, msg, id + 1)) id++;
  assert_in_range(id, 64, 1000);
  for (int i = 0; i < 500; i++) {
    (void) fluxbp__history_remove(&f.history);
    assert_true(fluxbp__history_add(&f.history, f.topic, msg, ++id));
  }
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp__history_at(&f.history, f.history.end - 1)->id, id);
  close_history(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(history_is_limited_by_messages_and_by_bytes),
      cmocka_unit_test(history_finds_what_comes_after_an_id_where_ids_have_holes),
      cmocka_unit_test(history_numbers_go_on_beyond_thirty_two_bits),
      cmocka_unit_test(history_without_memory_to_grow_wants_the_first_to_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
