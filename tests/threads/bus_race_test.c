/* SPDX-License-Identifier: MIT */
/*
 * bus while it changes: publishing against closing, joining and leaving, thousands of times, each time a little
 * differently. What has to hold is counted at the end of each round.
 */
#include "bus.h"
#include "support/alloc_hook.h"
#include "support/threads.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum {
  PUBLISHERS = 2,
  READERS = 2,
  CLOSE_ROUNDS = THREADS_ROUNDS(10000),
  CHURN_MESSAGES = THREADS_ROUNDS(400000), /* of each publisher */
  CHURN_SLOTS = 64,
  HOLES = 3, /* own ids are multiples of it */
  NAMED_MESSAGES = THREADS_ROUNDS(40000),
  NAMED_TOPICS_MAX = 2 * CHURN_SLOTS, /* so that names have to wait for readers now and then */
  MOST_SPINS = 2000,                  /* about the time that a thread takes to start publishing */
  WATCHDOG_SECONDS = 20
};

typedef struct stage {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus; /* a new one each round */
  uint32_t topic;
  uint64_t id_step; /* from a message to the next */
  uv_barrier_t begin, end;
  atomic_bool is_over;
} stage_t;

typedef struct actor {
  uv_thread_t thread;
  stage_t *stage;
  uint32_t random;
  uint64_t published; /* in this round */
} actor_t;

/* A reader that finds out whether it is called after it has left. */
typedef struct visitor {
  fluxbp__bus_reader_t reader;
  atomic_bool is_joined;
} visitor_t;

static void open_stage(stage_t *stage) {
  *stage = (stage_t){.is_over = false};
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&stage->hook);
  THREADS_CHECK(fluxbp_pool_create(&options, &stage->pool) == 0);
  threads_watch(WATCHDOG_SECONDS);
}

static void close_stage(stage_t *stage) {
  threads_unwatch();
  THREADS_CHECK(fluxbp_pool_destroy(stage->pool) == 0);
  THREADS_CHECK(stage->hook.live_blocks == 0);
}

static void open_bus(stage_t *stage, uint32_t slots, uint64_t id_step) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = slots;
  options.own_ids = id_step > 1;
  stage->id_step = id_step;
  THREADS_CHECK(fluxbp_bus_create(stage->pool, &options, &stage->bus) == 0);
  THREADS_CHECK(fluxbp_bus_topic(stage->bus, "news", &stage->topic) == 0);
}

/* Nobody lost count, and nothing is left. */
static void close_bus(stage_t *stage, uint64_t published) {
  fluxbp_bus_stats_t stats;
  fluxbp_pool_stats_t pool_stats;
  fluxbp_bus_get_stats(stage->bus, &stats);
  THREADS_CHECK(stats.published == published);
  THREADS_CHECK(stats.readers == 0);
  fluxbp_pool_get_stats(stage->pool, &pool_stats);
  THREADS_CHECK(pool_stats.used_bytes == 0);
  THREADS_CHECK(fluxbp_bus_destroy(stage->bus) == 0);
}

static void dawdle(uint32_t *random) {
  for (uint32_t spins = threads_random(random) % MOST_SPINS; spins > 0; spins--)
    atomic_signal_fence(memory_order_seq_cst);
}

static int publish(const stage_t *stage) {
  fluxbp_msg_t *msg;
  THREADS_CHECK(fluxbp_msg_create(stage->pool, "news", 4, &msg) == 0);
  int err;
  while ((err = fluxbp_bus_publish(stage->bus, stage->topic, msg, NULL)) == UV_EAGAIN) (void) sched_yield();
  fluxbp_msg_unref(msg);
  return err;
}

static void on_wake(void *arg) {
  visitor_t *visitor = arg;
  THREADS_CHECK(atomic_load(&visitor->is_joined));
}

