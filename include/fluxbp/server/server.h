/* SPDX-License-Identifier: MIT */
/*
 * server: a server for browsers and programs, by HTTP with WebSocket and Server-Sent Events, by lines, and by frames
 * that begin with their length.
 *
 * A server listens, answers administrators and stops on one loop of the program's. It serves its clients on threads of
 * its own, each with a loop and a hub, or on the program's loop (`threads` = 0). A published message goes to the
 * subscribers on all threads. All of them get the messages in one order.
 *
 * Thread: the loop's, for every function here that names no other one.
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

/** The longest name of a topic, and the rule for names. */
#define FLUXBP_SERVER_TOPIC_BYTES 64
#define FLUXBP_SERVER_TOPIC_RULE "1 to 64 of A-Z a-z 0-9 . _ : -"

/** The longest key of a state topic. */
#define FLUXBP_SERVER_KEY_BYTES 64

/** The greatest values of max_topics and max_topics_per_session. */
#define FLUXBP_SERVER_TOPICS_MAX ((uint32_t) 1000000)
#define FLUXBP_SESSION_TOPICS_MAX ((uint32_t) 65536)

/** Of a limit for one address or one subject: a quarter of the limit for all. */
#define FLUXBP_LIMIT_AUTO UINT32_MAX

/** The most addresses that a server listens on. */
#define FLUXBP_SERVER_LISTENERS_MAX 16

/** Connections by HTTP that a server accepts beyond max_connections, for administrators. */
#define FLUXBP_SERVER_HTTP_RESERVE 64

/** The protocol of a listener. */
typedef enum fluxbp_speak {
  FLUXBP_SPEAK_LINES,  /* lines, for netcat and the like */
  FLUXBP_SPEAK_LENGTH, /* frames: 4 bytes of length in network order, and a message */
  FLUXBP_SPEAK_HTTP    /* requests, WebSocket, Server-Sent Events */
} fluxbp_speak_t;

/** The parts of a server. A program may leave out any of them. docs/protocol.md describes each. */
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

/** How often something may be done in a second; 0: no limit. Who was quiet may do at once what the rate allows in ten
 * seconds. */
typedef struct fluxbp_rate {
  uint32_t per_client;  /* by one connection */
  uint32_t per_address; /* by all connections of one address, as for max_per_address */
  uint32_t per_subject; /* by all connections of one subject, as for max_per_subject */
} fluxbp_rate_t;

/** The connection between several servers that share their messages; see fluxbp/nats.h. */
typedef struct fluxbp_backbone fluxbp_backbone_t;

