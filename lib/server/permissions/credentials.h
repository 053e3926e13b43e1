/* SPDX-License-Identifier: MIT */
/*
 * credentials: the tokens that a server knows now. The program may exchange them while the server runs.
 *
 * Thread: any.
 */
#ifndef FLUXBP_SERVER_CREDENTIALS_H
#define FLUXBP_SERVER_CREDENTIALS_H

#include "grant.h"
#include "revocations.h"
#include "signed_tokens.h"
#include "tokens.h"

#include <fluxbp/server/server.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct credentials {
  uv_mutex_t lock;
  fluxbp_tokens_t *tokens; /* a reference, or NULL; behind the lock */
  fluxbp_keys_t *keys;     /* the same */
  struct signed_token_rules rules;
  struct revocations *revocations;
  bool has_authorizer; /* a backend gives roles, too */
  atomic_uint guarded; /* roles that take a token */
};

/** Take over tokens, keys and rules of the options. `hash` has to live as long. @return 0; or UV_ENOMEM, and nothing is
 * to be undone */
int credentials_init(struct credentials *credentials, const struct secret_hash *hash,
                     const fluxbp_server_options_t *options);

/** Free what the credentials hold. All zero is allowed. */
void credentials_free(struct credentials *credentials);

/** Exchange the tokens. The credentials take a reference of their own. */
void credentials_set_tokens(struct credentials *credentials, fluxbp_tokens_t *tokens);

/** Exchange the keys. The credentials take a reference of their own. */
void credentials_set_keys(struct credentials *credentials, fluxbp_keys_t *keys);

/** Return the roles that take a token now. */
unsigned credentials_guarded(const struct credentials *credentials);

/**
 * Return the grant of a token, with a reference for the caller.
 *
 * @param now_s      Unix time
 * @param is_revoked gets whether the token was revoked
 * @param problem    gets a sentence for the client if there is none
 * @return NULL: the token is unknown, has expired or was revoked
 */
struct grant *credentials_check(struct credentials *credentials, const char *token, size_t length, uint64_t now_s,
                                bool *is_revoked, const char **problem);

/**
 * Return the grant of the clients whose certificate has that name, with a reference for the caller. Its subject is the
 * name; it has no roles unless the tokens give it some. NULL: out of memory, or the name can't be a subject.
 */
struct grant *credentials_certificate(struct credentials *credentials, const char *name, size_t length);

/** Return the grant that has taken the place of one of a file's tokens, with a reference; NULL: the token was
 * withdrawn. */
struct grant *credentials_renew(struct credentials *credentials, const struct grant *grant);

#endif
