/* SPDX-License-Identifier: MIT */
/*
 * sse_client: an answer without an end. What the client sends after its request has no meaning, and is dropped.
 */
#include "sse_client.h"

#include "server/admin/evictions.h"
#include "server/http/accept_encoding.h"
#include "server/http/http_client.h"
#include "server/http/http_response.h"
#include "server/http/subscribe_request.h"
#include "server/session/position.h"
#include "server/session/too_old.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 320

/* Of the head without what varies; and of the lines that a stream of topics adds. */
#define HEAD_BYTES 512
#define EXTRA_BYTES 64
#define VARIES "Vary: Accept-Encoding\r\n"

/* With the names of topics. */
#define EVENT_BYTES 1280

/* More than the watch topic has keys. */
#define WATCH_SLOTS 512

/* A client that was cut off comes back after a time of its own within this range, so that they don't all come at
 * once. */
#define RETRY_MIN_MS 1000
#define RETRY_RANGE_MS 2001

static size_t take_sse(fluxbp_session_t *session, const char *data, size_t length) {
  (void) session;
  (void) data;
  return length;
}

/* @return the length, 0 if there isn't so much room */
static size_t format(char *text, size_t capacity, const char *event, const char *data) {
  int length = snprintf(text, capacity, "event: %s\ndata: %s\n\n", event, data);
  return length < (int) capacity ? (size_t) length : 0;
}

/* Every reader of events remembers the id, whether it knows the event or not. */
static bool say_event(fluxbp_session_t *session, const char *event, const char *id, const char *data) {
  char text[EVENT_BYTES];
  int length = snprintf(text, sizeof text, "event: %s\nid: %s\ndata: %s\n\n", event, id, data);
  return length < (int) sizeof text && session_send(session, text, (size_t) length);
}

static bool say_resumed(fluxbp_session_t *session, const char *since) {
  char data[TEXT_BYTES / 2];
  snprintf(data, sizeof data, "{\"since\":\"%s\"}", since);
  return say_event(session, "resumed", since, data);
}

static void say_too_old(fluxbp_session_t *session, const struct too_old *too_old) {
  char data[EVENT_BYTES / 2];
  if (too_old_write_json(too_old, data, sizeof data) > 0) (void) say_event(session, "too_old", too_old->position, data);
}

static bool say_position(fluxbp_session_t *session, const char *id) {
  return say_event(session, "position", id, id);
}

static bool say_expiring(fluxbp_session_t *session, uint64_t seconds) {
  char data[TEXT_BYTES / 2], text[TEXT_BYTES];
  snprintf(data, sizeof data, "{\"token_expires_in\":%" PRIu64 "}", seconds);
  return session_send(session, text, format(text, sizeof text, "token_expires", data));
}

/* A whole number that is as good as random: clients come by different ids. */
static uint32_t retry_ms(const fluxbp_session_t *session) {
  uint64_t mixed = (fluxbp_session_id(session) + 1) * UINT64_C(0x9e3779b97f4a7c15);
  return RETRY_MIN_MS + (uint32_t) (mixed >> 32) % RETRY_RANGE_MS;
}

static size_t goodbye(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                      char text[GOODBYE_BYTES]) {
  char data[TEXT_BYTES / 2];
  (void) code;
  snprintf(data, sizeof data, "{\"reason\":\"%.123s\",\"retry_ms\":%" PRIu32 "}", reason, retry_ms(session));
  return format(text, GOODBYE_BYTES, "closing", data);
}

/* Its position, or a comment: neither has an answer. */
static bool ping(fluxbp_session_t *session) {
  if (!fluxbp_conn_is_backpressured(fluxbp_session_conn(session)) && !session_say_position(session))
    (void) session_send(session, ":\n\n", 3);
  return false;
}

static void end_sse(fluxbp_session_t *session) {
  (void) session;
}

static void end_watch(fluxbp_session_t *session) {
  atomic_fetch_sub(&fluxbp_session_server(session)->watchers, 1);
}

const struct protocol protocol_sse = {
    .kind = PROTOCOL_SSE,
    .codec = CODEC_SSE,
    .codec_json = CODEC_SSE_JSON,
    .name = "sse",
    .take = take_sse,
    .say_resumed = say_resumed,
    .say_too_old = say_too_old,
    .say_position = say_position,
    .say_expiring = say_expiring,
    .goodbye = goodbye,
    .ping = ping,
    .end = end_sse,
};

const struct protocol protocol_watch = {
    .kind = PROTOCOL_WATCH,
    .name = "watch",
    .take = take_sse,
    .goodbye = goodbye,
    .ping = ping,
    .end = end_watch,
};

/* What every stream begins with: how long to wait before coming back. @return the length */
static size_t write_retry(const fluxbp_session_t *session, char text[SSE_GZIP_FIRST_BYTES]) {
  return (size_t) snprintf(text, SSE_GZIP_FIRST_BYTES, "retry: %" PRIu32 "\n\n", retry_ms(session));
}

