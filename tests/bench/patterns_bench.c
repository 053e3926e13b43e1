/* SPDX-License-Identifier: MIT */
/*
 * bench_patterns: what a publication costs while there are many subscriptions by pattern, beside the same publication
 * on a hub without patterns. Connections share the patterns out among them: each pattern has one subscriber.
 *
 *   one receiver   of 10 000 patterns one matches. Then the receiver is subscribed to the topic as well, and gets the
 *                  message once. Then a pattern comes or goes before each publication, so the topic's patterns are
 *                  looked for again
 *   all receivers  every connection is subscribed: to the topic, to one pattern, to two patterns
 *
 * Only the calls of fluxbp_topic_publish are timed, in bursts that are written outside of that; a figure is the mean of
 * a round. Besides, one connection subscribes to as many patterns and leaves them, one by one and by closing, on a hub
 * with a state topic: what that takes for each of them, and for each of a tenth as many. Memory is counted by the
 * pool's allocator, so it is the same on a busy machine.
 */
#include "bench.h"
#include "clients.h"
#include "report.h"
#include "room.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES = 128, BURST = 64, SAMPLE = 200 };

typedef enum way { ONE_EXACT, ONE_MATCH, BOTH_WAYS, CHANGES, ALL_EXACT, ALL_BY_ONE, ALL_BY_TWO, WAYS } way_t;
typedef enum step { SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, STEPS } step_t;
static const char *const step_names[STEPS] = {"subscribing", "unsubscribing", "disconnecting"};

static const char *const way_names[WAYS] = {"one receiver: the topic, no patterns",
                                            "one receiver: one match",
                                            "one receiver: one match, and the topic",
                                            "one receiver: one match, patterns change",
                                            "all receivers: the topic, no patterns",
                                            "all receivers: one match",
                                            "all receivers: two matches"};

/* The way without patterns that a way is held against. */
static way_t baseline_of(way_t way) {
  return way < ALL_EXACT ? ONE_EXACT : ALL_EXACT;
}

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t patterns;
  uint64_t bursts; /* of a way in a round */
} settings_t;

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

/* A hub with its clients. */
typedef struct hall {
  child_t clients;
  room_t room;
  int *fds;
  fluxbp_topic_t *one, *all; /* topics with one receiver, and with all connections as receivers */
} hall_t;

typedef struct bench {
  settings_t settings;
  hall_t bare, full; /* without patterns, and with */
  bench_rounds_t ns[WAYS], against_exact[WAYS];
  bench_rounds_t step_ns[STEPS], against_tenth[STEPS];
  bench_rounds_t bytes[2]; /* of a pattern with a subscriber, and of one subscriber more */
} bench_t;

static fluxbp_topic_t *open_topic(const hall_t *hall, const char *name) {
  fluxbp_topic_t *topic;
  bench_must(fluxbp_topic_open(hall->room.hub, name, &topic), "topic");
  return topic;
}

static void open_hall(const settings_t *settings, hall_t *hall) {
  hall->fds = bench_alloc(settings->connections, sizeof *hall->fds);
  clients_child_seat(&hall->clients, hall->fds, settings->connections);
  room_prepare(&hall->room);
  hall->room.pool_options.allocator = (fluxbp_allocator_t){library_alloc, library_free, NULL};
  room_open(&hall->room, settings->connections);
  room_seat(&hall->room, hall->fds, settings->connections);
  fluxbp_topic_destroy(hall->room.topic); /* a connection hears nothing but what it is subscribed to here */
  hall->one = open_topic(hall, "orders.0.status");
  hall->all = open_topic(hall, "all.x");
}

static void close_hall(hall_t *hall) {
  room_close(&hall->room);
  clients_child_reset(&hall->clients);
  free(hall->fds);
}

static fluxbp_topic_t *open_pattern(const hall_t *hall, const char *text) {
  fluxbp_topic_t *pattern;
  bench_must(fluxbp_topic_open_pattern(hall->room.hub, text, &pattern), "pattern");
  return pattern;
}

static void must_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  if (fluxbp_topic_subscribe(topic, conn) != 1) bench_die("subscribe", UV_EINVAL);
}

static void subscribe_all(const hall_t *hall, fluxbp_topic_t *topic) {
  for (size_t i = 0; i < hall->room.count; i++) must_subscribe(topic, hall->room.conns[i]);
}

static void open_patterns(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  const hall_t *full = &bench->full;
  uint64_t bytes_before = library_bytes;
  for (uint64_t i = 0; i < settings->patterns; i++) {
    char text[64];
    (void) snprintf(text, sizeof text, "orders.%u.*", (unsigned) i);
    must_subscribe(open_pattern(full, text), full->room.conns[i % settings->connections]);
  }
  bench_round(&bench->bytes[0], (double) (library_bytes - bytes_before) / (double) settings->patterns);
}