/* Join, read up to `messages` of them without a hole, and leave, perhaps with some unread; false if there were none. */
static bool visit(const stage_t *stage, visitor_t *visitor, uint32_t messages) {
  atomic_store(&visitor->is_joined, true);
  THREADS_CHECK(fluxbp__bus_join(stage->bus, &visitor->reader, on_wake, visitor, NULL) == 0);
  fluxbp__bus_entry_t entry;
  uint64_t expected_id = visitor->reader.last_id + stage->id_step;
  uint32_t read = 0;
  for (uint32_t looks = 0; looks < 4 * messages && read < messages; looks++) {
    fluxbp__bus_begin(&visitor->reader);
    while (read < messages && fluxbp__bus_next(&visitor->reader, &entry)) {
      THREADS_CHECK(entry.id == expected_id);
      expected_id += stage->id_step;
      THREADS_CHECK(fluxbp_msg_length(entry.msg) == 4);
      fluxbp__bus_advance(&visitor->reader);
      read++;
    }
  }
  fluxbp__bus_leave(&visitor->reader);
  atomic_store(&visitor->is_joined, false);
  return read > 0;
}

/* ---- publish, close and leave, all at once ---- */

static bool begin_round(stage_t *stage) {
  (void) uv_barrier_wait(&stage->begin);
  return !atomic_load(&stage->is_over);
}

static void end_round(stage_t *stage) {
  (void) uv_barrier_wait(&stage->end);
}

static void publish_until_it_is_closed(void *arg) {
  actor_t *actor = arg;
  while (begin_round(actor->stage)) {
    int err;
    actor->published = 0;
    dawdle(&actor->random);
    while ((err = publish(actor->stage)) == 0) actor->published++;
    THREADS_CHECK(err == UV_ECANCELED);
    THREADS_CHECK(publish(actor->stage) == UV_ECANCELED);
    end_round(actor->stage);
  }
}

static void read_some_and_leave(void *arg) {
  actor_t *actor = arg;
  visitor_t visitor = {.is_joined = false};
  while (begin_round(actor->stage)) {
    dawdle(&actor->random);
    (void) visit(actor->stage, &visitor, threads_random(&actor->random) % 64);
    end_round(actor->stage);
  }
}

static void start_actors(stage_t *stage, actor_t *actors, int count, void (*body)(void *arg), uint32_t seed) {
  for (int i = 0; i < count; i++) {
    actors[i] = (actor_t){.stage = stage, .random = seed + (uint32_t) i};
    threads_start(&actors[i].thread, body, &actors[i]);
  }
}

static void join_actors(actor_t *actors, int count) {
  for (int i = 0; i < count; i++) threads_join(&actors[i].thread);
}

static void bus_publish_close_and_leave_race_without_losing_count(void **state) {
  (void) state;
  static stage_t stage;
  actor_t publishers[PUBLISHERS], readers[READERS];
  uint32_t random = 7;
  open_stage(&stage);
  THREADS_CHECK(uv_barrier_init(&stage.begin, PUBLISHERS + READERS + 1) == 0);
  THREADS_CHECK(uv_barrier_init(&stage.end, PUBLISHERS + READERS + 1) == 0);
  start_actors(&stage, publishers, PUBLISHERS, publish_until_it_is_closed, 100);
  start_actors(&stage, readers, READERS, read_some_and_leave, 200);

  for (int round = 0; round < CLOSE_ROUNDS; round++) {
    open_bus(&stage, 1u << (1 + round % 4), 1);
    (void) begin_round(&stage);
    dawdle(&random);
    fluxbp_bus_close(stage.bus);
    end_round(&stage);
    close_bus(&stage, publishers[0].published + publishers[1].published);
    threads_progress();
  }
  atomic_store(&stage.is_over, true);
  (void) begin_round(&stage);
  join_actors(publishers, PUBLISHERS);
  join_actors(readers, READERS);
  uv_barrier_destroy(&stage.begin);
  uv_barrier_destroy(&stage.end);
  close_stage(&stage);
}

/* ---- readers come and go while others publish and read ---- */

static void publish_many(void *arg) {
  actor_t *actor = arg;
  while (actor->published < CHURN_MESSAGES) {
    THREADS_CHECK(publish(actor->stage) == 0);
    actor->published++;
    threads_progress();
  }
}

