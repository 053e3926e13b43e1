/* SPDX-License-Identifier: MIT */
/*
 * proxied_client: a client that comes by way of a proxy of --proxy-from: first of all the proxy says whose connection
 * it is. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_PROXIED_CLIENT_H
#define FLUXBP_SERVER_PROXIED_CLIENT_H

#include "server/session/session.h"

/** Whether connections from its address have to begin with the proxy's header. */
bool proxied_client_is_expected(const fluxbp_session_t *session);

/** Wait for the header, within --handshake; then the client is welcomed. */
void proxied_client_begin(fluxbp_session_t *session, const char *refusal);

#endif
