/* SPDX-License-Identifier: MIT */
/*
 * backbone: what a server asks of a backbone: many servers behind one NATS. What is published at any of them goes to
 * NATS, and what comes from NATS, a server's own included, goes to the clients: so there is one way and one order, and
 *   each client gets
 * everything once.
 *
 * A backbone with a stream gives the ids: they are the stream's sequence numbers, and the epoch is made of the stream's
 * identity, so that a client may go on at any server.
 *
 * No function here waits in a caller's thread, but those that say so.
 */
#ifndef FLUXBP_LIB_SERVER_BACKBONE_H
#define FLUXBP_LIB_SERVER_BACKBONE_H

#include "queue.h"
#include "text.h"

#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waiter;

/* The topic by which revocations go to all servers: no client can name it. */
#define REVOKED_TOPIC "$revoked"

/* What a bus has to know of the stream. */
struct backbone_ids {
  bool is_given;     /* by the stream; else the bus gives them */
  uint64_t epoch;    /* of the stream */
  uint64_t first_id; /* from which on messages come */
};

/* Half of a ring of the default length, so one that is empty takes a block at a time. */
#define BLOCK_MESSAGES 128

struct block_message {
  uint64_t id;
  uint64_t topic;    /* server_topic_key of its name */
  fluxbp_msg_t *msg; /* a reference */
};

/* All that the stream has from the id `first` to before the id `end`. */
struct block {
  uint64_t first, end;
  size_t count;
  struct block_message messages[BLOCK_MESSAGES];
  unsigned references;
  uint64_t used; /* when: a count of uses of any */
};

/* What one client wants. All zero at first. */
struct block_want {
  struct queue_link link; /* in the queue of those that wait */
  uint64_t id;
  struct block *block; /* that has come for it, with a reference; or NULL */
};

enum backbone_past_outcome { BACKBONE_PAST_THERE, BACKBONE_PAST_COMING, BACKBONE_PAST_GONE };

/* What a backbone asks of its server. Any thread. */
struct backbone_host {
  fluxbp_server_t *server;
  const fluxbp_server_options_t *options;
  fluxbp_pool_t *pool;
  size_t hub_count;

  /* See server.h. */
  bool (*is_state)(const fluxbp_server_t *server, const char *topic);
  uint64_t (*topic_key)(const fluxbp_server_t *server, const char *topic);
  int (*deliver)(fluxbp_server_t *server, const char *topic, const char *key, const void *data, size_t length,
                 uint64_t *id, const char **problem);
  int (*recall)(fluxbp_server_t *server, const char *topic, const void *data, size_t length, fluxbp_msg_t **msg,
                const char **problem);
  void (*print)(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

  /* The backbone can't go on, for a reason that was logged: on_backbone_failure follows. */
  void (*fail)(fluxbp_server_t *server);
};

struct backbone_table {
  /* Connect. Without a stream it may be away; then it is looked for from now on. With one the function waits until it
   * is there, since nothing can be given an id before. Return 0, or an error when it can't be used, which is in the
   * log. */
  int (*connect)(fluxbp_backbone_t *backbone, const struct backbone_host *host);

  struct backbone_ids (*ids)(fluxbp_backbone_t *backbone);

  /* The bus is there: begin to pass messages on. Waits until what the stream has of the past is on the bus. Return 0 or
   * a libuv error. */
  int (*start)(fluxbp_backbone_t *backbone);

  /*
   * Queue a message for NATS, from any thread; topic, key and message were checked.
   *
   * `length` 0: take the value of the key back. `waiter` learns what became of the message: that the stream has it, or
   * without a stream that it has come back and is on the bus; or that it was refused, or that its fate isn't known. It
   * may be NULL.
   *
   * Return 0, or, with what is wrong and what to do in `*problem`,
   *   UV_EAGAIN   so many are queued that have not been confirmed, or memory is used up; the same may be tried again
   *   UV_ENOTCONN the backbone is away; the same
   *   UV_E2BIG    NATS takes no such long messages
   *   UV_EINVAL   NATS has no subject for that topic
   */
  int (*publish)(fluxbp_backbone_t *backbone, const char *topic, const char *key, const void *data, size_t length,
                 struct waiter *waiter, const char **problem);

  /*
   * What the stream has from the id `id` on, for a client that resumes behind the server's own history. With a stream
   * only, from any thread. It doesn't wait: what isn't there yet is fetched meanwhile, in turn with what other clients
   * want.
   *
   * `want` is the client's, all zero at first; until it has its block, or past_forget, it keeps the place in the queue
   * and then the block, of which there are few: a client that wants something has to come for it. THERE: `*block` is a
   * piece with `id` in its range, to be given back by past_release. GONE: `*first_id` is the oldest id that the stream
   * has. COMING: ask again in some milliseconds, for as long as it takes.
   */
  enum backbone_past_outcome (*past_read)(fluxbp_backbone_t *backbone, struct block_want *want, uint64_t id,
                                          struct block **block, uint64_t *first_id);
  void (*past_release)(fluxbp_backbone_t *backbone, struct block *block);

  /* The client wants nothing any more, or not now. May be called again. */
  void (*past_forget)(fluxbp_backbone_t *backbone, struct block_want *want);

  /* Whether everything that was published here has been confirmed, and its waiters were told. */
  bool (*is_idle)(fluxbp_backbone_t *backbone);

  /* What is wrong with it, for readyz; NULL: it works. */
  const char *(*problem)(fluxbp_backbone_t *backbone);

  /* Prometheus text. */
  void (*metrics)(fluxbp_backbone_t *backbone, struct text *text);

  /* Close the connection and pass nothing on any more: the hubs are about to be closed. Waiters are given back by
   * `free`. May be called at any time, and again. It doesn't wait for answers of NATS. */
  void (*stop)(fluxbp_backbone_t *backbone);

  /* After `stop`, and when the threads of the hubs have ended. */
  void (*free)(fluxbp_backbone_t *backbone);
};

/* The first member of every backbone. */
struct fluxbp_backbone {
  const struct backbone_table *table;
};

#endif
