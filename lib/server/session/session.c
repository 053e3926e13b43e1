/* SPDX-License-Identifier: MIT */
/*
 * session: the life of a client from accept to on_close, and what it is told when it isn't served.
 */
#include "session.h"

#include "answers.h"
#include "common/log.h"
#include "deadlines.h"
#include "intake.h"
#include "resume.h"
#include "server/admin/evictions.h"
#include "server/http/http_client.h"
#include "server/lines/lines.h"
#include "server/permissions/proxied_client.h"
#include "server/websocket/utf8.h"
#include "subscriptions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(fluxbp_session_t) <= 128, "there is one for each of a hundred thousand connections");

static int open_state_topics(struct shard *shard) {
  const struct options *options = shard->server->options;
  for (size_t i = 0; i < options->state_topics.count; i++) {
    int err = topics_hold_state(&shard->topics, options->state_topics.texts[i], options->state_keys);
    if (err != 0) return err;
  }
  return fluxbp_topic_open_state(shard->hub, WATCH_TOPIC, EVICTIONS_KEPT + EVICTIONS_FIRST_KEY, &shard->watch);
}

int shard_init(struct shard *shard, fluxbp_hub_t *hub) {
  shard->hub = hub;
  fluxbp_hub_set_user(hub, shard);
  queue_init(&shard->resumes);
  uv_timer_init(fluxbp_hub_loop(hub), &shard->resume_timer);
  uv_unref((uv_handle_t *) &shard->resume_timer);
  shard->resume_timer.data = shard;
  deadlines_init(shard);
  room_init(&shard->room, fluxbp_hub_loop(hub));
  shard->topics.max = shard->server->options->max_topics;
  shard->topics.full = &shard->server->full_topic_tables;
  int err = topics_init(&shard->topics, hub, shard->server->options->topic);
  if (err == 0) err = open_state_topics(shard);
  if (err != 0) shard_stop(shard); /* nobody else does */
  return err;
}

fluxbp_conn_t *session_conn(const fluxbp_session_t *session) {
  return fluxbp_conn_of_user(session, sizeof *session);
}

struct shard *session_shard(const fluxbp_session_t *session) {
  return fluxbp_hub_user(fluxbp_conn_hub(session_conn(session)));
}

fluxbp_server_t *session_server(const fluxbp_session_t *session) {
  return session_shard(session)->server;
}

const struct protocol *session_protocol(const fluxbp_session_t *session) {
  static const struct protocol *const protocols[PROTOCOL_COUNT] = {
      [PROTOCOL_LINES] = &protocol_lines,         [PROTOCOL_LENGTH] = &protocol_length,
      [PROTOCOL_WEBSOCKET] = &protocol_websocket, [PROTOCOL_SSE] = &protocol_sse,
      [PROTOCOL_HTTP] = &protocol_http,           [PROTOCOL_WATCH] = &protocol_watch,
      [PROTOCOL_PROXIED] = &protocol_proxied};
  return protocols[session->protocol];
}

void shard_stop(struct shard *shard) {
  shard->hub_is_closing = true;
  uv_close((uv_handle_t *) &shard->timer, NULL);
  uv_close((uv_handle_t *) &shard->resume_timer, NULL);
  room_stop(&shard->room);
}

bool session_send(fluxbp_session_t *session, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  if (fluxbp_msg_create(session_server(session)->pool, data, length, &msg) != 0) return false;
  int queued = fluxbp_conn_send(session_conn(session), msg);
  fluxbp_msg_unref(msg);
  return queued == 1;
}

/* Nothing is due from here on, so there is room for the reason; NULL: there is none, or it was given before. */
static void begin_to_close(fluxbp_session_t *session, const char *reason) {
  session_expect_nothing(session);
  if (!session->is_closing || reason != NULL) session->closing_reason = reason;
  session->is_closing = true;
}

/* Without memory for them it ends without words. */
static void close_with(const fluxbp_session_t *session, const void *words, size_t length, uint32_t deadline_ms) {
  fluxbp_msg_t *msg = NULL;
  if (length > 0 && fluxbp_msg_create(session_server(session)->pool, words, length, &msg) == 0)
    (void) fluxbp_conn_close_with(session_conn(session), msg, deadline_ms);
  else
    fluxbp_conn_close(session_conn(session), deadline_ms);
  if (msg != NULL) fluxbp_msg_unref(msg);
}

static size_t goodbye_of(const fluxbp_session_t *session, enum websocket_code code, const char *reason,
                         char text[GOODBYE_BYTES]) {
  const struct protocol *protocol = session_protocol(session);
  return protocol->goodbye != NULL ? protocol->goodbye(session, code, reason, text) : 0;
}

