/* SPDX-License-Identifier: MIT */
/*
 * own_request: see the header.
 */
#include "own_request.h"

#include "server/admin/describe.h"
#include "server/reach.h"
#include "server/shards.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static fluxbp_text_t text_of(struct http_text text) {
  return (fluxbp_text_t){text.data, text.length};
}

int fluxbp_text_is(fluxbp_text_t text, const char *literal) {
  return http_text_is((struct http_text){text.data, text.length}, literal);
}

fluxbp_session_t *fluxbp_request_session(const fluxbp_request_t *request) {
  return request->session;
}

const char *fluxbp_request_method(const fluxbp_request_t *request) {
  return request->http->method;
}

fluxbp_text_t fluxbp_request_path(const fluxbp_request_t *request) {
  return text_of(request->http->path);
}

fluxbp_text_t fluxbp_request_body(const fluxbp_request_t *request) {
  return text_of(request->http->body);
}

fluxbp_text_t fluxbp_request_header(const fluxbp_request_t *request, const char *name) {
  return text_of(http_request_header(request->http, name));
}

size_t fluxbp_request_header_count(const fluxbp_request_t *request, const char *name) {
  return http_request_count(request->http, name);
}

int fluxbp_request_header_has(const fluxbp_request_t *request, const char *name, const char *element) {
  return http_request_has_token(request->http, name, element);
}

/* A browser sends cookies with the handshake of a WebSocket, whichever page has asked for it. */
static bool may_show_cookies(const fluxbp_request_t *request) {
  const struct origins *origins = &fluxbp_session_server(request->session)->origins;
  return origins_page_of(origins, request->http) != ORIGINS_UNNAMED;
}

fluxbp_text_t fluxbp_request_cookie(const fluxbp_request_t *request, const char *name) {
  if (!may_show_cookies(request)) return (fluxbp_text_t){NULL, 0};
  struct http_text value = http_request_cookie(request->http, name);
  return (fluxbp_text_t){value.data, value.length};
}

int fluxbp_request_parameter(const fluxbp_request_t *request, const char *name, char *text, size_t capacity) {
  switch (http_query(request->http->query, name, text, capacity)) {
  case HTTP_QUERY_NONE:
    return UV_ENOENT;
  case HTTP_QUERY_WRONG:
    return UV_EINVAL;
  case HTTP_QUERY_OK:
    break;
  }
  return (int) strlen(text);
}

unsigned fluxbp_request_roles(const fluxbp_request_t *request) {
  return request->roles;
}

int fluxbp_request_may(const fluxbp_request_t *request, fluxbp_role_t role, const char *topic) {
  return fluxbp_session_may(request->session, role, topic);
}

/* Answering. */

static void release_request(fluxbp_request_t *request) {
  if (atomic_fetch_sub(&request->owners, 1) > 1) return;
  reach_unref(request->reach);
  free(request->type);
  free(request->headers);
  free(request);
}

static void on_forgotten(struct http_due *due) {
  release_request((fluxbp_request_t *) due);
}

static void keep_answer(fluxbp_request_t *request, fluxbp_pool_t *pool, int status, const char *type, const void *body,
                        size_t length) {
  request->type = type != NULL ? strdup(type) : NULL;
  if (type != NULL && request->type == NULL) return;
  request->answer = http_answer_create(pool, type, request->headers, body, length);
  request->length = length;
  request->status = status;
}

/* Before the server goes. */
static void forget_answer(fluxbp_request_t *request) {
  if (request->answer != NULL) fluxbp_msg_unref(request->answer);
  request->answer = NULL;
}

/* On the session's thread. */
static void deliver_request(fluxbp_hub_t *hub, void *arg) {
  fluxbp_request_t *request = arg;
  fluxbp_session_t *session = request->due.session;
  (void) hub;
  if (session != NULL && session->is_closing) session = NULL; /* it forgets the request when it is gone */
  if (session != NULL) {
    http_is_answered(session);
    fluxbp_msg_t *answer = request->answer;
    request->answer = NULL;
    if (answer != NULL)
      http_answer_send(session, request->status, request->type, answer, request->length, request->headers);
    else
      http_refuse(session, 503, "out of memory; try again later", NULL);
    release_request(request); /* the client's part */
    http_go_on(session);
  }
  forget_answer(request);
  release_request(request);
}

static bool has_control_character(const char *text) {
  while (*text != '\0' && !iscntrl((unsigned char) *text)) text++;
  return *text != '\0';
}

int fluxbp_request_add_header(fluxbp_request_t *request, const char *name, const char *value) {
  size_t before = request->headers != NULL ? strlen(request->headers) : 0;
  if (*name == '\0' || strchr(name, ':') != NULL || has_control_character(name) || has_control_character(value))
    return UV_EINVAL;
  size_t more = strlen(name) + strlen(value) + sizeof ": \r\n";
  char *headers = realloc(request->headers, before + more);
  if (headers == NULL) return UV_ENOMEM;
  snprintf(headers + before, more, "%s: %s\r\n", name, value);
  request->headers = headers;
  return 0;
}

void fluxbp_request_answer(fluxbp_request_t *request, int status, const char *type, const void *body, size_t length) {
  if (type != NULL && has_control_character(type)) type = NULL; /* it would be further lines of the answer's head */
  if (reach_is_here(request->reach) && request->is_in_handler) {
    request->is_answered = true;
    http_answer(request->session, status, type, body, length, request->headers);
    release_request(request);
    return;
  }
  struct reach *reach = request->reach; /* the request may go before this returns */
  fluxbp_hub_t *hub = reach_hold(reach);
  int err = UV_ECANCELED;
  if (hub != NULL) {
    const struct shard *shard = fluxbp_hub_user(hub);
    keep_answer(request, shard->server->pool, status, type, body, length);
    err = post_surely(hub, deliver_request, request);
    if (err != 0) forget_answer(request);
  }
  reach_let_go(reach);
  if (err != 0) release_request(request);
}

void fluxbp_request_refuse(fluxbp_request_t *request, int status, const char *problem) {
  json_t *object = json_pack("{so}", "error", json_of_bytes(problem, strlen(problem)));
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  const char *body = text != NULL ? text : "{}";
  fluxbp_request_answer(request, status, TYPE_JSON, body, strlen(body));
  free(text);
  json_decref(object);
}

void own_request_run(fluxbp_session_t *session, const struct http_request *http) {
  fluxbp_request_t *request = calloc(1, sizeof *request);
  if (request == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  request->session = session;
  request->http = http;
  request->roles = session->roles;
  request->reach = reach_ref(session_shard(session)->reach);
  atomic_store(&request->owners, 2);
  request->due.on_forgotten = on_forgotten;
  request->is_in_handler = true;
  int err = fluxbp_session_server(session)->handlers.on_request(request);
  request->is_in_handler = false;
  if (request->is_answered) {
    release_request(request);
  } else if (err != 0) {
    http_refuse(session, 404, "there is no such path; see docs/protocol.md", NULL);
    release_request(request);
    release_request(request);
  } else {
    http_wait(session, &request->due);
  }
}
