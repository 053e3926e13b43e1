/* SPDX-License-Identifier: MIT */
/*
 * run: forking, waiting, and phases. Clients connect; then, with a publisher, it publishes, and the run waits for the
 * messages that were sent; without one the run lasts until the last line, the duration, or the feed's end. Children
 * leave signals from the terminal to the parent, which ends them by the phase.
 */
#include "run.h"

#include "progress.h"
#include "publisher.h"
#include "values.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct processes {
  pid_t publisher;                  /* 0: there is none, or it has ended */
  pid_t workers[OPTIONS_PROCESSES]; /* the same; [0] is the parent, and 0 */
  uint32_t count;
  bool has_failed; /* one of them ended in another way than it should */
};

static int run_worker(const struct options *options, struct results *results, uint32_t number) {
  uv_loop_t loop;
  struct worker worker;
  if (uv_loop_init(&loop) != 0) return EXIT_CODE_RUNTIME;
  if (worker_start(&worker, &loop, options, results, number) != 0) return EXIT_CODE_RUNTIME;
  uv_run(&loop, UV_RUN_DEFAULT);
  worker_finish(&worker);
  uv_loop_close(&loop);
  return EXIT_CODE_OK;
}

/* @return 0 in the child, its id in the parent, less than 0 when there is none */
static pid_t fork_child(struct processes *processes) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
  }
  if (pid < 0) processes->has_failed = true;
  return pid;
}

/* Fork. @return -1 in the parent; in a child, when it is done, its exit code */
static int processes_start(struct processes *processes, const struct options *options, struct results *results) {
  *processes = (struct processes){.count = options->processes};
  if (options->publishes) {
    pid_t pid = fork_child(processes);
    if (pid == 0) return publisher_run(options, results);
    processes->publisher = pid > 0 ? pid : 0;
  }
  for (uint32_t i = 1; i < options->processes && !processes->has_failed; i++) {
    pid_t pid = fork_child(processes);
    if (pid == 0) return run_worker(options, results, i);
    processes->workers[i] = pid > 0 ? pid : 0;
  }
  return -1;
}

/* Set *pid to 0 if the process has ended. */
static void process_look(struct processes *processes, pid_t *pid, int flags, int other_good_status) {
  int status;
  pid_t ended;
  if (*pid == 0) return;
  do ended = waitpid(*pid, &status, flags);
  while (ended < 0 && errno == EINTR);
  if (ended == 0) return;
  *pid = 0;
  bool is_good = ended > 0 && WIFEXITED(status) &&
                 (WEXITSTATUS(status) == EXIT_CODE_OK || WEXITSTATUS(status) == other_good_status);
  processes->has_failed = processes->has_failed || !is_good;
}

static void processes_look(struct processes *processes, int flags) {
  process_look(processes, &processes->publisher, flags, EXIT_CODE_RUNTIME); /* the results hold its problem */
  for (uint32_t i = 1; i < processes->count; i++) process_look(processes, &processes->workers[i], flags, EXIT_CODE_OK);
}

/* Clients that have a fault already are read on, but not waited for longer than this. */
static const uint64_t faulty_patience_ns = NS_PER_S;

/* Messages that reach no client for so long are lost. */
static const uint64_t drain_patience_ns = 5 * NS_PER_S;

struct run {
  uv_loop_t loop;
  const struct options *options;
  struct results *results;
  struct processes *processes;
  struct worker worker;
  struct progress progress;
  uv_timer_t tick;
  uv_signal_t interrupt, terminate;
  uint64_t drain_ns; /* when draining began */
  int signal_number;
  bool is_over;
};

static void end_run(struct run *run, enum run_end end) {
  if (run->is_over) return;
  run->is_over = true;
  run->results->end = end;
  run->results->over_ns = uv_hrtime();
  atomic_store(&run->results->phase, PHASE_OVER);
  worker_stop(&run->worker);
  uv_close((uv_handle_t *) &run->tick, NULL);
  uv_close((uv_handle_t *) &run->interrupt, NULL);
  uv_close((uv_handle_t *) &run->terminate, NULL);
}

static void on_signal(uv_signal_t *handle, int signal_number) {
  struct run *run = handle->data;
  run->signal_number = signal_number;
  end_run(run, RUN_INTERRUPTED);
}

