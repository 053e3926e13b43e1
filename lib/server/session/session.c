/* SPDX-License-Identifier: MIT */
/*
 * session: the life of a client from accept to on_close, and what it is told when it isn't served.
 */
#include "session.h"

#include "answers.h"
#include "deadlines.h"
#include "decisions.h"
#include "intake.h"
#include "resume.h"
#include "server/address.h"
#include "server/admin/evictions.h"
#include "server/log.h"
#include "server/permissions/networks.h"
#include "server/permissions/proxied_client.h"
#include "server/websocket/utf8.h"
#include "session_grants.h"
#include "session_quotas.h"
#include "subscriptions.h"
#include "tls_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(fluxbp_session_t) <= 144, "there is one for each of a hundred thousand connections");

fluxbp_conn_t *fluxbp_session_conn(const fluxbp_session_t *session) {
  return fluxbp_conn_of_user(session, sizeof *session);
}

struct shard *session_shard(const fluxbp_session_t *session) {
  return fluxbp_hub_user(fluxbp_conn_hub(fluxbp_session_conn(session)));
}

fluxbp_server_t *fluxbp_session_server(const fluxbp_session_t *session) {
  return session_shard(session)->server;
}

const fluxbp_codec_t *session_codec(const fluxbp_session_t *session, enum codec_kind kind) {
  return &session_shard(session)->codecs.list[kind];
}

enum codec_kind session_codec_kind(const fluxbp_session_t *session) {
  const struct protocol *protocol = session_protocol(session);
  enum codec_kind kind = session->is_json ? protocol->codec_json : protocol->codec;
  if (session->is_compressed && kind == CODEC_WEBSOCKET) return CODEC_WEBSOCKET_DEFLATE;
  if (session->is_compressed && kind == CODEC_WEBSOCKET_JSON) return CODEC_WEBSOCKET_JSON_DEFLATE;
  return kind; /* the codec of the connection puts an event into a compressed stream */
}

enum protocol_due session_due(const fluxbp_session_t *session) {
  const struct protocol *protocol = session_protocol(session);
  return protocol->due != NULL ? protocol->due(session) : DUE_NOTHING;
}

static const struct listener *listener_of(const fluxbp_session_t *session) {
  return &fluxbp_session_server(session)->listeners[session->listener];
}

const struct protocol *session_protocol(const fluxbp_session_t *session) {
  return protocols[session->protocol];
}

bool session_send(fluxbp_session_t *session, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  if (fluxbp_msg_create(fluxbp_session_server(session)->pool, data, length, &msg) != 0) return false;
  int queued = fluxbp_conn_send(fluxbp_session_conn(session), msg);
  fluxbp_msg_unref(msg);
  return queued == 1;
}

/* Nothing is due from here on, so there is room for the reason; NULL: there is none, or it was given before. */
static void begin_to_close(fluxbp_session_t *session, int code, const char *reason) {
  session_expect_nothing(session);
  if (!session->is_closing) session->closing_code = (uint16_t) code;
  if (!session->is_closing || reason != NULL) session->closing_reason = reason;
  session->is_closing = true;
}

/* Without memory for them it ends without words. */
void session_drain_with(fluxbp_session_t *session, const void *words, size_t length, uint32_t deadline_ms) {
  fluxbp_msg_t *msg = NULL;
  if (length > 0 && fluxbp_msg_create(fluxbp_session_server(session)->pool, words, length, &msg) == 0)
    (void) fluxbp_conn_close_with(fluxbp_session_conn(session), msg, deadline_ms);
  else
    fluxbp_conn_close(fluxbp_session_conn(session), deadline_ms);
  if (msg != NULL) fluxbp_msg_unref(msg);
}

size_t session_goodbye(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                       char text[GOODBYE_BYTES]) {
  const struct protocol *protocol = session_protocol(session);
  return protocol->goodbye != NULL ? protocol->goodbye(session, code, reason, text) : 0;
}

void session_close_with(fluxbp_session_t *session, fluxbp_close_code_t code, const void *words, size_t length,
                        const char *reason) {
  begin_to_close(session, (int) code, reason);
  session_drain_with(session, words, length, CLIENT_CLOSE_MS);
}

void session_end(fluxbp_session_t *session, const char *reason) {
  session_close_with(session, FLUXBP_CLOSE_NORMAL, NULL, 0, reason);
}

