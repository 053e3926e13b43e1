/* SPDX-License-Identifier: MIT */
/*
 * authorizer_http: requests to a backend, by libcurl on the server's loop. Nothing here waits: a request that takes
 * long, or a name that can't be looked up, holds up nobody else.
 *
 * Thread: the server's loop.
 */
#ifndef FLUXBP_SERVER_AUTHORIZER_HTTP_H
#define FLUXBP_SERVER_AUTHORIZER_HTTP_H

#include "authorizer_answer.h"

#include <fluxbp/server/server.h>

#include <stddef.h>

struct authorizer_http;

/** The reply is there; it is valid until the callback returns. */
typedef void (*authorizer_http_cb)(void *arg, const struct authorizer_reply *reply);

/** Open the handles for one server, whose options have the URL. @return NULL: out of memory */
struct authorizer_http *authorizer_http_create(fluxbp_server_t *server);

/**
 * Send a request.
 *
 * @param lines  headers, each with a NUL; `length` bytes, which the caller keeps until `cb` is called
 * @param cb     called from the loop, never from here
 * @return 0, or UV_ENOMEM
 */
int authorizer_http_ask(struct authorizer_http *http, const char *lines, size_t length, authorizer_http_cb cb,
                        void *arg);

/** Give all requests up, without their callbacks, and close the handles. */
void authorizer_http_close(struct authorizer_http *http);

/** Free the memory, when the handles are closed. NULL is allowed. */
void authorizer_http_free(struct authorizer_http *http);

#endif
