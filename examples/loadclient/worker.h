/* SPDX-License-Identifier: MIT */
/*
 * worker: the clients of one process: opens them at the ramp's pace, visits those that aren't healthy, and sums up. The
 * parent decides when the run is over and says so by the phase.
 */
#ifndef LOADCLIENT_WORKER_H
#define LOADCLIENT_WORKER_H

#include "client.h"

/* How often clients that aren't healthy are visited. */
#define WORKER_TICK_MS 50

#define WORKER_BUFFER_BYTES ((size_t) 256 * 1024)

struct worker {
  uv_loop_t loop;
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
  struct client **paced; /* clients that aren't healthy */

  pid_t parent; /* 0: it is the parent's own */
  void (*on_tick)(void *arg);
  void *arg;
  uv_timer_t ramp, tick;
  uint64_t ticked_ns;
  uint64_t random;        /* the state of random_bits() */
  uint64_t cpu_before_ns; /* the measuring began */
  bool is_measuring, is_closed;
  char *buffer; /* one for all: bytes are used up as soon as they are read */
};

/**
 * Run the clients of process `number`, 0 being the parent, until the phase is PHASE_OVER, and sum up. `on_tick` is
 * called every WORKER_TICK_MS; NULL: not at all.
 *
 * @return 0, or libuv's error
 */
int worker_run(const struct options *options, struct results *results, uint32_t number, void (*on_tick)(void *arg),
               void *arg);

/** Open further clients, as many as may be connecting at a time and are due. */
void worker_open_more(struct worker *worker);

/** Return whether the messages are those of our own publisher. */
static inline bool worker_has_publisher(const struct worker *worker) {
  return worker->options->publishes && worker->rules.kind == INTEGRITY_MESSAGES;
}

#endif
