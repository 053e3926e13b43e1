/* SPDX-License-Identifier: MIT */
/*
 * permissions: what a client may do, and the tokens that say so.
 *
 * Without a token a client may subscribe. Publishing and administration take a token, unless the server trusts loopback
 * addresses (fluxbp_server_options_t.trusts_loopback). A role that a token exists for takes a token everywhere.
 */
#ifndef FLUXBP_SERVER_PERMISSIONS_H
#define FLUXBP_SERVER_PERMISSIONS_H

#include "fluxbp/export.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a client may do: a set of these. */
typedef enum fluxbp_role {
  FLUXBP_ROLE_SUBSCRIBE = 1,
  FLUXBP_ROLE_PUBLISH = 2,
  FLUXBP_ROLE_ADMIN = 4,
  FLUXBP_ROLE_ALL = 7
} fluxbp_role_t;

/** Tokens with their roles. Constant once read: any thread. */
typedef struct fluxbp_tokens fluxbp_tokens_t;

/**
 * Read a file of lines "ROLE TOKEN", where ROLE is subscribe, publish or admin; '#' begins a comment, unless it is
 * within a token. A token may stand there once for each role that it gives.
 *
 * Refused are a file that others may read or write (any permission of group or others), a token of fewer than 16 or
 * more than 256 bytes or with other bytes than visible ASCII, an unknown role, and a file without a token.
 *
 * @param problem gets what is wrong with which line, and what would be right: one sentence, cut to `capacity` bytes
 * @return NULL if the file was refused; free the tokens after the server that uses them
 */
FLUXBP_EXTERN fluxbp_tokens_t *fluxbp_tokens_read(const char *path, char *problem, size_t capacity);

/** Free what fluxbp_tokens_read returned. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_tokens_free(fluxbp_tokens_t *tokens);

/**
 * Return the roles that a token gives, or 0 if there is no such token. The time that this takes says nothing about the
 * tokens: the SHA-256 of all of them is compared. NULL tokens are allowed.
 */
FLUXBP_EXTERN unsigned fluxbp_tokens_roles(const fluxbp_tokens_t *tokens, const char *token, size_t length);

#ifdef __cplusplus
}
#endif

#endif
