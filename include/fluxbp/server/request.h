/* SPDX-License-Identifier: MIT */
/*
 * request: an HTTP request: of a client that wants to subscribe (on_connect), or for a route of the program's own
 * (on_request).
 *
 * A request of on_connect is valid until the handler returns. A request of on_request belongs to the program until the
 * program answers it, which may be later and on any thread. Until then the client's next request waits.
 */
#ifndef FLUXBP_SERVER_REQUEST_H
#define FLUXBP_SERVER_REQUEST_H

#include "fluxbp/export.h"
#include "fluxbp/server/session.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_request fluxbp_request_t;

/** A text without a NUL at its end. `data` is NULL if there is no text. */
typedef struct fluxbp_text {
  const char *data;
  size_t length;
} fluxbp_text_t;

/** Return whether a text has exactly the bytes of a literal. */
FLUXBP_EXTERN int fluxbp_text_is(fluxbp_text_t text, const char *literal);

/*
 * The functions that return something of a request are called on the session's thread, before on_connect or on_request
 * returns. A program that answers later keeps copies.
 */

/**
 * Return the session whose client has sent the request. If it is no subscriber, on_close isn't called for it: keep no
 * memory in fluxbp_session_set_user.
 */
FLUXBP_EXTERN fluxbp_session_t *fluxbp_request_session(const fluxbp_request_t *request);

/** Return "GET", "POST" … */
FLUXBP_EXTERN const char *fluxbp_request_method(const fluxbp_request_t *request);

/** Return the path as it was sent, percent-encoded: it begins with '/', or is "*" (OPTIONS). */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_path(const fluxbp_request_t *request);

/** Return the whole body. */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_body(const fluxbp_request_t *request);

/** Return the first header of that name. Upper and lower case are the same. */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_header(const fluxbp_request_t *request, const char *name);

/** Return the number of headers of that name. If there are several, a header that a trusted proxy has added may be
 * another one than the first. */
FLUXBP_EXTERN size_t fluxbp_request_header_count(const fluxbp_request_t *request, const char *name);

/** Return whether an element of a header that is a list, such as "br, gzip", is that text, in upper or lower case. */
FLUXBP_EXTERN int fluxbp_request_header_has(const fluxbp_request_t *request, const char *name, const char *element);

/**
 * Return the value of the first cookie of that name that isn't empty, without quotes around it; if all are empty, an
 * empty text. Upper and lower case differ.
 *
 * A page of another origin shows no cookie here unless allow_origins has its origin by name, so that a visitor's login
 * doesn't count for any page that "*" allows.
 */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_cookie(const fluxbp_request_t *request, const char *name);

/**
 * Write a parameter of the query, decoded and with a NUL.
 *
 * On /ws and /sse the server refuses parameters that it doesn't know, unless their name begins with '_'. A program that
 * wants one in on_connect calls it "_ticket", for example.
 *
 * @return the length of the text, or
 *   UV_ENOENT there is no parameter of that name
 *   UV_EINVAL the parameter isn't percent-encoded properly, has a NUL in it, or is too long for `capacity`
 */
FLUXBP_EXTERN int fluxbp_request_parameter(const fluxbp_request_t *request, const char *name, char *text,
                                           size_t capacity);

/**
 * Return the roles of a request, a set of fluxbp_role_t: those of its token (Authorization: Bearer TOKEN, or the
 * parameter "token"), and those that a client of this address has without a token.
 */
FLUXBP_EXTERN unsigned fluxbp_request_roles(const fluxbp_request_t *request);

/** Return whether a request has a role for a topic: see fluxbp_request_roles. */
FLUXBP_EXTERN int fluxbp_request_may(const fluxbp_request_t *request, fluxbp_role_t role, const char *topic);

/**
 * Add a header to the answer of a request of on_request, before fluxbp_request_answer and on the same thread.
 *
 * The server writes Content-Type, Content-Length and Connection by itself. It also writes `Cache-Control: no-store` and
 * `Content-Security-Policy: default-src 'self'` (a page may hold no scripts), unless the program adds these. It writes
 * `Vary: Origin`; and for a page of another origin that allow_origins has, Access-Control-Allow-Origin,
 * Access-Control-Allow-Credentials and Access-Control-Expose-Headers, unless the program adds the first of them.
 *
 * @return 0, or
 *   UV_EINVAL an empty name, a colon in the name, or a control character in name or value
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_request_add_header(fluxbp_request_t *request, const char *name, const char *value);

/**
 * Answer a request of on_request, once, and free it. Any thread, at any time: if the client or the server has gone, the
 * answer is dropped.
 *
 * An answer that is given after the handler has returned counts against the budget. If there is no room for it, the
 * client gets the status 503.
 *
 * @param status  200 to 599
 * @param type    the Content-Type, such as "text/html; charset=utf-8"; NULL, or a text with a control character: none
 * @param body    copied; may be NULL if `length` is 0. A request of HEAD gets the length alone, a status of 204 has
 *   neither body nor length
 */
FLUXBP_EXTERN void fluxbp_request_answer(fluxbp_request_t *request, int status, const char *type, const void *body,
                                         size_t length);

/**
 * Answer a request of on_request with {"error": problem}, the form in which the server itself refuses requests, and
 * free the request. Any thread, at any time, as fluxbp_request_answer.
 *
 * @param status 400 to 599
 */
FLUXBP_EXTERN void fluxbp_request_refuse(fluxbp_request_t *request, int status, const char *problem);

#ifdef __cplusplus
}
#endif

#endif
