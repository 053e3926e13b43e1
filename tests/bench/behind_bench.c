/* SPDX-License-Identifier: MIT */
/*
 * bench_behind: what a publication on a state topic costs while many newcomers that don't read are behind it, beside
 * the same publication without them. Two hubs have the same topics and the same subscribers that read. In one of them
 * newcomers are subscribed to all topics as well, and the kernel refuses them: each of them is behind nearly every
 * topic.
 *
 * Only the calls of fluxbp_topic_publish are timed, in bursts that are written and read outside of that; a figure is
 * the mean of a round.
 */
#include "bench.h"
#include "clients.h"
#include "report.h"
#include "room.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES = 128, BURST = 16, KEYS = 10, SLOTS = 64, STALLED_BUFFER_BYTES = 4096, HOUR_MS = 3600000 };

typedef struct settings {
  uint64_t rounds;
  uint64_t topics;
  uint64_t live;
  uint64_t newcomers;
  uint64_t bursts; /* of a hub in a round */
} settings_t;

/* A hub with its clients. */
typedef struct hall {
  child_t readers;
  room_t room;
  fluxbp_topic_t **topics;
  uint64_t published; /* messages */
} hall_t;

typedef struct bench {
  settings_t settings;
  hall_t bare, full; /* without newcomers, and with */
  child_t newcomers;
  bench_rounds_t bare_us, full_us, ratio;
} bench_t;

static void seat(room_t *room, child_t *clients, uint64_t count) {
  int *fds = bench_alloc(count, sizeof *fds);
  clients_child_seat(clients, fds, count);
  room_seat(room, fds, count);
  free(fds);
}

/* Publish a value of one of the keys of a topic. */
static void publish(hall_t *hall, fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t receivers) {
  if (fluxbp_topic_publish(topic, msg) != (int) receivers) bench_die("receivers", UV_EPROTO);
  hall->published++;
}

static fluxbp_msg_t *create_value(const hall_t *hall, uint64_t key) {
  static const char text[MESSAGE_BYTES] = "the newest of its key";
  fluxbp_msg_t *msg;
  bench_must(fluxbp_msg_create_keyed(hall->room.pool, key, text, sizeof text, &msg), "message");
  return msg;
}

static void open_hall(const settings_t *settings, hall_t *hall) {
  room_t *room = &hall->room;
  child_start(&hall->readers, clients_serve, NULL);
  room_prepare(room);
  room->pool_options.max_bytes = (uint64_t) 1 << 30;
  room->policy.slots = SLOTS;
  room->policy.stall_ms = HOUR_MS;
  room->policy.slow_ms = 0;
  room->options.max_kernel_bytes = 0;
  room_open(room, settings->live + settings->newcomers);
  seat(room, &hall->readers, settings->live);
  hall->topics = bench_alloc(settings->topics, sizeof(fluxbp_topic_t *));
  for (uint64_t i = 0; i < settings->topics; i++) {
    char name[32];
    (void) snprintf(name, sizeof name, "prices/%u", (unsigned) i);
    bench_must(fluxbp_topic_open_state(room->hub, name, KEYS, &hall->topics[i]), "topic");
    for (uint64_t key = 0; key < KEYS; key++) {
      fluxbp_msg_t *msg = create_value(hall, key);
      publish(hall, hall->topics[i], msg, 0);
      fluxbp_msg_unref(msg);
    }
  }
  hall->published = 0;
}

/* Subscribe connections to all topics, and write what the kernel takes. */
static void subscribe(const settings_t *settings, const hall_t *hall, uint64_t from) {
  for (uint64_t i = from; i < hall->room.count; i++)
    for (uint64_t topic = 0; topic < settings->topics; topic++)
      if (fluxbp_topic_subscribe(hall->topics[topic], hall->room.conns[i]) != 1) bench_die("subscribe", UV_EINVAL);
}

/* The readers get all values of all topics, and are live after that. */
static void let_readers_catch_up(const settings_t *settings, hall_t *hall) {
  subscribe(settings, hall, 0);
  clients_child_begin_receiving(&hall->readers, settings->live * settings->topics * KEYS * MESSAGE_BYTES);
  while (room_metrics(&hall->room).written < settings->live * settings->topics * KEYS)
    (void) uv_run(&hall->room.loop, UV_RUN_ONCE);
  clients_child_wait(&hall->readers);
  room_flush(&hall->room);
}

