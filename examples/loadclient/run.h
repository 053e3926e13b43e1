/* SPDX-License-Identifier: MIT */
/*
 * run: the processes of a run and its phases. The publisher and the workers besides the parent are processes of their
 * own; they share the results, see the phase, and end with it. The parent has the clients of process 0, watches all
 * others, and decides in which phase the run is, and when and how it ends.
 */
#ifndef LOADCLIENT_RUN_H
#define LOADCLIENT_RUN_H

#include "options.h"
#include "results.h"

#include <sys/types.h>

struct processes {
  pid_t publisher;                  /* 0: there is none, or it has ended */
  pid_t workers[OPTIONS_PROCESSES]; /* the same; [0] is the parent, and 0 */
  uint32_t count;
  bool has_failed; /* one of them ended in another way than it should */
};

/** Fork, before the parent has a loop. @return -1 in the parent; in a child, when it is done, its exit code */
int processes_start(struct processes *processes, const struct options *options, struct results *results);

/**
 * Run to the end. Afterwards the results are complete.
 *
 * @return the number of the signal that ended it, 0 if none did, or less than 0: libuv's error, nothing was done
 */
int run_execute(const struct options *options, struct results *results, struct processes *processes);

#endif
