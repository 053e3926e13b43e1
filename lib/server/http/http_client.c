/* SPDX-License-Identifier: MIT */
/*
 * http_client: the session of a client that speaks HTTP.
 *
 * A request whose answer comes later holds up those that follow on the connection, and so does a client that doesn't
 * read: see intake.h. A request that changes the protocol ends the session.
 */
#include "http_client.h"

#include "cors.h"
#include "http_reader.h"
#include "http_response.h"
#include "routes.h"
#include "server/admin/describe.h"
#include "server/permissions/authorizer.h"
#include "server/session/answers.h"
#include "server/session/deadlines.h"
#include "server/session/decisions.h"
#include "server/session/intake.h"
#include "server/session/session_rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 1024

struct http_state {
  struct http_reader reader;
  struct http_due *due; /* the answer to the request comes later; or NULL */
  const char *refusal;  /* why it isn't served, or NULL */
  bool is_head;         /* the request is one of HEAD: its answer has no body */
  bool keeps_alive;     /* after the answer that is due */
  bool has_answered;
  bool is_checked;                    /* the request that has begun: it may be made */
  bool is_paid;                       /* the same: it was counted by the rates */
  bool is_judged;                     /* the same: it is known what it may do */
  bool is_away;                       /* the same: that can't be known, as the authorizer is away */
  bool awaits_continue;               /* the same: its client waits for "100 Continue" */
  const struct http_request *request; /* that the next answer is for, if its headers are known; or NULL */
};

/* An answer that is lost would make the next one look like it, so a client that doesn't read answers is evicted
 * instead. */
static int set_policy(fluxbp_session_t *session) {
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.overflow = FLUXBP_OVERFLOW_EVICT;
  return fluxbp_conn_set_policy(fluxbp_session_conn(session), &policy);
}

/* A client that isn't served is told so in the form that its first request can understand: an event stream that ends at
 * once, a close code, or 503. */
static void begin_http(fluxbp_session_t *session, const char *refusal) {
  const fluxbp_server_options_t *options = &fluxbp_session_server(session)->options;
  session->http = calloc(1, sizeof *session->http);
  if (session->http == NULL || set_policy(session) != 0) {
    session_lose(session);
    return;
  }
  size_t most = memory_most(&fluxbp_session_server(session)->memory, MEMORY_INPUT);
  http_reader_init(&session->http->reader, options->max_body < most ? (size_t) options->max_body : most);
  session->http->reader.memory = &fluxbp_session_server(session)->memory;
  session->http->reader.is_tls = fluxbp_session_server(session)->listeners[session->listener].is_tls;
  session->http->refusal = refusal;
  if (refusal != NULL)
    session_expect_soon(session); /* others wait for its place */
  else
    session_expect(session);
}

static void free_state(struct http_state *http) {
  if (http == NULL) return;
  http_reader_reset(&http->reader);
  free(http);
}

bool http_keep_request(fluxbp_session_t *session) {
  struct session_details *details = session_details(session);
  if (details != NULL) details->kept_http = session->http;
  return details != NULL;
}

const struct http_request *http_kept_request(const fluxbp_session_t *session) {
  const struct http_state *kept = session->details != NULL ? session->details->kept_http : NULL;
  return kept != NULL ? kept->request : NULL;
}

void http_free_kept_request(fluxbp_session_t *session) {
  if (session->details == NULL) return;
  free_state(session->details->kept_http);
  session->details->kept_http = NULL;
}

/* The protocol was changed: free the state, unless the new protocol has kept it. */
static void leave_http(const fluxbp_session_t *session, struct http_state *http) {
  if (session->details == NULL || session->details->kept_http != http) free_state(http);
}

void http_write_cors(const fluxbp_session_t *session, const char *extra, char lines[CORS_BYTES]) {
  cors_write(&fluxbp_session_server(session)->origins, session->http->request, extra, lines);
}

static size_t head_bytes_most(const char *type, const char *extra) {
  return HEAD_BYTES + CORS_BYTES + (type != NULL ? strlen(type) : 0) + (extra != NULL ? strlen(extra) : 0);
}