static void publish_many_with_own_ids(void *arg) {
  actor_t *actor = arg;
  const stage_t *stage = actor->stage;
  fluxbp_msg_t *msg;
  THREADS_CHECK(fluxbp_msg_create(stage->pool, "news", 4, &msg) == 0);
  while (actor->published < CHURN_MESSAGES) {
    int err = fluxbp_bus_publish_as(stage->bus, stage->topic, msg, (actor->published + 1) * stage->id_step);
    THREADS_CHECK(err == 0 || err == UV_EAGAIN);
    if (err)
      (void) sched_yield();
    else
      actor->published++;
    threads_progress();
  }
  fluxbp_msg_unref(msg);
}

static void come_and_go(void *arg) {
  actor_t *actor = arg;
  visitor_t visitor = {.is_joined = false};
  while (!atomic_load(&actor->stage->is_over)) {
    if (!visit(actor->stage, &visitor, threads_random(&actor->random) % (2 * CHURN_SLOTS))) (void) sched_yield();
    dawdle(&actor->random);
  }
}

static void readers_come_and_go(int publisher_count, void (*publishes)(void *arg), uint64_t id_step) {
  static stage_t stage;
  actor_t publishers[PUBLISHERS], visitors[READERS];
  visitor_t stays = {.is_joined = true};
  uint64_t messages = (uint64_t) publisher_count * CHURN_MESSAGES;
  open_stage(&stage);
  open_bus(&stage, CHURN_SLOTS, id_step);
  THREADS_CHECK(fluxbp__bus_join(stage.bus, &stays.reader, on_wake, &stays, NULL) == 0);
  start_actors(&stage, publishers, publisher_count, publishes, 300);
  start_actors(&stage, visitors, READERS, come_and_go, 400);

  for (uint64_t read = 0; read < messages;) {
    fluxbp__bus_entry_t entry;
    if (!fluxbp__bus_next(&stays.reader, &entry)) {
      (void) sched_yield();
      continue;
    }
    THREADS_CHECK(entry.id == ++read * id_step);
    fluxbp__bus_advance(&stays.reader);
  }
  atomic_store(&stage.is_over, true);
  join_actors(publishers, publisher_count);
  join_actors(visitors, READERS);
  fluxbp__bus_leave(&stays.reader);
  close_bus(&stage, messages);
  close_stage(&stage);
}

static void bus_readers_that_come_and_go_disturb_nobody(void **state) {
  (void) state;
  readers_come_and_go(PUBLISHERS, publish_many, 1);
}

/* And each knows exactly after which id it has joined. */
static void bus_readers_that_come_and_go_miss_none_of_the_callers_ids(void **state) {
  (void) state;
  readers_come_and_go(1, publish_many_with_own_ids, HOLES);
}

/* ---- topics come and go, too ---- */

static int publish_to(const stage_t *stage, const char *name) {
  fluxbp_msg_t *msg;
  THREADS_CHECK(fluxbp_msg_create(stage->pool, name, strlen(name), &msg) == 0);
  int err = fluxbp_bus_publish_to(stage->bus, name, msg, NULL);
  fluxbp_msg_unref(msg);
  return err;
}

/* By the number, which is held no longer than that takes. */
static int publish_held(const stage_t *stage, const char *name) {
  fluxbp_msg_t *msg;
  uint32_t topic;
  int err = fluxbp_bus_topic(stage->bus, name, &topic);
  if (err) return err;
  THREADS_CHECK(strcmp(fluxbp_bus_topic_name(stage->bus, topic), name) == 0);
  THREADS_CHECK(fluxbp_msg_create(stage->pool, name, strlen(name), &msg) == 0);
  err = fluxbp_bus_publish(stage->bus, topic, msg, NULL);
  fluxbp_msg_unref(msg);
  THREADS_CHECK(fluxbp_bus_topic_release(stage->bus, topic) == 0);
  return err;
}

