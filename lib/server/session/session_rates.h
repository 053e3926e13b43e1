/* SPDX-License-Identifier: MIT */
/*
 * session_rates: how fast a client may do what costs the others: commands, requests and pings, and publishing. Each
 * client, each address and each subject has a bucket (bucket.h); what a client does is taken from all three, and it
 * goes on while none of them is in debt. Otherwise it waits, with all that it has sent behind that. Thread: the
 * session's.
 */
#ifndef FLUXBP_SERVER_SESSION_RATES_H
#define FLUXBP_SERVER_SESSION_RATES_H

#include "server/quotas/limits.h"
#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Find out whether the client may do one more of that now. If not, it was noted that the session waits for that. */
bool session_has_tokens(fluxbp_session_t *session, enum rate rate);

/** The same for an HTTP request, of which it isn't known yet what it is. */
bool session_has_tokens_for_request(fluxbp_session_t *session);

/** Take so much of that from the buckets: it was done. */
void session_pay(fluxbp_session_t *session, enum rate rate, size_t count);

/** Return the time until a session that waits for tokens may go on; 0: it may now. */
uint64_t session_wait_ns(const fluxbp_session_t *session);

#endif