/* Patterns with all connections as subscribers; their own memory isn't counted. */
static void measure_subscribers(bench_t *bench) {
  const hall_t *full = &bench->full;
  uint64_t bytes = 0;
  for (int i = 0; i < SAMPLE; i++) {
    char text[64];
    (void) snprintf(text, sizeof text, "sample.%d", i);
    fluxbp_topic_t *pattern = open_pattern(full, text);
    uint64_t bytes_before = library_bytes;
    subscribe_all(full, pattern);
    bytes += library_bytes - bytes_before;
  }
  bench_round(&bench->bytes[1], (double) bytes / (double) (SAMPLE * full->room.count));
}

/* A pattern beside the others comes, or goes. */
static void change_patterns(const hall_t *hall) {
  fluxbp_topic_t *pattern = fluxbp_topic_find_pattern(hall->room.hub, "one.more.>");
  if (pattern != NULL)
    fluxbp_topic_destroy(pattern);
  else
    (void) open_pattern(hall, "one.more.>");
}

/* Publish on a topic with so many receivers. Returns the time that took. */
static uint64_t publish_burst(hall_t *hall, fluxbp_topic_t *topic, uint64_t receivers, bool patterns_change) {
  static const char text[MESSAGE_BYTES] = "to all that match";
  fluxbp_msg_t *messages[BURST];
  uint64_t passed_ns = 0;
  for (int i = 0; i < BURST; i++)
    bench_must(fluxbp_msg_create(hall->room.pool, text, sizeof text, &messages[i]), "message");
  int count = patterns_change ? 1 : BURST; /* that are timed together */
  for (int i = 0; i < BURST; i += count) {
    if (patterns_change) change_patterns(hall);
    uint64_t begun_ns = uv_hrtime();
    for (int j = 0; j < count; j++)
      if (fluxbp_topic_publish(topic, messages[i + j]) != (int) receivers) bench_die("receivers", UV_EPROTO);
    passed_ns += uv_hrtime() - begun_ns;
  }
  for (int i = 0; i < BURST; i++) fluxbp_msg_unref(messages[i]);
  room_flush(&hall->room);
  clients_child_begin_receiving(&hall->clients, receivers * BURST * MESSAGE_BYTES);
  clients_child_wait(&hall->clients);
  return passed_ns;
}

/* Subscriptions that one way has, and the others have not. */
static void begin_way(const bench_t *bench, way_t way) {
  const hall_t *full = &bench->full;
  if (way == BOTH_WAYS) must_subscribe(full->one, full->room.conns[0]);
  if (way == ALL_BY_ONE || way == ALL_BY_TWO) subscribe_all(full, open_pattern(full, "all.*"));
  if (way == ALL_BY_TWO) subscribe_all(full, open_pattern(full, "all.>"));
}

static void end_way(const bench_t *bench, way_t way) {
  const hall_t *full = &bench->full;
  if (way == BOTH_WAYS) (void) fluxbp_topic_unsubscribe(full->one, full->room.conns[0]);
  if (way == ALL_BY_ONE || way == ALL_BY_TWO) fluxbp_topic_destroy(open_pattern(full, "all.*"));
  if (way == ALL_BY_TWO) fluxbp_topic_destroy(open_pattern(full, "all.>"));
}

/* Returns the time of a delivery. */
static double run_way(bench_t *bench, way_t way) {
  hall_t *hall = way == ONE_EXACT || way == ALL_EXACT ? &bench->bare : &bench->full;
  bool has_one = way < ALL_EXACT;
  uint64_t passed_ns = 0, receivers = has_one ? 1 : bench->settings.connections;
  begin_way(bench, way);
  (void) publish_burst(hall, has_one ? hall->one : hall->all, receivers, false); /* the caches know it then */
  for (uint64_t burst = 0; burst < bench->settings.bursts; burst++)
    passed_ns += publish_burst(hall, has_one ? hall->one : hall->all, receivers, way == CHANGES);
  end_way(bench, way);
  return (double) passed_ns / (double) (bench->settings.bursts * BURST * receivers);
}

/* ---- one connection with many patterns ---- */

static double ns_each(uint64_t begun_ns, uint64_t count) {
  return (double) (uv_hrtime() - begun_ns) / (double) count;
}

