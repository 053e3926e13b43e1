/* SPDX-License-Identifier: MIT */
/*
 * bus under load: publishers and readers on threads of their own. Readers really sleep, so a lost wake-up hangs the
 * test, and the watchdog ends it.
 *
 * BUS_STRESS_MESSAGES=10000000 sets how many messages each publisher publishes.
 */
#include "bus.h"
#include "support/alloc_hook.h"
#include "support/threads.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum {
  PUBLISHERS = 4,
  READERS = 4,
  SLOTS = 1024,                       /* so that the ring is full now and then */
  MESSAGES = THREADS_ROUNDS(250000),  /* of each publisher */
  LOOP_WAKES = THREADS_ROUNDS(40000), /* of loops, which takes a system call each */
  PAIRS = THREADS_ROUNDS(500000),     /* of messages for a reader that sleeps by spinning */
  MOST_WAITING = 1024,                /* between the two, in turns of a loop: a few hundred ns */
  RUN_MAX = 16,                       /* messages that are published together */
  WATCHDOG_SECONDS = 20
};

typedef struct payload {
  uint64_t sequence; /* per publisher, from 0 */
  uint32_t publisher;
} payload_t;

typedef struct stage {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
  uint64_t messages;                 /* of each publisher */
  _Atomic uint64_t seen[PUBLISHERS]; /* messages of each publisher, by all readers together */
  uint32_t publishers;
  bool has_origins; /* else no message has one */
} stage_t;

/* A reader on a loop, as a hub will be. */
typedef struct reader {
  uv_thread_t thread;
  stage_t *stage;
  uv_loop_t loop;
  uv_async_t wake;
  fluxbp__bus_reader_t reader;
  uint64_t expected_id;
  uint64_t next[PUBLISHERS]; /* the sequence that has to come */
  uint64_t messages;
  uint64_t hash; /* of everything that it read, in this order */
} reader_t;

typedef struct publisher {
  uv_thread_t thread;
  stage_t *stage;
  uint32_t number;
} publisher_t;

static void open_stage(stage_t *stage, uint32_t slots, uint32_t publishers, uint64_t messages) {
  *stage = (stage_t){.publishers = publishers, .messages = messages, .has_origins = true};
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&stage->hook);
  THREADS_CHECK(fluxbp_pool_create(&options, &stage->pool) == 0);

  fluxbp_bus_options_t bus_options;
  fluxbp_bus_options_init(&bus_options);
  bus_options.slots = slots;
  THREADS_CHECK(fluxbp_bus_create(stage->pool, &bus_options, &stage->bus) == 0);
  THREADS_CHECK(fluxbp_bus_topic(stage->bus, "news", &stage->topic) == 0);
  threads_watch(WATCHDOG_SECONDS);
}

/* Everything was published, and nothing is left of it. */
static void close_stage(stage_t *stage) {
  threads_unwatch();
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(stage->bus, &stats);
  THREADS_CHECK(stats.published == stage->messages * stage->publishers);
  fluxbp_pool_stats_t pool_stats;
  fluxbp_pool_get_stats(stage->pool, &pool_stats);
  THREADS_CHECK(pool_stats.used_bytes == 0);
  THREADS_CHECK(fluxbp_bus_destroy(stage->bus) == 0);
  THREADS_CHECK(fluxbp_pool_destroy(stage->pool) == 0);
  THREADS_CHECK(stage->hook.live_blocks == 0);
}

/* ---- publishers ---- */

/* Every third message has an origin, which says where the message comes from. */
static uint64_t origin_of(const payload_t *payload) {
  return payload->sequence % 3 == 0 ? (payload->sequence + 1) * PUBLISHERS + payload->publisher : 0;
}

static void publish(stage_t *stage, payload_t payload, uint64_t *last_id) {
  fluxbp_msg_t *msg;
  uint64_t id;
  int err;
  THREADS_CHECK(fluxbp_msg_create(stage->pool, &payload, sizeof payload, &msg) == 0);
  fluxbp_bus_publish_options_t options;
  fluxbp_bus_publish_options_init(&options);
  options.topic = stage->topic;
  options.origin = origin_of(&payload);
  while ((err = fluxbp_bus_publish_with(stage->bus, msg, &options, &id)) == UV_EAGAIN) (void) sched_yield();
  THREADS_CHECK(err == 0);
  THREADS_CHECK(id > *last_id);
  *last_id = id;
  fluxbp_msg_unref(msg);
}

