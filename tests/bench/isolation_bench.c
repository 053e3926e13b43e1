/* SPDX-License-Identifier: MIT */
/*
 * bench_isolation: what clients that have stopped reading cost those who read. Three servers are there at the same
 * time, all with as many healthy clients: one without any that stalls, one of whose clients a tenth has, and one of
 * whose clients half has. Nobody is evicted, so the rings of the stalled ones are full all the time, and each message
 * is lost by each of them.
 *
 * A message is published each period, whatever became of the last one (open loop); its latency at each healthy client
 * is from the time for which it was planned until the client has read it. The servers take turns within a round.
 * Server, healthy and stalled clients are a process each.
 */
#include "audience.h"
#include "bench.h"
#include "clients.h"
#include "report.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

enum { CROWDS = 3, FILLING_MESSAGES = 64, CLIENT_BUFFER_BYTES = 4096, HOUR_MS = 3600000 };
static const unsigned stalled_percent[CROWDS] = {0, 10, 50};
static const uint64_t SECOND_NS = 1000000000;

typedef enum column { P50, P999, P99, COLUMNS } column_t;

typedef struct settings {
  uint64_t rounds;
  uint64_t healthy;
  uint64_t messages;
  uint64_t rate;
} settings_t;

typedef struct crowd {
  server_t server;
  child_t audience, stalled;
  audience_shared_t *shared;
  uint64_t stalled_count;
  uint64_t due_ns;
  uint32_t sequence;
  bench_rounds_t figures[COLUMNS];
  bench_rounds_t against; /* p99 / that of the server without stalled ones in the same round */
} crowd_t;

static void publish(crowd_t *crowd, uint64_t due_ns) {
  fluxbp_msg_t *msg;
  char message[AUDIENCE_MESSAGE_BYTES];
  audience_write(message, 0, crowd->sequence++, due_ns);
  bench_must(fluxbp_msg_create(crowd->server.pool, message, sizeof message, &msg), "message");
  bench_sleep_until(due_ns);
  bench_must(fluxbp_bus_publish(crowd->server.bus, crowd->server.topic, msg, NULL), "publish");
  fluxbp_msg_unref(msg);
}

static void wait_for_audience(const settings_t *settings, const crowd_t *crowd) {
  while (atomic_load(&crowd->shared->received) < crowd->sequence * settings->healthy) uv_sleep(1);
}

/* Publish until each message is lost by every stalled client: then all of their rings are full. */
static void fill(const settings_t *settings, crowd_t *crowd) {
  uint64_t lost_before = 0, lost = 0;
  while (lost - lost_before < crowd->stalled_count * FILLING_MESSAGES) {
    for (int i = 0; i < FILLING_MESSAGES; i++) publish(crowd, uv_hrtime());
    wait_for_audience(settings, crowd);
    lost_before = lost;
    lost = server_counters(&crowd->server).lost;
  }
}

static void seat_stalled(crowd_t *crowd) {
  clients_child_buffer(&crowd->stalled, CLIENT_BUFFER_BYTES);
  clients_child_prepare(&crowd->stalled, crowd->stalled_count);
  clients_child_begin_connecting(&crowd->stalled, crowd->server.port);
  clients_child_wait(&crowd->stalled);
}

static void open_crowd(const settings_t *settings, crowd_t *crowd) {
  fluxbp_policy_t policy;
  uint64_t count = settings->healthy + crowd->stalled_count;
  fluxbp_policy_init(&policy);
  policy.stall_ms = HOUR_MS; /* not 0: it is the kernel's patience, too */
  policy.slow_ms = 0;
  server_open(&crowd->server, 1, count, NULL, &policy);
  audience_child_seat(&crowd->audience, settings->healthy, crowd->server.port, false);
  seat_stalled(crowd);
  server_wait_for(&crowd->server, count);
  fill(settings, crowd);
  memset(crowd->shared->latency, 0, sizeof crowd->shared->latency);
}

