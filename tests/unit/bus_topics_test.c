/* SPDX-License-Identifier: MIT */
/*
 * bus_topics: names and numbers of a bus, up to the last one, and from several threads.
 */
#include "fluxbp/bus.h"
#include "fluxbp/topic.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

_Static_assert(FLUXBP_BUS_TOPIC_NAME_MAX == FLUXBP_TOPIC_NAME_MAX, "a name of a bus has to be one for a hub");

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
} fixture_t;

static void open_bus(fixture_t *f) {
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  assert_int_equal(fluxbp_bus_create(f->pool, NULL, &f->bus), 0);
}

static void close_bus(fixture_t *f) {
  assert_int_equal(fluxbp_bus_destroy(f->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static uint32_t number_of(const fixture_t *f, const char *name) {
  uint32_t topic = UINT32_MAX;
  assert_int_equal(fluxbp_bus_topic(f->bus, name, &topic), 0);
  return topic;
}

static void bus_topics_count_from_zero_and_keep_their_numbers(void **state) {
  (void) state;
  fixture_t f;
  open_bus(&f);
  assert_int_equal(number_of(&f, "news"), 0);
  assert_int_equal(number_of(&f, "prices"), 1);
  assert_int_equal(number_of(&f, "news"), 0);
  assert_int_equal(number_of(&f, "New"), 2);
  assert_string_equal(fluxbp_bus_topic_name(f.bus, 0), "news");
  assert_string_equal(fluxbp_bus_topic_name(f.bus, 1), "prices");
  assert_null(fluxbp_bus_topic_name(f.bus, 3));
  assert_null(fluxbp_bus_topic_name(f.bus, UINT32_MAX));
  close_bus(&f);
}

static void bus_topics_refuse_names_as_a_hub_does(void **state) {
  (void) state;
  fixture_t f;
  char name[FLUXBP_BUS_TOPIC_NAME_MAX + 2];
  uint32_t topic;
  open_bus(&f);
  memset(name, 'n', sizeof name);
  name[FLUXBP_BUS_TOPIC_NAME_MAX + 1] = 0;
  assert_int_equal(fluxbp_bus_topic(f.bus, name, &topic), UV_EINVAL);
  name[FLUXBP_BUS_TOPIC_NAME_MAX] = 0;
  assert_int_equal(number_of(&f, name), 0);
  assert_string_equal(fluxbp_bus_topic_name(f.bus, 0), name);
  assert_int_equal(fluxbp_bus_topic(f.bus, "", &topic), UV_EINVAL);
  assert_int_equal(fluxbp_bus_topic(f.bus, NULL, &topic), UV_EINVAL);
  assert_int_equal(fluxbp_bus_topic(f.bus, "news", NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_topic(NULL, "news", &topic), UV_EINVAL);
  close_bus(&f);
}

static void bus_topics_end_at_the_maximum(void **state) {
  (void) state;
  fixture_t f;
  char name[16];
  uint32_t topic;
  open_bus(&f);
  for (uint32_t i = 0; i < FLUXBP_BUS_TOPICS_MAX; i++) {
    (void) snprintf(name, sizeof name, "t%u", i);
    assert_int_equal(number_of(&f, name), i);
  }
  assert_int_equal(fluxbp_bus_topic(f.bus, "one more", &topic), UV_ENOSPC);
  for (uint32_t i = 0; i < FLUXBP_BUS_TOPICS_MAX; i += 1000) {
    (void) snprintf(name, sizeof name, "t%u", i);
    assert_int_equal(number_of(&f, name), i);
    assert_string_equal(fluxbp_bus_topic_name(f.bus, i), name);
  }
  close_bus(&f);
}

/* Every allocation fails once; nothing changes then, and it works the next time. */
static void bus_topics_survive_an_allocator_that_refuses(void **state) {
  (void) state;
  fixture_t f;
  char name[16];
  uint32_t topic;
  open_bus(&f);
  for (uint32_t i = 0; i < 600; i++) {
    (void) snprintf(name, sizeof name, "t%u", i);
    for (uint64_t nth = 1; nth <= 3; nth++) {
      alloc_hook_fail_from(&f.hook, nth);
      int err = fluxbp_bus_topic(f.bus, name, &topic);
      alloc_hook_heal(&f.hook);
      if (err == 0) break;
      assert_int_equal(err, UV_ENOMEM);
      assert_null(fluxbp_bus_topic_name(f.bus, i));
    }
    assert_int_equal(number_of(&f, name), i);
  }
  close_bus(&f);
}

/* ---- threads ---- */

enum { THREADS = 4, NAMES = 2000 };

typedef struct worker {
  uv_thread_t thread;
  fluxbp_bus_t *bus;
  int failures;
} worker_t;

/* All of them open the same names, and look up each number at once, while others add. */
static void open_names(void *arg) {
  worker_t *worker = arg;
  char name[16];
  for (uint32_t i = 0; i < NAMES; i++) {
    uint32_t topic;
    (void) snprintf(name, sizeof name, "t%u", i);
    int err = fluxbp_bus_topic(worker->bus, name, &topic);
    if (err || topic != i || strcmp(fluxbp_bus_topic_name(worker->bus, topic), name) != 0) worker->failures++;
  }
}

static void bus_topics_are_the_same_for_every_thread(void **state) {
  (void) state;
  fixture_t f;
  worker_t workers[THREADS];
  open_bus(&f);
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker_t){.bus = f.bus};
    assert_int_equal(uv_thread_create(&workers[i].thread, open_names, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(uv_thread_join(&workers[i].thread), 0);
    assert_int_equal(workers[i].failures, 0);
  }
  assert_null(fluxbp_bus_topic_name(f.bus, NAMES));
  close_bus(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_topics_count_from_zero_and_keep_their_numbers),
      cmocka_unit_test(bus_topics_refuse_names_as_a_hub_does),
      cmocka_unit_test(bus_topics_end_at_the_maximum),
      cmocka_unit_test(bus_topics_survive_an_allocator_that_refuses),
      cmocka_unit_test(bus_topics_are_the_same_for_every_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
