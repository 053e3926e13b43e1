/* SPDX-License-Identifier: MIT */
/*
 * server: a server for browsers and programs: HTTP with WebSocket and Server-Sent Events, lines, and frames behind
 * their length.
 *
 * A server listens, answers administrators and stops on one loop of the program's. Its clients are served on threads of
 * its own, each with a loop and a hub; or on the program's loop (`threads` = 0). Every message that is published goes
 * to the subscribers on all threads, in one order.
 *
 * Thread: the loop's, for every function here that doesn't say otherwise.
 */
#ifndef FLUXBP_SERVER_SERVER_H
#define FLUXBP_SERVER_SERVER_H

#include "fluxbp/export.h"
#include "fluxbp/metrics.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"
#include "fluxbp/server/handlers.h"
#include "fluxbp/server/log.h"
#include "fluxbp/server/permissions.h"
#include "fluxbp/server/session.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a name of a topic is made of. */
#define FLUXBP_SERVER_TOPIC_BYTES 64
#define FLUXBP_SERVER_TOPIC_RULE "1 to 64 of A-Z a-z 0-9 . _ : -"

/** The longest key of a state topic. */
#define FLUXBP_SERVER_KEY_BYTES 64

/** The most topics that max_topics and max_topics_per_session may say. */
#define FLUXBP_SERVER_TOPICS_MAX ((uint32_t) 1000000)
#define FLUXBP_SESSION_TOPICS_MAX ((uint32_t) 65536)

/** The most addresses that a server listens on. */
#define FLUXBP_SERVER_LISTENERS_MAX 16

/** Connections by HTTP that are taken beyond max_connections, so that administrators find a way in. */
#define FLUXBP_SERVER_HTTP_RESERVE 64

/** What clients speak at an address. */
typedef enum fluxbp_speak {
  FLUXBP_SPEAK_LINES,  /* messages are lines; netcat does */
  FLUXBP_SPEAK_LENGTH, /* messages behind their length in 4 bytes */
  FLUXBP_SPEAK_HTTP    /* requests, WebSocket, Server-Sent Events */
} fluxbp_speak_t;

/** What a server offers; a program may leave out any of these. docs/protocol.md describes each. */
typedef enum fluxbp_part {
  FLUXBP_PART_WEBSOCKET = 1, /* /ws */
  FLUXBP_PART_SSE = 2,       /* /sse */
  FLUXBP_PART_PUBLISH = 4,   /* POST /api/v1/publish, DELETE /api/v1/state */
  FLUXBP_PART_COMMANDS = 8,  /* SUB, PUB … of clients on lines, frames and WebSocket */
  FLUXBP_PART_HEALTH = 16,   /* /livez, /readyz */
  FLUXBP_PART_METRICS = 32,  /* /metrics, for Prometheus */
  FLUXBP_PART_ADMIN = 64,    /* /api/v1/stats, connections, evictions, policy */
  FLUXBP_PART_WATCH = 128,   /* /api/v1/watch, which a dashboard reads */
  FLUXBP_PART_ALL = 255
} fluxbp_part_t;

/** Texts, such as names of topics. */
typedef struct fluxbp_text_list {
  const char *const *texts;
  size_t count;
} fluxbp_text_list_t;

/** Many servers as one; fluxbp/nats.h makes one. */
typedef struct fluxbp_backbone fluxbp_backbone_t;