static void close_crowd(crowd_t *crowd) {
  audience_child_dismiss(&crowd->audience); /* first: to the audience it is an error that the server goes */
  server_close(&crowd->server);
  clients_child_reset(&crowd->stalled);
}

/* Returns p99. */
static double run_crowd(const settings_t *settings, crowd_t *crowd) {
  uint64_t lost = server_counters(&crowd->server).lost;
  uint64_t due_ns = uv_hrtime();
  for (uint64_t i = 0; i < settings->messages; i++) publish(crowd, due_ns += SECOND_NS / settings->rate);
  wait_for_audience(settings, crowd);
  lost = server_counters(&crowd->server).lost - lost;
  if (lost != settings->messages * crowd->stalled_count) bench_die("a stalled client has got something", UV_EPROTO);

  struct histogram *latency = &crowd->shared->latency[0];
  double p99_ms = (double) histogram_percentile(latency, 99) / 1e6;
  bench_round(&crowd->figures[P50], (double) histogram_percentile(latency, 50) / 1e6);
  bench_round(&crowd->figures[P99], p99_ms);
  bench_round(&crowd->figures[P999], (double) histogram_percentile(latency, 99.9) / 1e6);
  memset(latency, 0, sizeof *latency);
  return p99_ms;
}

static void run_round(const settings_t *settings, crowd_t *crowds, uint64_t round) {
  double p99_ms[CROWDS];
  for (uint64_t i = 0; i < CROWDS; i++) {
    uint64_t next = (i + round) % CROWDS;
    p99_ms[next] = run_crowd(settings, &crowds[next]);
  }
  for (int i = 1; i < CROWDS; i++) bench_round(&crowds[i].against, p99_ms[i] / p99_ms[0]);
}

static void print_report(report_t *report, const crowd_t *crowds) {
  static const char *const columns[] = {"p50", "p99.9", "p99", NULL};
  static const char *const ratio[] = {"median", NULL};
  char name[64];
  report_table(report, "ms until a healthy client has a message", columns);
  for (int i = 0; i < CROWDS; i++) {
    (void) snprintf(name, sizeof name, "%u %% of all are stalled", stalled_percent[i]);
    report_row(report, name, crowds[i].figures);
  }
  report_table(report, "p99 / that with none stalled", ratio);
  for (int i = 1; i < CROWDS; i++) {
    (void) snprintf(name, sizeof name, "%u %% of all are stalled", stalled_percent[i]);
    report_row(report, name, &crowds[i].against);
  }
  report_goal(report, "healthy p99 with as many stalled connections again / with none", 1.10,
              &crowds[CROWDS - 1].against);
}

int main(int argc, char **argv) {
  static crowd_t crowds[CROWDS];
  static report_t report;
  settings_t settings = {.rounds = 9, .healthy = 200, .messages = 200, .rate = 100};
  const bench_option_t options[] = {
      {"--rounds", "of all servers", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--healthy", "clients of each server", 5000, &settings.healthy},
      {"--messages", "to each server in each round", 1000000, &settings.messages},
      {"--rate", "messages a second", 10000, &settings.rate},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(2 * CROWDS * settings.healthy + 128);

  report_begin(&report, json);
  for (int i = 0; i < CROWDS; i++) {
    crowds[i].stalled_count = settings.healthy * stalled_percent[i] / (100 - stalled_percent[i]);
    crowds[i].shared = child_shared_memory(sizeof *crowds[i].shared);
    child_start(&crowds[i].audience, audience_serve, crowds[i].shared);
    child_start(&crowds[i].stalled, clients_serve, NULL);
  }
  for (int i = 0; i < CROWDS; i++) open_crowd(&settings, &crowds[i]);
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, crowds, round);
  print_report(&report, crowds);
  for (int i = 0; i < CROWDS; i++) close_crowd(&crowds[i]);
  for (int i = 0; i < CROWDS; i++) {
    child_end(&crowds[i].audience);
    child_end(&crowds[i].stalled);
  }
  report_end(&report);
  return 0;
}
