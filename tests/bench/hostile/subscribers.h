/* SPDX-License-Identifier: MIT */
/*
 * subscribers: healthy clients on lines, in a child process. They read each message as soon as it comes and note how
 * late it is: from the time for which it was planned until they have read it.
 */
#ifndef FLUXBP_TESTS_BENCH_SUBSCRIBERS_H
#define FLUXBP_TESTS_BENCH_SUBSCRIBERS_H

#include "child.h"
#include "common/histogram.h"

#include <stdatomic.h>
#include <stdint.h>

/* A message as a line: the time for which it was planned, in digits, filled up with 'm', and the end of the line. */
enum { SUBSCRIBERS_LINE_BYTES = 128 };

/* Write the message, without the end of its line: SUBSCRIBERS_LINE_BYTES - 1 bytes. */
void subscribers_write(char *message, uint64_t due_ns);

/* In memory that parent and child share. The parent may read and zero the latencies while no message is on its way. */
typedef struct subscribers_shared {
  _Atomic uint64_t received; /* messages of all */
  struct histogram latency;
} subscribers_shared_t;

/* A child's body; `shared` is a subscribers_shared_t. */
void subscribers_serve(int channel, void *shared);

/* Have so many clients connect to that port; returns when the gateway has answered each. */
void subscribers_child_seat(child_t *child, uint64_t count, uint16_t port);

#endif
