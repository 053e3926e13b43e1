/* SPDX-License-Identifier: MIT */
/*
 * tokens: who may do what. A file has lines "ROLE TOKEN"; '#' begins a comment, unless it is within a token. A token may
 * stand there once for each role that it gives. Immutable once read: any thread.
 */
#ifndef FLUXBP_SERVER_TOKENS_H
#define FLUXBP_SERVER_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

enum role { ROLE_SUBSCRIBE = 1, ROLE_PUBLISH = 2, ROLE_ADMIN = 4, ROLE_ALL = 7 };

struct tokens;

/**
 * Read a file. @return NULL with a message in `problem`: what is wrong with which line, and what would be right.
 * Refused are: files that others may read or write (any permission of group or others), a token under 16 bytes, over 256,
 * or with other bytes than visible ASCII, an unknown role, a file without a token.
 */
struct tokens *tokens_read(const char *path, char *problem, size_t capacity);

void tokens_free(struct tokens *tokens);

/** The roles that somebody has a token for: for the others none is needed. NULL is allowed: 0. */
unsigned tokens_guarded(const struct tokens *tokens);

/**
 * The roles that a token gives; 0 if it is none. The time that it takes says nothing of the tokens: all are compared,
 * through their SHA-256 (libcrypto's CRYPTO_memcmp).
 */
unsigned tokens_roles(const struct tokens *tokens, const char *token, size_t length);

#endif