void session_close_with(fluxbp_session_t *session, const void *words, size_t length, const char *reason) {
  begin_to_close(session, reason);
  close_with(session, words, length, CLIENT_CLOSE_MS);
}

void session_end(fluxbp_session_t *session, const char *reason) {
  session_close_with(session, NULL, 0, reason);
}

void session_end_answered(fluxbp_session_t *session) {
  const fluxbp_server_t *server = session_server(session);
  uint32_t deadline_ms = atomic_load(&server->is_stopping) ? 0 : server->options->handshake_ms;
  begin_to_close(session, "answered");
  close_with(session, NULL, 0, deadline_ms > CLIENT_CLOSE_MS ? deadline_ms : CLIENT_CLOSE_MS);
}

void session_close(fluxbp_session_t *session, enum websocket_code code, const char *reason) {
  char text[GOODBYE_BYTES];
  session_close_with(session, text, goodbye_of(session, code, reason, text), reason);
}

void session_cut_off(fluxbp_session_t *session, const char *reason) {
  begin_to_close(session, reason);
  fluxbp_conn_reset(session_conn(session));
}

void session_lose(fluxbp_session_t *session) {
  session_cut_off(session, NULL);
}

static int say_goodbye(fluxbp_conn_t *conn, void *arg) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  (void) arg;
  if (session->is_closing) return 0;
  if (session->protocol == PROTOCOL_HTTP) http_give_up(session);
  answers_give_up(session);
  intake_go_on(session);
  if (session->is_closing) return 0;
  char text[GOODBYE_BYTES];
  size_t length = goodbye_of(session, WEBSOCKET_SHUTTING_DOWN, "shutting down", text);
  if (length == 0) return 0;
  session_expect_nothing(session);
  close_with(session, text, length, session_server(session)->options->drain_ms);
  return 0;
}

void shard_say_goodbye(struct shard *shard) {
  fluxbp_hub_each_conn(shard->hub, say_goodbye, NULL);
}

/* Identity. */

uint64_t session_id_of(const struct shard *shard, uint64_t conn_id) {
  return (conn_id - 1) * shard->server->options->threads + shard->index + 1;
}

uint64_t session_id(const fluxbp_session_t *session) {
  return session_id_of(session_shard(session), fluxbp_conn_id(session_conn(session)));
}

uint64_t session_cell(const fluxbp_session_t *session) {
  const struct shard *shard = session_shard(session);
  return (uint64_t) session->cell * shard->server->options->threads + shard->index;
}

void session_peer(const fluxbp_session_t *session, char text[ADDRESS_TEXT_BYTES]) {
  struct sockaddr_storage address;
  peer_address_get(&session->peer, &address);
  address_format((const struct sockaddr *) &address, text, ADDRESS_TEXT_BYTES);
}

void session_set_name(fluxbp_session_t *session, const char *name, size_t length) {
  length = utf8_cut(name, length, CLIENT_NAME_BYTES);
  free(session->name);
  session->name = length > 0 ? strndup(name, length) : NULL;
}

unsigned session_show_token(fluxbp_session_t *session, const char *token, size_t length) {
  unsigned roles = tokens_roles(session_server(session)->tokens, token, length);
  session->roles = (session->roles | roles) & ROLE_ALL;
  return roles;
}

/* Cells. */

fluxbp_session_t *shard_session_at(struct shard *shard, uint64_t cell) {
  uint64_t threads = shard->server->options->threads;
  if (cell % threads != shard->index || cell / threads >= shard->cells.count) return NULL;
  return shard->cells.sessions[cell / threads];
}

static void give_cell_back(fluxbp_session_t *session) {
  if (session->cell != CELL_NONE) cells_give_back(&session_shard(session)->cells, session->cell);
  session->cell = CELL_NONE;
}

int session_serve(fluxbp_session_t *session) {
  struct shard *shard = session_shard(session);
  fluxbp_server_t *server = shard->server;
  size_t served = atomic_fetch_add(&server->served, 1) + 1;
  int err = served > server->max_connections ? UV_ENOSPC : cells_take(&shard->cells, session, &session->cell);
  if (err != 0) {
    atomic_fetch_sub(&server->served, 1);
    return err;
  }
  session->is_served = true;
  shard->served[session->protocol]++;
  char peer[ADDRESS_TEXT_BYTES];
  session_peer(session, peer);
  log_event(LOG_LEVEL_DEBUG, "connected", log_number("conn", session_id(session)), log_word("peer", peer),
            log_word("protocol", session_protocol(session)->name), log_number("clients", served));
  shard->on_connected(shard, served);
  return 0;
}

