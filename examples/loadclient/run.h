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

/**
 * Fork the other processes and run to the end, when the results are complete. The parent must have no loop before.
 *
 * @param signal_number set in the parent: the signal that ended the run, 0 if none did, or libuv's error (less than 0)
 *   if the run didn't begin
 * @return -1 in the parent; in a child, when it is done, its exit code
 */
int run_execute(const struct options *options, struct results *results, int *signal_number);

#endif
