/* SPDX-License-Identifier: MIT */
/*
 * run: the parent's part: it has the clients of process 0, watches all others, and decides in which phase the run is,
 * and when and how it ends.
 */
#ifndef LOADCLIENT_RUN_H
#define LOADCLIENT_RUN_H

#include "processes.h"

/**
 * Run to the end. Afterwards the results are complete.
 *
 * @return the number of the signal that ended it, 0 if none did, or less than 0: libuv's error, nothing was done
 */
int run_execute(const struct options *options, struct results *results, struct processes *processes);

#endif
