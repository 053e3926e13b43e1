/* SPDX-License-Identifier: MIT */
/*
 * session_quotas: in which accounts a session is counted: that of its address, and that of its subject if it has shown
 * a token with one. Thread: the session's.
 */
#ifndef FLUXBP_SERVER_SESSION_QUOTAS_H
#define FLUXBP_SERVER_SESSION_QUOTAS_H

#include "server/quotas/accounts.h"
#include "session.h"

#include <stdbool.h>

/** What became of a session that was counted. */
enum joined {
  JOINED,        /* it is within the limit */
  JOINED_BEYOND, /* it is beyond the limit, and has to be told so: `*problem` has the words */
  JOINED_CROWD   /* so many that are beyond it are being told that this one isn't; or there is no memory */
};

/** Count a session for its address. An address of loopback isn't counted, unless a proxy has named it: a proxy of this
 * machine may pass on any number of clients. */
enum joined session_join_address(fluxbp_session_t *session, bool is_named_by_proxy, const char **problem);

/** Count the session for a subject, and no longer for the one before. @return NULL, or the words for the client: it is
 * counted where it was before */
const char *session_join_subject(fluxbp_session_t *session, const char *subject);

/** The session has no subject any more. */
void session_leave_subject(fluxbp_session_t *session);

/** The session ends: count it nowhere. */
void session_leave_accounts(fluxbp_session_t *session);

/** Return the accounts of a session. */
struct payers session_payers(const fluxbp_session_t *session);

/** Count one more subscription. @return NULL, or the words for the client */
const char *session_take_subscription(fluxbp_session_t *session);

/** Count so many less. */
void session_give_back_subscriptions(fluxbp_session_t *session, uint32_t count);

#endif
