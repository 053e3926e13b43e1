/* SPDX-License-Identifier: MIT */
/*
 * session: one client of a server, whatever its protocol.
 *
 * A session begins when the server accepts the client's connection, and ends when on_close has returned. It belongs to
 * one thread of the server, or to the program's loop if the server has no threads. All its handlers are called there.
 *
 * Thread: the session's, for every function here. Another thread can publish on a topic of the session
 * (fluxbp_server_publish); the server's loop can visit all sessions (fluxbp_server_each_session).
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

/** The longest name of a session, without the NUL. */
#define FLUXBP_SESSION_NAME_BYTES 64

/** The longest reason of a close or a refusal, without the NUL. */
#define FLUXBP_CLOSE_REASON_BYTES 123

/**
 * The reason for which a session ends. The codes are those of WebSocket (RFC 6455), for all protocols. A program may
 * use 4100 to 4399 and 4500 to 4999 for reasons of its own.
 */
typedef enum fluxbp_close_code {
  FLUXBP_CLOSE_NORMAL = 1000,
  FLUXBP_CLOSE_PROTOCOL_ERROR = 1002,
  FLUXBP_CLOSE_UNSUPPORTED = 1003,
  FLUXBP_CLOSE_NO_CODE = 1005,  /* never sent: the client's close frame had no code */
  FLUXBP_CLOSE_ABNORMAL = 1006, /* never sent: the connection ended without a close frame, or was reset */
  FLUXBP_CLOSE_NOT_UTF8 = 1007,
  FLUXBP_CLOSE_POLICY = 1008,
  FLUXBP_CLOSE_TOO_BIG = 1009,
  FLUXBP_CLOSE_TRY_LATER = 1013,
  FLUXBP_CLOSE_ADMIN = 4000,         /* by an administrator */
  FLUXBP_CLOSE_SLOW = 4008,          /* evicted: the reason names the verdict */
  FLUXBP_CLOSE_TOO_OLD = 4010,       /* the history doesn't reach back to the id that the client resumes from */
  FLUXBP_CLOSE_SHUTTING_DOWN = 4011, /* the server stops */
  FLUXBP_CLOSE_UNAUTHORIZED = 4401,  /* no token came in time; or the token has expired, or was revoked */
  FLUXBP_CLOSE_FORBIDDEN = 4403      /* the token doesn't give that */
} fluxbp_close_code_t;

/** Return the server of a session. */
FLUXBP_EXTERN fluxbp_server_t *fluxbp_session_server(const fluxbp_session_t *session);

/** Return the session's connection, for its statistics, liveness and policy. To send and to close use the session. */
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_session_conn(const fluxbp_session_t *session);

/** Return the session's number. No other session of the server has or had the same one. */
FLUXBP_EXTERN uint64_t fluxbp_session_id(const fluxbp_session_t *session);

/** Return "lines", "length", "websocket", "sse", or "http" for a client that sends requests and is no subscriber. */
FLUXBP_EXTERN const char *fluxbp_session_protocol(const fluxbp_session_t *session);

/** Write the client's address. Behind a trusted proxy it is the address that the proxy gives. */
FLUXBP_EXTERN void fluxbp_session_address(const fluxbp_session_t *session, char text[FLUXBP_ADDRESS_TEXT_BYTES]);

/** Return the client's roles, a set of fluxbp_role_t: those of its address, and those of the tokens that it has
 * shown. A role may hold for some topics only. */
FLUXBP_EXTERN unsigned fluxbp_session_roles(const fluxbp_session_t *session);

/** Return whether the client has a role for a topic. For FLUXBP_ROLE_ADMIN the topic has no meaning. */
FLUXBP_EXTERN int fluxbp_session_may(const fluxbp_session_t *session, fluxbp_role_t role, const char *topic);

/** Return the subject of the newest token that the client has shown and that has one; NULL: there is none. */
FLUXBP_EXTERN const char *fluxbp_session_subject(const fluxbp_session_t *session);

/** The longest text of fluxbp_session_actor, with the NUL. */
#define FLUXBP_ACTOR_TEXT_BYTES 256

/**
 * Write for a log by whom something is done that takes a role: the holder of the newest token that gives the client the
 * role, which is the token's name, else its subject, else its id. If no token gives the role: "loopback" for a client
 * of this machine, and the address of any other.
 */
