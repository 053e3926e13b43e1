/* SPDX-License-Identifier: MIT */
/*
 * processes: forking and waiting. Children leave signals from the terminal to the parent, which ends them by the phase.
 */
#include "processes.h"

#include "publisher.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

int processes_start(struct processes *processes, const struct options *options, struct results *results) {
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

/* Sets *pid to 0 if the process has ended. */
static void look_at(struct processes *processes, pid_t *pid, int flags, int other_good_status) {
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

static void look_at_all(struct processes *processes, int flags) {
  look_at(processes, &processes->publisher, flags, EXIT_CODE_RUNTIME); /* the results say what went wrong */
  for (uint32_t i = 1; i < processes->count; i++) look_at(processes, &processes->workers[i], flags, EXIT_CODE_OK);
}

void processes_look(struct processes *processes) {
  look_at_all(processes, WNOHANG);
}

void processes_wait(struct processes *processes) {
  look_at_all(processes, 0);
}