/** What the pointers point to has to stay as it is until the server is closed. */
typedef struct fluxbp_server_options {
  size_t size;     /* set by fluxbp_server_options_init */
  uv_loop_t *loop; /* to listen on; the program runs it. Default NULL, which is refused */

  /* That serve clients, each with a loop and a hub; 0 … FLUXBP_WORKERS_MAX; default 0: clients are served on `loop`. */
  uint32_t threads;
  const fluxbp_server_handlers_t *handlers; /* default NULL: none */
  fluxbp_log_cb on_log;                     /* default NULL: nothing is logged */
  void *user;                               /* for on_log, and see fluxbp_server_user */
  unsigned parts;                           /* a set of fluxbp_part_t; default FLUXBP_PART_ALL */

  /* Connections. */
  uint32_t
      max_connections; /* clients at a time; default 100000. The limit of file descriptors is the program's to raise */
  uint32_t max_per_address;    /* clients of one IPv4 address or IPv6 /64 prefix; default 0: no limit */
  uint32_t accepts_per_second; /* default 0: no limit */
  fluxbp_text_list_t
      proxies; /* addresses or networks whose connections begin with a PROXY protocol v2 header; default none */

  /* Topics. */
  const char *topic;   /* of a client that asks for none; default NULL: such a client is subscribed to nothing */
  uint32_t max_topics; /* that clients hold, on each thread, besides that one and state topics; default 65536 */
  uint32_t max_topics_per_session; /* default 256 */
  fluxbp_text_list_t state_topics; /* of which clients see the newest message of each key; default none */
  uint32_t state_keys;             /* of each state topic at most; default 65536 */
  uint64_t state_age_ms;           /* a value is taken back when it wasn't set anew for so long; default 0: never */

  /* Of log topics, what a client can resume from; see fluxbp_hub_options_t. */
  uint32_t history_messages;       /* default 20000 */
  uint64_t history_bytes;          /* default 32 MiB */
  uint32_t history_topic_messages; /* default 10000 */
  uint64_t history_topic_bytes;    /* default 16 MiB */
  uint32_t history_ms;             /* default 0: no limit */

  /* Messages and memory. */
  uint64_t max_message;   /* bytes of a message; default 64 KiB */
  uint64_t max_body;      /* bytes of an HTTP request's body; default 1 MiB */
  uint32_t patience_ms;   /* how long a client that makes progress may hold publishers up; default 0: not at all */
  fluxbp_policy_t policy; /* of subscribers; default as fluxbp_policy_init */
  uint64_t budget;        /* bytes for all messages and queues; default as fluxbp_pool_options_init */
  uint64_t kernel_bytes;  /* see fluxbp_hub_options_t.max_kernel_bytes; default FLUXBP_KERNEL_BYTES_AUTO */

  /* Times, in milliseconds. */
  uint32_t ping_ms;       /* between two pings to WebSocket and SSE clients; 0 is off; default 25000 */
  uint32_t handshake_ms;  /* from the accept to the end of the headers; default 10000 */
  uint32_t keep_alive_ms; /* between two requests of a connection; default 75000 */

  /* Permissions. */
  const fluxbp_tokens_t *tokens; /* default NULL: there are none */
  int trusts_loopback;           /* clients of a loopback address need no token for anything; default 0 */
  fluxbp_text_list_t
      allow_hosts; /* that a Host header may name besides addresses and localhost; "*" is any; default none */
  fluxbp_text_list_t allow_origins; /* whose pages may connect besides our own; "*" is any; default none */

  /* By which messages are published, so that the clients of all servers behind it get them; default NULL: there is
   * none. The server owns it from fluxbp_server_create on, whatever that returns. */
  fluxbp_backbone_t *backbone;

  /* The backbone can't go on, for a reason that was logged: the server is to be closed. From the loop. */
  void (*on_backbone_failure)(fluxbp_server_t *server, const char *reason);
} fluxbp_server_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_server_options_init(options) fluxbp_server_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_server_options_init_sized(fluxbp_server_options_t *options, size_t size);

typedef void (*fluxbp_server_cb)(fluxbp_server_t *server);

/**
 * Make a server. It listens nowhere yet. It keeps its loop alive until it is closed.
 *
 * SIGPIPE: a program with `threads` = 0 ignores the signal (signal(SIGPIPE, SIG_IGN)); a server's own threads block it.
 *
 * With a backbone that gives ids the function waits until the backbone is there.
 *
 * @return 0, or
 *   UV_EINVAL an option out of its range, or two that don't go together
 *   UV_E2BIG  options or handlers that this version of the library doesn't know
 *   UV_ENOTCONN the backbone can't be used; the log says why
 *   UV_ENOMEM, UV_EAGAIN, UV_EMFILE and whatever else threads, loops and hubs fail with
 */
FLUXBP_EXTERN int fluxbp_server_create(const fluxbp_server_options_t *options, fluxbp_server_t **server);

/** Return the options' `user`. Any thread. */
FLUXBP_EXTERN void *fluxbp_server_user(const fluxbp_server_t *server);

/**
 * Listen on an address. A name is looked up, which may block.
 *
 * @param address such as 127.0.0.1:9001, [::1]:9001 or localhost:9001; port 0 picks a free one
 * @return the listener's number (>= 0), for fluxbp_server_address; or
 *   UV_EINVAL  no address
 *   UV_ENOSPC  there are FLUXBP_SERVER_LISTENERS_MAX already
 *   UV_EADDRINUSE, UV_EACCES, UV_EADDRNOTAVAIL … as bind and listen say
 */
