/* SPDX-License-Identifier: MIT */
/*
 * bench_transport: what a transport of a program's own costs, against the built-in TCP in the same run. The transport
 * is the pass-through of tests/support: the same bytes, by its own functions.
 *
 *   a delivery       processor time of the sending process, as bench_fanout measures it: a burst is published, and the
 *   loop
 *                    runs until everything is written; the clients' process reads afterwards
 *   a dead client    how many messages a client that never reads is given before it is evicted as STALLED. The time is
 *                    virtual: a message every 10 ms, a sweep every 250 ms. The count is the same on a busy machine
 */
#include "bench.h"
#include "clients.h"
#include "hub.h"
#include "report.h"
#include "room.h"
#include "support/transport_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 128, BURSTS = 2, BURST_MAX = 16, UNREAD_SENDS = 8, CLIENT_BUFFER_BYTES = 1 << 20 };
enum { DEAD_MESSAGE_BYTES = 1024, DEAD_PERIOD_MS = 10, DEAD_BUFFER_BYTES = 65536, DEAD_MESSAGES_MAX = 100000 };

static const uint64_t bursts[BURSTS] = {1, BURST_MAX};

typedef enum kind { TCP, PASS_THROUGH, KINDS } kind_t;
static const char *const kind_names[KINDS] = {"tcp", "pass-through"};

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t deliveries;
} settings_t;

/* The connections of one transport, and what was measured with them. */
typedef struct hall {
  child_t clients;
  room_t room;
  bench_rounds_t total_us[BURSTS];
  bench_rounds_t messages_until_evicted;
} hall_t;

static const fluxbp_transport_t *transport_of(int kind) {
  return kind == TCP ? FLUXBP_TCP : transport_pass_through();
}

/* ---- a delivery ---- */

static double run_case(const settings_t *settings, hall_t *hall, uint64_t burst) {
  static const char message[MESSAGE_BYTES] = "the same for everybody";
  uint64_t deliveries = 0;
  double spent_us = 0;
  while (deliveries < settings->deliveries) {
    bench_time_t begun = bench_spent();
    for (int i = 0; i < UNREAD_SENDS; i++) {
      room_publish(&hall->room, hall->room.topic, message, sizeof message, burst);
      room_flush(&hall->room);
    }
    bench_time_t ended = bench_spent();
    if (room_metrics(&hall->room).queued > 0) bench_die("the kernel refuses", UV_EAGAIN);
    spent_us += ended.user_us - begun.user_us + ended.system_us - begun.system_us;
    uint64_t count = hall->room.count * burst * UNREAD_SENDS;
    deliveries += count;
    clients_child_begin_receiving(&hall->clients, count * MESSAGE_BYTES);
    clients_child_wait(&hall->clients);
  }
  return spent_us / (double) deliveries;
}

/* Both transports, beginning with the other one in each round. */
static void run_round(const settings_t *settings, hall_t *halls, uint64_t round, bench_rounds_t *ratios) {
  for (int burst = 0; burst < BURSTS; burst++) {
    double us[KINDS];
    for (uint64_t i = 0; i < KINDS; i++) {
      uint64_t kind = (i + round) % KINDS;
      us[kind] = run_case(settings, &halls[kind], bursts[burst]);
      bench_round(&halls[kind].total_us[burst], us[kind]);
    }
    bench_round(&ratios[burst], us[PASS_THROUGH] / us[TCP]);
  }
}

/* ---- a dead client ---- */

static uint64_t read_clock(void *clock_ms) {
  return *(uint64_t *) clock_ms;
}

static void count_eviction(fluxbp_hub_t *hub, const fluxbp_eviction_t *record) {
  if (record->reason != FLUXBP_EVICT_STALLED) bench_die("another verdict", UV_EPROTO);
  ++*(int *) fluxbp_hub_user(hub);
}

