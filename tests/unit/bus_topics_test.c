/* SPDX-License-Identifier: MIT */
/*
 * bus_topics: names and numbers of a bus: up to the last one, from several threads, and how they go when nobody holds
 * them.
 */
#include "bus.h"
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

enum { TOPICS_DEFAULT = 65536 };

static void open_bus_with(fixture_t *f, uint32_t slots, uint32_t max_topics, int own_ids) {
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp_bus_options_t bus_options;
  fluxbp_bus_options_init(&bus_options);
  assert_int_equal(bus_options.max_topics, TOPICS_DEFAULT);
  if (slots > 0) bus_options.slots = slots;
  if (max_topics > 0) bus_options.max_topics = max_topics;
  bus_options.own_ids = own_ids;
  assert_int_equal(fluxbp_bus_create(f->pool, &bus_options, &f->bus), 0);
}

static void open_bus(fixture_t *f) {
  open_bus_with(f, 0, 0, 0);
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
  for (uint32_t i = 0; i < TOPICS_DEFAULT; i++) {
    (void) snprintf(name, sizeof name, "t%u", i);
    assert_int_equal(number_of(&f, name), i);
  }
  assert_int_equal(fluxbp_bus_topic(f.bus, "one more", &topic), UV_ENOSPC);
  for (uint32_t i = 0; i < TOPICS_DEFAULT; i += 1000) {
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

static uint32_t topics_of(const fixture_t *f) {
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(f->bus, &stats);
  return stats.topics;
}

/* Publish a message that nobody else holds, under a name. */
static int publish_to(const fixture_t *f, const char *name) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, name, strlen(name), &msg), 0);
  int err = fluxbp_bus_publish_to(f->bus, name, msg, NULL);
  fluxbp_msg_unref(msg);
  return err;
}

static int publish_numbered(const fixture_t *f, const char *prefix, unsigned number) {
  char name[32];
  (void) snprintf(name, sizeof name, "%s%u", prefix, number);
  return publish_to(f, name);
}

static void on_wake(void *arg) {
  (void) arg;
}

/* Read a message, which is its topic's name; returns the topic's number. */
static uint32_t read_one(fluxbp__bus_reader_t *reader, uint64_t *serial) {
  fluxbp__bus_entry_t entry;
  assert_true(fluxbp__bus_next(reader, &entry));
  assert_int_equal(fluxbp_msg_length(entry.msg), strlen(entry.name));
  assert_memory_equal(fluxbp_msg_data(entry.msg), entry.name, strlen(entry.name));
  if (serial != NULL) *serial = entry.topic_serial;
  fluxbp__bus_advance(reader);
  return entry.topic;
}

static void bus_topics_refuse_a_maximum_that_is_none(void **state) {
  (void) state;
  fixture_t f;
  open_bus_with(&f, 0, FLUXBP_BUS_TOPICS_MAX, 0);
  for (unsigned too = 0; too < 2; too++) {
    fluxbp_bus_options_t options;
    fluxbp_bus_t *bus;
    fluxbp_bus_options_init(&options);
    options.max_topics = too ? FLUXBP_BUS_TOPICS_MAX + 1 : 0;
    assert_int_equal(fluxbp_bus_create(f.pool, &options, &bus), UV_EINVAL);
  }
  close_bus(&f);
}

static void bus_topic_is_held_as_often_as_it_was_asked_for(void **state) {
  (void) state;
  fixture_t f;
  open_bus_with(&f, 2, 1, 0);
  assert_int_equal(number_of(&f, "news"), 0);
  assert_int_equal(number_of(&f, "news"), 0);
  assert_int_equal(publish_to(&f, "other"), UV_ENOSPC);
  assert_int_equal(fluxbp_bus_topic_release(f.bus, 0), 0);
  assert_int_equal(publish_to(&f, "other"), UV_ENOSPC);
  assert_int_equal(publish_to(&f, "news"), 0);
  assert_string_equal(fluxbp_bus_topic_name(f.bus, 0), "news");
  assert_int_equal(fluxbp_bus_topic_release(f.bus, 0), 0);
  assert_int_equal(publish_to(&f, "other"), 0); /* in its place: no reader is behind */
  assert_string_equal(fluxbp_bus_topic_name(f.bus, 0), "other");
  assert_int_equal(fluxbp_bus_topic_release(f.bus, 0), UV_EINVAL);
  assert_int_equal(fluxbp_bus_topic_release(f.bus, 1), UV_EINVAL);
  assert_int_equal(fluxbp_bus_topic_release(NULL, 0), UV_EINVAL);
  close_bus(&f);
}

