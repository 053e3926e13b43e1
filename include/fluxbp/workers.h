/* SPDX-License-Identifier: MIT */
/*
 * workers: threads with a loop and a hub each, for a server that uses all cores. Optional: a program may make hubs on
 * threads and loops of its own.
 *
 * Usually all hubs join the same bus, so that one publish reaches the clients of all hubs, and one listener hands its
 * sockets over to the hubs. Thread: any, for every function here, one at a time. fluxbp_workers_stop is the last call.
 */
#ifndef FLUXBP_WORKERS_H
#define FLUXBP_WORKERS_H

#include "fluxbp/export.h"
#include "fluxbp/hub.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most threads. */
#define FLUXBP_WORKERS_MAX 64

typedef struct fluxbp_workers fluxbp_workers_t;

typedef struct fluxbp_workers_options {
  /* Set by fluxbp_workers_options_init. */
  size_t size;

  /* Number of threads; 1 … FLUXBP_WORKERS_MAX; default 0: one per processor that the process may use, but no more
   * than FLUXBP_WORKERS_MAX. */
  uint32_t threads;

  /* Options of each hub, which are copied; default NULL: the defaults. Without a pool the hubs share one with default
   * options. SIGPIPE is blocked on the threads. The automatic max_kernel_bytes is divided among the hubs. */
  const fluxbp_hub_options_t *hub;

  /* Called on the hub's thread before its loop runs, to open topics and the like. Return 0, or an error, which ends all
   * threads. */
  int (*on_start)(fluxbp_hub_t *hub, size_t index, void *arg);

  /* Called on the hub's thread before the hub drains, to close what else is on the loop. */
  void (*on_stop)(fluxbp_hub_t *hub, size_t index, void *arg);

  /* Passed to both. */
  void *arg;
} fluxbp_workers_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_workers_options_init(options) fluxbp_workers_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_workers_options_init_sized(fluxbp_workers_options_t *options, size_t size);

/**
 * Start the threads. Returns when all hubs are there, or none.
 *
 * @param options NULL for the defaults
 * @return 0, or
 *   UV_EINVAL too many threads
 *   UV_E2BIG  options that this version of the library doesn't know
 *   UV_ENOMEM, UV_EAGAIN, UV_EMFILE and other errors of threads, loops and hubs, or what on_start returned
 */
FLUXBP_EXTERN int fluxbp_workers_start(const fluxbp_workers_options_t *options, fluxbp_workers_t **workers);

/** Return the number of threads. */
FLUXBP_EXTERN size_t fluxbp_workers_count(const fluxbp_workers_t *workers);

/** Return a hub, for fluxbp_hub_post. Every other call belongs to the hub's thread; only fluxbp_workers_stop closes the
 * hub. @return NULL if `index` is too large */
FLUXBP_EXTERN fluxbp_hub_t *fluxbp_workers_hub(const fluxbp_workers_t *workers, size_t index);

/**
 * Have `task` run on the hub with the fewest connections, those included that were handed over and aren't made yet. For
 * a socket that was accepted: the task makes the connection, or closes the descriptor.
 *
 * @return as fluxbp_hub_post
 */
FLUXBP_EXTERN int fluxbp_workers_hand_over(fluxbp_workers_t *workers, fluxbp_task_cb task, void *arg);

/**
 * Drain each hub and close it, end the threads, and free everything. Waits until that is done, for about `drain_ms` at
 * most if no connections are made meanwhile: stop accepting and posting before. NULL is allowed. Not to be called on a
 * worker's thread.
 */
FLUXBP_EXTERN void fluxbp_workers_stop(fluxbp_workers_t *workers, uint32_t drain_ms);

#ifdef __cplusplus
}
#endif

#endif
