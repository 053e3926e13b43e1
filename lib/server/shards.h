/* SPDX-License-Identifier: MIT */
/*
 * shards: the worker threads, each with a hub and its clients, and how the main loop asks them. Everything here is called
 * on the main loop, and answers come there, too.
 */
#ifndef FLUXBP_SERVER_SHARDS_H
#define FLUXBP_SERVER_SHARDS_H

#include "server/session/session.h"

#include <fluxbp/fluxbp.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct shards {
  fluxbp_server_t *server;
  shard_cb on_connected;
  void *user;

  fluxbp_workers_t *workers; /* NULL: not started, or stopped */
  size_t count;
  struct shard *list;
};

/*
 * A question to all hubs. `visit` runs on the thread of each, on all at the same time; then `done` on the main loop, once,
 * and the survey is the asker's again. Any number may be under way.
 */
struct survey {
  void (*visit)(struct shard *shard, struct survey *survey);
  void (*done)(struct survey *survey);
  struct shards *shards;
  atomic_size_t unanswered;
};

/** The members up to `user` were set. @return 0 or a libuv error; shards_stop is needed in either case */
int shards_start(struct shards *shards, const fluxbp_hub_options_t *hub_options);

/** Post a task that must not be lost: waits for memory. @return 0 or UV_ECANCELED */
int post_surely(fluxbp_hub_t *hub, fluxbp_task_cb task, void *arg);

/** Hand a connection to the hub that has the fewest. */
void shards_take(struct shards *shards, const struct arrival *arrival);

/** Ask all of them. `visit` and `done` were set. */
void shards_ask(struct shards *shards, struct survey *survey);

/** The same, where `visit` only begins something: it calls shards_answer, in the end. */
void shards_ask_later(struct shards *shards, struct survey *survey);

/** On the thread of a hub: it is done with its part. */
void shards_answer(struct survey *survey);

/** Reset who is left, and end the threads; waits for that. May be called again. */
void shards_stop(struct shards *shards);

#endif
