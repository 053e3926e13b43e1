/* SPDX-License-Identifier: MIT */
/*
 * msg: bytes that don't change, a key, and an honest count of references.
 */
#include "msg.h"
#include "pool.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
} fixture_t;

static int set_up(void **state) {
  static fixture_t f;
  alloc_hook_init(&f.hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = 64 * 1024;
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
  assert_int_equal(stats.payload_bytes, stats.used_bytes); /* messages are payload */
  return stats.used_bytes;
}

static fluxbp_msg_t *make(fixture_t *f, const char *text) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, text, strlen(text), &msg), 0);
  return msg;
}

static void msg_keeps_a_copy_of_the_bytes(void **state) {
  char text[] = "hello";
  fluxbp_msg_t *msg = make(*state, text);
  memset(text, 'x', sizeof text);

  assert_ptr_not_equal(fluxbp_msg_data(msg), text);
  assert_int_equal(fluxbp_msg_length(msg), 5);
  assert_memory_equal(fluxbp_msg_data(msg), "hello", 5);
  fluxbp_msg_unref(msg);
}

static void msg_may_hold_any_bytes(void **state) {
  fixture_t *f = *state;
  char bytes[1000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char) (i * 7);
  for (size_t len = 1; len <= sizeof bytes; len += 111) {
    fluxbp_msg_t *msg;
    assert_int_equal(fluxbp_msg_create(f->pool, bytes, len, &msg), 0);
    assert_int_equal(fluxbp_msg_length(msg), len);
    assert_memory_equal(fluxbp_msg_data(msg), bytes, len);
    fluxbp_msg_unref(msg);
  }
}

static void msg_refuses_nothing_and_null(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, "x", 0, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create(f->pool, NULL, 1, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create(NULL, "x", 1, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create(f->pool, "x", 1, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create_keyed(f->pool, 7, "x", 0, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create_keyed(f->pool, 7, "x", 1, NULL), UV_EINVAL);
}

static void msg_refuses_more_than_the_maximum_before_it_asks_for_memory(void **state) {
  fixture_t *f = *state;
  uint64_t calls = f->hook.allocs;
  fluxbp_pool_stats_t stats;
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, "x", FLUXBP_MSG_MAX_BYTES + 1, &msg), UV_E2BIG);
  assert_int_equal(fluxbp_msg_create(f->pool, "x", SIZE_MAX, &msg), UV_E2BIG);
  assert_int_equal(fluxbp_msg_create_keyed(f->pool, 7, "x", SIZE_MAX - 8, &msg), UV_E2BIG);
  assert_int_equal(f->hook.allocs, calls);

  /* of the largest that is allowed, the budget has its say: not one byte of it was read */
  assert_int_equal(fluxbp_msg_create(f->pool, "x", FLUXBP_MSG_MAX_BYTES, &msg), UV_ENOBUFS);
  fluxbp_pool_get_stats(f->pool, &stats);
  assert_int_equal(stats.refused, 1);
  assert_int_equal(f->hook.allocs, calls);
}

static void msg_says_enomem_when_the_allocator_refuses(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg;
  alloc_hook_fail_once(&f->hook, 1);
  assert_int_equal(fluxbp_msg_create_keyed(f->pool, 7, "x", 1, &msg), UV_ENOMEM);
  assert_int_equal(used_bytes(f), 0);
  fluxbp_msg_unref(make(f, "x"));
}

static void msg_lives_until_its_last_reference_is_given_back(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg = make(f, "hello");
  assert_ptr_equal(fluxbp_msg_ref(msg), msg);
  assert_ptr_equal(fluxbp_msg_ref(msg), msg);

  fluxbp_msg_unref(msg);
  fluxbp_msg_unref(msg);
  assert_true(used_bytes(f) > 0);
  assert_memory_equal(fluxbp_msg_data(msg), "hello", 5);
  fluxbp_msg_unref(msg);
  assert_int_equal(used_bytes(f), 0);
}

static void msg_unref_of_null_does_nothing(void **state) {
  (void) state;
  fluxbp_msg_unref(NULL);
}

static void msg_keeps_its_key_zero_included(void **state) {
  fixture_t *f = *state;
  const uint64_t keys[] = {0, 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    fluxbp_msg_t *msg;
    assert_int_equal(fluxbp_msg_create_keyed(f->pool, keys[i], "value", 5, &msg), 0);
    uint64_t key = 42;
    assert_true(fluxbp_msg_key(msg, &key));
    assert_int_equal(key, keys[i]);
    assert_true(fluxbp_msg_key(msg, NULL));
    assert_memory_equal(fluxbp_msg_data(msg), "value", 5);
    fluxbp_msg_unref(msg);
  }
}

static void msg_without_a_key_leaves_the_callers_alone(void **state) {
  fluxbp_msg_t *msg = make(*state, "hello");
  uint64_t key = 42;
  assert_false(fluxbp_msg_key(msg, &key));
  assert_int_equal(key, 42);
  fluxbp_msg_unref(msg);
}

/* ---- misuse: each in a process of its own, which has to abort ---- */

static void assert_aborts(void (*misuse)(fluxbp_msg_t *msg), fluxbp_msg_t *msg) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void) signal(SIGABRT, SIG_DFL); /* cmocka's own handler would report a failed test */
    (void) setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    (void) close(STDERR_FILENO);
    misuse(msg);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* The count is 0 as if the last reference were gone; the memory is left alone, so that what follows is defined. */
