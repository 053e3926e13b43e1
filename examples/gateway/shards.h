/* SPDX-License-Identifier: MIT */
/*
 * shards: the worker threads, each with a hub and its clients. Everything here is called on the main loop, and answers
 * come there, too.
 */
#ifndef GATEWAY_SHARDS_H
#define GATEWAY_SHARDS_H

#include "clients.h"

#include <fluxbp/fluxbp.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct shards;
typedef void (*shards_cb)(struct shards *shards);

struct shard {
  struct shards *shards;
  struct clients clients;
  fluxbp_metrics_t metrics; /* as of the last answer */
};

struct shards {
  fluxbp_hub_t *control; /* of the main loop, where answers are posted to */
  const char *topic;     /* the default topic */
  clients_cb on_connected;
  void *user;

  fluxbp_workers_t *workers; /* NULL: not started, or stopped */
  size_t count;
  struct shard *list;
  atomic_size_t served;     /* clients, on all hubs together */
  atomic_size_t unanswered; /* hubs that haven't answered the question yet; one question at a time */
  shards_cb on_answered;
  uint32_t deadline_ms; /* of draining */
};

/** The members up to `user` were set. @return 0 or a libuv error; shards_stop is needed in either case */
int shards_start(struct shards *shards, size_t threads, const fluxbp_hub_options_t *hub_options);

/** Hand a connection to the hub that has the fewest. */
void shards_take(struct shards *shards, const struct arrival *arrival);

/** Have each shard's metrics brought up to date. */
void shards_ask_metrics(struct shards *shards, shards_cb on_answered);

/** Let every client take what is queued for it and close it, by the deadline; metrics are up to date then. */
void shards_drain(struct shards *shards, uint32_t deadline_ms, shards_cb on_answered);

/** The metrics of all, as of the last answer. */
fluxbp_metrics_t shards_metrics(const struct shards *shards);

/** Reset who is left, and end the threads; waits for that. May be called again. */
void shards_stop(struct shards *shards);

#endif
