/* SPDX-License-Identifier: MIT */
/*
 * session_grants: what a session may do: by its address, by the server's public topics, and by the tokens that its
 * client has shown. Thread: the session's.
 */
#ifndef FLUXBP_SERVER_SESSION_GRANTS_H
#define FLUXBP_SERVER_SESSION_GRANTS_H

#include "expiries.h"
#include "server/permissions/grant.h"
#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most tokens of a session. */
#define SESSION_GRANTS_MAX 8

/* Of a session whose client has shown a token. */
struct session_grants {
  struct expiry expiry; /* of the first of them, or the warning before; in the shard's expiries */
  fluxbp_session_t *session;
  struct account *account; /* of the subject, or NULL; see session_quotas.h */
  bool is_warned;          /* the client was told that a token expires soon */
  uint32_t count;
  struct grant *list[SESSION_GRANTS_MAX]; /* the newest last */
};

/** Set the roles that the session has without a token. */
void session_set_free_roles(fluxbp_session_t *session, unsigned roles);

/**
 * Add a grant, whose reference the session takes over, in place of an older one of the same holder. If the session may
 * no longer have a topic that the older one gave, the session is closed.
 *
 * @return false, and `*problem` is a sentence for the client: out of memory, too many tokens, or too many connections
 *   of the subject
 */
bool session_take_grant(fluxbp_session_t *session, struct grant *grant, const char **problem);

/** Forget all tokens: the next request of the connection may be somebody else's. A certificate isn't forgotten. */
void session_forget_grants(fluxbp_session_t *session);

/** The session ends: forget everything. */
void session_end_grants(fluxbp_session_t *session);

/** Add the grant of the certificate that the client of a TLS connection has shown, if it has. @return as
 * session_take_grant, or false: the certificate's name was revoked */
bool session_take_certificate(fluxbp_session_t *session, const char **problem);

/** Return whether the session has a role for a topic. */
bool session_may(const fluxbp_session_t *session, fluxbp_role_t role, const char *topic);

/** Return whether the client has shown a token that is good, or a certificate that has a role. */
bool session_has_token(const fluxbp_session_t *session);

/** Return the holder of the session's newest token, or NULL: the client has shown none. */
const char *session_holder(const fluxbp_session_t *session);

/** Close the session if one of its tokens was revoked. */
void session_check_revoked(fluxbp_session_t *session);

/** The file of tokens was exchanged: close the session if its token was withdrawn, or gives less. */
void session_renew_grants(fluxbp_session_t *session);

/** Warn the clients of a shard whose tokens expire soon, and close those whose tokens have expired. */
void session_grants_expire(struct shard *shard, uint64_t now_s);

/** Close a session whose client had to show a token, and has not done so in time. */
void session_end_token_wait(fluxbp_session_t *session);

/* The names of the roles, in the order of server->not_allowed. */
extern const char *const role_names[ROLES];

/** Log and count that a session lacks a role; for a topic, or NULL. */
void session_note_not_allowed(const fluxbp_session_t *session, fluxbp_role_t role, const char *topic);

#endif
