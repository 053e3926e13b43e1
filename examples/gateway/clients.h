/* SPDX-License-Identifier: MIT */
/*
 * clients: what the gateway keeps of each connection, whatever its protocol: who it is, what it is subscribed to, and
 * how it ended. Logs evictions. One that comes when the server is full is told so and closed. Thread: the hub's.
 */
#ifndef GATEWAY_CLIENTS_H
#define GATEWAY_CLIENTS_H

#include "common/address.h"
#include "line_splitter.h"
#include "topics.h"

#include <fluxbp/fluxbp.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Topics that one client may be subscribed to at a time. */
#define CLIENT_TOPICS_MAX 16

struct client {
  struct clients *clients;
  fluxbp_conn_t *conn;
  fluxbp_listener_t *listener; /* it came by, */
  fluxbp_permit_t permit;      /* with this */
  bool is_refused;             /* it is told why, and closed */
  bool is_closing;             /* the gateway closes it: nothing it sends matters any more */
  const char *closing_reason;

  uint8_t topic_count;
  fluxbp_topic_t *topics[CLIENT_TOPICS_MAX];

  struct line_splitter lines; /* of commands */
  uint32_t errors;            /* it has made so far */
  uint32_t commands;          /* in the current interval */
  uint64_t interval_began_ms;
  uint64_t lost; /* commands, or answers to them, that it hasn't been told of */

  char peer[ADDRESS_TEXT_BYTES];
};

/* One more is served, on whichever hub; `served` of them are now. */
typedef void (*clients_cb)(struct clients *clients, size_t served);

/* All clients of one hub. */
struct clients {
  fluxbp_hub_t *hub;
  struct topics topics;
  atomic_size_t *served; /* now, on all hubs together */
  clients_cb on_connected;
  void *user;
  bool hub_is_closing; /* its topics go with it */

  uint64_t refused_total;
  uint64_t commands_total;
  uint64_t commands_lost_total;
};

/* A connection as the listener accepted it. */
struct arrival {
  fluxbp_listener_t *listener;
  fluxbp_permit_t permit;
  uv_os_sock_t fd;
  struct sockaddr_storage peer;
  const char *refusal; /* why it isn't served, or NULL */
};

/** @return 0 or a libuv error */
int clients_init(struct clients *clients, fluxbp_hub_t *hub, const char *default_topic);

/** Serve it, or tell it why not. Its descriptor and permit are given back in any case. */
void clients_take(struct clients *clients, const struct arrival *arrival);

/** There is nobody to take it. */
void arrival_give_up(const struct arrival *arrival);

/** Send one line to a client. @return whether it was queued */
bool client_send(struct client *client, const char *line);

/** Close it politely, for a reason that the log names; `reason` is a literal. */
void client_close(struct client *client, const char *reason);

/** @return 1, 0 if it was subscribed, UV_E2BIG (CLIENT_TOPICS_MAX are reached), or what topics_hold returns */
int client_subscribe(struct client *client, const char *name);

/** @return whether it was subscribed */
bool client_unsubscribe(struct client *client, const char *name);

#endif
