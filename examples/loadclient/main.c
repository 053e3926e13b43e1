/* SPDX-License-Identifier: MIT */
/*
 * loadclient: connects many clients to a server that broadcasts, some of which misbehave on purpose, publishes if asked
 * to, and says whether each healthy client got every message once and in order, how long that took, and its cost.
 *
 * The publisher and the workers besides the parent are processes of their own; they share the results, see the phase,
 * and end with it. The parent has the clients of process 0, and decides in which phase the run is. Without a publisher
 * the run lasts until the last line, the duration, or the feed's end.
 */
#include "common/units.h"
#include "limits.h"
#include "publisher.h"
#include "report.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Clients that have a fault already are read on, but not waited for longer than this. */
static const uint64_t faulty_patience_ns = NS_PER_S;

/* Messages that reach no client for so long are lost. */
static const uint64_t drain_patience_ns = 5 * NS_PER_S;

struct run {
  const struct options *options;
  struct results *results;
  pid_t publisher;   /* 0: there is none, or it has ended */
  bool has_failed;   /* a process ended in another way than it should */
  uint64_t drain_ns; /* when draining began */
};

/* Processes */

/* The signal that ends the run, 0 until it comes. */
static volatile sig_atomic_t signal_number;

static void on_signal(int number) {
  signal_number = number;
}

/* Children leave signals from the terminal to the parent, which ends them by the phase. @return 0 in the child */
static pid_t fork_child(struct run *run) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
  }
  if (pid < 0) run->has_failed = true;
  return pid;
}

/* Fork. @return -1 in the parent; in a child, when it is done, its exit code */
static int start_processes(struct run *run) {
  if (run->options->publishes) {
    run->publisher = fork_child(run);
    if (run->publisher == 0) return publisher_run(run->options, run->results);
  }
  for (uint32_t i = 1; i < run->options->processes && !run->has_failed; i++)
    if (fork_child(run) == 0)
      return worker_run(run->options, run->results, i, NULL, NULL) == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
  return -1;
}

/* Take the processes that have ended; without WNOHANG wait for all. */
static void look_at_processes(struct run *run, int flags) {
  for (;;) {
    int status;
    pid_t ended = waitpid(-1, &status, flags);
    if (ended < 0 && errno == EINTR) continue;
    if (ended <= 0) return;
    bool is_publisher = ended == run->publisher; /* the results hold its problem */
    bool is_good = WIFEXITED(status) &&
                   (WEXITSTATUS(status) == EXIT_CODE_OK || (is_publisher && WEXITSTATUS(status) == EXIT_CODE_RUNTIME));
    if (is_publisher) run->publisher = 0;
    if (!is_good) run->has_failed = true;
  }
}

/* Phases */

static void end_run(struct run *run, enum run_end end) {
  if (results_phase(run->results) == PHASE_OVER) return;
  run->results->end = end;
  run->results->over_ns = uv_hrtime();
  atomic_store(&run->results->phase, PHASE_OVER);
}

static void look_at_publisher(struct run *run, const struct results_view *view, uint64_t now_ns) {
  bool is_running = results_phase(run->results) == PHASE_RUNNING;
  if (run->publisher != 0) return;
  if (run->results->publisher.problem[0] != '\0') {
    end_run(run, RUN_FAILED);
  } else if (is_running) {
    run->drain_ns = now_ns;
    atomic_store(&run->results->phase, PHASE_DRAINING);
  } else {
    uint64_t since_ns = view->progress_ns > run->drain_ns ? view->progress_ns : run->drain_ns;
    if (view->unfinished == 0 || now_ns - since_ns >= drain_patience_ns) end_run(run, RUN_COMPLETE);
  }
}

/* Return whether a run without a publisher of its own has come to its end. */
static bool is_settled(const struct run *run, const struct results_view *view, uint64_t waited_ns, uint64_t now_ns) {
  uint64_t duration_ns = run->options->duration_ns;
  if (duration_ns > 0 && now_ns - run->results->running_ns >= duration_ns) return true;
  if (view->lossless > 0) return view->unfinished_clean == 0 && waited_ns >= faulty_patience_ns;
  return duration_ns == 0 && view->classes[CLIENT_STALLED].clients > 0 && view->stalled_left == 0;
}