FLUXBP_EXTERN int fluxbp_server_listen(fluxbp_server_t *server, const char *address, fluxbp_speak_t speak);

/** Listen by a TCP socket that listens already, which the server owns from now on unless this fails. @return as
 * above */
FLUXBP_EXTERN int fluxbp_server_adopt(fluxbp_server_t *server, uv_os_sock_t socket, fluxbp_speak_t speak);

/** Write the address that a listener has. */
FLUXBP_EXTERN void fluxbp_server_address(const fluxbp_server_t *server, int listener,
                                         char text[FLUXBP_ADDRESS_TEXT_BYTES]);

/**
 * Publish a message on a topic, to its subscribers on all threads. Copied. Any thread.
 *
 * The message is in line for all of them when this returns 0, or for the backbone if there is one; nothing is lost
 * without an error. UV_EAGAIN is the flow control: publish the same message again in a millisecond or later.
 *
 * @param key of a state topic, 1 to FLUXBP_SERVER_KEY_BYTES bytes; NULL for a log topic
 * @return 0, or
 *   UV_EINVAL    the topic is no name, the message is empty, the key is missing, too long or not wanted, or the topic
 *                is a state topic and the message has a line end
 *   UV_E2BIG     longer than max_message
 *   UV_EAGAIN    no room: the slowest thread is behind, or the budget is used up by what slow clients have not taken
 *   UV_ENOTCONN  the backbone is away
 *   UV_ENOSPC    the state topic has all the keys that it may have
 *   UV_ENOBUFS   values of state topics fill the budget: waiting doesn't help
 *   UV_ECANCELED the server is closing
 */
FLUXBP_EXTERN int fluxbp_server_publish(fluxbp_server_t *server, const char *topic, const char *key, const void *data,
                                        size_t length);

/** Take the value of a key of a state topic back; there need be none. Any thread. @return as fluxbp_server_publish */
FLUXBP_EXTERN int fluxbp_server_unset(fluxbp_server_t *server, const char *topic, const char *key);

/** Return whether a topic may have that name. Any thread. */
FLUXBP_EXTERN int fluxbp_server_topic_is_right(const char *name, size_t length);

/** Return how many subscribers there are. Any thread. */
FLUXBP_EXTERN size_t fluxbp_server_session_count(const fluxbp_server_t *server);

/**
 * Visit all subscribers, each on its thread, those of different threads at the same time. Begins when the function has
 * returned.
 *
 * @param done called on the server's loop when all were visited; may be NULL
 * @return 0, UV_ENOMEM, or UV_ECANCELED: the server is closing
 */
FLUXBP_EXTERN int fluxbp_server_each_session(fluxbp_server_t *server,
                                             void (*visit)(fluxbp_session_t *session, void *arg),
                                             void (*done)(fluxbp_server_t *server, void *arg), void *arg);

/** Figures of a server. */
typedef struct fluxbp_server_stats {
  fluxbp_metrics_t metrics; /* of all threads together */
  fluxbp_pool_stats_t pool;
  uint64_t sessions;    /* subscribers now */
  uint64_t refused;     /* connections that were not served */
  uint64_t commands;    /* of clients, done */
  uint64_t read_pauses; /* times that a client was not read for a while */
} fluxbp_server_stats_t;

/**
 * Take no more clients and no more messages, and wait until everything is delivered: no subscriber has anything queued
 * that is neither in its kernel's hands nor lost to an eviction. There is no deadline. `cb` is called on the loop,
 * unless fluxbp_server_close is called before; that is what is to follow in any case.
 */
FLUXBP_EXTERN void fluxbp_server_finish(fluxbp_server_t *server, fluxbp_server_cb cb);

/** Write the figures: those of threads as they were in the callback of fluxbp_server_finish, or of
 * fluxbp_server_close. */
FLUXBP_EXTERN void fluxbp_server_get_stats(const fluxbp_server_t *server, fluxbp_server_stats_t *stats);

/**
 * Close the server: take no more clients and messages, tell all clients that the server stops, let them take what is
 * queued for up to `drain_ms`, and reset those that are left. Health checks and administrators are answered meanwhile.
 * The program has to run the loop until `cb` is called; the server is freed when that returns. Calling this again does
 * nothing.
 *
 * @param cb may be NULL
 */
FLUXBP_EXTERN void fluxbp_server_close(fluxbp_server_t *server, uint32_t drain_ms, fluxbp_server_cb cb);

#ifdef __cplusplus
}
#endif

#endif
