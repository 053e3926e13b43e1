/* SPDX-License-Identifier: MIT */
/*
 * deadlines: of clients' handshakes, pings and pongs. A client waits for one of them at a time.
 */
#ifndef FLUXBP_SERVER_DEADLINES_H
#define FLUXBP_SERVER_DEADLINES_H

#include "session.h"

/** The hub was set. */
void deadlines_init(struct shard *shard);

/** Have its protocol's end_wait called in --handshake from now, or in CLIENT_CLOSE_MS if that is less. */
void session_expect(fluxbp_session_t *session);
void session_expect_soon(fluxbp_session_t *session);

/* A request that is sent just before the announced end of a connection has so long to arrive. */
#define KEEP_ALIVE_GRACE_MS 5000

/** The same in --keep-alive and its grace: it may send another request, or not. */
void session_expect_another(fluxbp_session_t *session);

/** Not at all. */
void session_expect_nothing(fluxbp_session_t *session);

/** Have its protocol's ping called in --ping, if it has one. An answer to an earlier ping isn't awaited any more. */
void deadlines_expect_ping(fluxbp_session_t *session);

/**
 * Whether the client's kernel has yet to acknowledge something that the client was sent. Such a client isn't idle, and
 * if it is gone, the policy of its connection says so. Once the server stops, no client is waited for on that account.
 */
bool deadlines_has_more_to_get(const fluxbp_session_t *session);

#endif