static void publish_without_waiting(void *arg) {
  publisher_t *publisher = arg;
  uint64_t last_id = 0;
  for (uint64_t i = 0; i < publisher->stage->messages; i++)
    publish(publisher->stage, (payload_t){.publisher = publisher->number, .sequence = i}, &last_id);
}

/* Runs of one message to RUN_MAX, as far as there is room. */
static void publish_runs(void *arg) {
  publisher_t *publisher = arg;
  stage_t *stage = publisher->stage;
  fluxbp_msg_t *msgs[RUN_MAX];
  uint64_t last_id = 0, id;
  uint32_t random = publisher->number + 1;
  fluxbp_bus_publish_options_t options;
  fluxbp_bus_publish_options_init(&options);
  options.topic = stage->topic;
  for (uint64_t made = 0, published = 0; published < stage->messages;) {
    size_t count = made - published, wanted = threads_random(&random) % RUN_MAX + 1;
    for (; count < wanted && made < stage->messages; count++, made++) {
      payload_t payload = {.publisher = publisher->number, .sequence = made};
      THREADS_CHECK(fluxbp_msg_create(stage->pool, &payload, sizeof payload, &msgs[count]) == 0);
    }
    options.origin = 0;
    int result = fluxbp_bus_publish_many(stage->bus, msgs, count, &options, &id);
    if (result == UV_EAGAIN) {
      (void) sched_yield();
      continue;
    }
    THREADS_CHECK(result >= 1 && (size_t) result <= count);
    THREADS_CHECK(id > last_id);
    last_id = id + (uint64_t) result - 1;
    published += (uint64_t) result;
    memmove(msgs, msgs + result, (count - (size_t) result) * sizeof *msgs);
  }
}

/* The next message comes only when every reader has read this one, and many of them have gone to sleep. */
static void publish_one_by_one(void *arg) {
  publisher_t *publisher = arg;
  _Atomic uint64_t *seen = &publisher->stage->seen[publisher->number];
  uint64_t last_id = 0;
  for (uint64_t i = 0; i < publisher->stage->messages; i++) {
    publish(publisher->stage, (payload_t){.publisher = publisher->number, .sequence = i}, &last_id);
    while (atomic_load_explicit(seen, memory_order_relaxed) < (i + 1) * READERS) (void) sched_yield();
  }
}

/* ---- readers on loops ---- */

static void wake_loop(void *arg) {
  THREADS_CHECK(uv_async_send(arg) == 0);
}

static void read_entry(reader_t *reader, const fluxbp__bus_entry_t *entry) {
  THREADS_CHECK(entry->id == reader->expected_id);
  THREADS_CHECK(entry->topic == reader->stage->topic);
  THREADS_CHECK(fluxbp_msg_length(entry->msg) == sizeof(payload_t));
  const payload_t *payload = fluxbp_msg_data(entry->msg);
  THREADS_CHECK(payload->publisher < PUBLISHERS);
  THREADS_CHECK(payload->sequence == reader->next[payload->publisher]);
  THREADS_CHECK(entry->origin == (reader->stage->has_origins ? origin_of(payload) : 0));

  reader->expected_id++;
  reader->next[payload->publisher]++;
  reader->messages++;
  reader->hash = (reader->hash ^ entry->id) * 1099511628211u;
  reader->hash = (reader->hash ^ payload->publisher) * 1099511628211u;
  reader->hash = (reader->hash ^ payload->sequence) * 1099511628211u;
  (void) atomic_fetch_add_explicit(&reader->stage->seen[payload->publisher], 1, memory_order_relaxed);
}

static void on_async(uv_async_t *async) {
  reader_t *reader = async->data;
  fluxbp__bus_entry_t entry;
  fluxbp__bus_begin(&reader->reader);
  while (fluxbp__bus_next(&reader->reader, &entry)) {
    read_entry(reader, &entry);
    fluxbp__bus_advance(&reader->reader);
  }
  threads_progress();
  if (reader->messages < reader->stage->messages * reader->stage->publishers) return;
  fluxbp__bus_leave(&reader->reader);
  uv_close((uv_handle_t *) async, NULL);
}

