/* SPDX-License-Identifier: MIT */
/*
 * bench_subscriptions: what many topics cost a hub, and many subscriptions a connection.
 *
 *   subscribe, disconnect   one connection and all topics, each of which has another member; with a quarter of the
 *                           topics, with all, and with four times as many: the time may grow as fast as their
 *                           number, and no faster
 *   memory                  of a further subscription of a connection: the mean of all lengths from half of the number
 *                           to all of it, and the worst, right after the list has grown; of a topic with a name of
 *                           16 bytes and one member
 *   longest step            of opening topics one by one, and of setting new keys of one state topic
 *
 * No connection is ever started, so nothing is written. Times are the thread's processor time; memory is counted by the
 * pool's allocator, so it is the same on a busy machine.
 */
#include "bench.h"
#include "fluxbp/fluxbp.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SIZES = 3, NAME_BYTES = 16 };

typedef struct settings {
  uint64_t rounds;
  uint64_t topics;
  uint64_t steps; /* topics that are opened, and keys that are set, to find the longest */
} settings_t;

typedef struct bench {
  settings_t settings;
  uv_loop_t loop;
  fluxbp_pool_t *pool;
  fluxbp_hub_t *hub;
  fluxbp_topic_t **topics;
  bench_rounds_t subscribe_ms[SIZES], disconnect_ms[SIZES];
  bench_rounds_t subscription_bytes, worst_subscription_bytes, topic_bytes;
  bench_rounds_t topic_step_ms, key_step_ms;
} bench_t;

/* The library's memory, had and not given back. */
static uint64_t library_bytes;

static void *library_alloc(size_t size, void *arg) {
  (void) arg;
  library_bytes += size;
  return malloc(size);
}

static void library_free(void *memory, size_t size, void *arg) {
  (void) arg;
  library_bytes -= size;
  free(memory);
}

static double spent_ms(void) {
  struct timespec time;
  (void) bench_check(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), "clock_gettime");
  return (double) time.tv_sec * 1e3 + (double) time.tv_nsec / 1e6;
}

static void open_hub(bench_t *bench) {
  fluxbp_pool_options_t pool_options;
  fluxbp_hub_options_t options;
  fluxbp_pool_options_init(&pool_options);
  fluxbp_hub_options_init(&options);
  pool_options.allocator = (fluxbp_allocator_t){library_alloc, library_free, NULL};
  pool_options.max_bytes = (uint64_t) 4 << 30;
  bench_must(uv_loop_init(&bench->loop), "loop");
  bench_must(fluxbp_pool_create(&pool_options, &bench->pool), "pool");
  options.pool = bench->pool;
  bench_must(fluxbp_hub_create(&bench->loop, &options, &bench->hub), "hub");
}

static void close_hub(bench_t *bench) {
  fluxbp_hub_close(bench->hub, NULL);
  while (uv_run(&bench->loop, UV_RUN_DEFAULT) != 0) {
  }
  bench_must(fluxbp_pool_destroy(bench->pool), "pool");
  bench_must(uv_loop_close(&bench->loop), "loop");
}

static void open_topics(bench_t *bench, uint64_t count) {
  bench->topics = bench_alloc(count, sizeof(fluxbp_topic_t *));
  for (uint64_t i = 0; i < count; i++) {
    char name[NAME_BYTES + 1];
    (void) snprintf(name, sizeof name, "topic/%010u", (unsigned) i);
    bench_must(fluxbp_topic_open(bench->hub, name, &bench->topics[i]), "topic");
  }
}

static fluxbp_conn_t *create_conn(const bench_t *bench) {
  fluxbp_conn_t *conn;
  bench_must(fluxbp_conn_create(bench->hub, NULL, &conn), "connection");
  return conn;
}

static void subscribe(const bench_t *bench, fluxbp_conn_t *conn, uint64_t from, uint64_t to) {
  for (uint64_t i = from; i < to; i++)
    if (fluxbp_topic_subscribe(bench->topics[i], conn) != 1) bench_die("subscribe", UV_EINVAL);
}

/* The topics' other member comes later, so it takes the place of the connection that leaves. */
static void time_one_size(bench_t *bench, int size) {
  uint64_t count = bench->settings.topics / 4 << 2 * size;
  open_hub(bench);
  open_topics(bench, count);
  fluxbp_conn_t *conn = create_conn(bench);
  double begun_ms = spent_ms();
  subscribe(bench, conn, 0, count);
  bench_round(&bench->subscribe_ms[size], spent_ms() - begun_ms);
  subscribe(bench, create_conn(bench), 0, count);
  begun_ms = spent_ms();
  fluxbp_conn_reset(conn);
  bench_round(&bench->disconnect_ms[size], spent_ms() - begun_ms);
  close_hub(bench);
  free(bench->topics);
}

