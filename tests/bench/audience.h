/* SPDX-License-Identifier: MIT */
/*
 * audience: clients in a child process that read each message as soon as it comes, and note how late it is: from the
 * time for which it was planned until they have read it.
 */
#ifndef FLUXBP_TESTS_BENCH_AUDIENCE_H
#define FLUXBP_TESTS_BENCH_AUDIENCE_H

#include "child.h"
#include "common/histogram.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of a bench; each has its own latencies. */
enum { AUDIENCE_PHASES = 4 };

/* A message, with the end of its line. */
enum { AUDIENCE_MESSAGE_BYTES = 128 };

/* Write a message of common/message.h, and the end of its line. `sequence` counts from 0 for those that are seated. */
void audience_write(char *message, uint32_t phase, uint64_t sequence, uint64_t due_ns);

/* In memory that parent and child share. The parent may read, and zero, latencies while no message is on its way. */
typedef struct audience_shared {
  _Atomic uint64_t received; /* messages, by the audience that is connected */
  struct histogram latency[AUDIENCE_PHASES];
} audience_shared_t;

/* A child's body; `shared` is an audience_shared_t. */
void audience_serve(int channel, void *shared);

/* Have so many clients connect, or disconnect them; returns when it is done. `asks`: each client of a gateway asks
 * whether it is subscribed. */
void audience_child_seat(child_t *child, uint64_t count, uint16_t port, bool asks);
void audience_child_dismiss(child_t *child);

#endif