static void run_loop(void *arg) {
  reader_t *reader = arg;
  THREADS_CHECK(uv_run(&reader->loop, UV_RUN_DEFAULT) == 0);
  THREADS_CHECK(uv_loop_close(&reader->loop) == 0);
}

static void start_reader(reader_t *reader, stage_t *stage) {
  *reader = (reader_t){.stage = stage, .expected_id = 1};
  THREADS_CHECK(uv_loop_init(&reader->loop) == 0);
  THREADS_CHECK(uv_async_init(&reader->loop, &reader->wake, on_async) == 0);
  reader->wake.data = reader;
  THREADS_CHECK(fluxbp__bus_join(stage->bus, &reader->reader, wake_loop, &reader->wake, reader) == 0);
  threads_start(&reader->thread, run_loop, reader);
}

/* All readers have read the same. */
static void run(stage_t *stage, void (*publish_all)(void *arg)) {
  static reader_t readers[READERS];
  publisher_t publishers[PUBLISHERS];
  for (int i = 0; i < READERS; i++) start_reader(&readers[i], stage);
  for (uint32_t i = 0; i < stage->publishers; i++) {
    publishers[i] = (publisher_t){.stage = stage, .number = i};
    threads_start(&publishers[i].thread, publish_all, &publishers[i]);
  }
  for (uint32_t i = 0; i < stage->publishers; i++) threads_join(&publishers[i].thread);
  for (int i = 0; i < READERS; i++) threads_join(&readers[i].thread);

  for (int i = 0; i < READERS; i++) {
    THREADS_CHECK(readers[i].messages == stage->messages * stage->publishers);
    THREADS_CHECK(readers[i].hash == readers[0].hash);
  }
}

static uint64_t messages_from_environment(void) {
  const char *text = getenv("BUS_STRESS_MESSAGES");
  return text != NULL ? strtoull(text, NULL, 10) : MESSAGES;
}

static void bus_readers_on_loops_all_see_the_same_order_and_lose_nothing(void **state) {
  (void) state;
  static stage_t stage;
  open_stage(&stage, SLOTS, PUBLISHERS, messages_from_environment());
  run(&stage, publish_without_waiting);
  close_stage(&stage);
}

static void bus_readers_on_loops_all_see_the_same_order_of_runs(void **state) {
  (void) state;
  static stage_t stage;
  open_stage(&stage, SLOTS, PUBLISHERS, messages_from_environment());
  stage.has_origins = false;
  run(&stage, publish_runs);
  close_stage(&stage);
}

static void bus_readers_on_loops_are_woken_for_every_message(void **state) {
  (void) state;
  static stage_t stage;
  open_stage(&stage, SLOTS, PUBLISHERS / 2, LOOP_WAKES / 2);
  run(&stage, publish_one_by_one);
  close_stage(&stage);
}

/* ---- a reader that sleeps by spinning: the most sleeps a second, in case that one in a million isn't woken ---- */

typedef struct spinner {
  stage_t *stage;
  atomic_bool is_woken;
  _Atomic uint64_t read;
  fluxbp__bus_reader_t reader;
} spinner_t;

static void spin(unsigned *spins) {
  if (++*spins % 1024 == 0) (void) sched_yield(); /* there may be one processor for both */
}

static void wake_spinner(void *arg) {
  spinner_t *spinner = arg;
  atomic_store_explicit(&spinner->is_woken, true, memory_order_release);
}

static void spin_and_read(void *arg) {
  spinner_t *spinner = arg;
  fluxbp__bus_entry_t entry;
  unsigned spins = 0;
  uint64_t read = 0;
  while (read < spinner->stage->messages) {
    while (!atomic_load_explicit(&spinner->is_woken, memory_order_relaxed)) spin(&spins);
    (void) atomic_exchange_explicit(&spinner->is_woken, false, memory_order_acquire);
    fluxbp__bus_begin(&spinner->reader);
    while (fluxbp__bus_next(&spinner->reader, &entry)) {
      THREADS_CHECK(entry.id == ++read);
      fluxbp__bus_advance(&spinner->reader);
    }
    atomic_store_explicit(&spinner->read, read, memory_order_release);
    threads_progress();
  }
}

