/* SPDX-License-Identifier: MIT */
/*
 * clients: the life of a client from accept to on_close, and what it is told when it isn't served.
 */
#include "clients.h"

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

_Static_assert(sizeof(struct client) <= 128, "there is one for each of a hundred thousand connections");

static int open_state_topics(struct clients *clients) {
  const struct options *options = clients->server->options;
  for (size_t i = 0; i < options->state_topics.count; i++) {
    int err = topics_hold_state(&clients->topics, options->state_topics.texts[i], options->state_keys);
    if (err != 0) return err;
  }
  return fluxbp_topic_open_state(clients->hub, WATCH_TOPIC, EVICTIONS_KEPT + EVICTIONS_FIRST_KEY, &clients->watch);
}

int clients_init(struct clients *clients, fluxbp_hub_t *hub) {
  clients->hub = hub;
  fluxbp_hub_set_user(hub, clients);
  queue_init(&clients->resumes);
  uv_timer_init(fluxbp_hub_loop(hub), &clients->resume_timer);
  uv_unref((uv_handle_t *) &clients->resume_timer);
  clients->resume_timer.data = clients;
  deadlines_init(clients);
  room_init(&clients->room, fluxbp_hub_loop(hub));
  clients->topics.max = clients->server->options->max_topics;
  clients->topics.full = &clients->server->full_topic_tables;
  int err = topics_init(&clients->topics, hub, clients->server->options->topic);
  if (err == 0) err = open_state_topics(clients);
  if (err != 0) clients_stop(clients); /* nobody else does */
  return err;
}

fluxbp_conn_t *client_conn(const struct client *client) {
  return fluxbp_conn_of_user(client, sizeof *client);
}

struct clients *client_clients(const struct client *client) {
  return fluxbp_hub_user(fluxbp_conn_hub(client_conn(client)));
}

struct server *client_server(const struct client *client) {
  return client_clients(client)->server;
}

const struct protocol *client_protocol(const struct client *client) {
  static const struct protocol *const protocols[PROTOCOL_COUNT] = {
      [PROTOCOL_LINES] = &protocol_lines,         [PROTOCOL_LENGTH] = &protocol_length,
      [PROTOCOL_WEBSOCKET] = &protocol_websocket, [PROTOCOL_SSE] = &protocol_sse,
      [PROTOCOL_HTTP] = &protocol_http,           [PROTOCOL_WATCH] = &protocol_watch,
      [PROTOCOL_PROXIED] = &protocol_proxied};
  return protocols[client->protocol];
}

void clients_stop(struct clients *clients) {
  clients->hub_is_closing = true;
  uv_close((uv_handle_t *) &clients->timer, NULL);
  uv_close((uv_handle_t *) &clients->resume_timer, NULL);
  room_stop(&clients->room);
}

bool client_send(struct client *client, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  if (fluxbp_msg_create(client_server(client)->pool, data, length, &msg) != 0) return false;
  int queued = fluxbp_conn_send(client_conn(client), msg);
  fluxbp_msg_unref(msg);
  return queued == 1;
}

/* Nothing is due from here on, so there is room for the reason; NULL: there is none, or it was given before. */
static void begin_to_close(struct client *client, const char *reason) {
  client_expect_nothing(client);
  if (!client->is_closing || reason != NULL) client->closing_reason = reason;
  client->is_closing = true;
}

/* Without memory for them it ends without words. */
static void close_with(const struct client *client, const void *words, size_t length, uint32_t deadline_ms) {
  fluxbp_msg_t *msg = NULL;
  if (length > 0 && fluxbp_msg_create(client_server(client)->pool, words, length, &msg) == 0)
    (void) fluxbp_conn_close_with(client_conn(client), msg, deadline_ms);
  else
    fluxbp_conn_close(client_conn(client), deadline_ms);
  if (msg != NULL) fluxbp_msg_unref(msg);
}

static size_t goodbye_of(const struct client *client, enum websocket_code code, const char *reason,
                         char text[GOODBYE_BYTES]) {
  const struct protocol *protocol = client_protocol(client);
  return protocol->goodbye != NULL ? protocol->goodbye(client, code, reason, text) : 0;
}