static void unref_once_too_often(fluxbp_msg_t *msg) {
  atomic_store(&msg->refs, 0);
  fluxbp_msg_unref(msg);
}

static void msg_keeps_the_name_of_its_key_and_removes_it(void **state) {
  fixture_t *f = *state;
  char longest[FLUXBP_MSG_NAME_MAX + 2];
  fluxbp_msg_t *msg;
  uint64_t key = 0;
  memset(longest, 'n', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  assert_int_equal(fluxbp_msg_create_named(f->pool, 7, longest, "x", 1, &msg), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create_removal(f->pool, 7, longest, "x", 1, &msg), UV_EINVAL);
  longest[FLUXBP_MSG_NAME_MAX] = '\0';
  assert_int_equal(fluxbp_msg_create_named(f->pool, 7, longest, "x", 1, &msg), 0);
  assert_string_equal(fluxbp_msg_name(msg), longest);
  assert_int_equal(fluxbp_msg_length(msg), 1);
  assert_int_equal(fluxbp_msg_key(msg, &key), 1);
  assert_int_equal(key, 7);
  assert_false(fluxbp_msg_is_removal(msg));
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp_msg_create_removal(f->pool, 8, "", "gone", 4, &msg), 0);
  assert_string_equal(fluxbp_msg_name(msg), "");
  assert_true(fluxbp_msg_is_removal(msg));
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp_msg_create_removal(f->pool, 8, NULL, "gone", 4, &msg), 0);
  assert_null(fluxbp_msg_name(msg));
  fluxbp_msg_unref(msg);
  assert_int_equal(used_bytes(f), 0);
}

static void ref_after_the_last_unref(fluxbp_msg_t *msg) {
  atomic_store(&msg->refs, 0);
  (void) fluxbp_msg_ref(msg);
}

static void free_twice(fluxbp_msg_t *msg) {
  fluxbp_pool_t *pool = msg->pool;
  size_t size = sizeof *msg + msg->len;
  fluxbp__pool_free(pool, FLUXBP__PAYLOAD, msg, size);
  fluxbp__pool_free(pool, FLUXBP__PAYLOAD, msg, size);
}

static void msg_misuse_aborts(void **state) {
  fluxbp_msg_t *msg = make(*state, "hello");
  assert_aborts(unref_once_too_often, msg);
  assert_aborts(ref_after_the_last_unref, msg);
  assert_aborts(free_twice, msg);
  fluxbp_msg_unref(msg);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 50000 };

static void ref_and_unref(void *arg) {
  for (int i = 0; i < ROUNDS; i++) fluxbp_msg_unref(fluxbp_msg_ref(arg));
  fluxbp_msg_unref(arg);
}

static void msg_count_of_references_is_exact_among_threads(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_t *msg = make(f, "hello");
  uv_thread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], ref_and_unref, fluxbp_msg_ref(msg)), 0);
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
  assert_int_equal(atomic_load(&msg->refs), 1);
  fluxbp_msg_unref(msg);
  assert_int_equal(used_bytes(f), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(msg_keeps_a_copy_of_the_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_may_hold_any_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_refuses_nothing_and_null, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_refuses_more_than_the_maximum_before_it_asks_for_memory, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_says_enomem_when_the_allocator_refuses, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_lives_until_its_last_reference_is_given_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_unref_of_null_does_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_keeps_its_key_zero_included, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_without_a_key_leaves_the_callers_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_keeps_the_name_of_its_key_and_removes_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_misuse_aborts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(msg_count_of_references_is_exact_among_threads, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
