/* SPDX-License-Identifier: MIT */
/*
 * proxied_client: a protocol of its own until the header is there, then that of the door. A client that sends no
 * header isn't told why: its protocol isn't known.
 */
#include "proxied_client.h"

#include "common/log.h"
#include "proxy_protocol.h"
#include "server/session/deadlines.h"

#include <stdlib.h>

struct proxied_client {
  struct proxy_header header;
  const char *refusal; /* of its arrival, or NULL; the client is told behind the header, in its protocol */
};

bool proxied_client_is_expected(const struct client *client) {
  const struct server *server = client_server(client);
  struct sockaddr_storage peer;
  peer_address_get(&client->peer, &peer);
  for (size_t i = 0; i < server->proxy_count; i++)
    if (network_has(&server->proxies[i], (const struct sockaddr *) &peer)) return true;
  return false;
}

static void refuse(struct client *client, const char *reason) {
  char peer[ADDRESS_TEXT_BYTES];
  client_peer(client, peer);
  log_event(LOG_LEVEL_WARN, "proxy_refused", log_number("conn", client_id(client)), log_word("peer", peer),
            log_phrase("reason", reason));
  client_cut_off(client, reason);
}

/* A loopback address needs no token for programs of this machine. A client that a proxy passes on may be anywhere, whether the
 * proxy gives its address or not. */
static void limit_roles(struct client *client) {
  client->free_roles &= ROLE_SUBSCRIBE;
  client->roles = client->free_roles;
}

static size_t take(struct client *client, const char *data, size_t length) {
  size_t left = length;
  struct proxied_client *proxied = client->proxied;
  enum proxy_outcome outcome = proxy_header_take(&proxied->header, &data, &left);
  if (outcome == PROXY_MORE) return length;
  if (outcome == PROXY_WRONG) {
    refuse(client, "no header of PROXY protocol v2, which --proxy-from wants from this address");
    return length;
  }
  if (outcome != PROXY_LOCAL) limit_roles(client);
  if (outcome == PROXY_ADDRESS) client->peer = peer_address_of(&proxied->header.client.any);
  const char *refusal = proxied->refusal;
  free(proxied);
  client->proxied = NULL;
  client_expect_nothing(client);
  client_admit(client, outcome == PROXY_ADDRESS, refusal);
  if (left == 0 || client->is_closing) return length;
  return length - left + client_protocol(client)->take(client, data, left);
}

static void is_late(struct client *client) {
  refuse(client, "the proxy's header did not come in time");
}

static void end(struct client *client) {
  free(client->proxied);
}

const struct protocol protocol_proxied = {
    .kind = PROTOCOL_PROXIED,
    .name = "proxied",
    .take = take,
    .is_late = is_late,
    .end = end,
};

void proxied_client_begin(struct client *client, const char *refusal) {
  client->proxied = calloc(1, sizeof *client->proxied);
  client->protocol = PROTOCOL_PROXIED;
  if (client->proxied == NULL) {
    refuse(client, "out of memory");
    return;
  }
  client->proxied->refusal = refusal;
  if (refusal != NULL)
    client_expect_soon(client);
  else
    client_expect(client);
}