void client_close_with(struct client *client, const void *words, size_t length, const char *reason) {
  begin_to_close(client, reason);
  close_with(client, words, length, CLIENT_CLOSE_MS);
}

void client_end(struct client *client, const char *reason) {
  client_close_with(client, NULL, 0, reason);
}

void client_end_answered(struct client *client) {
  const struct server *server = client_server(client);
  uint32_t deadline_ms = atomic_load(&server->is_stopping) ? 0 : server->options->handshake_ms;
  begin_to_close(client, "answered");
  close_with(client, NULL, 0, deadline_ms > CLIENT_CLOSE_MS ? deadline_ms : CLIENT_CLOSE_MS);
}

void client_close(struct client *client, enum websocket_code code, const char *reason) {
  char text[GOODBYE_BYTES];
  client_close_with(client, text, goodbye_of(client, code, reason, text), reason);
}

void client_cut_off(struct client *client, const char *reason) {
  begin_to_close(client, reason);
  fluxbp_conn_reset(client_conn(client));
}

void client_lose(struct client *client) {
  client_cut_off(client, NULL);
}

static int say_goodbye(fluxbp_conn_t *conn, void *arg) {
  struct client *client = fluxbp_conn_user(conn);
  (void) arg;
  if (client->is_closing) return 0;
  if (client->protocol == PROTOCOL_HTTP) http_give_up(client);
  answers_give_up(client);
  intake_go_on(client);
  if (client->is_closing) return 0;
  char text[GOODBYE_BYTES];
  size_t length = goodbye_of(client, WEBSOCKET_SHUTTING_DOWN, "shutting down", text);
  if (length == 0) return 0;
  client_expect_nothing(client);
  close_with(client, text, length, client_server(client)->options->drain_ms);
  return 0;
}

void clients_say_goodbye(struct clients *clients) {
  fluxbp_hub_each_conn(clients->hub, say_goodbye, NULL);
}

/* Identity. */

uint64_t client_id_of(const struct clients *clients, uint64_t conn_id) {
  return (conn_id - 1) * clients->server->options->threads + clients->index + 1;
}

uint64_t client_id(const struct client *client) {
  return client_id_of(client_clients(client), fluxbp_conn_id(client_conn(client)));
}

uint64_t client_cell(const struct client *client) {
  const struct clients *clients = client_clients(client);
  return (uint64_t) client->cell * clients->server->options->threads + clients->index;
}

void client_peer(const struct client *client, char text[ADDRESS_TEXT_BYTES]) {
  struct sockaddr_storage address;
  peer_address_get(&client->peer, &address);
  address_format((const struct sockaddr *) &address, text, ADDRESS_TEXT_BYTES);
}

void client_set_name(struct client *client, const char *name, size_t length) {
  length = utf8_cut(name, length, CLIENT_NAME_BYTES);
  free(client->name);
  client->name = length > 0 ? strndup(name, length) : NULL;
}

unsigned client_show_token(struct client *client, const char *token, size_t length) {
  unsigned roles = tokens_roles(client_server(client)->tokens, token, length);
  client->roles = (client->roles | roles) & ROLE_ALL;
  return roles;
}

/* Cells. */

struct client *clients_at(struct clients *clients, uint64_t cell) {
  uint64_t threads = clients->server->options->threads;
  if (cell % threads != clients->index || cell / threads >= clients->cells.count) return NULL;
  return clients->cells.clients[cell / threads];
}

static void give_cell_back(struct client *client) {
  if (client->cell != CELL_NONE) cells_give_back(&client_clients(client)->cells, client->cell);
  client->cell = CELL_NONE;
}

int client_serve(struct client *client) {
  struct clients *clients = client_clients(client);
  struct server *server = clients->server;
  size_t served = atomic_fetch_add(&server->served, 1) + 1;
  int err = served > server->max_connections ? UV_ENOSPC : cells_take(&clients->cells, client, &client->cell);
  if (err != 0) {
    atomic_fetch_sub(&server->served, 1);
    return err;
  }
  client->is_served = true;
  clients->served[client->protocol]++;
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  log_event(LOG_LEVEL_DEBUG, "connected", log_number("conn", client_id(client)), log_word("peer", peer),
            log_word("protocol", client_protocol(client)->name), log_number("clients", served));
  clients->on_connected(clients, served);
  return 0;
}

