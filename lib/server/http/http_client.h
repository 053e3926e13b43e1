/* SPDX-License-Identifier: MIT */
/*
 * http_client: a client that speaks HTTP: requests in, answers out, one after the other. What a request means is for
 * routes.
 */
#ifndef FLUXBP_SERVER_HTTP_CLIENT_H
#define FLUXBP_SERVER_HTTP_CLIENT_H

#include "cors.h"
#include "server/session/session.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

/** Write the headers of the answer that depend on the page which has sent the request. `extra`: see http_answer. */
void http_write_cors(const fluxbp_session_t *session, const char *extra, char lines[CORS_BYTES]);

/** Answer the request. `extra` is NULL or more headers, each with its end of line. The headers for pages of other
 * origins are added, unless `extra` has Access-Control-Allow-Origin. */
void http_answer(fluxbp_session_t *session, int status, const char *type, const void *body, size_t length,
                 const char *extra);

/**
 * Make a message with the body of an answer, and with room for the head before it. Any thread.
 *
 * @param extra as for http_answer
 * @return NULL: there is no room in the budget
 */
fluxbp_msg_t *http_answer_create(fluxbp_pool_t *pool, const char *type, const char *extra, const void *body,
                                 size_t length);

/** Answer the request with such a message, whose reference is taken over; the other arguments are the same. */
void http_answer_send(fluxbp_session_t *session, int status, const char *type, fluxbp_msg_t *answer, size_t length,
                      const char *extra);

/** Answer with an object; takes the reference. */
void http_answer_json(fluxbp_session_t *session, int status, json_t *object);

/** Answer {"error": problem}, for a status of 400 or more. */
void http_refuse(fluxbp_session_t *session, int status, const char *problem, const char *extra);

/** Why a client can't be served now, though it may be later: a literal, with the close code of a WebSocket. @return
 * NULL: it can be served */
const char *http_refusal(const fluxbp_session_t *session, fluxbp_close_code_t *code);

/** Serve the client no longer: it gets that reason. */
void http_set_refusal(fluxbp_session_t *session, const char *refusal);

/** The same for a client that wants to subscribe, for which there may be no room.
 * @param may_have_all it may have all of its topics as it is, so that the authorizer may be away if the options say so
 */
const char *http_refusal_of_subscriber(const fluxbp_session_t *session, bool may_have_all, fluxbp_close_code_t *code);

/** Answer 503, or 429, to the request of a client that isn't served. @return whether it did: it is served */
bool http_refuse_unserved(fluxbp_session_t *session);

/* An answer that comes later: a part of whatever gives it. */
struct http_due {
  fluxbp_session_t *session; /* NULL: it has gone, or was told that no answer comes */

  /* The request waits for its turn, or for room on the bus or in the budget. It is refused by itself if there is none
   * within --handshake. */
  bool waits_for_room;

  /* The same: it is the turn of the client. */
  void (*go_on)(struct http_due *due);

  /* The client has gone just now, or was told. The request, its body included, isn't there any more. NULL: nothing is
   * to be done then. */
  void (*on_forgotten)(struct http_due *due);

  /* The program has decided what was put off. NULL: nothing was. */
  void (*decided)(struct http_due *due);
};

/** The answer will come later. Until then nothing more is done of what the client sends, and the request stays where it
 * is. */
void http_wait(fluxbp_session_t *session, struct http_due *due);

/**
 * Keep the request for after the change to another protocol, for a client that has to show a token first. It is called
 * before the change. @return false: out of memory
 */
bool http_keep_request(fluxbp_session_t *session);

/** Return the request that is kept; NULL: there is none. */
const struct http_request *http_kept_request(const fluxbp_session_t *session);

/** Free the request that is kept, if there is one. */
void http_free_kept_request(fluxbp_session_t *session);

/** What the request waited for is there: do it again from its beginning. */
void http_run_again(fluxbp_session_t *session);

/** The same of a request whose body is yet to come: look at its head again. */
void http_check_again(fluxbp_session_t *session);

/** Count the request by the rates, once: it may run again. */
void http_pay(fluxbp_session_t *session);

/** Return whether it is known what the request may do. It doesn't change until the next request. */
bool http_is_judged(const fluxbp_session_t *session);

/** Return whether what the request may do can't be known, as the authorizer is away. */
bool http_is_away(const fluxbp_session_t *session);

/** Note that it is known; or that it can't be, as the authorizer is away. */
void http_note_judged(fluxbp_session_t *session, bool is_away);

/** It is here: to be answered now, */
void http_is_answered(fluxbp_session_t *session);

/** and then to go on with what has come meanwhile. */
void http_go_on(fluxbp_session_t *session);

#endif
