/* SPDX-License-Identifier: MIT */
/*
 * http_backend: a small HTTP server on the loop of the test, which answers when the test says so: what a program that a
 * server asks looks like.
 */
#ifndef TESTS_SUPPORT_HTTP_BACKEND_H
#define TESTS_SUPPORT_HTTP_BACKEND_H

#include "server_fixture.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_BACKEND_REQUESTS_MAX 64

struct http_backend_connection;

struct http_backend {
  struct server_fixture *fixture;
  uv_tcp_t listener;
  char url[64];    /* of a path of this backend */
  size_t requests; /* that have come */
  char *heads[HTTP_BACKEND_REQUESTS_MAX];
  struct http_backend_connection *connections[HTTP_BACKEND_REQUESTS_MAX]; /* of the requests; NULL: it has gone */
  struct http_backend_connection *open;                                   /* all that are open */
  size_t open_handles;
  const char *answer; /* for requests that come from now on; NULL: the test answers them */
};

/** Listen on a free port. */
void http_backend_start(struct http_backend *backend, struct server_fixture *fixture);

/** Run the loop until so many requests have come, from the start. */
void http_backend_expect(struct http_backend *backend, size_t requests);

/** Return the head of a request, by its place from the start. */
const char *http_backend_head(const struct http_backend *backend, size_t place);

/** Answer a request with these bytes. */
void http_backend_answer(struct http_backend *backend, size_t place, const char *bytes);

/** Return whether the connection of a request is still open. */
bool http_backend_is_waited_for(const struct http_backend *backend, size_t place);

/** Return an answer with a status line, headers that end with "\r\n" each, and a body. It is valid until the next
 * call. */
const char *http_backend_reply(const char *status, const char *headers, const char *body);

/** Listen no more, and close all connections. */
void http_backend_stop(struct http_backend *backend);

#endif
