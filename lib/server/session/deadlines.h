/* SPDX-License-Identifier: MIT */
/*
 * deadlines: of clients' handshakes, pings, pongs and messages. A client is waited for in one of these ways at a time.
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

/** The client has shown its token: its handshake has no deadline any more. That of a message stays. */
void deadlines_end_handshake(fluxbp_session_t *session);

/**
 * A client has sent a part of a message, and no whole one since. From the first call until deadlines_end_message the
 * session is closed when message_ms have passed. Until then it gets no ping. A client that has to show a token first
 * has no other deadline than the one for that.
 */
void deadlines_begin_message(fluxbp_session_t *session);

/** A message is whole. Without one that has begun the call has no effect. */
void deadlines_end_message(fluxbp_session_t *session);

/** The server reads the client again, after a time in which it did not: the deadline of the message that has begun is
 * message_ms away. */
void deadlines_renew_message(fluxbp_session_t *session);

/** Have its protocol's ping called in --ping, if it has one; behind the message that has begun, if one has. An answer
 * to an earlier ping isn't awaited any more. */
void deadlines_expect_ping(fluxbp_session_t *session);

/**
 * Whether the client's kernel has yet to acknowledge something that the client was sent. Such a client isn't idle, and
 * if it is gone, the policy of its connection says so. Once the server stops, no client is waited for on that account.
 */
bool deadlines_has_more_to_get(const fluxbp_session_t *session);

#endif