static void seat_newcomers(bench_t *bench) {
  child_start(&bench->newcomers, clients_serve, NULL);
  clients_child_buffer(&bench->newcomers, STALLED_BUFFER_BYTES);
  seat(&bench->full.room, &bench->newcomers, bench->settings.newcomers);
  subscribe(&bench->settings, &bench->full, bench->settings.live);
  room_flush(&bench->full.room);
}

/* Returns the time of publishing on topics one after the other. */
static uint64_t publish_burst(const settings_t *settings, hall_t *hall, uint64_t receivers) {
  fluxbp_msg_t *messages[BURST];
  for (int i = 0; i < BURST; i++) messages[i] = create_value(hall, hall->published % KEYS);
  uint64_t begun_ns = uv_hrtime();
  for (int i = 0; i < BURST; i++)
    publish(hall, hall->topics[hall->published * 7919 % settings->topics], messages[i], receivers);
  uint64_t passed_ns = uv_hrtime() - begun_ns;
  for (int i = 0; i < BURST; i++) fluxbp_msg_unref(messages[i]);
  room_flush(&hall->room);
  clients_child_begin_receiving(&hall->readers, settings->live * BURST * MESSAGE_BYTES);
  clients_child_wait(&hall->readers);
  return passed_ns;
}

static double run_hall(const settings_t *settings, hall_t *hall, uint64_t receivers) {
  uint64_t passed_ns = 0;
  for (uint64_t burst = 0; burst < settings->bursts; burst++) passed_ns += publish_burst(settings, hall, receivers);
  return (double) passed_ns / 1e3 / (double) (settings->bursts * BURST);
}

static void run_round(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  double bare_us = run_hall(settings, &bench->bare, settings->live);
  double full_us = run_hall(settings, &bench->full, settings->live + settings->newcomers);
  bench_round(&bench->bare_us, bare_us);
  bench_round(&bench->full_us, full_us);
  bench_round(&bench->ratio, full_us / bare_us);
}

static void close_hall(hall_t *hall) {
  room_close(&hall->room);
  clients_child_reset(&hall->readers);
  child_end(&hall->readers);
  free(hall->topics);
}

static void print_report(report_t *report, const bench_t *bench) {
  static const char *const columns[] = {"us", NULL};
  char name[64];
  report_table(report, "a publication on a state topic", columns);
  (void) snprintf(name, sizeof name, "%u subscribers that read", (unsigned) bench->settings.live);
  report_row(report, name, &bench->bare_us);
  (void) snprintf(name, sizeof name, "and %u newcomers that don't", (unsigned) bench->settings.newcomers);
  report_row(report, name, &bench->full_us);
  report_goal(report, "publishing beside 200 newcomers that are behind 2 000 state topics / without", 1.2,
              &bench->ratio);
}

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 11, .topics = 2000, .live = 20, .newcomers = 200, .bursts = 200};
  const bench_option_t options[] = {
      {"--rounds", "of both hubs", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--topics", "of each hub", 100000, &settings->topics},
      {"--live", "connections that read", 1000, &settings->live},
      {"--newcomers", "connections that don't", 10000, &settings->newcomers},
      {"--bursts", "of 16 publications, of each hub in each round", 100000, &settings->bursts},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(2 * settings->live + settings->newcomers + 64);

  report_begin(&report, json);
  open_hall(settings, &bench.bare);
  open_hall(settings, &bench.full);
  let_readers_catch_up(settings, &bench.bare);
  let_readers_catch_up(settings, &bench.full);
  seat_newcomers(&bench);
  for (uint64_t round = 0; round < settings->rounds; round++) run_round(&bench);
  print_report(&report, &bench);
  close_hall(&bench.bare);
  close_hall(&bench.full);
  clients_child_reset(&bench.newcomers);
  child_end(&bench.newcomers);
  report_end(&report);
  return 0;
}