fluxbp_msg_t *http_answer_create(fluxbp_pool_t *pool, const char *type, const char *extra, const void *body,
                                 size_t length) {
  fluxbp_msg_t *answer;
  size_t head_bytes = head_bytes_most(type, extra);
  if (fluxbp_msg_alloc(pool, head_bytes + length, &answer) != 0) return NULL;
  if (length > 0) memcpy((char *) fluxbp_msg_buffer(answer) + head_bytes, body, length);
  return answer;
}

/* Write the head, and move the body right behind it. @return whether the answer was queued */
static bool send_answer(fluxbp_session_t *session, int status, const char *type, fluxbp_msg_t *answer, size_t length,
                        const char *extra, uint32_t keep_alive_s) {
  char cors[CORS_BYTES];
  char *text = fluxbp_msg_buffer(answer);
  size_t head_bytes = head_bytes_most(type, extra);
  bool has_body = length > 0 && !session->http->is_head && status != 204;
  http_write_cors(session, extra, cors);
  size_t head = http_response_head(text, head_bytes, status, type, length, keep_alive_s, extra, cors);
  if (has_body) memmove(text + head, text + head_bytes, length);
  bool is_queued = fluxbp_msg_commit(&answer, has_body ? head + length : head) == 0 &&
                   fluxbp_conn_send(fluxbp_session_conn(session), answer) == 1;
  fluxbp_msg_unref(answer);
  return is_queued;
}

void http_answer_send(fluxbp_session_t *session, int status, const char *type, fluxbp_msg_t *answer, size_t length,
                      const char *extra) {
  struct http_state *http = session->http;
  bool keeps_alive = http->keeps_alive && !atomic_load(&fluxbp_session_server(session)->is_stopping);
  uint32_t keep_alive_s = keeps_alive ? fluxbp_session_server(session)->options.keep_alive_ms / 1000 : 0;
  if (!send_answer(session, status, type, answer, length, extra, keep_alive_s)) {
    session_lose(session);
  } else if (keeps_alive) {
    http->has_answered = true;
    if (session->ends_when_answered) /* it may be gone: its time goes on */
      session_expect(session);
    else
      session_expect_another(session);
  } else if (status == 408) {
    session_end(session, "handshake too slow");
  } else {
    session_end_answered(session);
  }
}

void http_answer(fluxbp_session_t *session, int status, const char *type, const void *body, size_t length,
                 const char *extra) {
  if (session->is_closing) return; /* a handler has ended the session: an answer that is refused would reset it */
  fluxbp_msg_t *answer = http_answer_create(fluxbp_session_server(session)->pool, type, extra, body, length);
  if (answer != NULL)
    http_answer_send(session, status, type, answer, length, extra);
  else
    session_lose(session);
}

void http_answer_json(fluxbp_session_t *session, int status, json_t *object) {
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (text == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  http_answer(session, status, TYPE_JSON, text, strlen(text), NULL);
  free(text);
}

void http_refuse(fluxbp_session_t *session, int status, const char *problem, const char *extra) {
  json_t *object = json_pack("{so}", "error", json_of_bytes(problem, strlen(problem)));
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  const char *body = text != NULL ? text : "{}";
  http_answer(session, status, TYPE_JSON, body, strlen(body), extra);
  free(text);
  json_decref(object);
}

const char *http_refusal(const fluxbp_session_t *session, fluxbp_close_code_t *code) {
  bool is_stopping = atomic_load(&fluxbp_session_server(session)->is_stopping);
  *code = is_stopping ? FLUXBP_CLOSE_SHUTTING_DOWN : FLUXBP_CLOSE_TRY_LATER;
  if (is_stopping) return "shutting down";
  return session->http->is_away ? AUTHORIZER_AWAY_TEXT : session->http->refusal;
}

void http_set_refusal(fluxbp_session_t *session, const char *refusal) {
  session->http->refusal = refusal;
}

/* Return whether the client may be served though the authorizer is away. */
static bool may_be_public(const fluxbp_session_t *session, bool may_have_all) {
  bool is_option = fluxbp_session_server(session)->options.authorize_when_away == FLUXBP_WHEN_AWAY_PUBLIC;
  return is_option && may_have_all && session->http->is_away;
}

const char *http_refusal_of_subscriber(const fluxbp_session_t *session, bool may_have_all, fluxbp_close_code_t *code) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  const char *refusal = http_refusal(session, code);
  if (may_be_public(session, may_have_all) && !atomic_load(&server->is_stopping)) refusal = session->http->refusal;
  bool is_full = atomic_load(&server->served) >= server->options.max_connections;
  return refusal == NULL && is_full ? "server full; try again later" : refusal;
}

