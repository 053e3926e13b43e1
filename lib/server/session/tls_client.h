/* SPDX-License-Identifier: MIT */
/*
 * tls_client: a client of a listener that speaks TLS, until its handshake has ended. Then the client begins in the
 * protocol of its listener. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_TLS_CLIENT_H
#define FLUXBP_SERVER_TLS_CLIENT_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>

/** Make the transport of a shard, if the server has certificates. @return 0 or a libuv error */
int tls_client_init(struct shard *shard);

/** Wait for the handshake, within handshake_ms. `refusal` is what the client is told behind it, or NULL. */
void tls_client_begin(fluxbp_session_t *session, const char *refusal);

/** Close a session whose client speaks TLS to a listener that doesn't. @return whether it is one, by the first bytes
 * that it has sent */
bool tls_client_refuse_hello(fluxbp_session_t *session, const char *data, size_t length);

#endif
