/* SPDX-License-Identifier: MIT */
/*
 * tokens: what the server asks of the tokens besides their roles; fluxbp/server/permissions.h has the rest.
 */
#ifndef FLUXBP_SERVER_TOKENS_H
#define FLUXBP_SERVER_TOKENS_H

#include "grant.h"

#include <fluxbp/server/permissions.h>

#include <stddef.h>
#include <stdint.h>

/** Return the roles that a token exists for: no other role takes one. NULL is allowed: 0. */
unsigned tokens_guarded(const fluxbp_tokens_t *tokens);

/** Take a reference, which fluxbp_tokens_free gives back. NULL is allowed. @return the tokens */
fluxbp_tokens_t *tokens_ref(fluxbp_tokens_t *tokens);

/** Return the grant of a token, with a reference; NULL: there is no such token. NULL tokens are allowed. */
struct grant *tokens_find(const fluxbp_tokens_t *tokens, const char *token, size_t length);

/** Return the grant of the clients whose certificate has that name ("cert:NAME" in the file), with a reference; NULL:
 * the file has no such line. NULL tokens are allowed. */
struct grant *tokens_find_certificate(const fluxbp_tokens_t *tokens, const char *name, size_t length);

/** Return the grant with that store_mark, with a reference; NULL: there is none any more. NULL tokens are allowed. */
struct grant *tokens_find_mark(const fluxbp_tokens_t *tokens, uint64_t mark);

#endif