static void publish_once(stage_t *stage, fluxbp_msg_t *msg) {
  THREADS_CHECK(fluxbp_bus_publish(stage->bus, stage->topic, msg, NULL) == 0);
}

/*
 * The first message wakes the reader, the second comes about when it silences its alarm: that is where a publisher
 * could believe that the reader is coming, while it has looked already. The wait in between is what hits the spot.
 */
static void bus_reader_is_never_left_asleep(void **state) {
  (void) state;
  static stage_t stage;
  open_stage(&stage, SLOTS, 1, (uint64_t) 2 * PAIRS);
  spinner_t spinner = {.stage = &stage};
  THREADS_CHECK(fluxbp__bus_join(stage.bus, &spinner.reader, wake_spinner, &spinner, NULL) == 0);
  uv_thread_t thread;
  threads_start(&thread, spin_and_read, &spinner);

  fluxbp_msg_t *msg;
  uint32_t random = 1;
  unsigned spins = 0;
  THREADS_CHECK(fluxbp_msg_create(stage.pool, "x", 1, &msg) == 0);
  for (uint64_t pair = 1; pair <= PAIRS; pair++) {
    publish_once(&stage, msg);
    for (uint32_t wait = threads_random(&random) % MOST_WAITING; wait > 0; wait--)
      atomic_signal_fence(memory_order_seq_cst);
    publish_once(&stage, msg);
    while (atomic_load_explicit(&spinner.read, memory_order_acquire) < 2 * pair) spin(&spins);
  }
  threads_join(&thread);
  fluxbp_msg_unref(msg);
  fluxbp__bus_leave(&spinner.reader);
  close_stage(&stage);
}

/* The same with runs of two and three messages: the alarm is for the first of a run. */
static void bus_reader_is_never_left_asleep_by_runs(void **state) {
  (void) state;
  static stage_t stage;
  open_stage(&stage, SLOTS, 1, (uint64_t) 5 * PAIRS);
  spinner_t spinner = {.stage = &stage};
  THREADS_CHECK(fluxbp__bus_join(stage.bus, &spinner.reader, wake_spinner, &spinner, NULL) == 0);
  uv_thread_t thread;
  threads_start(&thread, spin_and_read, &spinner);

  fluxbp_msg_t *msg, *msgs[3];
  fluxbp_bus_publish_options_t options;
  uint32_t random = 1;
  unsigned spins = 0;
  fluxbp_bus_publish_options_init(&options);
  options.topic = stage.topic;
  THREADS_CHECK(fluxbp_msg_create(stage.pool, "x", 1, &msg) == 0);
  for (uint64_t pair = 1; pair <= PAIRS; pair++) {
    for (int i = 0; i < 2; i++) msgs[i] = fluxbp_msg_ref(msg);
    THREADS_CHECK(fluxbp_bus_publish_many(stage.bus, msgs, 2, &options, NULL) == 2);
    for (uint32_t wait = threads_random(&random) % MOST_WAITING; wait > 0; wait--)
      atomic_signal_fence(memory_order_seq_cst);
    for (int i = 0; i < 3; i++) msgs[i] = fluxbp_msg_ref(msg);
    THREADS_CHECK(fluxbp_bus_publish_many(stage.bus, msgs, 3, &options, NULL) == 3);
    while (atomic_load_explicit(&spinner.read, memory_order_acquire) < 5 * pair) spin(&spins);
  }
  threads_join(&thread);
  fluxbp_msg_unref(msg);
  fluxbp__bus_leave(&spinner.reader);
  close_stage(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_readers_on_loops_all_see_the_same_order_and_lose_nothing),
      cmocka_unit_test(bus_readers_on_loops_all_see_the_same_order_of_runs),
      cmocka_unit_test(bus_readers_on_loops_are_woken_for_every_message),
      cmocka_unit_test(bus_reader_is_never_left_asleep_by_runs),
      cmocka_unit_test(bus_reader_is_never_left_asleep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