bool http_refuse_unserved(fluxbp_session_t *session) {
  const char *refusal = session->http->is_away ? AUTHORIZER_AWAY_TEXT : session->http->refusal;
  if (refusal == NULL) return false;
  if (limits_have_text(&fluxbp_session_server(session)->limits, refusal))
    http_refuse(session, 429, refusal, LIMIT_RETRY);
  else
    http_refuse(session, 503, refusal, "Retry-After: 1\r\n");
  return true;
}

void http_wait(fluxbp_session_t *session, struct http_due *due) {
  due->session = session;
  session->http->due = due;
  if (!session->ends_when_answered) session_expect_nothing(session); /* else it may be gone, and has its time */
}

void http_is_answered(fluxbp_session_t *session) {
  session->http->due = NULL;
}

static enum protocol_due due(const fluxbp_session_t *session) {
  if (session->http == NULL || session->http->due == NULL) return DUE_NOTHING;
  return session->http->due->waits_for_room ? DUE_ROOM : DUE_ANSWER;
}

static void go_on_due(fluxbp_session_t *session) {
  struct http_due *waiting = session->http->due;
  waiting->go_on(waiting);
}

static void forget_due(struct http_state *http) {
  struct http_due *due = http->due;
  http->due = NULL;
  if (due == NULL) return;
  due->session = NULL;
  if (due->on_forgotten != NULL) due->on_forgotten(due);
}

static void give_up_http(fluxbp_session_t *session) {
  if (due(session) == DUE_NOTHING) return;
  forget_due(session->http);
  http_refuse(session, 503, "the server is shutting down, and what was asked for may or may not have been done", NULL);
}

/* The answer is whatever closes the connection: nothing that follows could be told from the rest of this request.
 * A client that has sent no whole head gets no 503: its request may be one for events, which 503 would end for good. */
static void refuse_request(fluxbp_session_t *session, const struct http_reader *reader) {
  session->http->keeps_alive = false;
  session->http->is_head = false;
  session->http->request = http_reader_refused_head(reader);
  if (reader->status == 503 && session->http->request != NULL)
    http_refuse(session, 503, reader->problem, "Retry-After: 1\r\n");
  else if (reader->status == 503)
    session_lose(session);
  else
    http_refuse(session, reader->status, reader->problem, NULL);
}

static bool is_head(const struct http_request *request) {
  return strcmp(request->method, "HEAD") == 0;
}

static void run_request(fluxbp_session_t *session, const struct http_request *request) {
  struct http_state *http = session->http;
  http->is_checked = false;
  http->keeps_alive = request->keeps_alive && http->refusal == NULL;
  http->is_head = is_head(request);
  http->request = request;
  routes_run(session, request);
}

/* The time for the first request runs since the accept, for those that follow since their first byte. */
static void expect_more(fluxbp_session_t *session) {
  if (session->http->has_answered) session_expect(session);
}

/* The next request begins, and may be somebody else's. */
static void begin_request(fluxbp_session_t *session) {
  struct http_state *http = session->http;
  http->is_paid = http->is_judged = http->is_away = http->awaits_continue = false;
  decisions_forget(session);
}

/* A body that nobody wants isn't waited for. */
static void check_head(fluxbp_session_t *session) {
  static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
  struct http_state *http = session->http;
  const struct http_request *head = http_reader_head(&http->reader);
  if (head == NULL) return;
  if (!http->is_checked) {
    http->is_checked = true;
    http->is_head = is_head(head);
    http->request = head;
    http->keeps_alive = false; /* after a refusal its body would look like the next request */
    if (!routes_check(session, head)) return;
  }
  if (!http->awaits_continue) return;
  http->awaits_continue = false;
  if (!session_send(session, go_on, sizeof go_on - 1)) session_lose(session);
}

