/* SPDX-License-Identifier: MIT */
/*
 * processes: the other processes of a run: the publisher, and those that have clients besides the parent. They share
 * its results, see its phase, and end with it.
 */
#ifndef LOADCLIENT_PROCESSES_H
#define LOADCLIENT_PROCESSES_H

#include "options.h"
#include "results.h"

#include <sys/types.h>

#define PROCESSES_MAX 64

struct processes {
  pid_t publisher;              /* 0: there is none, or it has ended */
  pid_t workers[PROCESSES_MAX]; /* the same; [0] is the parent, and 0 */
  uint32_t count;
  bool has_failed; /* one of them ended in another way than it should */
};

/**
 * Fork. Before the parent has a loop.
 *
 * @return -1 in the parent; in a child, when it is done, what to exit with
 */
int processes_start(struct processes *processes, const struct options *options, struct results *results);

/** See who has ended. */
void processes_look(struct processes *processes);

/** Wait until all have ended. */
void processes_wait(struct processes *processes);

#endif
