/* SPDX-License-Identifier: MIT */
/*
 * session_api: what a program may ask of a session, and do with it.
 */
#include "server/address.h"
#include "server/lines/line_text.h"
#include "server/websocket/utf8.h"
#include "session_grants.h"
#include "subscriptions.h"

#include <stdlib.h>
#include <string.h>

/* A message that is longer is encoded into memory of its own. */
#define MESSAGE_BYTES 4096

/* Identity. */

uint64_t session_id_of(const struct shard *shard, uint64_t conn_id) {
  return (conn_id - 1) * shard->server->shard_count + shard->index + 1;
}

uint64_t fluxbp_session_id(const fluxbp_session_t *session) {
  return session_id_of(session_shard(session), fluxbp_conn_id(fluxbp_session_conn(session)));
}

uint64_t session_cell(const fluxbp_session_t *session) {
  const struct shard *shard = session_shard(session);
  return (uint64_t) session->cell * shard->server->shard_count + shard->index;
}

void fluxbp_session_address(const fluxbp_session_t *session, char text[FLUXBP_ADDRESS_TEXT_BYTES]) {
  struct sockaddr_storage address;
  peer_address_get(&session->peer, &address);
  server_address_format((const struct sockaddr *) &address, text);
}

const char *fluxbp_session_protocol(const fluxbp_session_t *session) {
  return session_protocol(session)->name;
}

unsigned fluxbp_session_roles(const fluxbp_session_t *session) {
  return session->roles;
}

int fluxbp_session_may(const fluxbp_session_t *session, fluxbp_role_t role, const char *topic) {
  return session_may(session, role, topic);
}

/* What few sessions have. */

struct session_details *session_details(fluxbp_session_t *session) {
  if (session->details == NULL) session->details = calloc(1, sizeof *session->details);
  return session->details;
}

static struct memory *memory_of(const fluxbp_session_t *session) {
  return &fluxbp_session_server(session)->memory;
}

const char *fluxbp_session_name(const fluxbp_session_t *session) {
  return session->details != NULL ? session->details->name : NULL;
}

int fluxbp_session_set_name(fluxbp_session_t *session, const char *name, size_t length) {
  length = utf8_cut(name, length, FLUXBP_SESSION_NAME_BYTES);
  if (length == 0 && session->details == NULL) return 0;
  struct session_details *details = session_details(session);
  char *copy = length > 0 && details != NULL ? memory_copy(memory_of(session), MEMORY_INPUT, name, length) : NULL;
  if (details == NULL || (length > 0 && copy == NULL)) return UV_ENOMEM;
  memory_free(details->name);
  details->name = copy;
  return 0;
}

void *fluxbp_session_user(const fluxbp_session_t *session) {
  return session->details != NULL ? session->details->user : NULL;
}

int fluxbp_session_set_user(fluxbp_session_t *session, void *user) {
  struct session_details *details = session_details(session);
  if (details == NULL) return UV_ENOMEM;
  details->user = user;
  return 0;
}

/* Sending. */

/* As the session's codec shows a message. @return the bytes that this takes, or an error */
static ptrdiff_t encode(const fluxbp_session_t *session, const void *data, size_t length, char *out, size_t capacity) {
  const fluxbp_codec_t *codec = session_codec(session, session_codec_kind(session));
  const fluxbp_publication_t publication = {.topic = "", .data = data, .length = length};
  return codec->encode(codec, &publication, out, capacity);
}

static int send_bytes(fluxbp_session_t *session, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  int result = fluxbp_msg_create(fluxbp_session_server(session)->pool, data, length, &msg);
  if (result != 0) return result;
  result = fluxbp_conn_send(fluxbp_session_conn(session), msg);
  fluxbp_msg_unref(msg);
  if (result == 0) return UV_ENOBUFS; /* lost by the overflow rule: the client is told so by a gap */
  return result > 0 ? 0 : result;
}

static int send_encoded(fluxbp_session_t *session, const void *data, size_t length) {
  char text[MESSAGE_BYTES];
  ptrdiff_t bytes = encode(session, data, length, text, sizeof text);
  if (bytes <= (ptrdiff_t) sizeof text) return bytes > 0 ? send_bytes(session, text, (size_t) bytes) : (int) bytes;
  char *copy = malloc((size_t) bytes);
  if (copy == NULL) return UV_ENOMEM;
  bytes = encode(session, data, length, copy, (size_t) bytes);
  int err = send_bytes(session, copy, (size_t) bytes);
  free(copy);
  return err;
}

