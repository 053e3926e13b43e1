/* SPDX-License-Identifier: MIT */
/*
 * bench_bus: what publishing on a bus costs, beside the plainest ring that does the same for one publisher and one
 * reader. Cases take turns within a round, so that what the machine does besides hits all of them; the figure is the
 * median of the rounds.
 *
 *   on one thread    only the pushes are timed, in bursts; the ring is emptied in between. No cache line has to travel.
 *   between threads  everything is timed, from the first push to the last pop; ns for each message that is published.
 *                    Readers poll and publishers yield when the ring is full, so the scheduler has its part in it.
 */
#include "bench.h"
#include "bus.h"

#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { SLOTS = 4096, BURST = 1024, MESSAGES_EACH = 1024, PUBLISHERS_MAX = 4, READERS_MAX = 2 };

typedef struct settings {
  uint64_t rounds;
  uint64_t messages; /* of each case in each round */
  FILE *json;        /* NULL: not wanted */
} settings_t;

/* ---- the ring to compare with: one publisher, one reader ---- */

typedef struct spsc {
  alignas(64) _Atomic uint64_t head;
  alignas(64) _Atomic uint64_t tail;
  alignas(64) uint64_t known_tail; /* the publisher's */
  fluxbp_msg_t *slots[SLOTS];
} spsc_t;

static spsc_t spsc;

static bool spsc_push(fluxbp_msg_t *msg) {
  uint64_t head = atomic_load_explicit(&spsc.head, memory_order_relaxed);
  if (head - spsc.known_tail == SLOTS) {
    spsc.known_tail = atomic_load_explicit(&spsc.tail, memory_order_acquire);
    if (head - spsc.known_tail == SLOTS) return false;
  }
  spsc.slots[head % SLOTS] = msg;
  atomic_store_explicit(&spsc.head, head + 1, memory_order_release);
  return true;
}

static bool spsc_pop(fluxbp_msg_t **msg) {
  uint64_t tail = atomic_load_explicit(&spsc.tail, memory_order_relaxed);
  if (tail == atomic_load_explicit(&spsc.head, memory_order_acquire)) return false;
  *msg = spsc.slots[tail % SLOTS];
  atomic_store_explicit(&spsc.tail, tail + 1, memory_order_release);
  return true;
}

/* ---- what is measured ---- */

typedef struct bench {
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
  uint64_t messages;
  fluxbp_msg_t *msgs[PUBLISHERS_MAX][MESSAGES_EACH]; /* used again and again: making them isn't measured */
  _Atomic unsigned ready;
  atomic_bool may_start;
} bench_t;

static void on_wake(void *arg) {
  (void) arg; /* readers poll */
}

/* Pushes only, on one thread; returns ns. */
static uint64_t push_spsc(bench_t *bench, bool takes_reference) {
  uint64_t spent = 0;
  for (uint64_t done = 0; done < bench->messages; done += BURST) {
    uint64_t begun = uv_hrtime();
    for (size_t i = 0; i < BURST; i++) {
      fluxbp_msg_t *msg = bench->msgs[0][i % MESSAGES_EACH];
      if (takes_reference) (void) fluxbp_msg_ref(msg);
      if (!spsc_push(msg)) abort();
    }
    spent += uv_hrtime() - begun;
    for (fluxbp_msg_t *msg; spsc_pop(&msg);)
      if (takes_reference) fluxbp_msg_unref(msg);
  }
  return spent;
}

static uint64_t push_bare(bench_t *bench) {
  return push_spsc(bench, false);
}

static uint64_t push_with_reference(bench_t *bench) {
  return push_spsc(bench, true);
}

static int publish_by_number(bench_t *bench, size_t i) {
  return fluxbp_bus_publish(bench->bus, bench->topic, bench->msgs[0][i % MESSAGES_EACH], NULL);
}

static int publish_by_held_name(bench_t *bench, size_t i) {
  return fluxbp_bus_publish_to(bench->bus, "bench", bench->msgs[0][i % MESSAGES_EACH], NULL);
}

/* Nobody holds the topic: its place among those that will go changes with each message. */
static int publish_by_name(bench_t *bench, size_t i) {
  return fluxbp_bus_publish_to(bench->bus, "stranger", bench->msgs[0][i % MESSAGES_EACH], NULL);
}

/* A reader whose alarm rings already, as one that is busy or on its way. */
static uint64_t push_to_bus(bench_t *bench, int (*publish)(bench_t *bench, size_t i)) {
  fluxbp__bus_reader_t reader = {0};
  fluxbp__bus_entry_t entry;
  uint64_t spent = 0;
  bench_must(fluxbp__bus_join(bench->bus, &reader, on_wake, NULL, NULL), "join");
  for (uint64_t done = 0; done < bench->messages; done += BURST) {
    uint64_t begun = uv_hrtime();
    for (size_t i = 0; i < BURST; i++)
      if (publish(bench, i)) abort();
    spent += uv_hrtime() - begun;
    while (fluxbp__bus_next(&reader, &entry)) fluxbp__bus_advance(&reader);
  }
  fluxbp__bus_leave(&reader);
  return spent;
}

