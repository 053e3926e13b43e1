/* SPDX-License-Identifier: MIT */
/*
 * child: processes that a bench starts, since clients have to have descriptors and processor time of their own; and the
 * channel that parent and child talk on, in structs of one size. A child ends when its channel does.
 */
#ifndef FLUXBP_TESTS_BENCH_CHILD_H
#define FLUXBP_TESTS_BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct child {
  pid_t pid;
  int channel;
} child_t;

/* Before the program has any thread. `body` begins in the new process, which ends when it returns. */
void child_start(child_t *child, void (*body)(int channel, void *arg), void *arg);

/* Close the channel and wait for it. It must have ended well. */
void child_end(child_t *child);

void child_tell(int channel, const void *words, size_t size);

/* Waits. False: the other end is gone. */
bool child_hear(int channel, void *words, size_t size);

/* Memory that a child shares with its parent, and zeroed. */
void *child_shared_memory(size_t size);

#endif
