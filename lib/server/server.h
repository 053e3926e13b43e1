/* SPDX-License-Identifier: MIT */
/*
 * server: what all threads of the gateway share. It is set before they start and constant from then on, but for what is
 * atomic.
 */
#ifndef FLUXBP_SERVER_SERVER_H
#define FLUXBP_SERVER_SERVER_H

#include "options.h"
#include "secret_hash.h"
#include "server/permissions/address_counts.h"
#include "server/permissions/networks.h"
#include "server/permissions/origins.h"
#include "server/permissions/tokens.h"
#include "state_keys.h"

#include <fluxbp/fluxbp.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The topic of what the watch stream shows: no client can name it. */
#define WATCH_TOPIC "$watch"

/* Which of the gateway's addresses somebody came by. */
enum door { DOOR_LINES, DOOR_LENGTH, DOOR_HTTP, DOOR_COUNT };

struct backbone;
struct shards;
struct evictions;
struct waiter;

typedef struct fluxbp_server {
  const struct options *options;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  fluxbp_hub_t *control; /* the main loop's own hub, for tasks; closed after the threads have ended */
  fluxbp_listener_t *listeners[DOOR_COUNT]; /* that there were: permits are given back to them after they closed, too */
  struct shards *shards;
  struct backbone *backbone;   /* or NULL: this gateway is alone */
  bool has_given_ids;          /* they are those of the backbone's stream */
  struct evictions *evictions; /* the main loop's */
  struct tokens *tokens;       /* or NULL */
  struct origins origins;
  struct network *proxies; /* --proxy-from */
  size_t proxy_count;
  struct address_counts *address_counts; /* NULL: the listeners count, or nobody */
  struct secret_hash hash;               /* of names that clients choose */
  struct state_keys *state_keys;         /* of the state topics, in the order of the options */
  fluxbp_policy_t *policy;               /* as it is now; the main loop's */
  unsigned free_roles[DOOR_COUNT];       /* what nobody needs a token for; set before anybody comes */
  size_t max_connections;                /* served at a time */
  uint64_t started_ns;                   /* uv_hrtime */
  uint64_t watch_published;              /* messages of the watch itself, which the bus counts; the main loop's */

  atomic_bool is_stopping;
  atomic_size_t connections;              /* of all doors, now */
  atomic_size_t served;                   /* subscribers, now */
  atomic_size_t full_topic_tables;        /* hubs that have --max-topics of them */
  atomic_size_t watchers;                 /* of the watch stream, now */
  atomic_uint_fast64_t refused;           /* connections */
  atomic_uint_fast64_t publish_refused;   /* as the bus or the budget was full for too long, or the backbone away */
  atomic_uint_fast64_t state_frame_bytes; /* in frames of the state topics of all hubs, as of the last look */
  atomic_uint_fast64_t state_refused;     /* values, as their topic had all the keys that it may have */
  atomic_uint_fast64_t state_expired;     /* values that were --state-age old */
  atomic_uint_fast64_t admin_evictions;
} fluxbp_server_t;

/** Draw the secret, and make the tables: once, before anything is published. @return 0 or a libuv error */
int server_init(fluxbp_server_t *server);
void server_reset(fluxbp_server_t *server);

/** Whether the topic of that name keeps the newest message of each key. */
bool server_is_state(const fluxbp_server_t *server, const char *topic);

/**
 * Publish a message, from any thread: by way of the backbone, if there is one.
 *
 * @param key of a state topic; NULL for a log topic
 * @param waiter where there is a backbone: learns what became of it. NULL: nobody wants to know
 * @param id  gets the publication's; 0: it will have one, which the waiter learns
 * @return 0, or
 *   UV_EINVAL    the topic is no name, the message is empty, or the key is missing, too long or not wanted
 *   UV_E2BIG     it is over --max-message
 *   UV_EAGAIN    busy: the bus is full, or memory is. There will be room for the same message in a while
 *   UV_ENOTCONN  the backbone is away
 *   UV_ECANCELED the gateway is stopping
 *   UV_ENOSPC    too many keys of this topic
 *   UV_ENOBUFS   values of state topics fill the budget
 *   and then `*problem` says what is wrong, and what to do
 */
int server_publish(fluxbp_server_t *server, const char *topic, const char *key, const void *data, size_t length,
                   struct waiter *waiter, uint64_t *id, const char **problem);

/** Count a message that was not published for that error, and whose publisher is told so, if it was UV_EAGAIN or UV_ENOTCONN. */
void server_count_refusal(fluxbp_server_t *server, int err);

/**
 * Take the value of a key of a state topic back, from any thread; as server_publish. There need be none.
 */
int server_unset(fluxbp_server_t *server, const char *topic, const char *key, struct waiter *waiter, uint64_t *id,
                 const char **problem);

/** Take back values that were set --state-age ago. Called now and then, by one thread. */
void server_expire(fluxbp_server_t *server);

/**
 * Publish what came by the backbone on the bus, with the same errors; only keys too many are counted. A message without a
 * byte takes the value of its key back.
 *
 * @param id the stream's; or 0: gets the bus's
 */
int server_deliver(fluxbp_server_t *server, const char *topic, const char *key, const void *data, size_t length,
                   uint64_t *id, const char **problem);

/**
 * Make a message of a log topic's past as server_deliver did, or would have done, for clients that resume. Errors as there;
 * UV_EINVAL and UV_E2BIG mean that no client has ever got it.
 *
 * @param msg gets the message, with a reference for the caller
 */
int server_recall(fluxbp_server_t *server, const char *topic, const void *data, size_t length, fluxbp_msg_t **msg,
                  const char **problem);

/** A topic of the past as a number. The bus isn't asked: it knows only the topics that are in use. */
uint64_t server_topic_key(const fluxbp_server_t *server, const char *topic);

#endif