/* Whether the next request may be looked at, or the one that has begun. */
static bool may_go_on(fluxbp_session_t *session, size_t length) {
  if (session->http->due != NULL || !answers_have_room(session)) return false;
  if (length == 0 || http_reader_is_busy(&session->http->reader)) return true;
  return session_has_tokens_for_request(session) && intake_has_time(session);
}

static size_t take_http(fluxbp_session_t *session, const char *data, size_t length) {
  struct http_state *http = session->http; /* the client's protocol may become another one */
  const struct http_request *request;
  size_t left = length;
  while (!session->is_closing) {
    if (!may_go_on(session, left)) return length - left;
    bool was_busy = http_reader_is_busy(&http->reader);
    if (!was_busy) begin_request(session);
    http->request = NULL;
    enum http_outcome outcome = http_reader_take(&http->reader, &data, &left, &request);
    if (!was_busy && http_reader_is_busy(&http->reader)) expect_more(session);
    switch (outcome) {
    case HTTP_MORE:
      check_head(session);
      return length;
    case HTTP_CONTINUE:
      http->awaits_continue = true;
      check_head(session);
      break;
    case HTTP_REFUSED:
      refuse_request(session, &http->reader);
      return length;
    case HTTP_REQUEST:
      run_request(session, request);
      if (session_protocol(session) == &protocol_http) break;
      leave_http(session, http);
      if (left == 0 || session->is_closing) return length;
      return length - left + session_protocol(session)->take(session, data, left);
    }
  }
  return length;
}

void http_go_on(fluxbp_session_t *session) {
  if (session->is_closing) return;
  if (intake_is_held(session)) {
    intake_go_on(session);
    return;
  }
  (void) take_http(session, "", 0); /* frees what there was of the request */
  answers_end_if_wanted(session);
}

void http_run_again(fluxbp_session_t *session) {
  struct http_state *http = session->http; /* the session's protocol may become another one */
  http_is_answered(session);
  routes_run(session, http->request);
  if (session_protocol(session) == &protocol_http) {
    http_go_on(session);
    return;
  }
  leave_http(session, http);
  if (!session->is_closing) intake_go_on(session);
}

void http_check_again(fluxbp_session_t *session) {
  session->http->is_checked = false;
  http_is_answered(session);
  session_expect(session); /* the rest of the request */
  http_go_on(session);
}

void http_pay(fluxbp_session_t *session) {
  if (!session->http->is_paid) session_pay(session, RATE_COMMANDS, 1);
  session->http->is_paid = true;
}

bool http_is_judged(const fluxbp_session_t *session) {
  return session->http->is_judged;
}

bool http_is_away(const fluxbp_session_t *session) {
  return session->http->is_away;
}

void http_note_judged(fluxbp_session_t *session, bool is_away) {
  session->http->is_judged = true;
  session->http->is_away = is_away;
}

static void decided(fluxbp_session_t *session) {
  struct http_due *waiting = session->http->due;
  if (waiting != NULL && waiting->decided != NULL) waiting->decided(waiting);
}

static void end_request_wait(fluxbp_session_t *session) {
  struct http_state *http = session->http;
  bool is_busy = http_reader_is_busy(&http->reader);
  bool has_to_read = intake_is_behind(session) || (!is_busy && deadlines_has_more_to_get(session));
  if (has_to_read) { /* it has yet to read an answer, or isn't read itself */
    session_expect(session);
    return;
  }
  http->keeps_alive = false;
  http->is_head = false;
  http->request = http_reader_head(&http->reader);
  if (!is_busy)
    session_end(session, "idle");
  else if (routes_is_for_events(&http->reader))
    session_end(session, "handshake too slow");
  else
    http_refuse(session, 408, "the request did not come in time", NULL);
}

static void end_http(fluxbp_session_t *session) {
  if (session->http != NULL) forget_due(session->http);
  free_state(session->http);
}

const struct protocol protocol_http = {
    .kind = PROTOCOL_HTTP,
    .name = "http",
    .codec = CODEC_COUNT,
    .has_reserve = true,
    .begin = begin_http,
    .due = due,
    .go_on = go_on_due,
    .give_up = give_up_http,
    .decided = decided,
    .take = take_http,
    .end_wait = end_request_wait,
    .end = end_http,
};