void session_become(fluxbp_session_t *session, const struct protocol *protocol) {
  session->protocol = protocol->kind;
  (void) fluxbp_conn_set_policy(session_conn(session), NULL); /* HTTP has one of its own */
  deadlines_expect_ping(session);
}

/* What happens on its connection. */

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  if (session->is_pinged) deadlines_expect_ping(session);
  if (!session->is_closing) intake_take(session, data, length);
}

static void on_backpressure(fluxbp_conn_t *conn, int entered) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  char peer[ADDRESS_TEXT_BYTES];
  session_peer(session, peer);
  log_event(LOG_LEVEL_DEBUG, entered ? "backpressured" : "caught_up", log_number("conn", session_id(session)),
            log_word("peer", peer));
  session->is_backpressured = entered != 0;
  if (!entered && !session->is_closing) intake_go_on(session);
}

static void on_gap(fluxbp_conn_t *conn, const fluxbp_gap_t *gap) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  char peer[ADDRESS_TEXT_BYTES];
  session_peer(session, peer);
  if (session->is_pinged) deadlines_expect_ping(session); /* its ping may be one of the messages that were dropped */
  log_event(LOG_LEVEL_WARN, "gap", log_number("conn", session_id(session)), log_word("peer", peer),
            log_number("from", gap->first_id), log_number("to", gap->last_id), log_number("count", gap->count));
}

/* Nobody is spared here; what a shadow policy would have done is worth a line. */
static int on_verdict(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  if (record->is_shadow) evictions_note(fluxbp_conn_user(conn), record);
  return 0;
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  begin_to_close(session, NULL);
  evictions_note(session, record);
}

/* Why the gateway closes it, or NULL. */
static const char *reason_of(const fluxbp_session_t *session) {
  return session->is_closing ? session->closing_reason : NULL;
}

static const char *outcome_of(const fluxbp_session_t *session, int status) {
  if (reason_of(session) != NULL) return reason_of(session);
  switch (status) {
  case 0:
    return "drained";
  case UV_EOF:
    return "closed by the peer";
  case UV_ECONNABORTED:
    return "evicted";
  case UV_ECANCELED:
    return "reset";
  case UV_ETIMEDOUT:
    return "not drained in time";
  default:
    return uv_strerror(status);
  }
}

static void leave(fluxbp_session_t *session) {
  struct shard *shard = session_shard(session);
  session_expect_nothing(session);
  resume_forget(session);
  intake_forget(session);
  answers_forget(session);
  subscriptions_end(session);
  give_cell_back(session);
  if (session->is_served) {
    shard->served[session->protocol]--;
    atomic_fetch_sub(&shard->server->served, 1);
  }
  session_protocol(session)->end(session);
}

static bool is_due_an_answer(const fluxbp_session_t *session) {
  if (session->is_closing) return false;
  if (intake_is_held(session)) return true;
  if (session->protocol == PROTOCOL_WEBSOCKET) return false; /* it says so before it goes */
  return answers_are_due(session) || (session->protocol == PROTOCOL_HTTP && http_is_due(session));
}

/* It sends no more, and may be gone altogether; if it isn't, it reads the answers that come within the time. */
static int on_half_close(fluxbp_conn_t *conn) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  session->ends_when_answered = is_due_an_answer(session);
  if (session->ends_when_answered) session_expect(session);
  return session->ends_when_answered;
}

static void forget_address(const fluxbp_session_t *session) {
  struct sockaddr_storage address;
  if (!session->is_counted) return;
  peer_address_get(&session->peer, &address);
  address_counts_remove(session_server(session)->address_counts, (const struct sockaddr *) &address);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  bool is_news = reason_of(session) != NULL && session->is_served; /* evictions and refusals were logged before */
  char peer[ADDRESS_TEXT_BYTES];
  session_peer(session, peer);
  log_event(is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "closed", log_number("conn", session_id(session)),
            log_word("peer", peer), log_phrase("reason", outcome_of(session, status)));
  leave(session);
  forget_address(session);
  fluxbp_listener_release(session_server(session)->listeners[session->door], session->permit);
  atomic_fetch_sub(&session_server(session)->connections, 1);
  free(session->name);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers,
    .on_data = on_data,
    .on_backpressure = on_backpressure,
    .on_gap = on_gap,
    .on_verdict = on_verdict,
    .on_evicted = on_evicted,
    .on_close = on_close,
    .on_half_close = on_half_close,
};

/* Coming. */

static const fluxbp_codec_t *first_codec(enum door door) {
  if (door == DOOR_HTTP) return &fluxbp_codec_raw;
  return codec_of(door == DOOR_LINES ? CODEC_LINES : CODEC_LENGTH);
}