/* Each topic's first member is the connection, so the topic takes no memory for it. */
static void measure_subscriptions(bench_t *bench) {
  uint64_t count = bench->settings.topics;
  open_hub(bench);
  open_topics(bench, count);
  fluxbp_conn_t *conn = create_conn(bench);
  subscribe(bench, conn, 0, 1);
  uint64_t bytes_before = library_bytes;
  double sum = 0, worst = 0;
  uint64_t from = count / 2;
  subscribe(bench, conn, 1, from);
  for (uint64_t i = from; i < count; i++) {
    subscribe(bench, conn, i, i + 1);
    double bytes = (double) (library_bytes - bytes_before) / (double) i;
    sum += bytes;
    if (bytes > worst) worst = bytes;
  }
  bench_round(&bench->subscription_bytes, sum / (double) (count - from));
  bench_round(&bench->worst_subscription_bytes, worst);
  close_hub(bench);
  free(bench->topics);
}

/* Each member has no other topic, so it takes no memory for its subscription. */
static void measure_topics(bench_t *bench) {
  uint64_t count = bench->settings.topics;
  open_hub(bench);
  fluxbp_conn_t **conns = bench_alloc(count, sizeof *conns);
  for (uint64_t i = 0; i < count; i++) conns[i] = create_conn(bench);
  uint64_t bytes_before = library_bytes;
  open_topics(bench, count);
  for (uint64_t i = 0; i < count; i++) subscribe(bench, conns[i], i, i + 1);
  bench_round(&bench->topic_bytes, (double) (library_bytes - bytes_before) / (double) count);
  close_hub(bench);
  free(conns);
  free(bench->topics);
}

static void note_longest(double *longest_ms, double *last_ms) {
  double now_ms = spent_ms();
  if (now_ms - *last_ms > *longest_ms) *longest_ms = now_ms - *last_ms;
  *last_ms = now_ms;
}

static void measure_topic_steps(bench_t *bench) {
  double longest_ms = 0;
  open_hub(bench);
  double last_ms = spent_ms();
  for (uint64_t i = 0; i < bench->settings.steps; i++) {
    char name[NAME_BYTES + 1];
    fluxbp_topic_t *topic;
    (void) snprintf(name, sizeof name, "topic/%010u", (unsigned) i);
    bench_must(fluxbp_topic_open(bench->hub, name, &topic), "topic");
    note_longest(&longest_ms, &last_ms);
  }
  bench_round(&bench->topic_step_ms, longest_ms);
  close_hub(bench);
}

static void measure_key_steps(bench_t *bench) {
  double longest_ms = 0;
  fluxbp_topic_t *topic;
  open_hub(bench);
  bench_must(fluxbp_topic_open_state(bench->hub, "prices", (uint32_t) bench->settings.steps, &topic), "state topic");
  double last_ms = spent_ms();
  for (uint64_t key = 0; key < bench->settings.steps; key++) {
    int result = fluxbp_topic_publish_bytes_keyed(topic, key, &key, sizeof key);
    if (result < 0) bench_die("publish", result);
    note_longest(&longest_ms, &last_ms);
  }
  bench_round(&bench->key_step_ms, longest_ms);
  close_hub(bench);
}

static void print_report(report_t *report, const bench_t *bench) {
  static const char *const times[] = {"subscribe", "disconnect", NULL};
  static const char *const bytes[] = {"bytes", NULL};
  static const char *const steps[] = {"ms", NULL};
  char name[64];
  report_table(report, "one connection, ms for all topics", times);
  for (int size = 0; size < SIZES; size++) {
    bench_rounds_t figures[2] = {bench->subscribe_ms[size], bench->disconnect_ms[size]};
    (void) snprintf(name, sizeof name, "%u topics", (unsigned) (bench->settings.topics / 4 << 2 * size));
    report_row(report, name, figures);
  }
  report_table(report, "memory", bytes);
  report_row(report, "a further subscription of a connection", &bench->subscription_bytes);
  report_row(report, "the same right after its list has grown", &bench->worst_subscription_bytes);
  report_row(report, "a topic with one member", &bench->topic_bytes);
  report_table(report, "longest step", steps);
  (void) snprintf(name, sizeof name, "opening a topic, up to %u", (unsigned) bench->settings.steps);
  report_row(report, name, &bench->topic_step_ms);
  (void) snprintf(name, sizeof name, "setting a new key, up to %u", (unsigned) bench->settings.steps);
  report_row(report, name, &bench->key_step_ms);
  report_goal(report, "ms to subscribe a connection to 20 000 topics", 10, &bench->subscribe_ms[1]);
  report_goal(report, "ms to disconnect it", 10, &bench->disconnect_ms[1]);
  report_goal(report, "bytes of a further subscription, at the most", 24, &bench->worst_subscription_bytes);
  report_goal(report, "bytes of a topic with one member", 256, &bench->topic_bytes);
}

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 7, .topics = 20000, .steps = 1000000};
  const bench_option_t options[] = {
      {"--rounds", "of everything", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--topics", "of the connection", 1000000, &settings->topics},
      {"--steps", "topics, and keys, for the longest step", 10000000, &settings->steps},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  report_begin(&report, json);
  for (uint64_t round = 0; round < settings->rounds; round++) {
    for (int size = 0; size < SIZES; size++) time_one_size(&bench, size);
    measure_topic_steps(&bench);
    measure_key_steps(&bench);
  }
  measure_subscriptions(&bench);
  measure_topics(&bench);
  print_report(&report, &bench);
  report_end(&report);
  return 0;
}
