/* SPDX-License-Identifier: MIT */
/*
 * permissions: the roles of clients, and the tokens that give them.
 *
 * Without a token a client may subscribe. Publishing and administration take a token, unless the server trusts loopback
 * addresses (fluxbp_server_options_t.trusts_loopback). If any token has a role, no client gets that role without one.
 */
#ifndef FLUXBP_SERVER_PERMISSIONS_H
#define FLUXBP_SERVER_PERMISSIONS_H

#include "fluxbp/export.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A permission. The roles of a client are a set of these. */
typedef enum fluxbp_role {
  FLUXBP_ROLE_SUBSCRIBE = 1,
  FLUXBP_ROLE_PUBLISH = 2,
  FLUXBP_ROLE_ADMIN = 4,
  FLUXBP_ROLE_ALL = 7
} fluxbp_role_t;

/** Tokens with their roles. They never change, so any thread may use them. */
typedef struct fluxbp_tokens fluxbp_tokens_t;

/**
 * Read a file of lines "ROLE TOKEN". ROLE is subscribe, publish or admin. '#' begins a comment, unless it is within a
 * token. A token with several roles stands in several lines.
 *
 * A file is refused if group or others have any permission for it, or if it has no token, an unknown role, a token of
 * fewer than 16 or more than 256 bytes, or a token with other bytes than visible ASCII.
 *
 * @param problem gets a sentence about the wrong line and how to mend it, cut to `capacity` bytes
 * @return the tokens, to be freed after the servers that use them; NULL: the file was refused
 */
FLUXBP_EXTERN fluxbp_tokens_t *fluxbp_tokens_read(const char *path, char *problem, size_t capacity);

/** Free tokens. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_tokens_free(fluxbp_tokens_t *tokens);

/**
 * Return the roles that a token gives, or 0 if there is no such token. The function compares the SHA-256 of all tokens,
 * so its time tells nothing about them. NULL tokens are allowed.
 */
FLUXBP_EXTERN unsigned fluxbp_tokens_roles(const fluxbp_tokens_t *tokens, const char *token, size_t length);

#ifdef __cplusplus
}
#endif

#endif