void session_end_answered(fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  uint32_t deadline_ms = atomic_load(&server->is_stopping) ? 0 : server->options.handshake_ms;
  begin_to_close(session, FLUXBP_CLOSE_NORMAL, "answered");
  session_drain_with(session, NULL, 0, deadline_ms > CLIENT_CLOSE_MS ? deadline_ms : CLIENT_CLOSE_MS);
}

void session_close(fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason) {
  char text[GOODBYE_BYTES];
  session_close_with(session, code, text, session_goodbye(session, code, reason, text), reason);
}

void session_cut_off(fluxbp_session_t *session, const char *reason) {
  begin_to_close(session, FLUXBP_CLOSE_ABNORMAL, reason);
  fluxbp_conn_reset(fluxbp_session_conn(session));
}

void session_lose(fluxbp_session_t *session) {
  session_cut_off(session, NULL);
}

/* Cells. */

static void give_cell_back(fluxbp_session_t *session) {
  if (session->cell != CELL_NONE) cells_give_back(&session_shard(session)->cells, session->cell);
  session->cell = CELL_NONE;
}

int session_serve(fluxbp_session_t *session) {
  struct shard *shard = session_shard(session);
  fluxbp_server_t *server = shard->server;
  size_t served = atomic_fetch_add(&server->served, 1) + 1;
  int err = served > server->options.max_connections ? UV_ENOSPC : cells_take(&shard->cells, session, &session->cell);
  if (err != 0) {
    atomic_fetch_sub(&server->served, 1);
    return err;
  }
  session->is_served = true;
  shard->served[session->protocol]++;
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  server_log(fluxbp_session_server(session), FLUXBP_LOG_DEBUG, "connected",
             log_number("conn", fluxbp_session_id(session)), log_word("peer", peer),
             log_word("protocol", session_protocol(session)->name), log_number("clients", served));
  session->is_announced = true;
  if (server->handlers.on_open != NULL) server->handlers.on_open(session);
  return 0;
}

void session_become(fluxbp_session_t *session, const struct protocol *protocol) {
  session->protocol = protocol->kind;
  (void) fluxbp_conn_set_policy(fluxbp_session_conn(session), NULL); /* HTTP has one of its own */
  deadlines_expect_ping(session);
}

/* What happens on its connection. */

uint64_t session_input_key(fluxbp_conn_t *conn) {
  const fluxbp_session_t *session = fluxbp_conn_user(conn);
  struct sockaddr_storage address;
  peer_address_get(&session->peer, &address);
  return network_key((const struct sockaddr *) &address);
}

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  bool is_first = !session->has_sent;
  session->has_sent = session->protocol != PROTOCOL_PROXIED; /* the client's own bytes come behind the header */
  if (session->is_pinged) deadlines_expect_ping(session);
  if (session->is_closing || (is_first && tls_client_refuse_hello(session, data, length))) return;
  intake_take(session, data, length);
}

static void on_backpressure(fluxbp_conn_t *conn, int entered) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  server_log(fluxbp_session_server(session), FLUXBP_LOG_DEBUG, entered ? "backpressured" : "caught_up",
             log_number("conn", fluxbp_session_id(session)), log_word("peer", peer));
  session->is_backpressured = entered != 0;
  if (!entered && !session->is_closing) intake_go_on(session);
}

static void on_input_turn(fluxbp_conn_t *conn) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  if (session->is_closing) return;
  if (session_due(session) == DUE_ROOM)
    session_protocol(session)->go_on(session);
  else
    intake_go_on(session);
}

static void on_gap(fluxbp_conn_t *conn, const fluxbp_gap_t *gap) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  if (session->is_pinged) deadlines_expect_ping(session); /* its ping may be one of the messages that were dropped */
  server_log(fluxbp_session_server(session), FLUXBP_LOG_WARN, "gap", log_number("conn", fluxbp_session_id(session)),
             log_word("peer", peer), log_number("from", gap->first_id), log_number("to", gap->last_id),
             log_number("count", gap->count));
}

/* Nobody is spared here; what a shadow policy would have done is worth a line. */
static int on_verdict(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  if (record->is_shadow) evictions_note(fluxbp_conn_user(conn), record);
  return 0;
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  begin_to_close(session, FLUXBP_CLOSE_SLOW, NULL);
  session->closing_verdict = (uint8_t) record->reason;
  evictions_note(session, record);
}

/* Why the server closes it, or NULL. */
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
  decisions_forget(session); /* the protocol may have waited for it */
}

