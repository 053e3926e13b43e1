/* SPDX-License-Identifier: MIT */
/*
 * clients: the life of a client from accept to on_close.
 */
#include "clients.h"

#include "commands.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A client that the gateway closes has so long to read why. */
#define CLOSE_DEADLINE_MS 1000

int clients_init(struct clients *clients, fluxbp_hub_t *hub, const char *default_topic) {
  clients->hub = hub;
  return topics_init(&clients->topics, hub, default_topic);
}

bool client_send(struct client *client, const char *line) {
  fluxbp_msg_t *msg;
  if (fluxbp_msg_create(fluxbp_hub_pool(client->clients->hub), line, strlen(line), &msg) != 0) return false;
  int queued = fluxbp_conn_send(client->conn, msg);
  fluxbp_msg_unref(msg);
  return queued == 1;
}

void client_close(struct client *client, const char *reason) {
  client->is_closing = true;
  client->closing_reason = reason;
  fluxbp_conn_close(client->conn, CLOSE_DEADLINE_MS);
}

int client_subscribe(struct client *client, const char *name) {
  struct topics *topics = &client->clients->topics;
  fluxbp_topic_t *topic = fluxbp_topic_find(client->clients->hub, name);
  if (topic != NULL && fluxbp_topic_has(topic, client->conn)) return 0;
  if (client->topic_count == CLIENT_TOPICS_MAX) return UV_E2BIG;
  int err = topics_hold(topics, name, &topic);
  if (err != 0) return err;
  err = fluxbp_topic_subscribe(topic, client->conn);
  if (err < 0) {
    topics_release(topics, topic);
    return err;
  }
  client->topics[client->topic_count++] = topic;
  return 1;
}

/* Lets go of the topic at `place` of its list. */
static void drop_topic(struct client *client, size_t place) {
  fluxbp_topic_t *topic = client->topics[place];
  client->topics[place] = client->topics[--client->topic_count];
  fluxbp_topic_unsubscribe(topic, client->conn);
  topics_release(&client->clients->topics, topic);
}

bool client_unsubscribe(struct client *client, const char *name) {
  const fluxbp_topic_t *topic = fluxbp_topic_find(client->clients->hub, name);
  for (size_t place = 0; topic != NULL && place < client->topic_count; place++) {
    if (client->topics[place] == topic) {
      drop_topic(client, place);
      return true;
    }
  }
  return false;
}

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  struct client *client = fluxbp_conn_user(conn);
  if (!client->is_closing) commands_take(client, data, length);
}

static void on_backpressure(fluxbp_conn_t *conn, int entered) {
  struct client *client = fluxbp_conn_user(conn);
  log_event(LOG_LEVEL_DEBUG, entered ? "backpressured" : "caught_up", log_number("conn", fluxbp_conn_id(conn)),
            log_word("peer", client->peer));
  if (!entered && !client->is_closing) commands_tell_lost(client);
}

static void on_gap(fluxbp_conn_t *conn, const fluxbp_gap_t *gap) {
  const struct client *client = fluxbp_conn_user(conn);
  log_event(LOG_LEVEL_WARN, "gap", log_number("conn", fluxbp_conn_id(conn)), log_word("peer", client->peer),
            log_number("from", gap->first_id), log_number("to", gap->last_id), log_number("count", gap->count));
}

static void log_verdict(const struct client *client, const char *event, const fluxbp_eviction_t *record) {
  log_event(LOG_LEVEL_INFO, event, log_number("conn", record->conn_id), log_word("peer", client->peer),
            log_word("reason", fluxbp_evict_reason_name(record->reason)),
            log_phrase("cause", fluxbp_cause_name(record->cause)),
            log_number("since_progress_ms", record->since_progress_ms),
            log_number("backpressured_ms", record->backpressured_ms), log_number("oldest_ms", record->oldest_ms),
            log_number("queued", record->queued), log_number("queued_bytes", record->queued_bytes),
            log_number("dropped", record->dropped), log_number("kernel_bytes", record->kernel_bytes),
            log_number("last_id", record->last_id));
}

/* Nobody is spared here; what a shadow policy would have done is worth a line. */
static int on_verdict(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  if (record->is_shadow) log_verdict(fluxbp_conn_user(conn), "would_evict", record);
  return 0;
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  struct client *client = fluxbp_conn_user(conn);
  client->is_closing = true;
  log_verdict(client, "evicted", record);
}

