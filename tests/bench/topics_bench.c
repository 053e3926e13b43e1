/* SPDX-License-Identifier: MIT */
/*
 * bench_topics: how many system calls a connection costs when messages come on many topics at once. Each connection is
 * subscribed to several topics, each topic has a share of the connections, and one message is published on every topic
 * before the loop runs: a connection is due one for each of its topics, and should get them by one call.
 *
 * Calls are counted by the hub (fluxbp_metrics_t.writes) and, as a check, where they are made (calls.h). That is the
 * same on a busy machine; the time of a delivery beside it isn't.
 */
#include "bench.h"
#include "calls.h"
#include "clients.h"
#include "report.h"
#include "room.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES = 128, COLUMNS = 3 };

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t subscriptions; /* of a connection */
  uint64_t members;       /* of a topic */
} settings_t;

typedef struct bench {
  settings_t settings;
  child_t clients;
  room_t room;
  fluxbp_topic_t **topics;
  uint64_t topic_count;
  bench_rounds_t figures[COLUMNS]; /* us of a delivery, the hub's writes and the calls of a connection */
} bench_t;

/* Connection i is in topic i and in those that follow at equal distances, so every two of its topics have other
 * members. */
static void subscribe_all(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  bench->topic_count = settings->connections * settings->subscriptions / settings->members;
  if (bench->topic_count < settings->subscriptions) bench_die("more subscriptions than topics", UV_EINVAL);
  bench->topics = bench_alloc(bench->topic_count, sizeof(fluxbp_topic_t *));
  for (uint64_t i = 0; i < bench->topic_count; i++) {
    char name[32];
    (void) snprintf(name, sizeof name, "topic-%u", (unsigned) i);
    bench_must(fluxbp_topic_open(bench->room.hub, name, &bench->topics[i]), "topic");
  }
  uint64_t distance = bench->topic_count / settings->subscriptions;
  for (uint64_t i = 0; i < settings->connections; i++) {
    for (uint64_t j = 0; j < settings->subscriptions; j++) {
      fluxbp_topic_t *topic = bench->topics[(i + j * distance) % bench->topic_count];
      if (fluxbp_topic_subscribe(topic, bench->room.conns[i]) != 1) bench_die("subscribe", UV_EINVAL);
    }
  }
}

static void run_round(bench_t *bench) {
  static const char message[MESSAGE_BYTES] = "of one topic of many";
  const settings_t *settings = &bench->settings;
  uint64_t deliveries = settings->connections * settings->subscriptions;
  uint64_t writes_before = room_metrics(&bench->room).writes, calls_before = calls_count();
  bench_time_t begun = bench_spent();
  for (uint64_t i = 0; i < bench->topic_count; i++)
    room_publish(&bench->room, bench->topics[i], message, sizeof message, 1);
  room_flush(&bench->room);
  bench_time_t ended = bench_spent();

  uint64_t writes = room_metrics(&bench->room).writes - writes_before, made = calls_count() - calls_before;
  if (room_metrics(&bench->room).queued > 0) bench_die("the kernel refuses", UV_EAGAIN);
  clients_child_begin_receiving(&bench->clients, deliveries * MESSAGE_BYTES);
  clients_child_wait(&bench->clients);
  double us = ended.user_us - begun.user_us + ended.system_us - begun.system_us;
  bench_round(&bench->figures[0], us / (double) deliveries);
  bench_round(&bench->figures[1], (double) writes / (double) settings->connections);
  bench_round(&bench->figures[2], (double) made / (double) settings->connections);
}

static void print_report(report_t *report, const bench_t *bench) {
  static const char *const columns[] = {"us, delivery", "writes", "system calls", NULL};
  char name[64];
  report_table(report, "of a connection, a message on each topic", columns);
  (void) snprintf(name, sizeof name, "%u connections, %u topics of %u", (unsigned) bench->settings.connections,
                  (unsigned) bench->topic_count, (unsigned) bench->settings.members);
  report_row(report, name, bench->figures);
  report_goal(report, "system calls per connection and iteration, messages on 10 topics", 1, &bench->figures[2]);
}

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 7, .connections = 10000, .subscriptions = 10, .members = 1000};
  const bench_option_t options[] = {
      {"--rounds", "of a message on each topic", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--connections", "of the hub", 18000, &settings->connections},
      {"--subscriptions", "of a connection", 200, &settings->subscriptions},
      {"--members", "of a topic", 18000, &settings->members},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings->connections + 64);

  report_begin(&report, json);
  child_start(&bench.clients, clients_serve, NULL);
  int *fds = bench_alloc(settings->connections, sizeof *fds);
  clients_child_seat(&bench.clients, fds, settings->connections);
  room_prepare(&bench.room);
  room_open(&bench.room, settings->connections);
  room_seat(&bench.room, fds, settings->connections);
  subscribe_all(&bench);
  for (uint64_t round = 0; round < settings->rounds; round++) run_round(&bench);
  print_report(&report, &bench);
  room_close(&bench.room);
  clients_child_reset(&bench.clients);
  child_end(&bench.clients);
  report_end(&report);
  free(bench.topics);
  free(fds);
  return 0;
}