/* Returns the number of messages that the client was given. */
static double outlive(const fluxbp_transport_t *transport) {
  static const char message[DEAD_MESSAGE_BYTES] = "never read";
  room_t room;
  child_t client;
  int fd;
  int evictions = 0;
  uint64_t clock_ms = 1;
  uint64_t messages = 0;
  child_start(&client, clients_serve, NULL);
  clients_child_buffer(&client, DEAD_BUFFER_BYTES);
  clients_child_seat(&client, &fd, 1);
  room_prepare(&room);
  room.transport = transport;
  room.lets_evict = true;
  room.policy.grace_ms = 0;
  room.options.clock_ms = read_clock;
  room.options.clock_arg = &clock_ms;
  room.options.on_eviction = count_eviction;
  room.options.user = &evictions;
  room_open(&room, 1);
  room_seat(&room, &fd, 1);
  for (; evictions == 0 && messages < DEAD_MESSAGES_MAX; messages++) {
    room_publish(&room, room.topic, message, sizeof message, 1);
    clock_ms += DEAD_PERIOD_MS;
    if (clock_ms / room.options.sweep_ms != (clock_ms - DEAD_PERIOD_MS) / room.options.sweep_ms)
      fluxbp__sweep_now(&room.hub->sweep);
    (void) uv_run(&room.loop, UV_RUN_NOWAIT);
  }
  if (evictions == 0) bench_die("the client was never evicted", UV_ETIMEDOUT);
  room_close(&room);
  clients_child_reset(&client);
  child_end(&client);
  return (double) messages;
}

/* ---- the report ---- */

static void print_report(report_t *report, const hall_t *halls, const bench_rounds_t *ratios,
                         const bench_rounds_t *outlived) {
  static const char *const total[] = {"total", NULL};
  static const char *const median[] = {"median", NULL};
  static const char *const messages[] = {"messages", NULL};
  char name[64];
  report_table(report, "us of processor time for a delivery", total);
  for (int burst = 0; burst < BURSTS; burst++) {
    for (int kind = 0; kind < KINDS; kind++) {
      (void) snprintf(name, sizeof name, "bursts of %d, %s", (int) bursts[burst], kind_names[kind]);
      report_row(report, name, &halls[kind].total_us[burst]);
    }
  }
  report_table(report, "pass-through / tcp", median);
  for (int burst = 0; burst < BURSTS; burst++) {
    (void) snprintf(name, sizeof name, "bursts of %d", (int) bursts[burst]);
    report_row(report, name, &ratios[burst]);
  }
  report_table(report, "a client that never reads, until it is evicted", messages);
  for (int kind = 0; kind < KINDS; kind++) report_row(report, kind_names[kind], &halls[kind].messages_until_evicted);
  report_goal(report, "CPU per delivery through a transport of one's own / TCP", 1.10, &ratios[0]);
  report_goal(report, "the same, bursts of 16", 1.10, &ratios[1]);
  report_goal(report, "messages to a dead client behind such a transport / TCP", 2.0, outlived);
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 15, .connections = 1000, .deliveries = 40000};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--connections", "of each transport", 9000, &settings.connections},
      {"--deliveries", "in each case of each round", UINT32_MAX, &settings.deliveries},
  };
  static hall_t halls[KINDS];
  static report_t report;
  static bench_rounds_t ratios[BURSTS];
  static bench_rounds_t outlived;
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(KINDS * settings.connections + 64);

  report_begin(&report, json);
  for (uint64_t round = 0; round < settings.rounds; round++) {
    double messages[KINDS];
    for (int kind = 0; kind < KINDS; kind++) {
      messages[kind] = outlive(transport_of(kind));
      bench_round(&halls[kind].messages_until_evicted, messages[kind]);
    }
    bench_round(&outlived, messages[PASS_THROUGH] / messages[TCP]);
  }
  for (int i = 0; i < KINDS; i++) child_start(&halls[i].clients, clients_serve, NULL);
  for (int i = 0; i < KINDS; i++) {
    int *fds = bench_alloc(settings.connections, sizeof *fds);
    clients_child_buffer(&halls[i].clients, CLIENT_BUFFER_BYTES);
    clients_child_seat(&halls[i].clients, fds, settings.connections);
    room_prepare(&halls[i].room);
    halls[i].room.transport = transport_of(i);
    room_open(&halls[i].room, settings.connections);
    room_seat(&halls[i].room, fds, settings.connections);
    free(fds);
  }
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, halls, round, ratios);
  print_report(&report, halls, ratios, &outlived);
  for (int i = 0; i < KINDS; i++) {
    room_close(&halls[i].room);
    clients_child_reset(&halls[i].clients);
    child_end(&halls[i].clients);
  }
  report_end(&report);
  return 0;
}