static bool is_due_an_answer(const fluxbp_session_t *session) {
  if (session->is_closing) return false;
  if (intake_is_held(session)) return true;
  if (session_protocol(session)->says_when_it_ends) return false;
  return answers_are_due(session) || session_due(session) != DUE_NOTHING;
}

/* It sends no more, and may be gone altogether; if it isn't, it reads the answers that come within the time. */
static int on_half_close(fluxbp_conn_t *conn) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  session->ends_when_answered = is_due_an_answer(session);
  if (session->ends_when_answered) session_expect(session);
  return session->ends_when_answered;
}

static void free_details(struct session_details *details) {
  if (details == NULL) return;
  memory_free(details->name);
  memory_free(details->closing_reason);
  grant_unref(details->certificate);
  free(details);
}

/* The program's last word of the session. */
static void tell_closed(fluxbp_session_t *session, int status) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  const char *reason = outcome_of(session, status);
  int code = FLUXBP_CLOSE_ABNORMAL;
  if (server->handlers.on_close == NULL || !session->is_announced) return;
  if (session->is_closing) code = session->closing_code;
  if (!session->is_closing && atomic_load(&server->is_stopping)) {
    code = FLUXBP_CLOSE_SHUTTING_DOWN;
    reason = "shutting down";
  }
  if (code == FLUXBP_CLOSE_SLOW && session->closing_reason == NULL)
    reason = fluxbp_evict_reason_name((fluxbp_evict_reason_t) session->closing_verdict);
  server->handlers.on_close(session, code, reason);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  bool is_news = reason_of(session) != NULL && session->is_served; /* evictions and refusals were logged before */
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  server_log(fluxbp_session_server(session), is_news ? FLUXBP_LOG_INFO : FLUXBP_LOG_DEBUG, "closed",
             log_number("conn", fluxbp_session_id(session)), log_word("peer", peer),
             log_phrase("reason", outcome_of(session, status)));
  tell_closed(session, status);
  leave(session);
  session_leave_accounts(session);
  listener_release(listener_of(session), session->permit);
  atomic_fetch_sub(&fluxbp_session_server(session)->connections, 1);
  session_end_grants(session);
  free_details(session->details);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers,
    .on_data = on_data,
    .on_input_turn = on_input_turn,
    .on_backpressure = on_backpressure,
    .on_gap = on_gap,
    .on_verdict = on_verdict,
    .on_evicted = on_evicted,
    .on_close = on_close,
    .on_half_close = on_half_close,
};

/* Coming. */

/* Make the connection of an arrival. If the program has read from the socket, the connection is started, too. */
static int create_conn(struct shard *shard, const struct arrival *arrival, const fluxbp_conn_options_t *options,
                       fluxbp_conn_t **conn) {
  if (arrival->length > 0) /* takes a second descriptor for a moment, so the others don't come by this way */
    return fluxbp_conn_adopt(shard->hub, arrival->fd, arrival->data, arrival->length, options, conn);
  return fluxbp_conn_create(shard->hub, options, conn);
}

static fluxbp_session_t *session_create(struct shard *shard, const struct arrival *arrival, int *err) {
  fluxbp_conn_t *conn;
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  const struct listener *listener = arrival->listener;
  enum codec_kind codec = listener->protocol->codec;
  options.codec = codec == CODEC_COUNT ? &fluxbp_codec_raw : &shard->codecs.list[codec];
  if (listener->is_tls) options.transport = fluxbp_tls_transport_table(shard->tls);
  options.handlers = &handlers;
  options.user_bytes = sizeof(fluxbp_session_t);
  *err = create_conn(shard, arrival, &options, &conn);
  if (*err != 0) return NULL;
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  session->protocol = listener->protocol->kind;
  session->permit = arrival->permit;
  session->peer = arrival->peer;
  session->listener = (unsigned) (listener - shard->server->listeners) & (FLUXBP_SERVER_LISTENERS_MAX - 1);
  session->free_roles = listener->free_roles & FLUXBP_ROLE_ALL;
  session_set_free_roles(session, session->free_roles);
  session->cell = CELL_NONE;
  session->since_ms = uv_now(fluxbp_hub_loop(shard->hub));
  return session;
}

/* A connection that couldn't be served after all: on_close follows. */
static void give_up_session(fluxbp_session_t *session, const char *event, int err) {
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  server_log(fluxbp_session_server(session), FLUXBP_LOG_WARN, event, log_number("conn", fluxbp_session_id(session)),
             log_word("peer", peer), log_phrase("error", uv_strerror(err)));
  session_lose(session);
}

