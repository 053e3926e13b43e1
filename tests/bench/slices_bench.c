/* SPDX-License-Identifier: MIT */
/*
 * bench_slices: how long a loop is away from its timers, reads and accepts while it broadcasts to thousands of
 * connections:
 *
 *   bursts    of 16 KB, four a second, which everybody takes
 *   overload  a stream of 1 MB/s for each of them, more than any machine carries. Nobody is evicted; who is too slow is
 *             refused and loses messages
 *
 * The loop of the hub's thread never sleeps here, so an absence is the time from one of its iterations to the next one.
 * It is the thread's processor time: what the scheduler gave to others between is not the library's doing. By the clock
 * it stands beside it. What an iteration may take is the hub's time slice, and one write more, since a write that was
 * begun is finished: the longest one is measured, too.
 */
#include "bench.h"
#include "calls.h"
#include "clients.h"
#include "common/histogram.h"
#include "report.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024, HOUR_MS = 3600000, SLICE_US = 2000, SETTLE_MS = 50 };
enum { WRITE_US, CLOCK_US, P99_US, LONGEST_US, COLUMNS };
static const uint64_t SECOND_NS = 1000000000;

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t seconds; /* of a load in a round */
} settings_t;

typedef struct load {
  const char *name;
  uint64_t burst; /* messages */
  uint64_t period_ms;
  bench_rounds_t figures[COLUMNS];
  bench_rounds_t against; /* the longest absence / slice and the longest write */
} load_t;

static load_t loads[] = {{.name = "bursts", .burst = 16, .period_ms = 250},
                         {.name = "overload", .burst = 10, .period_ms = 10}};
enum { LOADS = sizeof loads / sizeof loads[0] };

typedef struct bench {
  settings_t settings;
  child_t clients;
  server_t server;
  uv_check_t check; /* on the hub's loop */
  uv_idle_t idle;
  uv_sem_t is_done;
  uint64_t last_ns, last_thread_ns; /* 0: there was no iteration yet */
  struct histogram clock, thread;
  uint64_t longest_write_ns;
} bench_t;

/* ---- on the hub's thread ---- */

static void on_iteration(uv_check_t *handle) {
  bench_t *bench = handle->data;
  uint64_t now_ns = uv_hrtime(), thread_ns = calls_thread_ns();
  if (bench->last_ns > 0) {
    histogram_record(&bench->clock, now_ns - bench->last_ns);
    histogram_record(&bench->thread, thread_ns - bench->last_thread_ns);
  }
  bench->last_ns = now_ns;
  bench->last_thread_ns = thread_ns;
}

static void on_idle(uv_idle_t *handle) {
  (void) handle; /* it keeps the loop from sleeping */
}

static void begin_watching(fluxbp_hub_t *hub, void *arg) {
  bench_t *bench = arg;
  bench->check.data = bench;
  bench->last_ns = 0;
  memset(&bench->clock, 0, sizeof bench->clock);
  memset(&bench->thread, 0, sizeof bench->thread);
  bench_must(uv_check_init(fluxbp_hub_loop(hub), &bench->check), "check");
  bench_must(uv_idle_init(fluxbp_hub_loop(hub), &bench->idle), "idle");
  bench_must(uv_check_start(&bench->check, on_iteration), "check");
  bench_must(uv_idle_start(&bench->idle, on_idle), "idle");
  calls_begin_timing();
  uv_sem_post(&bench->is_done);
}

static void on_watch_closed(uv_handle_t *handle) {
  bench_t *bench = handle->data;
  uv_sem_post(&bench->is_done);
}

static void end_watching(fluxbp_hub_t *hub, void *arg) {
  bench_t *bench = arg;
  (void) hub;
  bench->longest_write_ns = calls_longest_ns();
  uv_close((uv_handle_t *) &bench->idle, NULL);
  uv_close((uv_handle_t *) &bench->check, on_watch_closed);
}

static void ask_hub(bench_t *bench, fluxbp_task_cb task) {
  bench_must(fluxbp_hub_post(fluxbp_workers_hub(bench->server.workers, 0), task, bench), "post");
  uv_sem_wait(&bench->is_done);
}