FLUXBP_EXTERN void fluxbp_session_actor(const fluxbp_session_t *session, fluxbp_role_t role,
                                        char text[FLUXBP_ACTOR_TEXT_BYTES]);

/** Return the name that the client or the program has given last, or NULL. */
FLUXBP_EXTERN const char *fluxbp_session_name(const fluxbp_session_t *session);

/**
 * Name the session. The name is copied, and cut between two characters if it is longer than FLUXBP_SESSION_NAME_BYTES.
 * A length of 0 removes it.
 *
 * @return 0, or UV_ENOMEM: the name hasn't changed
 */
FLUXBP_EXTERN int fluxbp_session_set_name(fluxbp_session_t *session, const char *name, size_t length);

/** Return the pointer that the program has set; NULL at first. */
FLUXBP_EXTERN void *fluxbp_session_user(const fluxbp_session_t *session);

/** Keep a pointer of the program's. Free its memory in on_close. @return 0, or UV_ENOMEM */
FLUXBP_EXTERN int fluxbp_session_set_user(fluxbp_session_t *session, void *user);

/**
 * Send a message to this client alone. The message is copied, and takes the form of the client's protocol: a line, a
 * frame, a WebSocket message (text if it is UTF-8, else binary), an event. It goes to the end of the client's queue,
 * and counts against the client's ring and the budget like a message of a topic.
 *
 * @return 0, or
 *   UV_EINVAL   the message is empty, or has a line end and the client reads lines
 *   UV_ENOTSUP  the client is no subscriber, and its protocol has no form for messages
 *   UV_ENOTCONN the session is ending
 *   UV_ENOBUFS, UV_ENOMEM  there is no room, and nothing was queued
 */
FLUXBP_EXTERN int fluxbp_session_send(fluxbp_session_t *session, const void *data, size_t length);

/**
 * Publish a message on a log topic to all its subscribers but this session. All subscribers get the messages of this
 * function and of fluxbp_server_publish in one order.
 *
 * @return as fluxbp_server_publish, or UV_ENOTSUP: the server has a backbone, and a backbone knows no sessions
 */
FLUXBP_EXTERN int fluxbp_session_publish(fluxbp_session_t *session, const char *topic, const void *data, size_t length);

/**
 * Subscribe the session to a topic or to a pattern. on_subscribe isn't called.
 *
 * Of a log topic the session gets all later messages, of a state topic also the newest of each key. A pattern such as
 * "orders.*.status" or "news.>" (fluxbp/pattern.h) stands for all topics that match.
 *
 * @return 0, also if the session was subscribed before; or
 *   UV_EINVAL   neither a name of a topic (fluxbp_server_topic_is_right) nor a pattern of such names
 *   UV_E2BIG    the session has as many topics as max_topics_per_session allows
 *   UV_EMFILE   the thread has as many topics as max_topics allows
 *   UV_ENFILE   the client's address or subject has as many subscriptions or topics as it may
 *   UV_ENOTSUP  the client is no subscriber
 *   UV_ENOTCONN the session is ending
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_session_subscribe(fluxbp_session_t *session, const char *topic);

/** Unsubscribe the session from a topic or a pattern. @return 0, or UV_ENOENT: it wasn't subscribed */
FLUXBP_EXTERN int fluxbp_session_unsubscribe(fluxbp_session_t *session, const char *topic);

/** Return the number of topics and patterns that the session is subscribed to. */
FLUXBP_EXTERN size_t fluxbp_session_topic_count(const fluxbp_session_t *session);

/** Return the name of the topic at `place`, less than fluxbp_session_topic_count. A change of the subscriptions changes
 * the places. */
FLUXBP_EXTERN const char *fluxbp_session_topic(const fluxbp_session_t *session, size_t place);

/**
 * End the session. The client gets its queue, then code and reason in the form of its protocol, then a FIN. A client
 * that doesn't read all of it within a second is reset. on_close follows, from the loop. If the session is ending
 * already, the call has no effect.
 *
 * @param code   one of fluxbp_close_code_t that may be sent, or one of the program's own
 * @param reason copied, and cut to FLUXBP_CLOSE_REASON_BYTES; NULL: none
 */
FLUXBP_EXTERN void fluxbp_session_close(fluxbp_session_t *session, int code, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
