/* SPDX-License-Identifier: MIT */
/*
 * session: one client of a server, whatever its protocol.
 *
 * A session begins when the client's connection is accepted, and ends when on_close has returned. Each belongs to one
 * thread of the server (or to the loop that the program runs the server on), and all its handlers are called there.
 *
 * Thread: the session's, for every function here. From another thread publish on a topic of the session's
 * (fluxbp_server_publish), or visit the sessions with fluxbp_server_each_session.
 */
#ifndef FLUXBP_SERVER_SESSION_H
#define FLUXBP_SERVER_SESSION_H

#include "fluxbp/conn.h"
#include "fluxbp/export.h"
#include "fluxbp/server/permissions.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_server fluxbp_server_t;
typedef struct fluxbp_session fluxbp_session_t;

/** Room for the text of any address with its port and the NUL. */
#define FLUXBP_ADDRESS_TEXT_BYTES 72

/** The longest name that a session keeps, without the NUL. */
#define FLUXBP_SESSION_NAME_BYTES 64

/** The longest reason that a client is told, without the NUL. */
#define FLUXBP_CLOSE_REASON_BYTES 123

/**
 * Why a session ends: the codes of WebSocket (RFC 6455), which all protocols share here. A program may use 4100 to 4999
 * for reasons of its own.
 */
typedef enum fluxbp_close_code {
  FLUXBP_CLOSE_NORMAL = 1000,
  FLUXBP_CLOSE_PROTOCOL_ERROR = 1002,
  FLUXBP_CLOSE_UNSUPPORTED = 1003,
  FLUXBP_CLOSE_NO_CODE = 1005,  /* never sent: the client's close frame had no code */
  FLUXBP_CLOSE_ABNORMAL = 1006, /* never sent: the connection has ended without a close frame, or was reset */
  FLUXBP_CLOSE_NOT_UTF8 = 1007,
  FLUXBP_CLOSE_POLICY = 1008,
  FLUXBP_CLOSE_TOO_BIG = 1009,
  FLUXBP_CLOSE_TRY_LATER = 1013,
  FLUXBP_CLOSE_ADMIN = 4000,        /* by an administrator */
  FLUXBP_CLOSE_SLOW = 4008,         /* evicted: the reason names the verdict */
  FLUXBP_CLOSE_TOO_OLD = 4010,      /* what the client wants to resume is not kept any more */
  FLUXBP_CLOSE_SHUTTING_DOWN = 4011 /* the server stops */
} fluxbp_close_code_t;

/** Return the server of a session. */
FLUXBP_EXTERN fluxbp_server_t *fluxbp_session_server(const fluxbp_session_t *session);

/** Return the session's connection, for its statistics, liveness and policy. Sending and closing belong to the
 * session. */
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_session_conn(const fluxbp_session_t *session);

/** Return a number that no other session of the server has or had. */
FLUXBP_EXTERN uint64_t fluxbp_session_id(const fluxbp_session_t *session);

/** Return "lines", "length", "websocket", "sse" or "http" (a client that sends requests, and is no subscriber). */
FLUXBP_EXTERN const char *fluxbp_session_protocol(const fluxbp_session_t *session);

/** Write the client's address: that which a trusted proxy gives for it, if there is one. */
FLUXBP_EXTERN void fluxbp_session_address(const fluxbp_session_t *session, char text[FLUXBP_ADDRESS_TEXT_BYTES]);

/** Return what the client may do, by where it comes from and by the tokens that it has shown: a set of
 * fluxbp_role_t. */
FLUXBP_EXTERN unsigned fluxbp_session_roles(const fluxbp_session_t *session);

/** Return what the client calls itself, or what the program has set; NULL if there is no name. */
FLUXBP_EXTERN const char *fluxbp_session_name(const fluxbp_session_t *session);

/**
 * Name the session: copied, and cut between two characters if it is longer than FLUXBP_SESSION_NAME_BYTES. A length of
 * 0 removes the name.
 *
 * @return 0, or UV_ENOMEM: the name is as it was
 */
FLUXBP_EXTERN int fluxbp_session_set_name(fluxbp_session_t *session, const char *name, size_t length);

/** Return what the program keeps for the session; NULL at first. */
FLUXBP_EXTERN void *fluxbp_session_user(const fluxbp_session_t *session);

/** Keep a pointer for the session; on_close is the place to free what it points to. @return 0, or UV_ENOMEM */
FLUXBP_EXTERN int fluxbp_session_set_user(fluxbp_session_t *session, void *user);

/**
 * Send a message to this client alone, as its protocol shows a message: a line, a frame, a WebSocket message (text if
 * it is UTF-8, else binary), an event. Copied. It takes its place in the client's queue among the messages of its
 * topics, and counts against its ring and the budget like any other.
 *
 * @return 0, or
 *   UV_EINVAL  the message is empty, or has a line end and the client reads lines
 *   UV_ENOTSUP the client's protocol shows no messages: it is no subscriber
 *   UV_ENOBUFS, UV_ENOMEM  no room: nothing was queued
 *   UV_ENOTCONN  the session is ending
 */
FLUXBP_EXTERN int fluxbp_session_send(fluxbp_session_t *session, const void *data, size_t length);

/**
 * Publish a message on a log topic to all its subscribers but this session. Else as fluxbp_server_publish, with which
 * it shares the order of messages.
 *
 * @return as fluxbp_server_publish, and UV_ENOTSUP: the server has a backbone, by which nothing is known of sessions
 */
FLUXBP_EXTERN int fluxbp_session_publish(fluxbp_session_t *session, const char *topic, const void *data, size_t length);

/**
 * Subscribe the session to a topic, from its next message on; to a state topic from the newest of each key on; or to a
 * pattern such as "orders.*.status" or "news.>" (fluxbp/pattern.h), which stands for all topics that match.
 * on_subscribe isn't asked.
 *
 * @return 0, also if it was subscribed before, or
 *   UV_EINVAL  no name of a topic (fluxbp_server_topic_is_right), and no pattern of such names
 *   UV_E2BIG   the session has as many topics as max_topics_per_session allows
 *   UV_EMFILE  the server has as many topics as max_topics allows
 *   UV_ENOTSUP the client's protocol shows no messages
 *   UV_ENOMEM, UV_ENOTCONN
 */
FLUXBP_EXTERN int fluxbp_session_subscribe(fluxbp_session_t *session, const char *topic);

/** Unsubscribe it. @return 0, or UV_ENOENT: it wasn't subscribed */
FLUXBP_EXTERN int fluxbp_session_unsubscribe(fluxbp_session_t *session, const char *topic);

/** Return how many topics the session is subscribed to. */
FLUXBP_EXTERN size_t fluxbp_session_topic_count(const fluxbp_session_t *session);

/** Return the name of one of them, `place` being less than their number. Any change of the subscriptions changes
 * places. */
FLUXBP_EXTERN const char *fluxbp_session_topic(const fluxbp_session_t *session, size_t place);

/**
 * End the session: it gets what is queued, then its protocol's good-bye with code and reason, then a FIN; a reset if it
 * doesn't read all that within a second. on_close follows, from the loop. A session that is ending already stays as it
 * is.
 *
 * @param reason copied, and cut to FLUXBP_CLOSE_REASON_BYTES
 */
FLUXBP_EXTERN void fluxbp_session_close(fluxbp_session_t *session, int code, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