static void decide_end(struct run *run) {
  uint64_t now_ns = uv_hrtime();
  struct results_view view = results_look(run->results);
  uint64_t waited_ns = now_ns > view.progress_ns ? now_ns - view.progress_ns : 0;
  bool has_end = run->options->duration_ns > 0 || run->options->publishes;
  bool is_waited_for =
      view.lossless > 0 || view.waited_for > 0 || (view.classes[CLIENT_STALLED].clients > 0 && !has_end);
  enum phase phase = results_phase(run->results);
  if (phase == PHASE_CONNECTING && view.waited_for == 0) {
    run->results->running_ns = now_ns;
    atomic_store(&run->results->phase, PHASE_RUNNING);
  }
  if (signal_number != 0) {
    end_run(run, RUN_INTERRUPTED);
  } else if (run->has_failed) {
    end_run(run, RUN_FAILED);
  } else if (view.connect_error != 0) {
    end_run(run, RUN_UNCONNECTED);
  } else if (view.lossless > 0 && view.unfinished == 0) {
    end_run(run, RUN_COMPLETE);
  } else if (phase != PHASE_CONNECTING && run->options->publishes) {
    look_at_publisher(run, &view, now_ns);
  } else if (phase != PHASE_CONNECTING && is_settled(run, &view, waited_ns, now_ns)) {
    end_run(run, RUN_COMPLETE);
  }
  if (is_waited_for && waited_ns >= run->options->timeout_ns) end_run(run, RUN_TIMED_OUT);
}

static void on_tick(void *arg) {
  struct run *run = arg;
  if (results_phase(run->results) == PHASE_OVER) return;
  look_at_processes(run, WNOHANG);
  report_progress(run->options, run->results, uv_hrtime());
  decide_end(run);
}

/* @return 0, or libuv's error: the run didn't begin */
static int run_parent(struct run *run) {
  int error = worker_run(run->options, run->results, 0, on_tick, run);
  end_run(run, RUN_FAILED); /* if it didn't begin */
  look_at_processes(run, 0);
  if (run->has_failed) run->results->end = RUN_FAILED; /* its results are missing */
  return error;
}

/* The end */

static bool are_objectives_met(const struct options *options, const struct totals *totals) {
  double measured;
  for (uint32_t i = 0; i < options->slo_count; i++)
    if (!slo_is_met(&options->slos[i], totals, &measured)) return false;
  return true;
}

/* The worst comes first: a broken stream stays one, however the run ended. But where publishing failed, the messages
 * that should have come aren't known. */
static int exit_code_of(const struct options *options, const struct results *results, const struct totals *totals) {
  const struct publisher_results *publisher = &results->publisher;
  if (publisher->problem[0] != '\0') return publisher->first_ns == 0 ? EXIT_CODE_CONNECT : EXIT_CODE_RUNTIME;
  if (!totals_is_intact(totals)) return EXIT_CODE_INTEGRITY;
  if (results->end == RUN_UNCONNECTED) return EXIT_CODE_CONNECT;
  if (totals->view.all.failed > 0 || results->end == RUN_TIMED_OUT || results->end == RUN_FAILED)
    return EXIT_CODE_RUNTIME;
  if (!are_objectives_met(options, totals)) return EXIT_CODE_SLO;
  return results->end == RUN_INTERRUPTED ? EXIT_CODE_SIGNAL + (int) signal_number : EXIT_CODE_OK;
}

static int refuse_run(int error) {
  fprintf(stderr, "loadclient: %s\n", uv_strerror(error));
  return EXIT_CODE_RUNTIME;
}

static int report_run(const struct options *options, const struct results *results) {
  static struct totals totals; /* too large for a stack */
  totals_add_up(&totals, options, results);
  int code = exit_code_of(options, results, &totals);
  bool is_written = report_write(options, results, &totals, code);
  return code == EXIT_CODE_OK && !is_written ? EXIT_CODE_RUNTIME : code;
}

int main(int argc, char **argv) {
  static struct options options;
  char problem[LIMITS_PROBLEM_BYTES];
  int code = options_parse(&options, argc, argv);
  if (code >= 0) return code;
  struct limits limits = limits_find();
  if (!limits_fit(&limits, &options, problem)) {
    fprintf(stderr, "loadclient: %s\n", problem);
    return EXIT_CODE_USAGE;
  }
  signal(SIGPIPE, SIG_IGN);

  struct run run = {.options = &options, .results = results_create(options.processes)};
  if (run.results == NULL) return refuse_run(UV_ENOMEM);
  run.results->start_ns = uv_hrtime();
  /* Tells our messages from those of other runs on the same server; 0 would stand for any. */
  if (options.publishes) run.results->run = (uint32_t) run.results->start_ns | 1;
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  code = start_processes(&run);
  if (code >= 0) return code; /* a child, which is done */
  int error = run_parent(&run);
  return error != 0 ? refuse_run(error) : report_run(&options, run.results);
}
