/* SPDX-License-Identifier: MIT */
/*
 * Messages that are written in place: fluxbp_msg_alloc, fluxbp_msg_buffer, fluxbp_msg_commit.
 */
#include "fluxbp/bus.h"
#include "fluxbp/frame.h"
#include "fluxbp/msg.h"

#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { BUDGET = 64 * 1024 };

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
} fixture_t;

static int set_up(void **state) {
  static fixture_t f;
  alloc_hook_init(&f.hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = BUDGET;
  options.allocator = alloc_hook_allocator(&f.hook);
  *state = &f;
  return fluxbp_pool_create(&options, &f.pool);
}

static int tear_down(void **state) {
  fixture_t *f = *state;
  int err = fluxbp_pool_destroy(f->pool);
  return err != 0 || f->hook.live_blocks != 0;
}

static uint64_t used_bytes(const fixture_t *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  return stats.used_bytes;
}

/* Not committed. */
static fluxbp_msg_t *alloc(const fixture_t *f, size_t length) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_alloc(f->pool, length, &msg), 0);
  assert_non_null(fluxbp_msg_buffer(msg));
  return msg;
}

static void a_message_is_written_where_it_stays(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg = alloc(f, 100);
  fluxbp_msg_t *before = msg;
  char *buffer = fluxbp_msg_buffer(msg);
  memset(buffer, 'x', 100);
  assert_int_equal(fluxbp_msg_commit(&msg, 100), 0);
  assert_ptr_equal(msg, before);
  assert_ptr_equal(fluxbp_msg_data(msg), buffer);
  assert_int_equal(fluxbp_msg_length(msg), 100);
  assert_false(fluxbp_msg_key(msg, NULL));
  assert_null(fluxbp_msg_name(msg));
  fluxbp_msg_unref(msg);
  assert_int_equal(used_bytes(f), 0);
}

static void a_message_may_become_shorter_and_then_ends_there(void **state) {
  fixture_t *f = *state;
  for (size_t length = 1; length <= 3000; length += 41) {
    fluxbp_msg_t *msg;
    uint64_t key;
    assert_int_equal(fluxbp_msg_alloc_named(f->pool, 7, "Lisbon", 3000, &msg), 0);
    assert_string_equal(fluxbp_msg_name(msg), "Lisbon");
    char *buffer = fluxbp_msg_buffer(msg);
    memset(buffer, 'x', 3000);
    for (size_t i = 0; i < length; i++) buffer[i] = (char) i;
    assert_int_equal(fluxbp_msg_commit(&msg, length), 0);
    assert_int_equal(fluxbp_msg_length(msg), length);
    for (size_t i = 0; i < length; i++) assert_int_equal(((const char *) fluxbp_msg_data(msg))[i], (char) i);
    assert_string_equal(fluxbp_msg_name(msg), "Lisbon");
    assert_true(fluxbp_msg_key(msg, &key));
    assert_int_equal(key, 7);
    assert_false(fluxbp_msg_is_removal(msg));
    fluxbp_msg_unref(msg);
    assert_int_equal(used_bytes(f), 0);
  }
}

static void a_name_is_optional(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg;
  char longest[FLUXBP_MSG_NAME_MAX + 2] = {0};
  assert_int_equal(fluxbp_msg_alloc_named(f->pool, 0, NULL, 10, &msg), 0);
  assert_int_equal(fluxbp_msg_commit(&msg, 1), 0);
  assert_true(fluxbp_msg_key(msg, NULL));
  assert_null(fluxbp_msg_name(msg));
  fluxbp_msg_unref(msg);
  memset(longest, 'n', sizeof longest - 1);
  assert_int_equal(fluxbp_msg_alloc_named(f->pool, 0, longest, 10, &msg), UV_EINVAL);
}

/* Bytes that a guess was too large by don't count any more: of the memory at least half is used. */
static void what_is_not_needed_is_given_back(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *small = alloc(f, 200);
  uint64_t needed = used_bytes(f);
  fluxbp_msg_t *large = alloc(f, 40000);
  assert_in_range(used_bytes(f), 40000, BUDGET);
  memset(fluxbp_msg_buffer(large), 'x', 40000);
  assert_int_equal(fluxbp_msg_commit(&large, 200), 0);
  assert_int_equal(used_bytes(f), 2 * needed);
  for (size_t i = 0; i < 200; i++) assert_int_equal(((const char *) fluxbp_msg_data(large))[i], 'x');
  fluxbp_msg_unref(large);
  fluxbp_msg_unref(small);
  assert_int_equal(used_bytes(f), 0);
}