int fluxbp_session_send(fluxbp_session_t *session, const void *data, size_t length) {
  const struct protocol *protocol = session_protocol(session);
  if (protocol->kind >= PROTOCOL_SUBSCRIBERS) return UV_ENOTSUP;
  if (length == 0) return UV_EINVAL;
  if (session->is_closing) return UV_ENOTCONN;
  if (protocol->kind == PROTOCOL_LINES && !line_text_is_one_line(data, length)) return UV_EINVAL;
  return send_encoded(session, data, length);
}

int fluxbp_session_publish(fluxbp_session_t *session, const char *topic, const void *data, size_t length) {
  uint64_t origin = fluxbp_conn_origin(fluxbp_session_conn(session));
  return server_publish_from(fluxbp_session_server(session), topic, data, length, origin);
}

/* Subscriptions. */

/* The tokens of a pattern are those of a name, or stand for some. */
static bool is_topic_or_pattern(const char *text) {
  char name[FLUXBP_SERVER_TOPIC_BYTES + 1];
  size_t length = strlen(text);
  if (length > FLUXBP_SERVER_TOPIC_BYTES) return false;
  for (size_t i = 0; i <= length; i++) name[i] = text[i] == '*' || text[i] == '>' ? 'x' : text[i];
  return fluxbp_server_topic_is_right(name, length) && (!topics_is_pattern(text) || fluxbp_pattern_check(text) == 0);
}

int fluxbp_session_subscribe(fluxbp_session_t *session, const char *topic) {
  if (!session->is_served) return UV_ENOTSUP;
  if (session->is_closing) return UV_ENOTCONN;
  if (!is_topic_or_pattern(topic)) return UV_EINVAL;
  int err = session_subscribe(session, topic);
  return err < 0 ? err : 0;
}

int fluxbp_session_unsubscribe(fluxbp_session_t *session, const char *topic) {
  return session_unsubscribe(session, topic) ? 0 : UV_ENOENT;
}

const char *fluxbp_session_topic(const fluxbp_session_t *session, size_t place) {
  return fluxbp_topic_name(session_topic(session, place));
}

/* The end. */

void fluxbp_session_close(fluxbp_session_t *session, int code, const char *reason) {
  if (session->is_closing) return;
  struct session_details *details = session_details(session);
  const char *text = reason != NULL ? reason : "";
  size_t length = utf8_cut(text, strlen(text), FLUXBP_CLOSE_REASON_BYTES);
  char *copy = details != NULL ? memory_copy(memory_of(session), MEMORY_INPUT, text, length) : NULL;
  if (details != NULL) details->closing_reason = copy; /* there was none before */
  session_close(session, (fluxbp_close_code_t) code, copy != NULL ? copy : "closed by the server");
}

/* All sessions. */

struct visit {
  struct survey survey;
  void (*visit)(fluxbp_session_t *session, void *arg);
  void (*done)(fluxbp_server_t *server, void *arg);
  void *arg;
};

static void visit_sessions(struct shard *shard, struct survey *survey) {
  const struct visit *visit = (const struct visit *) survey;
  for (uint32_t cell = 0; cell < shard->cells.count; cell++) {
    fluxbp_session_t *session = shard->cells.sessions[cell];
    if (session != NULL && !session->is_closing) visit->visit(session, visit->arg);
  }
}

static void on_visited(struct survey *survey) {
  struct visit *visit = (struct visit *) survey;
  if (visit->done != NULL) visit->done(survey->shards->server, visit->arg);
  free(visit);
}

int fluxbp_server_each_session(fluxbp_server_t *server, void (*visit)(fluxbp_session_t *session, void *arg),
                               void (*done)(fluxbp_server_t *server, void *arg), void *arg) {
  if (server->is_closing) return UV_ECANCELED;
  struct visit *started = calloc(1, sizeof *started);
  if (started == NULL) return UV_ENOMEM;
  *started =
      (struct visit){.survey = {.visit = visit_sessions, .done = on_visited}, .visit = visit, .done = done, .arg = arg};
  shards_ask(&server->shards, &started->survey);
  return 0;
}
