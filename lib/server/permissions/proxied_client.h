/* SPDX-License-Identifier: MIT */
/*
 * proxied_client: a client that comes by way of a proxy of --proxy-from: first of all the proxy says whose connection it
 * is. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_PROXIED_CLIENT_H
#define FLUXBP_SERVER_PROXIED_CLIENT_H

#include "server/session/clients.h"

/** Whether connections from its address have to begin with the proxy's header. */
bool proxied_client_is_expected(const struct client *client);

/** Wait for the header, within --handshake; then the client is welcomed. */
void proxied_client_begin(struct client *client, const char *refusal);

#endif
