/* SPDX-License-Identifier: MIT */
/*
 * pool under load: its books when several threads make and free messages.
 */
#include "fluxbp/msg.h"
#include "pool.h"
#include "support/alloc_hook.h"
#include "support/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 20000, HELD = 8, BUDGET = 16 * 1024 /* less than they want together */ };

typedef struct worker {
  uv_thread_t thread;
  fluxbp_pool_t *pool;
  unsigned number;
  unsigned made;
  unsigned refused;
  unsigned wrong;
} worker_t;

static void make_and_free_messages(void *arg) {
  worker_t *worker = arg;
  char text[600];
  memset(text, (int) worker->number, sizeof text);
  fluxbp_msg_t *held[HELD] = {0};
  for (unsigned i = 0; i < ROUNDS; i++) {
    fluxbp_msg_t **slot = &held[i % HELD];
    if (*slot != NULL) {
      const char *data = fluxbp_msg_data(*slot);
      size_t len = fluxbp_msg_length(*slot);
      worker->wrong += data[0] != (char) worker->number || data[len - 1] != (char) worker->number;
      fluxbp_msg_unref(*slot);
      *slot = NULL;
    }
    int err = fluxbp_msg_create(worker->pool, text, 1 + i * 37 % sizeof text, slot);
    worker->made += err == 0;
    worker->refused += err == UV_ENOBUFS;
    worker->wrong += err != 0 && err != UV_ENOBUFS;
  }
  for (int i = 0; i < HELD; i++) fluxbp_msg_unref(held[i]);
}

static void pool_keeps_its_books_when_four_threads_use_it(void **state) {
  (void) state;
  alloc_hook_t hook = {0};
  fluxbp_pool_t *pool;
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = BUDGET;
  options.allocator = alloc_hook_allocator(&hook);
  assert_int_equal(fluxbp_pool_create(&options, &pool), 0);
  worker_t workers[THREADS];
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (worker_t){.pool = pool, .number = i + 1};
    threads_start(&workers[i].thread, make_and_free_messages, &workers[i]);
  }
  uint64_t refused = 0;
  for (int i = 0; i < THREADS; i++) {
    threads_join(&workers[i].thread);
    assert_int_equal(workers[i].wrong, 0);
    assert_int_equal(workers[i].made + workers[i].refused, ROUNDS);
    refused += workers[i].refused;
  }
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(pool, &stats);
  assert_int_equal(stats.used_bytes, 0);
  assert_int_equal(stats.payload_bytes, 0);
  assert_int_equal(stats.refused, refused);
  assert_true(stats.held_bytes <= stats.max_bytes);
  assert_true(stats.peak_used_bytes <= stats.max_bytes);
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
  assert_int_equal(hook.live_blocks, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pool_keeps_its_books_when_four_threads_use_it)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
