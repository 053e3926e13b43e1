/* SPDX-License-Identifier: MIT */
/*
 * workers: threads with a loop and a hub each, for a server that wants to use all its cores. Optional: a host may bring
 * its own threads and loops, and make hubs on them.
 *
 * Usually all hubs have the same bus, so that one publish reaches the clients of all; and one listener hands its
 * sockets to them in turn. Thread: any, for every function here, but one at a time with fluxbp_workers_stop as the last
 * one.
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
  size_t size;      /* set by fluxbp_workers_options_init */
  uint32_t threads; /* 1 … FLUXBP_WORKERS_MAX; default 0: one for each processor that the process may
                       use, but no more than FLUXBP_WORKERS_MAX */
  const fluxbp_hub_options_t
      *hub; /* for each of the hubs; copied; default NULL: the defaults. Without a pool they share
                                      one with default options. SIGPIPE is blocked on the threads. The automatic
                                      max_kernel_bytes is divided among the hubs */
  /* On its thread, when the hub is there and before its loop runs: open topics and the like. 0, or an error, which ends
   * them all. */
  int (*on_start)(fluxbp_hub_t *hub, size_t index, void *arg);
  /* On its thread, before the hub drains: close what else is on the loop. */
  void (*on_stop)(fluxbp_hub_t *hub, size_t index, void *arg);
  void *arg; /* for both */
} fluxbp_workers_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_workers_options_init(options) fluxbp_workers_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_workers_options_init_sized(fluxbp_workers_options_t *options, size_t size);

/**
 * Start the threads; returns when all their hubs are there, or none is.
 *
 * @param options NULL for the defaults
 * @return 0, or
 *   UV_EINVAL too many threads
 *   UV_E2BIG  options that this version of the library doesn't know
 *   UV_ENOMEM, UV_EAGAIN, UV_EMFILE and whatever else threads, loops and hubs fail with, or what on_start returned
 */
FLUXBP_EXTERN int fluxbp_workers_start(const fluxbp_workers_options_t *options, fluxbp_workers_t **workers);

/** How many there are. */
FLUXBP_EXTERN size_t fluxbp_workers_count(const fluxbp_workers_t *workers);

/** The hub of one of them, for fluxbp_hub_post; everything else belongs to its thread, and closing it to
 * fluxbp_workers_stop. */
FLUXBP_EXTERN fluxbp_hub_t *fluxbp_workers_hub(const fluxbp_workers_t *workers, size_t index);

/**
 * Have `task` run on the hub that has the fewest connections, those counted that are on their way to it: for a socket
 * that was accepted. The task makes the connection, or closes the descriptor if it can't.
 *
 * @return as fluxbp_hub_post
 */
FLUXBP_EXTERN int fluxbp_workers_hand_over(fluxbp_workers_t *workers, fluxbp_task_cb task, void *arg);

/**
 * Drain each hub and close it, end the threads, and free everything. Waits until that is done, for about `drain_ms` at
 * most, if nobody makes connections any more: stop accepting and posting before. NULL is allowed. Not from a worker's
 * thread.
 */
FLUXBP_EXTERN void fluxbp_workers_stop(fluxbp_workers_t *workers, uint32_t drain_ms);

#ifdef __cplusplus
}
#endif

#endif