void client_become(struct client *client, const struct protocol *protocol) {
  client->protocol = protocol->kind;
  (void) fluxbp_conn_set_policy(client_conn(client), NULL); /* HTTP has one of its own */
  deadlines_expect_ping(client);
}

/* What happens on its connection. */

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  struct client *client = fluxbp_conn_user(conn);
  if (client->is_pinged) deadlines_expect_ping(client);
  if (!client->is_closing) intake_take(client, data, length);
}

static void on_backpressure(fluxbp_conn_t *conn, int entered) {
  struct client *client = fluxbp_conn_user(conn);
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  log_event(LOG_LEVEL_DEBUG, entered ? "backpressured" : "caught_up", log_number("conn", client_id(client)),
            log_word("peer", peer));
  client->is_backpressured = entered != 0;
  if (!entered && !client->is_closing) intake_go_on(client);
}

static void on_gap(fluxbp_conn_t *conn, const fluxbp_gap_t *gap) {
  struct client *client = fluxbp_conn_user(conn);
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  if (client->is_pinged) deadlines_expect_ping(client); /* its ping may be one of the messages that were dropped */
  log_event(LOG_LEVEL_WARN, "gap", log_number("conn", client_id(client)), log_word("peer", peer),
            log_number("from", gap->first_id), log_number("to", gap->last_id), log_number("count", gap->count));
}

/* Nobody is spared here; what a shadow policy would have done is worth a line. */
static int on_verdict(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  if (record->is_shadow) evictions_note(fluxbp_conn_user(conn), record);
  return 0;
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  struct client *client = fluxbp_conn_user(conn);
  begin_to_close(client, NULL);
  evictions_note(client, record);
}

/* Why the gateway closes it, or NULL. */
static const char *reason_of(const struct client *client) {
  return client->is_closing ? client->closing_reason : NULL;
}