static void bus_topic_stays_until_every_reader_has_passed_its_last_message(void **state) {
  (void) state;
  fixture_t f;
  fluxbp__bus_reader_t fast = {0}, slow = {0};
  uint64_t first_serial, second_serial;
  open_bus_with(&f, 8, 1, 0);
  assert_int_equal(fluxbp__bus_join(f.bus, &fast, on_wake, NULL, NULL), 0);
  assert_int_equal(fluxbp__bus_join(f.bus, &slow, on_wake, NULL, NULL), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(publish_to(&f, "one"), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(read_one(&fast, NULL), 0);
  assert_int_equal(publish_to(&f, "two"), UV_EAGAIN);
  assert_int_equal(read_one(&slow, NULL), 0);
  assert_int_equal(publish_to(&f, "two"), UV_EAGAIN);
  assert_int_equal(read_one(&slow, &first_serial), 0);
  assert_int_equal(publish_to(&f, "two"), 0);
  assert_int_equal(read_one(&slow, &second_serial), 0); /* the same number, */
  assert_true(first_serial != second_serial);           /* for another topic */
  assert_int_equal(read_one(&fast, NULL), 0);
  fluxbp__bus_leave(&fast);
  fluxbp__bus_leave(&slow);
  close_bus(&f);
}

static void bus_topic_that_is_released_stays_until_its_messages_are_passed(void **state) {
  (void) state;
  fixture_t f;
  fluxbp__bus_reader_t reader = {0};
  fluxbp_msg_t *msg;
  open_bus_with(&f, 8, 1, 0);
  assert_int_equal(fluxbp__bus_join(f.bus, &reader, on_wake, NULL, NULL), 0);
  uint32_t one = number_of(&f, "one");
  assert_int_equal(fluxbp_msg_create(f.pool, "one", 3, &msg), 0);
  assert_int_equal(fluxbp_bus_publish(f.bus, one, msg, NULL), 0);
  assert_int_equal(fluxbp_bus_topic_release(f.bus, one), 0);
  assert_int_equal(publish_to(&f, "two"), UV_EAGAIN);
  assert_int_equal(read_one(&reader, NULL), one);
  assert_int_equal(fluxbp_bus_topic_release(f.bus, one), UV_EINVAL);
  assert_int_equal(topics_of(&f), 0);
  assert_int_equal(fluxbp_bus_publish(f.bus, one, msg, NULL), UV_EINVAL);
  assert_null(fluxbp_bus_topic_name(f.bus, one));
  assert_int_equal(publish_to(&f, "two"), 0);
  fluxbp_msg_unref(msg);
  fluxbp__bus_leave(&reader);
  close_bus(&f);
}

/* Who comes back to a topic keeps it from going. */
static void bus_topic_that_is_used_again_is_the_last_to_go(void **state) {
  (void) state;
  fixture_t f;
  fluxbp__bus_reader_t reader = {0};
  open_bus_with(&f, 8, 3, 0);
  assert_int_equal(fluxbp__bus_join(f.bus, &reader, on_wake, NULL, NULL), 0);
  assert_int_equal(publish_to(&f, "one"), 0);
  assert_int_equal(publish_to(&f, "two"), 0);
  assert_int_equal(publish_to(&f, "held"), 0);
  assert_int_equal(publish_to(&f, "one"), 0);
  uint32_t held = number_of(&f, "held");
  for (int i = 0; i < 3; i++) (void) read_one(&reader, NULL);
  assert_int_equal(publish_to(&f, "new"), 0); /* for "two" */
  assert_int_equal(publish_to(&f, "newer"), UV_EAGAIN);
  assert_int_equal(read_one(&reader, NULL), 0);
  assert_int_equal(publish_to(&f, "newer"), 0); /* for "one" */
  assert_string_equal(fluxbp_bus_topic_name(f.bus, held), "held");
  fluxbp__bus_leave(&reader);
  close_bus(&f);
}

/* With and without a reader, and whatever becomes of the publications. */
static void bus_topics_of_strangers_take_no_more_memory_than_the_ring_has_slots(void **state) {
  (void) state;
  enum { RING = 64, NAMES = 20000 };
  fixture_t f;
  fluxbp__bus_reader_t reader = {0};
  open_bus_with(&f, RING, 0, 0);
  (void) number_of(&f, "held");
  for (unsigned i = 0; i < NAMES; i++) {
    assert_int_equal(publish_numbered(&f, "nobody", i), 0);
    assert_in_range(topics_of(&f), 1, RING + 2);
  }
  assert_int_equal(fluxbp__bus_join(f.bus, &reader, on_wake, NULL, NULL), 0);
  for (unsigned i = 0; i < NAMES; i++) {
    while (publish_numbered(&f, "stranger", i) == UV_EAGAIN) {
      assert_in_range(topics_of(&f), 1, 2 * RING + 2); /* what has been passed, and what hasn't */
      for (int k = 0; k < RING / 2; k++) assert_in_range(read_one(&reader, NULL), 0, 2 * RING + 2);
    }
  }
  assert_string_equal(fluxbp_bus_topic_name(f.bus, 0), "held");
  fluxbp__bus_leave(&reader);
  close_bus(&f);
}

/* A program that holds each topic for a moment, as one may have done before there was publish_to. */
static void bus_topics_that_are_held_and_released_leave_nothing(void **state) {
  (void) state;
  fixture_t f;
  char name[16];
  open_bus_with(&f, 16, 0, 0);
  for (unsigned i = 0; i < 1000; i++) {
    (void) snprintf(name, sizeof name, "t%u", i);
    uint32_t topic = number_of(&f, name);
    assert_in_range(topic, 0, 18);
    assert_int_equal(publish_to(&f, name), 0);
    assert_int_equal(fluxbp_bus_topic_release(f.bus, topic), 0);
  }
  close_bus(&f);
}

static void bus_publish_to_refuses_as_publish_does_and_leaves_no_topic(void **state) {
  (void) state;
  fixture_t f;
  fluxbp__bus_reader_t reader = {0};
  fluxbp_msg_t *msg;
  uint64_t id;
  open_bus_with(&f, 2, 0, 0);
  assert_int_equal(fluxbp_msg_create(f.pool, "x", 1, &msg), 0);
  assert_int_equal(fluxbp__bus_join(f.bus, &reader, on_wake, NULL, NULL), 0);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "x", msg, &id), 0);
  assert_int_equal(id, 1);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "x", msg, NULL), 0);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "y", msg, NULL), UV_EAGAIN);
  assert_int_equal(topics_of(&f), 1);
  assert_int_equal(fluxbp_bus_publish_to(NULL, "x", msg, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "x", NULL, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "", msg, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, NULL, msg, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_to_as(f.bus, "x", msg, 9), UV_EPERM);
  fluxbp_bus_close(f.bus);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "y", msg, NULL), UV_ECANCELED);
  assert_int_equal(topics_of(&f), 1);
  fluxbp_msg_unref(msg);
  fluxbp__bus_leave(&reader);
  close_bus(&f);
}

