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
#include "fluxbp/pool.h"
#include "fluxbp/server/options.h"
#include "fluxbp/server/session.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most addresses that a server listens on. */
#define FLUXBP_SERVER_LISTENERS_MAX 16

/** The protocol of a listener. */
typedef enum fluxbp_speak {
  FLUXBP_SPEAK_LINES,  /* lines, for netcat and the like */
  FLUXBP_SPEAK_LENGTH, /* frames: 4 bytes of length in network order, and a message */
  FLUXBP_SPEAK_HTTP,   /* requests, WebSocket, Server-Sent Events */

  /* The same over TLS, for a server with fluxbp_server_options_t.tls. */
  FLUXBP_SPEAK_LINES_TLS,
  FLUXBP_SPEAK_LENGTH_TLS,
  FLUXBP_SPEAK_HTTP_TLS
} fluxbp_speak_t;

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
 *   UV_EINVAL    no address, or TLS without fluxbp_server_options_t.tls
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
 *   UV_EINVAL    not a TCP socket, no `speak`, or TLS without fluxbp_server_options_t.tls
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
