/* SPDX-License-Identifier: MIT */
/*
 * tokens: what the server asks of the tokens besides their roles; fluxbp/server/permissions.h has the rest.
 */
#ifndef FLUXBP_SERVER_TOKENS_H
#define FLUXBP_SERVER_TOKENS_H

#include <fluxbp/server/permissions.h>

/** Return the roles that a token exists for: no other role takes one. NULL is allowed: 0. */
unsigned tokens_guarded(const fluxbp_tokens_t *tokens);

#endif
