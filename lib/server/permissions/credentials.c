/* SPDX-License-Identifier: MIT */
/*
 * credentials: see the header. A check takes a reference to the tokens, so that the lock is held for a moment only.
 */
#include "credentials.h"

int credentials_init(struct credentials *credentials, const struct secret_hash *hash, fluxbp_tokens_t *tokens) {
  credentials->revocations = revocations_create(hash);
  if (credentials->revocations == NULL) return UV_ENOMEM;
  if (uv_mutex_init(&credentials->lock) != 0) {
    revocations_free(credentials->revocations);
    credentials->revocations = NULL;
    return UV_ENOMEM;
  }
  credentials_set_tokens(credentials, tokens);
  return 0;
}

void credentials_free(struct credentials *credentials) {
  if (credentials->revocations == NULL) return;
  uv_mutex_destroy(&credentials->lock);
  fluxbp_tokens_free(credentials->tokens);
  revocations_free(credentials->revocations);
}

void credentials_set_tokens(struct credentials *credentials, fluxbp_tokens_t *tokens) {
  uv_mutex_lock(&credentials->lock);
  fluxbp_tokens_t *old = credentials->tokens;
  credentials->tokens = tokens_ref(tokens);
  atomic_store(&credentials->guarded, tokens_guarded(tokens));
  uv_mutex_unlock(&credentials->lock);
  fluxbp_tokens_free(old);
}

unsigned credentials_guarded(const struct credentials *credentials) {
  return atomic_load(&credentials->guarded);
}

static fluxbp_tokens_t *tokens_now(struct credentials *credentials) {
  uv_mutex_lock(&credentials->lock);
  fluxbp_tokens_t *tokens = tokens_ref(credentials->tokens);
  uv_mutex_unlock(&credentials->lock);
  return tokens;
}

static struct grant *find_grant(struct credentials *credentials, const char *token, size_t length,
                                const char **problem) {
  fluxbp_tokens_t *tokens = tokens_now(credentials);
  struct grant *grant = tokens_find(tokens, token, length);
  fluxbp_tokens_free(tokens);
  *problem = "unknown token";
  return grant;
}

struct grant *credentials_check(struct credentials *credentials, const char *token, size_t length, uint64_t now_s,
                                const char **problem) {
  struct grant *grant = find_grant(credentials, token, length, problem);
  if (grant == NULL || !revocations_hold_for(credentials->revocations, grant, now_s)) return grant;
  grant_unref(grant);
  *problem = "the token was revoked";
  return NULL;
}

struct grant *credentials_renew(struct credentials *credentials, const struct grant *grant) {
  fluxbp_tokens_t *tokens = tokens_now(credentials);
  struct grant *renewed = tokens_find_mark(tokens, grant->store_mark);
  fluxbp_tokens_free(tokens);
  return renewed;
}
