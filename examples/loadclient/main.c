/* SPDX-License-Identifier: MIT */
/*
 * loadclient: connects many clients to a server that broadcasts numbered lines, some of which misbehave on purpose, and
 * says whether each healthy one saw every line once and in order.
 *
 * This file is the run: whether it fits into the limits of the process, when it is over, and what it exits with.
 */
#include "clients.h"
#include "options.h"
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Standard streams, the loop's own descriptors (6 in libuv 1.44), and a few that may have been inherited. */
static const uint64_t reserved_descriptors = 16;

/* How often stalled clients are looked after, and the clock. Half of the server's tolerance for an eviction. */
static const uint64_t tick_ms = 250;

/* A client that has failed already is read on, but not waited for longer than this. */
static const uint64_t failed_patience_ms = 1000;

struct run {
  uv_loop_t loop;
  const struct options *options;
  struct clients clients;
  struct report report;
  uv_timer_t tick;
  uv_signal_t interrupt, terminate;
  bool is_over;
  bool has_timed_out;
  int signal_number; /* by which it was interrupted, or 0 */
  uint64_t end_ms;
};

/* Raises the soft limit as far as this process may, and says what to do where that is not enough. */
static bool has_enough_descriptors(uint32_t connections) {
  struct rlimit limit;
  uint64_t needed = connections + reserved_descriptors;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true; /* then opening sockets tells */
  if (limit.rlim_cur < limit.rlim_max) {
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  if (limit.rlim_cur >= needed) return true;
  uint64_t fitting = limit.rlim_cur > reserved_descriptors ? limit.rlim_cur - reserved_descriptors : 0;
  fprintf(stderr,
          "loadclient: %" PRIu32 " connections need %" PRIu64 " file descriptors, this process may open %" PRIu64
          ": %" PRIu64 " connections fit.\n"
          "Lower --connections, or raise the limit as root: 'ulimit -n %" PRIu64 "' in this shell, or nofile in "
          "/etc/security/limits.conf for new ones.\n",
          connections, needed, (uint64_t) limit.rlim_cur, fitting, needed);
  return false;
}

static void run_end(struct run *run) {
  if (run->is_over) return;
  run->is_over = true;
  clients_watch_stalled(&run->clients); /* the last look before they are closed by us */
  run->end_ms = uv_now(&run->loop);
  clients_close(&run->clients);
  uv_close((uv_handle_t *) &run->tick, NULL);
  uv_close((uv_handle_t *) &run->interrupt, NULL);
  uv_close((uv_handle_t *) &run->terminate, NULL);
}

static void on_change(struct clients *clients) {
  bool has_healthy = clients->options->share[CLIENT_HEALTHY] > 0;
  if (clients->connect_error != 0 || (has_healthy && clients->healthy_left == 0)) run_end(clients->data);
}

static void on_signal(uv_signal_t *handle, int signal_number) {
  struct run *run = handle->data;
  run->signal_number = signal_number;
  run_end(run);
}

static void on_tick(uv_timer_t *timer) {
  struct run *run = timer->data;
  struct clients *clients = &run->clients;
  uint64_t now = uv_now(&run->loop);
  uint64_t waited_ms = now - clients->progress_ms;
  bool has_healthy = run->options->share[CLIENT_HEALTHY] > 0;

  clients_watch_stalled(clients);
  report_progress(&run->report, clients, now);
  bool is_settled =
      has_healthy ? clients->healthy_clean_left == 0 && waited_ms >= failed_patience_ms : clients->stalled_left == 0;
  if (is_settled) {
    run_end(run);
  } else if (waited_ms >= run->options->timeout_ms) {
    run->has_timed_out = true;
    clients_time_out(clients);
    run_end(run);
  }
}

/* What is worst, comes first: a broken stream stays one whatever ended the run. */
static int run_exit_code(const struct run *run, const struct clients_totals *totals) {
  if (!totals->is_intact) return EXIT_CODE_INTEGRITY;
  if (run->clients.connect_error != 0) return EXIT_CODE_CONNECT;
  if (totals->failed > 0 || run->has_timed_out) return EXIT_CODE_RUNTIME;
  if (run->signal_number != 0) return EXIT_CODE_SIGNAL + run->signal_number;
  return EXIT_CODE_OK;
}

static void run_start_clock(struct run *run) {
  uv_timer_init(&run->loop, &run->tick);
  uv_signal_init(&run->loop, &run->interrupt);
  uv_signal_init(&run->loop, &run->terminate);
  run->tick.data = run->interrupt.data = run->terminate.data = run;
  uv_timer_start(&run->tick, on_tick, tick_ms, tick_ms);
  uv_signal_start(&run->interrupt, on_signal, SIGINT);
  uv_signal_start(&run->terminate, on_signal, SIGTERM);
  report_init(&run->report, run->options, uv_now(&run->loop));
}

static int run_to_the_end(struct run *run) {
  struct clients *clients = &run->clients;
  clients->data = run;
  int status = clients_open(clients, &run->loop, run->options, on_change);
  if (status != 0) {
    fprintf(stderr, "loadclient: could not start: %s. Lower --connections.\n", uv_strerror(status));
    return EXIT_CODE_RUNTIME;
  }
  run_start_clock(run);
  uv_run(&run->loop, UV_RUN_DEFAULT);

  struct clients_totals totals;
  clients_sum_up(clients, &totals);
  int code = run_exit_code(run, &totals);
  report_end_progress(&run->report);
  if (clients->connect_error != 0) report_connect_error(clients, clients->connect_error);
  if (totals.connected > 0) report_summary(clients, &totals, code, run->end_ms);
  return code;
}

int main(int argc, char **argv) {
  struct options options;
  int code = options_parse(&options, argc, argv);
  if (code >= 0) return code;
  if (!has_enough_descriptors(options.connections)) return EXIT_CODE_USAGE;
  signal(SIGPIPE, SIG_IGN); /* a server that is gone is found by the write's error */

  struct run run = {.options = &options};
  int status = uv_loop_init(&run.loop);
  if (status != 0) {
    fprintf(stderr, "loadclient: could not start: %s\n", uv_strerror(status));
    return EXIT_CODE_RUNTIME;
  }
  code = run_to_the_end(&run);
  clients_free(&run.clients);
  status = uv_loop_close(&run.loop);
  if (status != 0) { /* a handle was forgotten */
    fprintf(stderr, "loadclient: a defect of its own: the loop did not close: %s\n", uv_strerror(status));
    abort();
  }
  return code;
}