static void look_at_publisher(struct run *run, const struct results_view *view, uint64_t now_ns) {
  bool is_running = results_phase(run->results) == PHASE_RUNNING;
  if (run->processes->publisher != 0) return;
  if (run->results->publisher.problem[0] != '\0') {
    end_run(run, RUN_FAILED);
  } else if (is_running) {
    run->drain_ns = now_ns;
    atomic_store(&run->results->phase, PHASE_DRAINING);
  } else {
    uint64_t since_ns = view->progress_ns > run->drain_ns ? view->progress_ns : run->drain_ns;
    bool is_drained = view->is_drain_counted && view->draining == 0;
    if (is_drained || now_ns - since_ns >= drain_patience_ns) end_run(run, RUN_COMPLETE);
  }
}

/* Return whether a run without a publisher of its own has come to its end. */
static bool is_settled(const struct run *run, const struct results_view *view, uint64_t waited_ns, uint64_t now_ns) {
  uint64_t duration_ns = run->options->duration_ns;
  if (duration_ns > 0 && now_ns - run->results->running_ns >= duration_ns) return true;
  if (view->lossless > 0) return view->unfinished_clean == 0 && waited_ns >= faulty_patience_ns;
  return duration_ns == 0 && view->stalled > 0 && view->stalled_left == 0;
}

static void decide_end(struct run *run) {
  uint64_t now_ns = uv_hrtime();
  struct results_view view = results_look(run->results);
  uint64_t waited_ns = now_ns > view.progress_ns ? now_ns - view.progress_ns : 0;
  bool has_end = run->options->duration_ns > 0 || run->options->publishes;
  bool is_waited_for = view.lossless > 0 || view.waited_for > 0 || (view.stalled > 0 && !has_end);
  enum phase phase = results_phase(run->results);
  if (phase == PHASE_CONNECTING && view.waited_for == 0) {
    run->results->running_ns = now_ns;
    atomic_store(&run->results->phase, PHASE_RUNNING);
  }
  if (run->processes->has_failed) {
    end_run(run, RUN_FAILED);
  } else if (view.connect_error != 0) {
    end_run(run, RUN_UNCONNECTED);
  } else if (view.lossless > 0 && view.unfinished == 0) {
    end_run(run, RUN_COMPLETE);
  } else if (phase != PHASE_CONNECTING && run->options->publishes && run->options->until == 0) {
    look_at_publisher(run, &view, now_ns);
  } else if (phase != PHASE_CONNECTING && is_settled(run, &view, waited_ns, now_ns)) {
    end_run(run, RUN_COMPLETE);
  }
  if (is_waited_for && waited_ns >= run->options->timeout_ns) end_run(run, RUN_TIMED_OUT);
}

static void on_tick(uv_timer_t *timer) {
  struct run *run = timer->data;
  processes_look(run->processes, WNOHANG);
  progress_show(&run->progress, run->options, run->results, uv_hrtime());
  decide_end(run);
}

static void start_clock(struct run *run) {
  uv_timer_init(&run->loop, &run->tick);
  uv_signal_init(&run->loop, &run->interrupt);
  uv_signal_init(&run->loop, &run->terminate);
  run->tick.data = run->interrupt.data = run->terminate.data = run;
  uv_timer_start(&run->tick, on_tick, WORKER_TICK_MS, WORKER_TICK_MS);
  uv_signal_start(&run->interrupt, on_signal, SIGINT);
  uv_signal_start(&run->terminate, on_signal, SIGTERM);
}

/* Run the parent's part. @return the signal that ended it, 0 if none did, or libuv's error */
static int run_parent(struct run *run) {
  int error = uv_loop_init(&run->loop);
  if (error == 0) error = worker_start(&run->worker, &run->loop, run->options, run->results, 0);
  if (error != 0) {
    run->results->end = RUN_FAILED;
    atomic_store(&run->results->phase, PHASE_OVER);
    processes_look(run->processes, 0);
    return error;
  }
  progress_init(&run->progress, run->options);
  start_clock(run);
  uv_run(&run->loop, UV_RUN_DEFAULT);
  progress_end(&run->progress);
  processes_look(run->processes, 0);
  if (run->processes->has_failed) run->results->end = RUN_FAILED; /* its results are missing */
  worker_finish(&run->worker);
  uv_loop_close(&run->loop);
  return run->signal_number;
}

int run_execute(const struct options *options, struct results *results, int *signal_number) {
  struct processes processes;
  struct run run = {.options = options, .results = results, .processes = &processes};
  int code = processes_start(&processes, options, results);
  if (code < 0) *signal_number = run_parent(&run);
  return code;
}