/* Write what each step takes for each of `count` patterns. */
static void run_steps(bench_t *bench, uint64_t count, double *ns) {
  const hall_t *full = &bench->full;
  fluxbp_topic_t **patterns = bench_alloc(count, sizeof(fluxbp_topic_t *));
  fluxbp_conn_t *conn;
  bench_must(fluxbp_conn_create(full->room.hub, NULL, &conn), "connection");
  for (uint64_t i = 0; i < count; i++) {
    char text[64];
    (void) snprintf(text, sizeof text, "many.%u.*", (unsigned) i);
    patterns[i] = open_pattern(full, text);
  }
  uint64_t begun_ns = uv_hrtime();
  for (uint64_t i = 0; i < count; i++) must_subscribe(patterns[i], conn);
  ns[SUBSCRIBE] = ns_each(begun_ns, count);
  begun_ns = uv_hrtime();
  for (uint64_t i = 0; i < count; i++) (void) fluxbp_topic_unsubscribe(patterns[i], conn);
  ns[UNSUBSCRIBE] = ns_each(begun_ns, count);
  for (uint64_t i = 0; i < count; i++) must_subscribe(patterns[i], conn);
  begun_ns = uv_hrtime();
  fluxbp_conn_reset(conn);
  ns[DISCONNECT] = ns_each(begun_ns, count);
  for (uint64_t i = 0; i < count; i++) fluxbp_topic_destroy(patterns[i]);
  free(patterns);
}

static void run_steps_round(bench_t *bench) {
  double ns[STEPS], tenth_ns[STEPS];
  run_steps(bench, (bench->settings.patterns + 9) / 10, tenth_ns);
  run_steps(bench, bench->settings.patterns, ns);
  for (int step = 0; step < STEPS; step++) {
    bench_round(&bench->step_ns[step], ns[step]);
    bench_round(&bench->against_tenth[step], ns[step] / tenth_ns[step]);
  }
}

/* ---- all of it ---- */

static void run_round(bench_t *bench, uint64_t round) {
  double ns[WAYS];
  for (uint64_t i = 0; i < WAYS; i++) {
    way_t way = (way_t) ((i + round) % WAYS);
    ns[way] = run_way(bench, way);
  }
  for (int way = 0; way < WAYS; way++) {
    bench_round(&bench->ns[way], ns[way]);
    bench_round(&bench->against_exact[way], ns[way] / ns[baseline_of((way_t) way)]);
  }
  run_steps_round(bench);
}

static void print_report(report_t *report, const bench_t *bench) {
  static const char *const deliveries[] = {"ns", "/ the topic", NULL};
  static const char *const steps[] = {"ns", "/ a tenth", NULL};
  static const char *const memory[] = {"bytes", NULL};
  char title[64];
  (void) snprintf(title, sizeof title, "publishing a delivery, %u patterns", (unsigned) bench->settings.patterns);
  report_table(report, title, deliveries);
  for (int way = 0; way < WAYS; way++) {
    bench_rounds_t figures[2] = {bench->ns[way], bench->against_exact[way]};
    report_row(report, way_names[way], figures);
  }
  (void) snprintf(title, sizeof title, "each of a connection's %u patterns", (unsigned) bench->settings.patterns);
  report_table(report, title, steps);
  for (int step = 0; step < STEPS; step++) {
    bench_rounds_t figures[2] = {bench->step_ns[step], bench->against_tenth[step]};
    report_row(report, step_names[step], figures);
  }
  report_table(report, "memory of a subscription", memory);
  report_row(report, "a pattern with its one subscriber", &bench->bytes[0]);
  report_row(report, "another subscriber of a pattern", &bench->bytes[1]);
  report_goal(report, "publishing with 10 000 patterns, 1 match / an exact topic", 1.5,
              &bench->against_exact[ONE_MATCH]);
}

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 11, .connections = 100, .patterns = 10000, .bursts = 20};
  const bench_option_t options[] = {
      {"--rounds", "of all ways", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--connections", "of each hub", 1000, &settings->connections},
      {"--patterns", "with a subscriber each", 1000000, &settings->patterns},
      {"--bursts", "of 64 publications, of each way in each round", 100000, &settings->bursts},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(2 * settings->connections + 64);

  report_begin(&report, json);
  child_start(&bench.bare.clients, clients_serve, NULL);
  child_start(&bench.full.clients, clients_serve, NULL);
  open_hall(settings, &bench.bare);
  open_hall(settings, &bench.full);
  must_subscribe(bench.bare.one, bench.bare.room.conns[0]);
  subscribe_all(&bench.bare, bench.bare.all);
  open_patterns(&bench);
  fluxbp_topic_t *prices;
  bench_must(fluxbp_topic_open_state(bench.full.room.hub, "prices", 10, &prices), "state topic");
  for (uint64_t round = 0; round < settings->rounds; round++) run_round(&bench, round);
  measure_subscribers(&bench);
  print_report(&report, &bench);
  close_hall(&bench.bare);
  close_hall(&bench.full);
  child_end(&bench.bare.clients);
  child_end(&bench.full.clients);
  report_end(&report);
  return 0;
}
