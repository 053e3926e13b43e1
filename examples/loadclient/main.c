/* SPDX-License-Identifier: MIT */
/*
 * loadclient: connects many clients to a server that broadcasts, some of which misbehave on purpose, publishes if asked
 * to, and says whether each healthy client got every message once and in order, how long that took, and its cost.
 *
 * This file: the limits, the processes, and the exit code.
 */
#include "common/address.h"
#include "limits.h"
#include "report.h"
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static bool fits_into_limits(const struct options *options) {
  const struct sockaddr_storage *address = &options->target.address;
  struct limits limits;
  struct limits_need need = {.connections = options->connections,
                             .processes = options->processes,
                             .sources = options->sources.count,
                             .is_loopback = address->ss_family == AF_INET && address_is_loopback(address)};
  char problem[LIMITS_PROBLEM_BYTES];
  limits_find(&limits);
  if (limits_fit(&limits, &need, problem)) return true;
  fprintf(stderr, "loadclient: %s\n", problem);
  return false;
}

static bool are_objectives_met(const struct options *options, const struct totals *totals) {
  double measured;
  for (uint32_t i = 0; i < options->slo_count; i++)
    if (!slo_is_met(&options->slos[i], totals, &measured)) return false;
  return true;
}

/* The worst comes first: a broken stream stays one, however the run ended. But where publishing failed, the messages
 * that should have come aren't known. */
static int exit_code_of(const struct options *options, const struct results *results, const struct totals *totals,
                        int signal_number) {
  const struct publisher_results *publisher = &results->publisher;
  if (publisher->problem[0] != '\0') return publisher->first_ns == 0 ? EXIT_CODE_CONNECT : EXIT_CODE_RUNTIME;
  if (!totals_is_intact(totals)) return EXIT_CODE_INTEGRITY;
  if (results->end == RUN_UNCONNECTED) return EXIT_CODE_CONNECT;
  if (totals_failed(totals) > 0 || results->end == RUN_TIMED_OUT || results->end == RUN_FAILED)
    return EXIT_CODE_RUNTIME;
  if (!are_objectives_met(options, totals)) return EXIT_CODE_SLO;
  if (signal_number != 0) return EXIT_CODE_SIGNAL + signal_number;
  return EXIT_CODE_OK;
}

static int report_run(const struct options *options, const struct results *results, int signal_number) {
  struct totals *totals = totals_create(options, results);
  if (totals == NULL) {
    fputs("loadclient: out of memory\n", stderr);
    return EXIT_CODE_RUNTIME;
  }
  int code = exit_code_of(options, results, totals, signal_number);
  /* The table goes to standard error where the messages go to standard output. */
  bool is_stdout_taken = options->publishes && options->publish.kind == TARGET_STDOUT;
  report_table(is_stdout_taken ? stderr : stdout, options, results, totals, code);
  if (code == EXIT_CODE_CONNECT) report_connect_error(options, results);
  bool is_written = report_files(options, results, totals, code);
  free(totals);
  return code == EXIT_CODE_OK && !is_written ? EXIT_CODE_RUNTIME : code;
}

/* Choose the number that tells our messages from those of other runs on the same server. 0 would stand for any. */
static uint32_t choose_run(void) {
  uint32_t run = 0;
  if (uv_random(NULL, NULL, &run, sizeof run, 0, NULL) != 0) run = (uint32_t) uv_hrtime();
  return run != 0 ? run : 1;
}

int main(int argc, char **argv) {
  static struct options options;
  int signal_number;
  int code = options_parse(&options, argc, argv);
  if (code >= 0) return code;
  if (!fits_into_limits(&options)) return EXIT_CODE_USAGE;
  signal(SIGPIPE, SIG_IGN);

  struct results *results = results_create(options.processes);
  if (results == NULL) {
    fputs("loadclient: out of memory\n", stderr);
    return EXIT_CODE_RUNTIME;
  }
  if (options.publishes) results->run = choose_run();
  results->start_ns = uv_hrtime();
  code = run_execute(&options, results, &signal_number);
  if (code >= 0) return code; /* a child, which is done */
  if (signal_number < 0) {
    fprintf(stderr, "loadclient: %s\n", uv_strerror(signal_number));
    code = EXIT_CODE_RUNTIME;
  } else {
    code = report_run(&options, results, signal_number);
  }
  results_destroy(results);
  return code;
}