static void without_memory_for_a_smaller_block_the_message_stays(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg = alloc(f, 40000);
  fluxbp_msg_t *before = msg;
  uint64_t used = used_bytes(f);
  memcpy(fluxbp_msg_buffer(msg), "hello", 5);
  alloc_hook_fail_once(&f->hook, 1);
  assert_int_equal(fluxbp_msg_commit(&msg, 5), 0);
  assert_ptr_equal(msg, before);
  assert_int_equal(used_bytes(f), used);
  assert_int_equal(fluxbp_msg_length(msg), 5);
  assert_memory_equal(fluxbp_msg_data(msg), "hello", 5);
  fluxbp_msg_unref(msg);
  assert_int_equal(used_bytes(f), 0);
}

static void a_message_is_committed_once_and_within_its_buffer(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg = alloc(f, 10);
  memset(fluxbp_msg_buffer(msg), 'x', 10);
  assert_int_equal(fluxbp_msg_length(msg), 0);
  assert_int_equal(fluxbp_msg_commit(&msg, 0), UV_EINVAL);
  assert_int_equal(fluxbp_msg_commit(&msg, 11), UV_EINVAL);
  assert_int_equal(fluxbp_msg_commit(&msg, SIZE_MAX), UV_EINVAL);
  fluxbp_msg_unref(fluxbp_msg_ref(msg));
  assert_int_equal(fluxbp_msg_commit(&msg, 10), 0);
  assert_int_equal(fluxbp_msg_commit(&msg, 9), UV_EINVAL);
  assert_int_equal(fluxbp_msg_length(msg), 10);
  assert_null(fluxbp_msg_buffer(msg));
  fluxbp_msg_unref(msg);

  msg = alloc(f, 4000);
  memset(fluxbp_msg_buffer(msg), 'x', 1);
  (void) fluxbp_msg_ref(msg); /* it would not learn that the message moves */
  assert_int_equal(fluxbp_msg_commit(&msg, 1), UV_EINVAL);
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp_msg_commit(&msg, 1), 0);
  fluxbp_msg_unref(msg);

  assert_int_equal(fluxbp_msg_create(f->pool, "x", 1, &msg), 0);
  assert_null(fluxbp_msg_buffer(msg));
  assert_int_equal(fluxbp_msg_commit(&msg, 1), UV_EINVAL);
  fluxbp_msg_unref(msg);
}

static void an_uncommitted_message_may_be_given_up(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_unref(alloc(f, 1));
  fluxbp_msg_unref(alloc(f, 20000));
  assert_int_equal(used_bytes(f), 0);
}

static void allocating_has_the_limits_of_creating(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_alloc(NULL, 1, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_alloc(f->pool, 0, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_alloc(f->pool, 1, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_msg_alloc(f->pool, FLUXBP_MSG_MAX_BYTES + 1, &msg), UV_E2BIG);
  assert_int_equal(fluxbp_msg_alloc(f->pool, FLUXBP_MSG_MAX_BYTES, &msg), UV_ENOBUFS);
  alloc_hook_fail_once(&f->hook, 1);
  assert_int_equal(fluxbp_msg_alloc(f->pool, 1, &msg), UV_ENOMEM);
}

/* Topics and connections: built_message_test.c. */
static void an_uncommitted_message_is_neither_encoded_nor_put_on_a_bus(void **state) {
  fixture_t *f = *state;
  fluxbp_bus_options_t options;
  fluxbp_bus_t *bus;
  uint32_t topic;
  fluxbp_frame_t *frame;
  fluxbp_msg_t *msg = alloc(f, 10);
  assert_int_equal(fluxbp_frame_create(f->pool, msg, NULL, NULL, 1, &frame), UV_EINVAL);
  for (int own_ids = 0; own_ids <= 1; own_ids++) {
    fluxbp_bus_options_init(&options);
    options.slots = 4;
    options.own_ids = own_ids;
    assert_int_equal(fluxbp_bus_create(f->pool, &options, &bus), 0);
    assert_int_equal(fluxbp_bus_topic(bus, "news", &topic), 0);
    assert_int_equal(fluxbp_bus_publish(bus, topic, msg, NULL), UV_EINVAL);
    assert_int_equal(fluxbp_bus_publish_to(bus, "news", msg, NULL), UV_EINVAL);
    assert_int_equal(fluxbp_bus_publish_as(bus, topic, msg, 1), UV_EINVAL);
    assert_int_equal(fluxbp_bus_publish_to_as(bus, "news", msg, 1), UV_EINVAL);
    assert_int_equal(fluxbp_bus_destroy(bus), 0);
  }
  fluxbp_msg_unref(msg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_message_is_written_where_it_stays, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_message_may_become_shorter_and_then_ends_there, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_name_is_optional, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_not_needed_is_given_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory_for_a_smaller_block_the_message_stays, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_message_is_committed_once_and_within_its_buffer, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_uncommitted_message_may_be_given_up, set_up, tear_down),
      cmocka_unit_test_setup_teardown(allocating_has_the_limits_of_creating, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_uncommitted_message_is_neither_encoded_nor_put_on_a_bus, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
