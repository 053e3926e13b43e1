/* SPDX-License-Identifier: MIT */
/*
 * handlers: what a program does about its clients. All are optional.
 *
 * on_connect, on_subscribe and on_publish decide. A decision may come later, from any thread: the client waits
 * meanwhile, and isn't read. Without a handler everything is allowed that the client's roles and the server's limits
 * allow; these are checked before a handler is asked.
 *
 * Every handler is called on the thread of the session that it is about; those of different sessions may run at the
 * same time on different threads. A handler may call any function of the session, publish, and end the session.
 */
#ifndef FLUXBP_SERVER_HANDLERS_H
#define FLUXBP_SERVER_HANDLERS_H

#include "fluxbp/export.h"
#include "fluxbp/server/request.h"
#include "fluxbp/server/session.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fluxbp_decision {
  FLUXBP_ALLOW = 0,
  FLUXBP_REFUSE, /* see fluxbp_session_refuse */
  FLUXBP_LATER   /* fluxbp_session_defer was called; the program decides by what it returned */
} fluxbp_decision_t;

/** How a message came that is none of our commands. */
typedef enum fluxbp_kind {
  FLUXBP_KIND_TEXT,  /* a line, without its end; or a text message of a WebSocket, which is UTF-8 */
  FLUXBP_KIND_BINARY /* a frame behind its length, or a binary message of a WebSocket */
} fluxbp_kind_t;

typedef struct fluxbp_server_handlers {
  size_t size; /* sizeof(fluxbp_server_handlers_t) */

  /* A client wants to subscribe: before it is answered. `request` is NULL unless it came by HTTP. */
  fluxbp_decision_t (*on_connect)(fluxbp_session_t *session, const fluxbp_request_t *request);

  /* The session has begun: it can be sent to and subscribed from here on. */
  void (*on_open)(fluxbp_session_t *session);

  /* The client asks for a topic: by SUB, or in the query of its request. The server's default topic isn't asked for. */
  fluxbp_decision_t (*on_subscribe)(fluxbp_session_t *session, const char *topic);

  /* The client wants to publish: by PUB, SET, UNSET or an HTTP request. `key` is NULL unless the topic is a state
   * topic; `data` is NULL if the value of the key is to be taken back. */
  fluxbp_decision_t (*on_publish)(fluxbp_session_t *session, const char *topic, const char *key, const void *data,
                                  size_t length);

  /*
   * The client sent a message that is none of our commands; any message, if the part FLUXBP_PART_COMMANDS is left out.
   * Without this handler such a message is an error of the client's.
   *
   * Return 0. UV_EAGAIN means that there is no room for what the message asks for, as fluxbp_server_publish may say:
   * the client isn't read, and the handler is called with the same message again until it takes it.
   */
  int (*on_message)(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind);

  /*
   * A request for a path that is none of the server's. Host and Origin were checked; roles are for the program to
   * check.
   *
   * Return 0: the request is answered, or will be (fluxbp_request_answer). Return UV_ENOENT: there is no such path,
   * which the server answers with 404.
   */
  int (*on_request)(fluxbp_request_t *request);

  /* The session is over: the last call about it. Called once for each session that on_connect or on_open was called
   * for. `code` is FLUXBP_CLOSE_ABNORMAL if the client has gone without saying why. */
  void (*on_close)(fluxbp_session_t *session, int code, const char *reason);
} fluxbp_server_handlers_t;

/**
 * Say why a handler refuses: `return fluxbp_session_refuse(session, "the room is full");`. The client is told in its
 * protocol's words: "-ERR reason", a close frame with FLUXBP_CLOSE_POLICY, or the status 403.
 *
 * @param reason copied, and cut to FLUXBP_CLOSE_REASON_BYTES
 * @return FLUXBP_REFUSE
 */
FLUXBP_EXTERN fluxbp_decision_t fluxbp_session_refuse(fluxbp_session_t *session, const char *reason);

/** A decision that is yet to be made. */
typedef struct fluxbp_deferral fluxbp_deferral_t;

/**
 * Put a decision off, from inside of on_connect, on_subscribe or on_publish, which returns FLUXBP_LATER then. What the
 * client has sent behind it waits.
 *
 * @return what fluxbp_deferral_decide takes, once; NULL: out of memory, so return FLUXBP_REFUSE
 */
FLUXBP_EXTERN fluxbp_deferral_t *fluxbp_session_defer(fluxbp_session_t *session);

/**
 * Decide what was put off. Any thread, at any time: also when the session or its server has gone, which makes no
 * difference then. The deferral isn't there any more afterwards.
 *
 * @param decision FLUXBP_ALLOW or FLUXBP_REFUSE
 * @param reason   of a refusal, as fluxbp_session_refuse takes it; or NULL
 */
FLUXBP_EXTERN void fluxbp_deferral_decide(fluxbp_deferral_t *deferral, fluxbp_decision_t decision, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