static const char *outcome_of(const struct client *client, int status) {
  if (client->closing_reason != NULL) return client->closing_reason;
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

static void on_close(fluxbp_conn_t *conn, int status) {
  struct client *client = fluxbp_conn_user(conn);
  struct clients *clients = client->clients;
  bool is_news = client->closing_reason != NULL && !client->is_refused; /* evictions and refusals were logged before */
  log_event(is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "closed", log_number("conn", fluxbp_conn_id(conn)),
            log_word("peer", client->peer), log_phrase("reason", outcome_of(client, status)));
  while (!clients->hub_is_closing && client->topic_count > 0) drop_topic(client, client->topic_count - 1U);
  if (!client->is_refused) atomic_fetch_sub(clients->served, 1);
  fluxbp_listener_release(client->listener, client->permit);
  line_splitter_reset(&client->lines);
  free(client);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers,
    .on_data = on_data,
    .on_backpressure = on_backpressure,
    .on_gap = on_gap,
    .on_verdict = on_verdict,
    .on_evicted = on_evicted,
    .on_close = on_close,
};

static struct client *client_create(struct clients *clients, int *err) {
  struct client *client = calloc(1, sizeof *client);
  if (client == NULL) {
    *err = UV_ENOMEM;
    return NULL;
  }
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.codec = &fluxbp_codec_newline;
  options.handlers = &handlers;
  options.user = client;
  *err = fluxbp_conn_create(clients->hub, &options, &client->conn);
  if (*err != 0) {
    free(client);
    return NULL;
  }
  client->clients = clients;
  commands_init(client);
  return client;
}

/* A connection that couldn't be served after all: on_close follows. */
static void give_up(struct client *client, const char *event, int err) {
  log_event(LOG_LEVEL_WARN, event, log_number("conn", fluxbp_conn_id(client->conn)), log_word("peer", client->peer),
            log_phrase("error", uv_strerror(err)));
  client->is_closing = true;
  fluxbp_conn_reset(client->conn);
}

static void refuse(struct client *client, const char *reason) {
  char line[64];
  client->clients->refused_total++;
  log_event(LOG_LEVEL_WARN, "refused", log_number("conn", fluxbp_conn_id(client->conn)), log_word("peer", client->peer),
            log_phrase("reason", reason));
  if (fluxbp_conn_start(client->conn) != 0) {
    client->is_closing = true;
    fluxbp_conn_reset(client->conn);
    return;
  }
  snprintf(line, sizeof line, "-ERR %s, try again later", reason);
  client_send(client, line);
  client_close(client, reason);
}

static void serve(struct client *client) {
  struct clients *clients = client->clients;
  size_t served = atomic_fetch_add(clients->served, 1) + 1;
  int err = fluxbp_conn_start(client->conn);
  if (err == 0) err = client_subscribe(client, fluxbp_topic_name(clients->topics.first));
  if (err < 0) {
    give_up(client, "connect_failed", err);
    return;
  }
  log_event(LOG_LEVEL_DEBUG, "connected", log_number("conn", fluxbp_conn_id(client->conn)),
            log_word("peer", client->peer), log_number("clients", served));
  clients->on_connected(clients, served);
}

void arrival_give_up(const struct arrival *arrival) {
  close(arrival->fd);
  fluxbp_listener_release(arrival->listener, arrival->permit);
}

void clients_take(struct clients *clients, const struct arrival *arrival) {
  int err;
  struct client *client = client_create(clients, &err);
  if (client == NULL) {
    log_event(LOG_LEVEL_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
    arrival_give_up(arrival);
    return;
  }
  client->listener = arrival->listener;
  client->permit = arrival->permit;
  client->is_refused = arrival->refusal != NULL;
  address_format((const struct sockaddr *) &arrival->peer, client->peer, sizeof client->peer);
  err = uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(client->conn), arrival->fd);
  if (err != 0) {
    close(arrival->fd);
    if (!client->is_refused) atomic_fetch_add(clients->served, 1); /* on_close counts it back */
    give_up(client, "connect_failed", err);
  } else if (client->is_refused) {
    refuse(client, arrival->refusal);
  } else {
    serve(client);
  }
}
