/* SPDX-License-Identifier: MIT */
/*
 * server: what all threads of a server share, and how messages come in. What isn't atomic is set before the threads
 * start and constant from then on, or belongs to the server's loop where that is said.
 */
#ifndef FLUXBP_LIB_SERVER_SERVER_H
#define FLUXBP_LIB_SERVER_SERVER_H

#include "backbone.h"
#include "codecs.h"
#include "memory.h"
#include "secret_hash.h"
#include "server/listeners.h"
#include "server/permissions/credentials.h"
#include "server/permissions/networks.h"
#include "server/permissions/origins.h"
#include "server/permissions/secret_files.h"
#include "server/permissions/token_guesses.h"
#include "server/quotas/accounts.h"
#include "server/shards.h"
#include "state_keys.h"

#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The topic of what the watch stream shows: no client can name it. */
#define WATCH_TOPIC "$watch"

/* The number of roles, fluxbp_role_t. */
#define ROLES 3

struct evictions;
struct waiter;

struct fluxbp_server {
  fluxbp_server_options_t options;
  fluxbp_server_handlers_t handlers; /* a copy: those that the program has left out are NULL */
  size_t shard_count;
  fluxbp_pool_t *pool;
  struct memory memory; /* for what clients send */
  fluxbp_bus_t *bus;
  uint32_t topic_number;                                  /* of options.topic on the bus */
  fluxbp_hub_t *control;                                  /* the loop's own hub, for tasks; closed after the shards */
  struct listener listeners[FLUXBP_SERVER_LISTENERS_MAX]; /* the loop's, but what a listener's clients need of it */
  size_t listener_count;
  struct shards shards;
  struct codecs codecs;
  struct backbone_host backbone_host;
  bool has_given_ids;          /* they are those of the backbone's stream */
  struct evictions *evictions; /* the loop's */
  struct origins origins;
  struct network *proxies; /* options.proxies */
  size_t proxy_count;
  struct limits limits;
  struct accounts *accounts;                     /* of addresses and subjects */
  struct token_guesses *token_guesses;           /* NULL: there is no limit */
  struct secret_hash hash;                       /* of names that clients choose */
  struct credentials credentials;                /* the tokens that the server knows */
  struct authorizer *authorizer;                 /* asked about clients; or NULL. The loop's, but for authorizer_ask */
  struct secret_file secret_files[SECRET_FILES]; /* the loop's */
  struct state_keys *state_keys;                 /* of the state topics, in the order of the options */
  fluxbp_policy_t policy;                        /* as it is now; the loop's */
  struct json_t *policy_change;                  /* the last one, with by whom; NULL: there was none. The loop's */
  uint64_t started_ns;                           /* uv_hrtime */
  uint64_t watch_published;                      /* messages of the watch itself, which the bus counts; the loop's */

  /* The loop's: the watch stream, and the end. */
  uv_timer_t watch_timer;
  bool is_watch_asking;
  uv_timer_t delivery; /* looks whether everything is delivered */
  struct survey survey;
  fluxbp_server_cb on_finished;
  bool is_asking; /* how much is queued */
  bool is_closing;
  fluxbp_server_cb on_closed;
  uint64_t drain_until_ms;
  uint32_t drain_ms; /* what was left when the shards began to drain */
  size_t open_handles;
  fluxbp_server_stats_t stats; /* as of the last look */

  atomic_bool is_stopping;
  atomic_size_t connections;              /* of all listeners, now */
  atomic_size_t served;                   /* subscribers, now */
  atomic_size_t full_topic_tables;        /* hubs that have max_topics of them */
  atomic_size_t watchers;                 /* of the watch stream, now */
  atomic_uint_fast64_t refused;           /* connections */
  atomic_uint_fast64_t publish_refused;   /* as the bus or the budget was full for too long, or the backbone away */
  atomic_uint_fast64_t state_frame_bytes; /* in frames of the state topics of all hubs, as of the last look */
  atomic_uint_fast64_t state_refused;     /* values, as their topic had all the keys that it may have */
  atomic_uint_fast64_t state_expired;     /* values that were state_age_ms old */
  atomic_uint_fast64_t admin_evictions;
  atomic_uint_fast64_t not_allowed[ROLES]; /* wishes of clients that they lacked a permission for */
  atomic_uint_fast64_t late_messages;      /* of clients, which weren't whole in message_ms */
  atomic_uint_fast64_t tls_handshakes;     /* that have ended well, */
  atomic_uint_fast64_t tls_resumed;        /* of them with a session ticket; */
  atomic_uint_fast64_t tls_failed;         /* that have not */
  atomic_uint_fast64_t wrong_tokens;       /* that clients have shown */
  atomic_uint_fast64_t slowed_tokens;      /* that were not looked at: their address had shown too many wrong ones */
};

