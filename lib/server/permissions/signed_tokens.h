/* SPDX-License-Identifier: MIT */
/*
 * signed_tokens: JSON Web Tokens (RFC 7519) in the compact form of a JSON Web Signature (RFC 7515), signed by HS256,
 * RS256, ES256 or EdDSA. Any thread.
 *
 * A token says for whom it speaks (sub), its own id (jti), since when and until when it is good (nbf, exp), and in the
 * claim "fluxbp" what it gives; see rights.h. A token has to have an end.
 */
#ifndef FLUXBP_SERVER_SIGNED_TOKENS_H
#define FLUXBP_SERVER_SIGNED_TOKENS_H

#include "grant.h"
#include "keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest token. */
#define SIGNED_TOKEN_BYTES_MAX 8192

/* The clocks of the token's maker and of this machine may differ by so much at its beginning. */
#define SIGNED_TOKEN_LEEWAY_S 10

/* What a token has to say. NULL: anything. */
struct signed_token_rules {
  const char *issuer;   /* "iss" */
  const char *audience; /* "aud", or one of several */
};

/** Return whether a text has the form of a signed token: three parts with dots between them. */
bool signed_tokens_is_one(const char *token, size_t length);

/**
 * Check a token, and return what it gives.
 *
 * @param now_s   Unix time
 * @param problem gets a sentence for the client, if the token gives nothing
 * @return the grant, with a reference for the caller; NULL: the token isn't good
 */
struct grant *signed_tokens_check(const fluxbp_keys_t *keys, const struct signed_token_rules *rules, const char *token,
                                  size_t length, uint64_t now_s, const char **problem);

#endif