static enum protocol_kind first_protocol(enum door door) {
  static const enum protocol_kind protocols[DOOR_COUNT] = {
      [DOOR_LINES] = PROTOCOL_LINES, [DOOR_LENGTH] = PROTOCOL_LENGTH, [DOOR_HTTP] = PROTOCOL_HTTP};
  return protocols[door];
}

static fluxbp_session_t *session_create(struct shard *shard, const struct arrival *arrival, int *err) {
  fluxbp_conn_t *conn;
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.codec = first_codec(arrival->door);
  options.handlers = &handlers;
  options.user_bytes = sizeof(fluxbp_session_t);
  *err = fluxbp_conn_create(shard->hub, &options, &conn);
  if (*err != 0) return NULL;
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  session->protocol = first_protocol(arrival->door);
  session->permit = arrival->permit;
  session->peer = arrival->peer;
  session->door = arrival->door;
  session->free_roles = shard->server->free_roles[arrival->door] & ROLE_ALL;
  session->roles = session->free_roles;
  session->cell = CELL_NONE;
  session->since_ms = uv_now(fluxbp_hub_loop(shard->hub));
  return session;
}

/* A connection that couldn't be served after all: on_close follows. */
static void give_up(fluxbp_session_t *session, const char *event, int err) {
  char peer[ADDRESS_TEXT_BYTES];
  session_peer(session, peer);
  log_event(LOG_LEVEL_WARN, event, log_number("conn", session_id(session)), log_word("peer", peer),
            log_phrase("error", uv_strerror(err)));
  session_lose(session);
}

static void refuse(fluxbp_session_t *session, const char *reason) {
  char peer[ADDRESS_TEXT_BYTES];
  session_peer(session, peer);
  atomic_fetch_add(&session_server(session)->refused, 1);
  log_event(LOG_LEVEL_WARN, "refused", log_number("conn", session_id(session)), log_word("peer", peer),
            log_phrase("reason", reason));
  if (session->door == DOOR_HTTP)
    http_begin(session, reason); /* how to say so depends on what it asks for */
  else
    session_close(session, WEBSOCKET_TRY_LATER, reason);
}

void session_welcome(fluxbp_session_t *session) {
  session_expect_nothing(session);
  int err = session_serve(session);
  if (err == 0) err = session_subscribe(session, session_server(session)->options->topic);
  if (err >= 0 && session->has_ids) deadlines_expect_ping(session); /* it has said IDS before its AUTH */
  if (err == UV_ENOSPC)
    refuse(session, "server full; try again later");
  else if (err < 0)
    give_up(session, "connect_failed", err);
}

/* Subscribers of lines and frames need no more than the connection, unless it takes a token; who speaks HTTP has yet to say
 * what it wants. */
static void begin(fluxbp_session_t *session) {
  if (session->door == DOOR_HTTP) {
    http_begin(session, NULL);
    return;
  }
  lines_begin(session);
  if ((session->roles & ROLE_SUBSCRIBE) != 0)
    session_welcome(session);
  else
    session_expect(session);
}

/* @return false: its address has as many clients as it may */
static bool count_address(fluxbp_session_t *session) {
  struct address_counts *addresses = session_server(session)->address_counts;
  struct sockaddr_storage address;
  if (addresses == NULL) return true;
  peer_address_get(&session->peer, &address);
  session->is_counted = address_counts_add(addresses, (const struct sockaddr *) &address);
  return session->is_counted;
}

void session_admit(fluxbp_session_t *session, bool counts, const char *refusal) {
  session->protocol = first_protocol(session->door);
  if (refusal != NULL)
    refuse(session, refusal);
  else if (counts && !count_address(session))
    refuse(session, "too many clients from your address; try again later");
  else
    begin(session);
}

void arrival_give_up(fluxbp_server_t *server, const struct arrival *arrival) {
  close(arrival->fd);
  fluxbp_listener_release(server->listeners[arrival->door], arrival->permit);
  atomic_fetch_sub(&server->connections, 1);
}

void shard_take(struct shard *shard, const struct arrival *arrival) {
  int err;
  fluxbp_session_t *session = session_create(shard, arrival, &err);
  if (session == NULL) {
    log_event(LOG_LEVEL_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
    arrival_give_up(shard->server, arrival);
    return;
  }
  err = uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(session_conn(session)), arrival->fd);
  if (err != 0) close(arrival->fd);
  if (err == 0) err = fluxbp_conn_start(session_conn(session));
  if (err != 0)
    give_up(session, "connect_failed", err);
  else if (proxied_client_is_expected(session))
    proxied_client_begin(session, arrival->refusal);
  else
    session_admit(session, true, arrival->refusal);
}