static void bus_publish_to_as_takes_the_callers_ids(void **state) {
  (void) state;
  fixture_t f;
  fluxbp__bus_reader_t reader = {0};
  fluxbp__bus_entry_t entry;
  fluxbp_msg_t *msg;
  open_bus_with(&f, 8, 0, 1);
  assert_int_equal(fluxbp_msg_create(f.pool, "x", 1, &msg), 0);
  assert_int_equal(fluxbp__bus_join(f.bus, &reader, on_wake, NULL, NULL), 0);
  assert_int_equal(fluxbp_bus_publish_to_as(f.bus, "x", msg, 7), 0);
  assert_int_equal(fluxbp_bus_publish_to_as(f.bus, "y", msg, 7), UV_EEXIST);
  assert_int_equal(topics_of(&f), 1);
  assert_int_equal(fluxbp_bus_publish_to(f.bus, "x", msg, NULL), UV_EPERM);
  assert_true(fluxbp__bus_next(&reader, &entry));
  assert_int_equal(entry.id, 7);
  assert_string_equal(entry.name, "x");
  fluxbp_msg_unref(msg);
  fluxbp__bus_leave(&reader);
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
      cmocka_unit_test(bus_topics_refuse_a_maximum_that_is_none),
      cmocka_unit_test(bus_topic_is_held_as_often_as_it_was_asked_for),
      cmocka_unit_test(bus_topic_stays_until_every_reader_has_passed_its_last_message),
      cmocka_unit_test(bus_topic_that_is_released_stays_until_its_messages_are_passed),
      cmocka_unit_test(bus_topic_that_is_used_again_is_the_last_to_go),
      cmocka_unit_test(bus_topics_of_strangers_take_no_more_memory_than_the_ring_has_slots),
      cmocka_unit_test(bus_topics_that_are_held_and_released_leave_nothing),
      cmocka_unit_test(bus_publish_to_refuses_as_publish_does_and_leaves_no_topic),
      cmocka_unit_test(bus_publish_to_as_takes_the_callers_ids),
      cmocka_unit_test(bus_topics_are_the_same_for_every_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