static void note_refusal(const fluxbp_session_t *session, const char *reason) {
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  atomic_fetch_add(&fluxbp_session_server(session)->refused, 1);
  server_log(fluxbp_session_server(session), FLUXBP_LOG_WARN, "refused", log_number("conn", fluxbp_session_id(session)),
             log_word("peer", peer), log_phrase("reason", reason));
}

static void refuse_session(fluxbp_session_t *session, const char *reason) {
  note_refusal(session, reason);
  session_protocol(session)->begin(session, reason);
}

/* Without a word, as so many are being told already. */
static void cut_off_crowd(fluxbp_session_t *session, const char *reason) {
  note_refusal(session, reason);
  session_cut_off(session, reason);
}

void session_welcome(fluxbp_session_t *session) {
  const char *reason;
  const char *topic = fluxbp_session_server(session)->options.topic;
  deadlines_end_handshake(session);
  fluxbp_decision_t decision = decisions_connect(session, NULL, &reason);
  if (decision == FLUXBP_REFUSE) {
    note_refusal(session, reason);
    fluxbp_session_close(session, FLUXBP_CLOSE_POLICY, reason);
  }
  if (decision != FLUXBP_ALLOW || session->is_closing) return; /* the protocol's `decided` comes here again */
  int err = session_serve(session);
  bool may_have_topic = topic != NULL && session_may(session, FLUXBP_ROLE_SUBSCRIBE, topic);
  if (err == 0 && !session->is_closing && may_have_topic) err = session_subscribe(session, topic);
  if (err >= 0 && session->has_ids) deadlines_expect_ping(session); /* it has said IDS before its AUTH */
  if (err == UV_ENOSPC) {
    note_refusal(session, "server full; try again later");
    session_close(session, FLUXBP_CLOSE_TRY_LATER, "server full; try again later");
  } else if (err == UV_ENFILE) {
    note_refusal(session, session_quota_problem(session));
    session_close(session, FLUXBP_CLOSE_TRY_LATER, session_quota_problem(session));
  } else if (err < 0) {
    give_up_session(session, "connect_failed", err);
  }
}

void session_begin(fluxbp_session_t *session, const char *refusal) {
  session->protocol = listener_of(session)->protocol->kind;
  if (refusal != NULL)
    refuse_session(session, refusal);
  else
    session_protocol(session)->begin(session, NULL);
}

void session_admit(fluxbp_session_t *session, bool is_named_by_proxy, const char *refusal) {
  const char *problem;
  enum joined joined = session_join_address(session, is_named_by_proxy, &problem);
  if (refusal == NULL && joined != JOINED) refusal = problem;
  if (joined == JOINED_CROWD)
    cut_off_crowd(session, refusal);
  else if (listener_of(session)->is_tls)
    tls_client_begin(session, refusal);
  else
    session_begin(session, refusal);
}

/* A proxy speaks before TLS begins. */
static void expect_proxy(fluxbp_session_t *session, const char *refusal) {
  if (listener_of(session)->is_tls) fluxbp_tls_begin_plain(fluxbp_session_conn(session));
  proxied_client_begin(session, refusal);
}

void arrival_give_up(fluxbp_server_t *server, const struct arrival *arrival) {
  close(arrival->fd);
  free(arrival->data);
  listener_release(arrival->listener, arrival->permit);
  atomic_fetch_sub(&server->connections, 1);
}

/* The socket is closed if the connection can't have it. */
static int start_conn(fluxbp_conn_t *conn, uv_os_sock_t fd) {
  int err = uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(conn), fd);
  if (err != 0) close(fd);
  return err == 0 ? fluxbp_conn_start(conn) : err;
}

void shard_take(struct shard *shard, const struct arrival *arrival) {
  int err;
  fluxbp_session_t *session = session_create(shard, arrival, &err);
  if (session == NULL) {
    server_log(shard->server, FLUXBP_LOG_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
    arrival_give_up(shard->server, arrival);
    return;
  }
  free(arrival->data);
  if (arrival->length == 0) err = start_conn(fluxbp_session_conn(session), arrival->fd);
  if (err != 0)
    give_up_session(session, "connect_failed", err);
  else if (proxied_client_is_expected(session))
    expect_proxy(session, arrival->refusal);
  else
    session_admit(session, false, arrival->refusal);
}