static const char *outcome_of(const struct client *client, int status) {
  if (reason_of(client) != NULL) return reason_of(client);
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

static void leave(struct client *client) {
  struct clients *clients = client_clients(client);
  client_expect_nothing(client);
  resume_forget(client);
  intake_forget(client);
  answers_forget(client);
  subscriptions_end(client);
  give_cell_back(client);
  if (client->is_served) {
    clients->served[client->protocol]--;
    atomic_fetch_sub(&clients->server->served, 1);
  }
  client_protocol(client)->end(client);
}

static bool is_due_an_answer(const struct client *client) {
  if (client->is_closing) return false;
  if (intake_is_held(client)) return true;
  if (client->protocol == PROTOCOL_WEBSOCKET) return false; /* it says so before it goes */
  return answers_are_due(client) || (client->protocol == PROTOCOL_HTTP && http_is_due(client));
}

/* It sends no more, and may be gone altogether; if it isn't, it reads the answers that come within the time. */
static int on_half_close(fluxbp_conn_t *conn) {
  struct client *client = fluxbp_conn_user(conn);
  client->ends_when_answered = is_due_an_answer(client);
  if (client->ends_when_answered) client_expect(client);
  return client->ends_when_answered;
}

static void forget_address(const struct client *client) {
  struct sockaddr_storage address;
  if (!client->is_counted) return;
  peer_address_get(&client->peer, &address);
  address_counts_remove(client_server(client)->address_counts, (const struct sockaddr *) &address);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  struct client *client = fluxbp_conn_user(conn);
  bool is_news = reason_of(client) != NULL && client->is_served; /* evictions and refusals were logged before */
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  log_event(is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "closed", log_number("conn", client_id(client)),
            log_word("peer", peer), log_phrase("reason", outcome_of(client, status)));
  leave(client);
  forget_address(client);
  fluxbp_listener_release(client_server(client)->listeners[client->door], client->permit);
  atomic_fetch_sub(&client_server(client)->connections, 1);
  free(client->name);
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

static struct client *client_create(struct clients *clients, const struct arrival *arrival, int *err) {
  fluxbp_conn_t *conn;
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.codec = first_codec(arrival->door);
  options.handlers = &handlers;
  options.user_bytes = sizeof(struct client);
  *err = fluxbp_conn_create(clients->hub, &options, &conn);
  if (*err != 0) return NULL;
  struct client *client = fluxbp_conn_user(conn);
  client->protocol = first_protocol(arrival->door);
  client->permit = arrival->permit;
  client->peer = arrival->peer;
  client->door = arrival->door;
  client->free_roles = clients->server->free_roles[arrival->door] & ROLE_ALL;
  client->roles = client->free_roles;
  client->cell = CELL_NONE;
  client->since_ms = uv_now(fluxbp_hub_loop(clients->hub));
  return client;
}

/* A connection that couldn't be served after all: on_close follows. */
static void give_up(struct client *client, const char *event, int err) {
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  log_event(LOG_LEVEL_WARN, event, log_number("conn", client_id(client)), log_word("peer", peer),
            log_phrase("error", uv_strerror(err)));
  client_lose(client);
}

static void refuse(struct client *client, const char *reason) {
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  atomic_fetch_add(&client_server(client)->refused, 1);
  log_event(LOG_LEVEL_WARN, "refused", log_number("conn", client_id(client)), log_word("peer", peer),
            log_phrase("reason", reason));
  if (client->door == DOOR_HTTP)
    http_begin(client, reason); /* how to say so depends on what it asks for */
  else
    client_close(client, WEBSOCKET_TRY_LATER, reason);
}

void client_welcome(struct client *client) {
  client_expect_nothing(client);
  int err = client_serve(client);
  if (err == 0) err = client_subscribe(client, client_server(client)->options->topic);
  if (err >= 0 && client->has_ids) deadlines_expect_ping(client); /* it has said IDS before its AUTH */
  if (err == UV_ENOSPC)
    refuse(client, "server full; try again later");
  else if (err < 0)
    give_up(client, "connect_failed", err);
}

/* Subscribers of lines and frames need no more than the connection, unless it takes a token; who speaks HTTP has yet to say
 * what it wants. */
static void begin(struct client *client) {
  if (client->door == DOOR_HTTP) {
    http_begin(client, NULL);
    return;
  }
  lines_begin(client);
  if ((client->roles & ROLE_SUBSCRIBE) != 0)
    client_welcome(client);
  else
    client_expect(client);
}

/* @return false: its address has as many clients as it may */
static bool count_address(struct client *client) {
  struct address_counts *addresses = client_server(client)->address_counts;
  struct sockaddr_storage address;
  if (addresses == NULL) return true;
  peer_address_get(&client->peer, &address);
  client->is_counted = address_counts_add(addresses, (const struct sockaddr *) &address);
  return client->is_counted;
}

void client_admit(struct client *client, bool counts, const char *refusal) {
  client->protocol = first_protocol(client->door);
  if (refusal != NULL)
    refuse(client, refusal);
  else if (counts && !count_address(client))
    refuse(client, "too many clients from your address; try again later");
  else
    begin(client);
}

void arrival_give_up(struct server *server, const struct arrival *arrival) {
  close(arrival->fd);
  fluxbp_listener_release(server->listeners[arrival->door], arrival->permit);
  atomic_fetch_sub(&server->connections, 1);
}

void clients_take(struct clients *clients, const struct arrival *arrival) {
  int err;
  struct client *client = client_create(clients, arrival, &err);
  if (client == NULL) {
    log_event(LOG_LEVEL_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
    arrival_give_up(clients->server, arrival);
    return;
  }
  err = uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(client_conn(client)), arrival->fd);
  if (err != 0) close(arrival->fd);
  if (err == 0) err = fluxbp_conn_start(client_conn(client));
  if (err != 0)
    give_up(client, "connect_failed", err);
  else if (proxied_client_is_expected(client))
    proxied_client_begin(client, arrival->refusal);
  else
    client_admit(client, true, arrival->refusal);
}