/** Begin to close the loop's handles, and free the server when they and the shards are gone. */
void server_end(fluxbp_server_t *server);

/** One of the loop's handles is closed: with the last one the server is freed. */
void server_handle_closed(fluxbp_server_t *server);

/** Take over the options if they are right. @return 0, UV_EINVAL or UV_E2BIG */
int server_take_options(fluxbp_server_t *server, const fluxbp_server_options_t *options);

/** Draw the secret, and make the tables: once, before anything is published. @return 0 or a libuv error */
int server_init_publishing(fluxbp_server_t *server);

/** Return whether the topic of that name keeps the newest message of each key. */
bool server_is_state(const fluxbp_server_t *server, const char *topic);

/* What is published. */
struct publication {
  const char *topic;
  const char *key;  /* of a state topic; NULL for a log topic */
  const void *data; /* NULL: take the value of the key back; there need be none */
  size_t length;
  struct payers payers; /* of its publisher */
};

/**
 * Publish a message, or take a value back, from any thread: by way of the backbone, if there is one.
 *
 * @param waiter where there is a backbone: learns what became of it; or NULL
 * @param id  gets the publication's; 0: it will have one, which the waiter learns
 * @return as fluxbp_server_publish, or UV_ENFILE: a payer has as many keys as it may; and then `*problem` says what is
 *   wrong, and what to do
 */
int server_publish(fluxbp_server_t *server, const struct publication *publication, struct waiter *waiter, uint64_t *id,
                   const char **problem);

/** Make a message for a log topic, as server_publish does: of `length` bytes, or with room for them. @return 0,
 * UV_EAGAIN: there is no memory now, or another error */
int server_create_message(fluxbp_server_t *server, const void *data, size_t length, fluxbp_msg_t **msg);
int server_alloc_message(fluxbp_server_t *server, size_t length, fluxbp_msg_t **msg);

/**
 * Publish messages on a log topic, on which any of them might be published (server_may_publish). Not for servers with a
 * backbone.
 *
 * @param first_id gets the id of the first; those of the others follow it
 * @return how many were published, of which the references were taken over; or an error, and none was
 */
int server_publish_many(fluxbp_server_t *server, const char *topic, fluxbp_msg_t *const *msgs, size_t count,
                        uint64_t *first_id);

/** Publish a message on a log topic to all subscribers but one: the connection whose number is `origin`. Not with a
 * backbone. */
int server_publish_from(fluxbp_server_t *server, const char *topic, const void *data, size_t length, uint64_t origin);

/** Return whether a message is right. */
bool server_may_publish(const fluxbp_server_t *server, const struct publication *publication);

/** Count a message that was not published for that error, and whose publisher is told so, if it was UV_EAGAIN or
 * UV_ENOTCONN. */
void server_count_refusal(fluxbp_server_t *server, int err);

/** Take back values that were set state_age_ms ago. Called now and then, by one thread. */
void server_expire(fluxbp_server_t *server);

/**
 * Publish what came by the backbone on the bus, with the same errors; only keys too many are counted. A message without
 * a byte takes the value of its key back.
 *
 * @param id the stream's; or 0: gets the bus's
 */
int server_deliver(fluxbp_server_t *server, const char *topic, const char *key, const void *data, size_t length,
                   uint64_t *id, const char **problem);

/**
 * Make a message of a log topic's past as server_deliver did, or would have done, for clients that resume. Errors as
 * there;
 * UV_EINVAL and UV_E2BIG mean that no client has ever got it.
 *
 * @param msg gets the message, with a reference for the caller
 */
int server_recall(fluxbp_server_t *server, const char *topic, const void *data, size_t length, fluxbp_msg_t **msg,
                  const char **problem);

/** Return a number for a topic of the past. The bus isn't asked: it knows only the topics that are in use. */
uint64_t server_topic_key(const fluxbp_server_t *server, const char *topic);

#endif