/* Begin an answer whose headers end with `extra`, and whose body begins with these bytes. */
static bool send_head_with(fluxbp_session_t *session, const char *extra, const char *body, size_t length) {
  char lines[CORS_BYTES + EXTRA_BYTES];
  char text[HEAD_BYTES + CORS_BYTES + EXTRA_BYTES + SSE_GZIP_BEGIN_BYTES];
  http_write_cors(session, NULL, lines);
  memcpy(lines + strlen(lines), extra, strlen(extra) + 1);
  size_t head = http_response_stream_head(text, sizeof text, "text/event-stream", lines);
  memcpy(text + head, body, length);
  return session_send(session, text, head + length);
}

static bool send_head(fluxbp_session_t *session, const char *extra) {
  char retry[SSE_GZIP_FIRST_BYTES];
  return send_head_with(session, extra, retry, write_retry(session, retry));
}

/* The same of a stream that is compressed; `sum` begins with it. */
static bool send_gzip_head(fluxbp_session_t *session, struct gzip_sum *sum) {
  char retry[SSE_GZIP_FIRST_BYTES];
  char body[SSE_GZIP_BEGIN_BYTES];
  size_t length = sse_gzip_begin(sum, retry, write_retry(session, retry), body);
  return send_head_with(session, "Content-Encoding: gzip\r\n" VARIES, body, length);
}

/* A client that asks for events and gets another status than 200 never asks again (browsers, and the libraries that do
 * as they do). So a temporary refusal is said in a stream that ends. */
static void turn_away(fluxbp_session_t *session, const char *problem) {
  char text[GOODBYE_BYTES];
  if (send_head(session, "") && session_send(session, text, goodbye(session, FLUXBP_CLOSE_TRY_LATER, problem, text)))
    session_end(session, problem);
  else
    session_lose(session);
}

/* @return false: out of memory, and the session hasn't changed */
static bool begin_stream(fluxbp_session_t *session, const struct http_request *request, bool is_json) {
  struct gzip_sum sum;
  struct compressor *compressor = &session_shard(session)->codecs.compressor;
  bool can_compress = fluxbp_session_server(session)->options.compress_bytes > 0;
  bool compresses = can_compress && accept_encoding_has_gzip(request) && compressor_start(compressor);
  enum codec_kind kind = is_json ? CODEC_SSE_JSON : CODEC_SSE;
  if (compresses) kind = is_json ? CODEC_SSE_JSON_GZIP : CODEC_SSE_GZIP;
  bool is_sent = compresses ? send_gzip_head(session, &sum) : send_head(session, can_compress ? VARIES : "");
  if (!is_sent || fluxbp_conn_set_codec(fluxbp_session_conn(session), session_codec(session, kind)) != 0) return false;
  session_become(session, &protocol_sse);
  session->is_compressed = compresses;
  if (compresses) session->gzip = sum; /* in the place of what HTTP has of the session */
  return true;
}

void sse_client_begin(fluxbp_session_t *session, const struct http_request *request) {
  struct subscribe_request wanted;
  fluxbp_close_code_t code;
  const char *problem =
      subscribe_request_read(&wanted, request, fluxbp_session_server(session)->options.max_topics_per_session);
  if (problem != NULL) {
    http_refuse(session, 400, problem, NULL);
    return;
  }
  problem = http_refusal_of_subscriber(session, subscribe_request_may_have_all(&wanted, session), &code);
  if (problem != NULL) {
    turn_away(session, problem);
    return;
  }
  fluxbp_decision_t decision = subscribe_request_decide(&wanted, session, request, &problem);
  if (decision == FLUXBP_REFUSE) http_refuse(session, 403, problem, NULL);
  if (decision != FLUXBP_ALLOW) return;
  if (!begin_stream(session, request, wanted.is_json)) {
    session_lose(session);
    return;
  }
  session->has_ids = true;
  session->is_json = wanted.is_json;
  subscribe_request_carry_out(&wanted, session);
}

/* The topic keeps the snapshot from when somebody watched last. */
static void forget_old_snapshot(struct shard *shard) {
  fluxbp_topic_forget(shard->watch, WATCH_KEY_SNAPSHOT);
  fluxbp_topic_forget(shard->watch, WATCH_KEY_SLOW);
}

void sse_client_watch(fluxbp_session_t *session, const struct http_request *request) {
  struct shard *shard = session_shard(session);
  fluxbp_policy_t policy;
  (void) request;
  fluxbp_close_code_t code;
  const char *problem = http_refusal(session, &code);
  if (problem != NULL) {
    turn_away(session, problem);
    return;
  }
  if (!send_head(session, "")) {
    session_lose(session);
    return;
  }
  session_become(session, &protocol_watch); /* its codec stays raw: events come as they are to be sent */
  fluxbp_policy_init(&policy);
  policy.slots = WATCH_SLOTS; /* the newest of each key always fits */
  if (fluxbp_conn_set_policy(fluxbp_session_conn(session), &policy) != 0) {
    atomic_fetch_add(&shard->server->watchers, 1); /* its end counts it back */
    session_lose(session);
    return;
  }
  if (atomic_fetch_add(&shard->server->watchers, 1) == 0) forget_old_snapshot(shard);
  if (fluxbp_topic_subscribe(shard->watch, fluxbp_session_conn(session)) < 0) session_lose(session);
}