static uint64_t push_by_number(bench_t *bench) {
  return push_to_bus(bench, publish_by_number);
}

static uint64_t push_by_held_name(bench_t *bench) {
  return push_to_bus(bench, publish_by_held_name);
}

static uint64_t push_by_name(bench_t *bench) {
  return push_to_bus(bench, publish_by_name);
}

typedef struct worker {
  uv_thread_t thread;
  bench_t *bench;
  uint32_t number;
  uint64_t messages;
  fluxbp__bus_reader_t reader;
} worker_t;

static void wait_for_start(bench_t *bench) {
  (void) atomic_fetch_add(&bench->ready, 1);
  while (!atomic_load(&bench->may_start)) (void) sched_yield();
}

static void spsc_publisher(void *arg) {
  worker_t *worker = arg;
  wait_for_start(worker->bench);
  for (uint64_t i = 0; i < worker->messages; i++) {
    fluxbp_msg_t *msg = fluxbp_msg_ref(worker->bench->msgs[0][i % MESSAGES_EACH]);
    while (!spsc_push(msg)) (void) sched_yield();
  }
}

static void spsc_reader(void *arg) {
  worker_t *worker = arg;
  wait_for_start(worker->bench);
  for (uint64_t i = 0; i < worker->messages; i++) {
    fluxbp_msg_t *msg;
    while (!spsc_pop(&msg)) (void) sched_yield();
    fluxbp_msg_unref(msg);
  }
}

static void bus_publisher(void *arg) {
  worker_t *worker = arg;
  bench_t *bench = worker->bench;
  wait_for_start(bench);
  for (uint64_t i = 0; i < worker->messages; i++) {
    fluxbp_msg_t *msg = bench->msgs[worker->number][i % MESSAGES_EACH];
    while (fluxbp_bus_publish(bench->bus, bench->topic, msg, NULL) == UV_EAGAIN) (void) sched_yield();
  }
}

static void bus_reader(void *arg) {
  worker_t *worker = arg;
  fluxbp__bus_entry_t entry;
  wait_for_start(worker->bench);
  for (uint64_t i = 0; i < worker->messages; i++) {
    while (!fluxbp__bus_next(&worker->reader, &entry)) (void) sched_yield();
    fluxbp__bus_advance(&worker->reader);
  }
}

static void start_workers(bench_t *bench, worker_t *workers, unsigned count, uint64_t messages, uv_thread_cb body) {
  for (unsigned i = 0; i < count; i++) {
    workers[i].bench = bench;
    workers[i].number = i;
    workers[i].messages = messages;
    bench_must(uv_thread_create(&workers[i].thread, body, &workers[i]), "thread");
  }
}

static void join_workers(worker_t *workers, unsigned count) {
  for (unsigned i = 0; i < count; i++) bench_must(uv_thread_join(&workers[i].thread), "join");
}

static uint64_t run_threads(bench_t *bench, unsigned publishers, uv_thread_cb publish, worker_t *readers,
                            unsigned reader_count, uv_thread_cb read) {
  worker_t workers[PUBLISHERS_MAX] = {0};
  uint64_t each = bench->messages / publishers;
  atomic_store(&bench->ready, 0);
  atomic_store(&bench->may_start, false);
  start_workers(bench, readers, reader_count, each * publishers, read);
  start_workers(bench, workers, publishers, each, publish);
  while (atomic_load(&bench->ready) < publishers + reader_count) (void) sched_yield();

  uint64_t begun = uv_hrtime();
  atomic_store(&bench->may_start, true);
  join_workers(workers, publishers);
  join_workers(readers, reader_count);
  return uv_hrtime() - begun;
}

static uint64_t spsc_between_threads(bench_t *bench) {
  worker_t reader = {0};
  return run_threads(bench, 1, spsc_publisher, &reader, 1, spsc_reader);
}

static uint64_t bus_between_threads(bench_t *bench, unsigned publishers, unsigned readers) {
  worker_t workers[READERS_MAX] = {0};
  for (unsigned i = 0; i < readers; i++)
    bench_must(fluxbp__bus_join(bench->bus, &workers[i].reader, on_wake, NULL, NULL), "join");
  uint64_t spent = run_threads(bench, publishers, bus_publisher, workers, readers, bus_reader);
  for (unsigned i = 0; i < readers; i++) fluxbp__bus_leave(&workers[i].reader);
  return spent;
}

