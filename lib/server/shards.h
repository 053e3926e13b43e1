/* SPDX-License-Identifier: MIT */
/*
 * shards: the hubs of a server with their sessions, on threads of its own or on its loop, and how the loop asks them.
 * Everything here is called on the server's loop, and answers come there, too.
 */
#ifndef FLUXBP_SERVER_SHARDS_H
#define FLUXBP_SERVER_SHARDS_H

#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;
struct arrival;
struct shards;

typedef void (*shards_cb)(struct shards *shards);

struct shards {
  fluxbp_server_t *server;
  fluxbp_workers_t *workers; /* NULL: the clients are served on the server's loop, or the threads have ended */
  fluxbp_hub_t *hub;         /* of the server's loop, then; or NULL */
  bool has_stopped;          /* there are no hubs any more */
  size_t count;
  struct shard *list;
  shards_cb on_stopped;
};

/*
 * A question to all hubs. `visit` runs on the thread of each, on all at the same time; then `done` on the server's
 * loop, once, and the survey is the asker's again. Any number may be under way.
 */
struct survey {
  void (*visit)(struct shard *shard, struct survey *survey);
  void (*done)(struct survey *survey);
  struct shards *shards;
  atomic_size_t unanswered;
};

/** Start the server's threads, or serve on its loop. @return 0 or a libuv error; shards_stop is needed in either
 * case */
int shards_start(struct shards *shards, fluxbp_server_t *server, const fluxbp_hub_options_t *hub_options);

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

/** Reset the clients that are left, and end the threads, for which it waits. `cb` may be called before it returns. */
void shards_stop(struct shards *shards, shards_cb cb);

#endif
