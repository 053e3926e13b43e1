/* SPDX-License-Identifier: MIT */
/*
 * worker: the clients of one process: opens them at the ramp's pace, visits those whose behaviour has a clock, and sums
 * up. The parent decides when the run is over and says so by the phase.
 */
#ifndef LOADCLIENT_WORKER_H
#define LOADCLIENT_WORKER_H

#include "client.h"
#include "options.h"

/* How often clients with a clock are visited, and stalled ones are looked at. */
#define WORKER_TICK_MS 50

struct worker {
  uv_loop_t *loop;
  const struct options *options;
  struct results *results;
  struct process_results *process; /* this one's */
  struct integrity_rules rules;

  uint32_t count;
  struct client *clients;
  uint32_t opened;
  uint32_t connecting;
  uint32_t max_connecting;
  uint32_t paced_count;
  struct client **paced; /* clients whose behaviour has a clock */
  struct stalled stalled;

  pid_t parent; /* 0: it is the parent's own */
  uv_timer_t ramp, tick;
  uint64_t ticked_ns;
  uint64_t random;        /* the state of values_random() */
  uint64_t cpu_before_ns; /* the measuring began */
  bool is_measuring, is_closed;
  char *buffer; /* one for all: bytes are used up as soon as they are read */
};

#define WORKER_BUFFER_BYTES ((size_t) 256 * 1024)

/** Prepare the clients of process `number`, 0 being the parent, and start to connect. @return 0, or libuv's error */
int worker_start(struct worker *worker, uv_loop_t *loop, const struct options *options, struct results *results,
                 uint32_t number);

/** Close everything; the loop ends when that is done. May be called twice. */
void worker_stop(struct worker *worker);

/** After the loop has ended: sum up, and free the memory. */
void worker_finish(struct worker *worker);

/** Open further clients, as many as may be connecting at a time and are due. */
void worker_open_more(struct worker *worker);

/** Return whether the messages are those of our own publisher. */
static inline bool worker_has_publisher(const struct worker *worker) {
  return worker->options->publishes && worker->rules.kind == INTEGRITY_MESSAGES;
}

#endif
