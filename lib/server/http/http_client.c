/* SPDX-License-Identifier: MIT */
/*
 * http_client: the session of a client that speaks HTTP.
 *
 * A request whose answer comes later holds up those that follow on the connection, and so does a client that doesn't read: see
 * intake.h. A request that changes the protocol ends the session.
 */
#include "http_client.h"

#include "http_reader.h"
#include "http_response.h"
#include "routes.h"
#include "server/admin/describe.h"
#include "server/session/answers.h"
#include "server/session/deadlines.h"
#include "server/session/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 1024

struct http_session {
  struct http_reader reader;
  struct http_due *due; /* the answer to the request comes later; or NULL */
  const char *refusal;  /* why it isn't served, or NULL */
  bool is_head;         /* the request is one of HEAD: its answer has no body */
  bool keeps_alive;     /* after the answer that is due */
  bool has_answered;
  bool is_checked; /* the request that has begun: it may be made */
};

/* An answer that is lost would make the next one look like it, so a client that doesn't read answers is evicted instead. */
static int set_policy(struct client *client) {
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.overflow = FLUXBP_OVERFLOW_EVICT;
  return fluxbp_conn_set_policy(client_conn(client), &policy);
}

void http_begin(struct client *client, const char *refusal) {
  const struct options *options = client_server(client)->options;
  client->http = calloc(1, sizeof *client->http);
  if (client->http == NULL || set_policy(client) != 0) {
    client_lose(client);
    return;
  }
  http_reader_init(&client->http->reader, (size_t) options->max_body);
  client->http->refusal = refusal;
  if (refusal != NULL)
    client_expect_soon(client); /* others wait for its place */
  else
    client_expect(client);
}

static void free_session(struct http_session *session) {
  if (session == NULL) return;
  http_reader_reset(&session->reader);
  free(session);
}

void http_answer(struct client *client, int status, const char *type, const void *body, size_t length,
                 const char *extra) {
  struct http_session *session = client->http;
  bool keeps_alive = session->keeps_alive && !atomic_load(&client_server(client)->is_stopping);
  char *answer = malloc(HEAD_BYTES + length);
  if (answer == NULL) {
    client_lose(client);
    return;
  }
  uint32_t keep_alive_s = keeps_alive ? client_server(client)->options->keep_alive_ms / 1000 : 0;
  size_t head = http_response_head(answer, HEAD_BYTES, status, type, length, keep_alive_s, extra);
  if (!session->is_head) memcpy(answer + head, body, length);
  bool is_queued = client_send(client, answer, session->is_head ? head : head + length);
  free(answer);
  if (!is_queued) {
    client_lose(client);
  } else if (keeps_alive) {
    session->has_answered = true;
    if (client->ends_when_answered) /* it may be gone: its time goes on */
      client_expect(client);
    else
      client_expect_another(client);
  } else if (status == 408) {
    client_end(client, "handshake too slow");
  } else {
    client_end_answered(client);
  }
}

void http_answer_json(struct client *client, int status, json_t *object) {
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (text == NULL) {
    http_refuse(client, 503, "out of memory; try again later", NULL);
    return;
  }
  http_answer(client, status, TYPE_JSON, text, strlen(text), NULL);
  free(text);
}

void http_refuse(struct client *client, int status, const char *problem, const char *extra) {
  json_t *object = json_pack("{so}", "error", json_of_bytes(problem, strlen(problem)));
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  const char *body = text != NULL ? text : "{}";
  http_answer(client, status, TYPE_JSON, body, strlen(body), extra);
  free(text);
  json_decref(object);
}

const char *http_refusal(const struct client *client, enum websocket_code *code) {
  bool is_stopping = atomic_load(&client_server(client)->is_stopping);
  *code = is_stopping ? WEBSOCKET_SHUTTING_DOWN : WEBSOCKET_TRY_LATER;
  return is_stopping ? "shutting down" : client->http->refusal;
}

const char *http_refusal_of_subscriber(const struct client *client, enum websocket_code *code) {
  const struct server *server = client_server(client);
  const char *refusal = http_refusal(client, code);
  bool is_full = atomic_load(&server->served) >= server->max_connections;
  return refusal == NULL && is_full ? "server full; try again later" : refusal;
}

bool http_refuse_unserved(struct client *client) {
  const char *refusal = client->http->refusal;
  if (refusal != NULL) http_refuse(client, 503, refusal, "Retry-After: 1\r\n");
  return refusal != NULL;
}

void http_wait(struct client *client, struct http_due *due) {
  due->client = client;
  client->http->due = due;
  if (!client->ends_when_answered) client_expect_nothing(client); /* else it may be gone, and has its time */
}

