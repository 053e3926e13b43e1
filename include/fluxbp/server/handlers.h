/* SPDX-License-Identifier: MIT */
/*
 * handlers: the functions of a program that a server calls about its clients. All are optional.
 *
 * on_connect, on_subscribe and on_publish decide. The server checks the client's roles and its own limits before it
 * asks; without a handler it allows what these allow. A decision may come later, from any thread: until then the server
 * doesn't read the client.
 *
 * A server calls each handler on the thread of the session. Handlers of different sessions may run at the same time on
 * different threads. A handler may call any function of its session, publish messages, and end the session.
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
  FLUXBP_LATER   /* the handler has called fluxbp_session_defer, and the program decides by fluxbp_deferral_decide */
} fluxbp_decision_t;

/** The form of a message for on_message. */
typedef enum fluxbp_kind {
  FLUXBP_KIND_TEXT,  /* a line, without its end; or a text message of a WebSocket, which is UTF-8 */
  FLUXBP_KIND_BINARY /* a frame behind its length, or a binary message of a WebSocket */
} fluxbp_kind_t;

typedef struct fluxbp_server_handlers {
  size_t size; /* sizeof(fluxbp_server_handlers_t) */

  /* Decide whether a client may subscribe. The client has not been answered yet. `request` is NULL for clients on lines
   * and frames. */
  fluxbp_decision_t (*on_connect)(fluxbp_session_t *session, const fluxbp_request_t *request);

  /* The session has begun: from now on the program may send to it and subscribe it. */
  void (*on_open)(fluxbp_session_t *session);

  /* Decide whether a client may have a topic that it asks for, by SUB or in the query of its request. The server gives
   * its default topic without asking. */
  fluxbp_decision_t (*on_subscribe)(fluxbp_session_t *session, const char *topic);

  /* Decide whether a client may publish a message, by PUB, SET, UNSET or an HTTP request. `key` is NULL unless the
   * topic is a state topic. If `data` is NULL, the client wants to take the value of the key back. */
  fluxbp_decision_t (*on_publish)(fluxbp_session_t *session, const char *topic, const char *key, const void *data,
                                  size_t length);

  /*
   * Take a message of a client that is no command; without the part FLUXBP_PART_COMMANDS every message comes here.
   * Without this handler the server answers such a message with an error.
   *
   * Return 0; or UV_EAGAIN if there is no room for the message now, as fluxbp_server_publish may say. After UV_EAGAIN
   * the server doesn't read the client, and calls the handler with the same message again until it returns 0.
   */
  int (*on_message)(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind);

  /*
   * Answer a request for a path that the server has no route for. The server has checked Host and Origin; the program
   * checks the roles (fluxbp_request_roles).
   *
   * The server answers preflights (OPTIONS with Origin and Access-Control-Request-Method) itself: it allows the method
   * and the headers that the page asks for if allow_origins has the page's origin. Other requests of OPTIONS come to
   * the handler.
   *
   * Return 0 if the program has answered the request or will answer it (fluxbp_request_answer). Return UV_ENOENT if
   * there is no such path: the server answers with 404.
   */
  int (*on_request)(fluxbp_request_t *request);

  /* The session has ended, and this is the last call about it. The server makes one such call for each session that it
   * has called on_connect or on_open for, and none for other clients that send requests. `code` is
   * FLUXBP_CLOSE_ABNORMAL if the client has left without a code. */
  void (*on_close)(fluxbp_session_t *session, int code, const char *reason);
} fluxbp_server_handlers_t;

/**
 * Note why a handler refuses: `return fluxbp_session_refuse(session, "the room is full");`. The client gets the reason
 * in the form of its protocol: "-ERR reason", a close frame with FLUXBP_CLOSE_POLICY, or the status 403.
 *
 * @param reason copied, and cut to FLUXBP_CLOSE_REASON_BYTES; NULL: "not allowed"
 * @return FLUXBP_REFUSE
 */
FLUXBP_EXTERN fluxbp_decision_t fluxbp_session_refuse(fluxbp_session_t *session, const char *reason);

/** A decision that is still to be made. */
typedef struct fluxbp_deferral fluxbp_deferral_t;

/**
 * Put a decision off. Only from on_connect, on_subscribe and on_publish, which then return FLUXBP_LATER. Until the
 * decision is made, later commands and requests of the client wait.
 *
 * @return the deferral, for one call of fluxbp_deferral_decide; NULL: out of memory, so return FLUXBP_REFUSE
 */
FLUXBP_EXTERN fluxbp_deferral_t *fluxbp_session_defer(fluxbp_session_t *session);

/**
 * Make a decision that was put off, and free the deferral. Any thread, at any time: if the session or its server has
 * ended, the decision has no effect.
 *
 * @param decision FLUXBP_ALLOW or FLUXBP_REFUSE
 * @param reason   of a refusal, as for fluxbp_session_refuse; or NULL
 */
FLUXBP_EXTERN void fluxbp_deferral_decide(fluxbp_deferral_t *deferral, fluxbp_decision_t decision, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
