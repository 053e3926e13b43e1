/* SPDX-License-Identifier: MIT */
/*
 * deadlines: of clients' handshakes, pings and pongs. A client waits for one of them at a time.
 */
#ifndef FLUXBP_SERVER_DEADLINES_H
#define FLUXBP_SERVER_DEADLINES_H

#include "clients.h"

/** The hub was set. */
void deadlines_init(struct clients *clients);

/** Have its protocol's is_late called in --handshake from now, or in CLIENT_CLOSE_MS if that is less. */
void client_expect(struct client *client);
void client_expect_soon(struct client *client);

/* A request that is sent just before the announced end of a connection has so long to arrive. */
#define KEEP_ALIVE_GRACE_MS 5000

/** The same in --keep-alive and its grace: it may send another request, or not. */
void client_expect_another(struct client *client);

/** Not at all. */
void client_expect_nothing(struct client *client);

/** Have its protocol's ping called in --ping, if it has one. An answer to an earlier ping isn't awaited any more. */
void deadlines_expect_ping(struct client *client);

/**
 * Whether the client's kernel has yet to acknowledge something that the client was sent. Such a client isn't idle, and if it
 * is gone, the policy of its connection says so. Once the gateway stops, no client is waited for on that account.
 */
bool deadlines_has_more_to_get(const struct client *client);

#endif