/* Names of its own that come once, and some that all publishers use. The message is the name. */
static void publish_on_many_topics(void *arg) {
  actor_t *actor = arg;
  char name[32];
  while (actor->published < NAMED_MESSAGES) {
    uint32_t drawn = threads_random(&actor->random);
    bool is_shared = drawn % 4 == 0;
    (void) snprintf(name, sizeof name, is_shared ? "shared%u" : "%u.%u", is_shared ? drawn / 8 % 8 : actor->random,
                    (unsigned) actor->published);
    int err;
    while ((err = drawn % 3 == 0 ? publish_held(actor->stage, name) : publish_to(actor->stage, name)) == UV_EAGAIN)
      (void) sched_yield();
    THREADS_CHECK(err == 0);
    actor->published++;
    threads_progress();
  }
}

/* Whatever number its topic has, a message comes under the name that it was published on. */
static void check_name(const fluxbp__bus_entry_t *entry) {
  THREADS_CHECK(strlen(entry->name) == fluxbp_msg_length(entry->msg));
  THREADS_CHECK(memcmp(entry->name, fluxbp_msg_data(entry->msg), fluxbp_msg_length(entry->msg)) == 0);
}

static void visit_by_name(void *arg) {
  actor_t *actor = arg;
  visitor_t visitor = {.is_joined = false};
  while (!atomic_load(&actor->stage->is_over)) {
    fluxbp__bus_entry_t entry;
    atomic_store(&visitor.is_joined, true);
    THREADS_CHECK(fluxbp__bus_join(actor->stage->bus, &visitor.reader, on_wake, &visitor, NULL) == 0);
    for (uint32_t looks = threads_random(&actor->random) % (4 * CHURN_SLOTS); looks > 0; looks--) {
      if (!fluxbp__bus_next(&visitor.reader, &entry)) continue;
      check_name(&entry);
      fluxbp__bus_advance(&visitor.reader);
    }
    fluxbp__bus_leave(&visitor.reader);
    atomic_store(&visitor.is_joined, false);
    dawdle(&actor->random);
  }
}

static void bus_topics_that_come_and_go_keep_their_messages_names(void **state) {
  (void) state;
  static stage_t stage;
  actor_t publishers[PUBLISHERS], visitors[READERS];
  visitor_t stays = {.is_joined = true};
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = CHURN_SLOTS;
  options.max_topics = NAMED_TOPICS_MAX;
  open_stage(&stage);
  THREADS_CHECK(fluxbp_bus_create(stage.pool, &options, &stage.bus) == 0);
  THREADS_CHECK(fluxbp__bus_join(stage.bus, &stays.reader, on_wake, &stays, NULL) == 0);
  start_actors(&stage, publishers, PUBLISHERS, publish_on_many_topics, 500);
  start_actors(&stage, visitors, READERS, visit_by_name, 600);

  for (uint64_t read = 0; read < (uint64_t) PUBLISHERS * NAMED_MESSAGES;) {
    fluxbp__bus_entry_t entry;
    if (!fluxbp__bus_next(&stays.reader, &entry)) {
      (void) sched_yield();
      continue;
    }
    THREADS_CHECK(entry.id == ++read);
    check_name(&entry);
    fluxbp__bus_advance(&stays.reader);
  }
  atomic_store(&stage.is_over, true);
  join_actors(publishers, PUBLISHERS);
  join_actors(visitors, READERS);
  fluxbp__bus_leave(&stays.reader);
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(stage.bus, &stats);
  THREADS_CHECK(stats.topics <= NAMED_TOPICS_MAX);
  close_bus(&stage, (uint64_t) PUBLISHERS * NAMED_MESSAGES);
  close_stage(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_publish_close_and_leave_race_without_losing_count),
      cmocka_unit_test(bus_readers_that_come_and_go_disturb_nobody),
      cmocka_unit_test(bus_readers_that_come_and_go_miss_none_of_the_callers_ids),
      cmocka_unit_test(bus_topics_that_come_and_go_keep_their_messages_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