/** Memory behind the pointers must not change until the server is closed. */
typedef struct fluxbp_server_options {
  size_t size; /* set by fluxbp_server_options_init */

  /* The loop of the server, which the program runs; must be set. */
  uv_loop_t *loop;

  /* Threads that serve clients, up to FLUXBP_WORKERS_MAX; default 0: the server serves them on `loop`. */
  uint32_t threads;
  const fluxbp_server_handlers_t *handlers; /* default NULL: none */
  fluxbp_log_cb on_log;                     /* default NULL: nothing is logged */
  void *user;                               /* for on_log, and see fluxbp_server_user */
  unsigned parts;                           /* a set of fluxbp_part_t; default FLUXBP_PART_ALL */

  /* Connections. */

  /* Clients at a time; default 100000. The program has to raise the limit of file descriptors itself. */
  uint32_t max_connections;

  /*
   * Connections of one IPv4 address or IPv6 /64 prefix; 0: no limit; default FLUXBP_LIMIT_AUTO: a quarter of
   * max_connections. Addresses of loopback (127.0.0.0/8 and ::1) have no limits, here and below, as a proxy may pass on
   * any number of clients from there; one that a PROXY header names has them.
   */
  uint32_t max_per_address;
  uint32_t accepts_per_second; /* default 0: no limit */

  /* Addresses or networks whose connections begin with a PROXY protocol v2 header; default none. */
  fluxbp_text_list_t proxies;

  /* Topics. */

  /* The topic of a client that asks for none; default NULL: such a client is subscribed to nothing. */
  const char *topic;

  /* Topics that clients hold on each thread, besides `topic` and the state topics; default 65536. */
  uint32_t max_topics;
  uint32_t max_topics_per_session; /* default 256 */
  fluxbp_text_list_t state_topics; /* topics that keep the newest message of each key; default none */
  uint32_t state_keys;             /* keys of each state topic; default 65536 */
  uint64_t state_age_ms;           /* age at which a value is taken back; default 0: never */

  /* The history of log topics, for clients that resume; see fluxbp_hub_options_t. */
  uint32_t history_messages;       /* default 20000 */
  uint64_t history_bytes;          /* default 32 MiB */
  uint32_t history_topic_messages; /* default 10000 */
  uint64_t history_topic_bytes;    /* default 16 MiB */
  uint32_t history_ms;             /* default 0: no limit */

  /* Messages and memory. */
  uint64_t max_message; /* bytes of a message; default 64 KiB */

  /* Bytes of a request's body, at least max_message with FLUXBP_PART_PUBLISH; default 1 MiB. More than 3/32 of the
   * budget is like 3/32. */
  uint64_t max_body;
  uint32_t patience_ms;   /* time for which a client that makes progress may hold publishers up; default 0 */
  fluxbp_policy_t policy; /* of subscribers; default as fluxbp_policy_init */
  uint64_t budget;        /* bytes for all messages and queues; default as fluxbp_pool_options_init */
  uint64_t kernel_bytes;  /* see fluxbp_hub_options_t.max_kernel_bytes; default FLUXBP_KERNEL_BYTES_AUTO */

  /* Times, in milliseconds. */
  uint32_t ping_ms;       /* between two pings to WebSocket and SSE clients; 0 is off; default 25000 */
  uint32_t handshake_ms;  /* from the accept to the end of the first request; later ones have the same; default 10000 */
  uint32_t keep_alive_ms; /* between two requests of a connection; default 75000 */

  /* From the first byte of a line, a frame or a WebSocket's message to its last; 0 is off; default 30000. A client that
   * takes longer is closed with FLUXBP_CLOSE_POLICY. The time in which the server doesn't read the client doesn't
   * count. */
  uint32_t message_ms;

  /* Permissions. */
  fluxbp_tokens_t *tokens; /* default NULL: there are none; the server keeps a reference */

  /* Keys for signed tokens, with which all roles take a token; default NULL: there are none. The server keeps a
   * reference. */
  fluxbp_keys_t *keys;
  const char *token_issuer;   /* which a signed token has to name; default NULL: any, or none */
  const char *token_audience; /* the same */

  /* Patterns of topics to which a client may subscribe without a token, where a token exists for subscribing; default
   * none. */
  fluxbp_text_list_t public_topics;

  /*
   * The name of a cookie that may hold a token; default NULL: none. The cookie counts if the request has an Origin that
   * is the server's own or that allow_origins names, or if it is a GET without Origin and of no foreign page.
   */
  const char *token_cookie;

  /*
   * Wrong tokens that one IPv4 address or IPv6 /64 prefix may show within a minute; default 60; 0: no limit. Until the
   * minute is over, its tokens are not looked at, and it is told so (429). Addresses of loopback have no limit, as a
   * proxy may pass on any number of clients from there.
   */
  uint32_t max_wrong_tokens;

  /* The http or https URL of a backend that is asked what clients may do, see fluxbp/server/permissions.h; default
   * NULL: none. With it all roles take a token, or an answer. */
  const char *authorize_url;
  uint32_t authorize_timeout_ms;          /* of one question; default 2000 */
  uint32_t authorize_at_once;             /* questions at a time, up to FLUXBP_AUTHORIZE_AT_ONCE_MAX; default 64 */
  uint32_t authorize_cache;               /* answers that are kept, up to FLUXBP_AUTHORIZE_CACHE_MAX; default 10000 */
  fluxbp_when_away_t authorize_when_away; /* default FLUXBP_WHEN_AWAY_CLOSED */

  /* Give the clients of listeners on a loopback address every role for which there is no token; default 0. */
  int trusts_loopback;

  /* Names that a Host header may have besides addresses and localhost; "*" is any; default none. */
  fluxbp_text_list_t allow_hosts;

  /*
   * Origins of pages that may use the server besides the server's own, such as https://app.example.org; default none.
   * They are for requests and WebSockets, and for the headers by which a page reads answers (CORS), also those of
   * on_request. A page of an origin that the list names may send credentials. "*" allows any other page, and "null" the
   * pages without an origin of their own, in both cases without credentials.
   */
  fluxbp_text_list_t allow_origins;

  /* The backbone that carries messages between several servers; default NULL: none. fluxbp_server_create takes it over,
   * also when it fails. */
  fluxbp_backbone_t *backbone;

  /* The backbone has failed for good; the log has the reason. The program should close the server. From the loop. */
  void (*on_backbone_failure)(fluxbp_server_t *server, const char *reason);

  /*
   * Quotas of one address, as for max_per_address, and of one subject: the connections that have shown a token with
   * that subject (`sub` of a signed token), whatever their addresses. 0: no limit. A client that would have more is
   * refused with words that name the limit; HTTP says 429.
   */
  uint32_t max_per_subject;               /* connections; default FLUXBP_LIMIT_AUTO: a quarter of max_connections */
  uint32_t max_subscriptions_per_address; /* default 262144 */
  uint32_t max_subscriptions_per_subject; /* default 262144 */

  /* Topics, on all threads together, that are there because its clients were the first to subscribe to them; default
   * FLUXBP_LIMIT_AUTO: a quarter of max_topics. A topic counts until its last subscriber has left. */
  uint32_t max_topics_per_address;
  uint32_t max_topics_per_subject;

  /* Keys of state topics that its clients have set when these had no value; default 0: no limit, since publishing takes
   * a permission, and one publisher may well set all keys. A key counts until its value is taken back. */
  uint32_t max_keys_per_address;
  uint32_t max_keys_per_subject;

  /*
   * Rates. A client that is faster waits, and its connection isn't read meanwhile, so that its own kernel holds it up;
   * nothing is refused. Default of command_rate: 1000, 10000 and 10000; of publish_rate: no limit, since publishing
   * takes a permission.
   */
  fluxbp_rate_t command_rate; /* commands and messages of clients, HTTP requests, and pings and pongs of WebSockets */
  fluxbp_rate_t publish_rate; /* messages that clients publish, which don't count as commands or requests */

  /*
   * What is replayed for clients that resume: messages and bytes in a second. A resume costs what lies between its id
   * and the newest one on its topics. It begins at once unless its client, address, subject or thread has used up its
   * rate; then it waits for its turn, and the client is told "resumed" or "too old" after that. Those that have had
   * least come first. Default: 20000 messages and 16 MiB for a client, 100000 and 64 MiB for an address, a subject,
   * and a thread.
   */
  fluxbp_rate_t replay_rate;        /* messages */
  fluxbp_rate_t replay_bytes;       /* bytes */
  uint32_t replay_rate_per_thread;  /* messages for all clients of a thread; 0: no limit */
  uint32_t replay_bytes_per_thread; /* bytes for all clients of a thread; 0: no limit */
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
 * With a backbone that gives ids the function waits until the backbone is connected.
 *
 * After an error handles of the server may still be closing: run the loop once more before uv_loop_close.
 *
 * @return 0, or
 *   UV_EINVAL   an option out of its range, or two options that exclude each other
 *   UV_E2BIG    options or handlers that this version of the library doesn't know
 *   UV_ENOTCONN the backbone can't be used; the log has the reason
 *   UV_ENOMEM, UV_EAGAIN, UV_EMFILE, or another error of threads, loops and hubs
 */
FLUXBP_EXTERN int fluxbp_server_create(const fluxbp_server_options_t *options, fluxbp_server_t **server);

/** Return the options' `user`. Any thread. */
FLUXBP_EXTERN void *fluxbp_server_user(const fluxbp_server_t *server);

/**
 * Listen on an address. A name is looked up, which may block.
 *
 * @param address such as 127.0.0.1:9001, [::1]:9001 or localhost:9001; port 0 picks a free one
 * @return the listener's number (>= 0), for fluxbp_server_address; or
 *   UV_EINVAL    no address
 *   UV_ENOSPC    there are FLUXBP_SERVER_LISTENERS_MAX already
 *   UV_ECANCELED the server is closing
 *   UV_EADDRINUSE, UV_EACCES, UV_EADDRNOTAVAIL, or another error of bind and listen
 */
FLUXBP_EXTERN int fluxbp_server_listen(fluxbp_server_t *server, const char *address, fluxbp_speak_t speak);

/** Take over a TCP socket that listens already. After an error it stays the program's. @return as
 * fluxbp_server_listen */
FLUXBP_EXTERN int fluxbp_server_adopt(fluxbp_server_t *server, uv_os_sock_t socket, fluxbp_speak_t speak);

/**
 * Serve a client by a connected TCP socket that the program has accepted itself. The socket may be blocking. The server
 * owns the socket from now on unless this fails. The program may have read from the socket: `length` bytes at `data`,
 * which are copied. The session takes these bytes before all that follows.
 *
 * The client has the rights that a listener at the socket's own address would give it (see `trusts_loopback`).
 * `max_connections`, `proxies` and the quotas apply to the client; `accepts_per_second` doesn't. The session begins
 * later, from the loop of its thread.
 *
 * @param data may be NULL if `length` is 0
 * @return 0, or
 *   UV_EINVAL    not a TCP socket, or no `speak`
 *   UV_EBADF, UV_ENOTSOCK, UV_ENOTCONN  not a descriptor, not a socket, or not connected (any more)
 *   UV_EMFILE    there are max_connections clients already
 *   UV_ENOSPC    there are FLUXBP_SERVER_LISTENERS_MAX listeners. The adopted clients that speak the same and have the
 *                same rights take one of these places, together
 *   UV_ENOMEM    no memory for the bytes
 *   UV_ECANCELED the server is finishing or closing
 */
FLUXBP_EXTERN int fluxbp_server_adopt_client(fluxbp_server_t *server, uv_os_sock_t socket, fluxbp_speak_t speak,
                                             const void *data, size_t length);

/** Write the address of a listener, by the number that fluxbp_server_listen has returned. */
FLUXBP_EXTERN void fluxbp_server_address(const fluxbp_server_t *server, int listener,
                                         char text[FLUXBP_ADDRESS_TEXT_BYTES]);

/**
 * Publish a message on a topic, to its subscribers on all threads. The message is copied. Any thread.
 *
 * When the function returns 0, the message is queued for all subscribers, or for the backbone if there is one.
 * UV_EAGAIN is the flow control: publish the same message again in a millisecond or later.
 *
 * @param key of a state topic, 1 to FLUXBP_SERVER_KEY_BYTES bytes; NULL for a log topic
 * @return 0, or
 *   UV_EINVAL    the topic has no right name, the message is empty, a state topic has no key or too long a key, a log
 *                topic has a key, or a message of a state topic has a line end
 *   UV_E2BIG     the message is longer than max_message
 *   UV_EAGAIN    no room: a thread is behind, or messages for slow clients fill the budget
 *   UV_ENOTCONN  the backbone is not connected
 *   UV_ENOSPC    the state topic has state_keys keys already
 *   UV_ENOBUFS   values of state topics fill the budget, so that waiting doesn't help
 *   UV_ECANCELED the server is closing
 */
FLUXBP_EXTERN int fluxbp_server_publish(fluxbp_server_t *server, const char *topic, const char *key, const void *data,
                                        size_t length);

/** Take the value of a key of a state topic back, if there is one. Any thread. @return as fluxbp_server_publish */
FLUXBP_EXTERN int fluxbp_server_unset(fluxbp_server_t *server, const char *topic, const char *key);

/** Return whether a text can be the name of a topic. Any thread. */
FLUXBP_EXTERN int fluxbp_server_topic_is_right(const char *name, size_t length);

/** Return the number of subscribers. Any thread. */
FLUXBP_EXTERN size_t fluxbp_server_session_count(const fluxbp_server_t *server);

/**
 * Call `visit` for each subscriber, on the subscriber's thread. The threads do this at the same time, after the
 * function has returned.
 *
 * @param done called on the server's loop after all visits; may be NULL
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
  uint64_t commands;    /* of clients that were carried out */
  uint64_t read_pauses; /* times that the server has stopped reading a client for a while */

  /* Bytes of the budget in what clients have sent in part, or what waits to be done. */
  uint64_t input_bytes;
  /* Times that there was no memory for more of that: the client was refused. */
  uint64_t input_refused;
} fluxbp_server_stats_t;

/**
 * Accept no more clients and messages, and wait without a deadline until the kernel has taken every queued message, or
 * the policy has evicted the subscriber. Then `cb` is called on the loop, unless the program has called
 * fluxbp_server_close before. A second call replaces `cb`. fluxbp_server_close has to follow.
 *
 * @param cb may be NULL
 */
FLUXBP_EXTERN void fluxbp_server_finish(fluxbp_server_t *server, fluxbp_server_cb cb);

/** Write the figures of a server. Metrics, commands and pauses are 0 until the callback of fluxbp_server_finish or
 * fluxbp_server_close. */
FLUXBP_EXTERN void fluxbp_server_get_stats(const fluxbp_server_t *server, fluxbp_server_stats_t *stats);

/**
 * Close the server. It accepts no more clients and messages, tells all clients that it stops, waits up to `drain_ms`
 * until they have read their queues, and resets the others. Meanwhile it answers health checks and administrators. Run
 * the loop until `cb` is called. The server is freed when `cb` returns. A second call has no effect.
 *
 * @param cb may be NULL
 */
FLUXBP_EXTERN void fluxbp_server_close(fluxbp_server_t *server, uint32_t drain_ms, fluxbp_server_cb cb);

#ifdef __cplusplus
}
#endif

#endif
