/* SPDX-License-Identifier: MIT */
/*
 * request: an HTTP request: of a client that wants to subscribe (on_connect), or for a route of the program's own
 * (on_request).
 *
 * In on_connect a request can be looked at until the handler returns. In on_request it belongs to the program until it
 * is answered, which may be later and on any thread. Until then the client's further requests wait.
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

/** Bytes that no NUL ends; `data` is NULL if there are none. */
typedef struct fluxbp_text {
  const char *data;
  size_t length;
} fluxbp_text_t;

/** Return whether a text has exactly the bytes of a literal. */
FLUXBP_EXTERN int fluxbp_text_is(fluxbp_text_t text, const char *literal);

/*
 * Thread: the session's, before on_request or on_connect returns. A program that answers later copies what it needs.
 */

/** Return the session that the request came by. */
FLUXBP_EXTERN fluxbp_session_t *fluxbp_request_session(const fluxbp_request_t *request);

/** Return "GET", "POST" … */
FLUXBP_EXTERN const char *fluxbp_request_method(const fluxbp_request_t *request);

/** Return the path as it was sent, percent-encoded: it begins with '/', or is "*" (OPTIONS). */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_path(const fluxbp_request_t *request);

/** Return the body; all of it is there. */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_body(const fluxbp_request_t *request);

/** Return the first header of that name, in any case of letters. */
FLUXBP_EXTERN fluxbp_text_t fluxbp_request_header(const fluxbp_request_t *request, const char *name);

/**
 * Write a parameter of the query, decoded and with a NUL.
 *
 * @return its length, or
 *   UV_ENOENT there is no parameter of that name
 *   UV_EINVAL it isn't percent-encoded properly, has a NUL in it, or is too long for `capacity`
 */
FLUXBP_EXTERN int fluxbp_request_parameter(const fluxbp_request_t *request, const char *name, char *text,
                                           size_t capacity);

/**
 * Return what the request may do: the roles of its own token (Authorization: Bearer TOKEN, or the parameter "token")
 * and those that take none where the client comes from. A set of fluxbp_role_t.
 */
FLUXBP_EXTERN unsigned fluxbp_request_roles(const fluxbp_request_t *request);

/**
 * Add a header to the answer of a request of on_request, before that is given. Content-Type, Content-Length and
 * Connection are there by themselves. So are `Cache-Control: no-store` and `Content-Security-Policy: default-src
 * 'self'` (no scripts within a page), unless the program adds these. The thread that answers.
 *
 * @return 0, UV_EINVAL (an empty name, or a control character in one of them), or UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_request_add_header(fluxbp_request_t *request, const char *name, const char *value);

/**
 * Answer a request of on_request, once. Any thread, at any time: also when its client or its server has gone, which
 * drops the answer. The request isn't there any more afterwards.
 *
 * @param status  200 to 599
 * @param type    the Content-Type, such as "text/html; charset=utf-8"; NULL: there is none
 * @param body    copied; may be NULL if `length` is 0. Not sent to a request of HEAD
 */
FLUXBP_EXTERN void fluxbp_request_answer(fluxbp_request_t *request, int status, const char *type, const void *body,
                                         size_t length);

#ifdef __cplusplus
}
#endif

#endif