/* ---- cases, rounds, the report ---- */

typedef struct bench_case {
  const char *name;
  uint64_t (*run)(bench_t *bench); /* NULL: the bus between threads */
  unsigned publishers, readers;
  bench_rounds_t ns;
} bench_case_t;

static bench_case_t cases[] = {
    {.name = "ring, one thread", .run = push_bare, .publishers = 1, .readers = 1},
    {.name = "ring + reference, one thread", .run = push_with_reference, .publishers = 1, .readers = 1},
    {.name = "bus, one thread", .run = push_by_number, .publishers = 1, .readers = 1},
    {.name = "bus by a held name, one thread", .run = push_by_held_name, .publishers = 1, .readers = 1},
    {.name = "bus by a name, one thread", .run = push_by_name, .publishers = 1, .readers = 1},
    {.name = "ring + reference, threads", .run = spsc_between_threads, .publishers = 1, .readers = 1},
    {.name = "bus, threads", .publishers = 1, .readers = 1},
    {.name = "bus, threads", .publishers = 2, .readers = 1},
    {.name = "bus, threads", .publishers = 4, .readers = 1},
    {.name = "bus, threads", .publishers = 1, .readers = 2},
    {.name = "bus, threads", .publishers = 2, .readers = 2},
    {.name = "bus, threads", .publishers = 4, .readers = 2},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void open_bench(bench_t *bench, uint64_t messages) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = SLOTS;
  bench->messages = (messages + BURST - 1) / BURST * BURST;
  bench_must(fluxbp_pool_create(NULL, &bench->pool), "pool");
  bench_must(fluxbp_bus_create(bench->pool, &options, &bench->bus), "bus");
  bench_must(fluxbp_bus_topic(bench->bus, "bench", &bench->topic), "topic");
  for (size_t i = 0; i < PUBLISHERS_MAX; i++)
    for (size_t j = 0; j < MESSAGES_EACH; j++)
      bench_must(fluxbp_msg_create(bench->pool, "message", 7, &bench->msgs[i][j]), "message");
}

static void close_bench(bench_t *bench) {
  for (size_t i = 0; i < PUBLISHERS_MAX; i++)
    for (size_t j = 0; j < MESSAGES_EACH; j++) fluxbp_msg_unref(bench->msgs[i][j]);
  bench_must(fluxbp_bus_destroy(bench->bus), "bus");
  bench_must(fluxbp_pool_destroy(bench->pool), "pool");
}

static void run_rounds(bench_t *bench, const settings_t *settings) {
  for (uint64_t round = 0; round < settings->rounds; round++) {
    for (size_t i = 0; i < CASES; i++) {
      bench_case_t *c = &cases[i];
      uint64_t spent = c->run ? c->run(bench) : bus_between_threads(bench, c->publishers, c->readers);
      bench_round(&c->ns, (double) spent / (double) bench->messages);
    }
  }
}

static void print_table(void) {
  (void) printf("%-30s %10s %7s %12s %8s %8s\n", "case", "publishers", "readers", "ns (median)", "lowest", "highest");
  for (size_t i = 0; i < CASES; i++) {
    const bench_case_t *c = &cases[i];
    bench_spread_t ns = bench_spread(&c->ns);
    (void) printf("%-30s %10u %7u %12.1f %8.1f %8.1f\n", c->name, c->publishers, c->readers, ns.median, ns.lowest,
                  ns.highest);
  }
}

static void print_json(const settings_t *settings, uint64_t messages) {
  FILE *json = settings->json;
  (void) fprintf(json, "{\"rounds\": %llu, \"messages\": %llu, \"slots\": %d, \"cases\": [",
                 (unsigned long long) settings->rounds, (unsigned long long) messages, SLOTS);
  for (size_t i = 0; i < CASES; i++) {
    const bench_case_t *c = &cases[i];
    bench_spread_t ns = bench_spread(&c->ns);
    (void) fprintf(
        json,
        "%s\n  {\"name\": \"%s\", \"publishers\": %u, \"readers\": %u, \"median_ns\": %.2f, \"lowest_ns\": %.2f, "
        "\"highest_ns\": %.2f}",
        i ? "," : "", c->name, c->publishers, c->readers, ns.median, ns.lowest, ns.highest);
  }
  (void) fprintf(json, "\n]}\n");
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 11, .messages = 1000000};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--messages", "of each case in each round", UINT32_MAX, &settings.messages},
  };
  settings.json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);

  static bench_t bench;
  open_bench(&bench, settings.messages);
  run_rounds(&bench, &settings);
  print_table();
  if (settings.json != NULL) print_json(&settings, bench.messages);
  close_bench(&bench);
  return 0;
}