/* ---- the publisher ---- */

static void publish(bench_t *bench, const load_t *load) {
  static const char data[MESSAGE_BYTES] = "a stream for everybody";
  uint64_t due_ns = uv_hrtime(), end_ns = due_ns + bench->settings.seconds * SECOND_NS;
  fluxbp_msg_t *msg;
  bench_must(fluxbp_msg_create(bench->server.pool, data, sizeof data, &msg), "message");
  for (; due_ns < end_ns; due_ns += load->period_ms * (SECOND_NS / 1000)) {
    bench_sleep_until(due_ns);
    for (uint64_t i = 0; i < load->burst; i++) {
      int err = fluxbp_bus_publish(bench->server.bus, bench->server.topic, msg, NULL);
      if (err != 0 && err != UV_EAGAIN) bench_die("publish", err); /* in an overload the bus may have no room */
    }
  }
  fluxbp_msg_unref(msg);
}

/* Until everybody has what they get, so that the next load begins with nothing to do. */
static void wait_for_clients(bench_t *bench) {
  server_counters_t before, now = server_counters(&bench->server);
  do {
    before = now;
    uv_sleep(SETTLE_MS);
    now = server_counters(&bench->server);
  } while (now.queued > 0 || now.written != before.written || now.lost != before.lost);
}

static void run_load(bench_t *bench, load_t *load) {
  clients_child_begin_reading(&bench->clients);
  ask_hub(bench, begin_watching);
  publish(bench, load);
  ask_hub(bench, end_watching);
  wait_for_clients(bench);
  clients_child_stop_reading(&bench->clients);

  double longest_us = (double) bench->thread.max_ns / 1e3, write_us = (double) bench->longest_write_ns / 1e3;
  bench_round(&load->figures[WRITE_US], write_us);
  bench_round(&load->figures[CLOCK_US], (double) bench->clock.max_ns / 1e3);
  bench_round(&load->figures[P99_US], (double) histogram_percentile(&bench->thread, 99) / 1e3);
  bench_round(&load->figures[LONGEST_US], longest_us);
  bench_round(&load->against, longest_us / (SLICE_US + write_us));
}

static void print_report(report_t *report) {
  static const char *const columns[] = {"write, max", "clock, max", "p99", "longest", NULL};
  static const char *const ratio[] = {"median", NULL};
  report_table(report, "us for which the loop was away", columns);
  for (int i = 0; i < LOADS; i++) report_row(report, loads[i].name, loads[i].figures);
  report_table(report, "longest absence / (slice + longest write)", ratio);
  for (int i = 0; i < LOADS; i++) report_row(report, loads[i].name, &loads[i].against);
  report_goal(report, "longest absence of the loop in a broadcast / (slice + one write)", 1, &loads[0].against);
}

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 5, .connections = 10000, .seconds = 2};
  const bench_option_t options[] = {
      {"--rounds", "of both loads", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--connections", "of the hub", 18000, &settings->connections},
      {"--seconds", "of each load in a round", 3600, &settings->seconds},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings->connections + 64);

  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.stall_ms = HOUR_MS;
  policy.slow_ms = 0;
  report_begin(&report, json);
  child_start(&bench.clients, clients_serve, NULL);
  bench_must(uv_sem_init(&bench.is_done, 0), "semaphore");
  server_open(&bench.server, 1, settings->connections, NULL, &policy);
  clients_child_prepare(&bench.clients, settings->connections);
  clients_child_begin_connecting(&bench.clients, bench.server.port);
  clients_child_wait(&bench.clients);
  server_wait_for(&bench.server, settings->connections);
  for (uint64_t round = 0; round < settings->rounds; round++)
    for (int i = 0; i < LOADS; i++) run_load(&bench, &loads[i]);
  print_report(&report);
  server_close(&bench.server);
  clients_child_reset(&bench.clients);
  child_end(&bench.clients);
  report_end(&report);
  uv_sem_destroy(&bench.is_done);
  return 0;
}