void http_is_answered(struct client *client) {
  client->http->due = NULL;
}

bool http_is_due(const struct client *client) {
  return client->http != NULL && client->http->due != NULL;
}

bool http_waits_for_room(const struct client *client) {
  return http_is_due(client) && client->http->due->waits_for_room;
}

static void forget_due(struct http_session *session) {
  struct http_due *due = session->due;
  session->due = NULL;
  if (due == NULL) return;
  due->client = NULL;
  if (due->on_forgotten != NULL) due->on_forgotten(due);
}

void http_give_up(struct client *client) {
  if (!http_is_due(client)) return;
  forget_due(client->http);
  http_refuse(client, 503, "the gateway is shutting down, and what was asked for may or may not have been done", NULL);
}

/* The answer is whatever closes the connection: nothing that follows could be told from the rest of this request. Without
 * memory to read it nobody knows whether it is one for events, which 503 would end for good. */
static void refuse_request(struct client *client, const struct http_reader *reader) {
  client->http->keeps_alive = false;
  client->http->is_head = false;
  if (reader->status == 503)
    client_lose(client);
  else
    http_refuse(client, reader->status, reader->problem, NULL);
}

static bool is_head(const struct http_request *request) {
  return strcmp(request->method, "HEAD") == 0;
}

static void run(struct client *client, const struct http_request *request) {
  struct http_session *session = client->http;
  session->is_checked = false;
  session->keeps_alive = request->keeps_alive && session->refusal == NULL;
  session->is_head = is_head(request);
  routes_run(client, request);
}

/* The time for the first request runs since the accept, for those that follow since their first byte. */
static void expect_more(struct client *client) {
  if (client->http->has_answered) client_expect(client);
}

/* A body that nobody wants isn't waited for. @return whether to go on */
static bool check_head(struct client *client) {
  struct http_session *session = client->http;
  const struct http_request *head = http_reader_head(&session->reader);
  if (head == NULL || session->is_checked) return true;
  session->is_checked = true;
  session->is_head = is_head(head);
  session->keeps_alive = false; /* after a refusal its body would look like the next request */
  return routes_check(client, head);
}

/* Whether the next request may be looked at, or the one that has begun. */
static bool may_go_on(struct client *client, size_t length) {
  if (client->http->due != NULL || !answers_have_room(client)) return false;
  return length == 0 || http_reader_is_busy(&client->http->reader) || intake_has_share(client);
}

static size_t take(struct client *client, const char *data, size_t length) {
  static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
  struct http_session *session = client->http; /* the client's protocol may become another one */
  const struct http_request *request;
  size_t left = length;
  while (!client->is_closing) {
    if (!may_go_on(client, left)) return length - left;
    bool was_busy = http_reader_is_busy(&session->reader);
    enum http_outcome outcome = http_reader_take(&session->reader, &data, &left, &request);
    if (!was_busy && http_reader_is_busy(&session->reader)) expect_more(client);
    switch (outcome) {
    case HTTP_MORE:
      (void) check_head(client);
      return length;
    case HTTP_CONTINUE:
      if (check_head(client) && !client_send(client, go_on, sizeof go_on - 1)) client_lose(client);
      break;
    case HTTP_REFUSED:
      refuse_request(client, &session->reader);
      return length;
    case HTTP_REQUEST:
      run(client, request);
      if (client->protocol == PROTOCOL_HTTP) break;
      free_session(session);
      if (left == 0 || client->is_closing) return length;
      return length - left + client_protocol(client)->take(client, data, left);
    }
  }
  return length;
}

void http_go_on(struct client *client) {
  if (client->is_closing) return;
  if (intake_is_held(client)) {
    intake_go_on(client);
    return;
  }
  (void) take(client, "", 0); /* frees what there was of the request */
  answers_end_if_wanted(client);
}

static void is_late(struct client *client) {
  struct http_session *session = client->http;
  bool is_busy = http_reader_is_busy(&session->reader);
  bool has_to_read = intake_is_held(client) || (!is_busy && deadlines_has_more_to_get(client));
  if (has_to_read) { /* it has yet to read an answer, or isn't read itself */
    client_expect(client);
    return;
  }
  session->keeps_alive = false;
  session->is_head = false;
  if (!is_busy)
    client_end(client, "idle");
  else if (routes_is_for_events(&session->reader))
    client_end(client, "handshake too slow");
  else
    http_refuse(client, 408, "the request did not come in time", NULL);
}

static void end(struct client *client) {
  if (client->http != NULL) forget_due(client->http);
  free_session(client->http);
}

const struct protocol protocol_http = {
    .kind = PROTOCOL_HTTP,
    .name = "http",
    .take = take,
    .is_late = is_late,
    .end = end,
};
