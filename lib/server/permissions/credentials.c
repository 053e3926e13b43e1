/* SPDX-License-Identifier: MIT */
/*
 * credentials: see the header. A check takes a reference to the tokens, so that the lock is held for a moment only.
 */
#include "credentials.h"

int credentials_init(struct credentials *credentials, const struct secret_hash *hash,
                     const fluxbp_server_options_t *options) {
  credentials->revocations = revocations_create(hash);
  if (credentials->revocations == NULL) return UV_ENOMEM;
  if (uv_mutex_init(&credentials->lock) != 0) {
    revocations_free(credentials->revocations);
    credentials->revocations = NULL;
    return UV_ENOMEM;
  }
  credentials->has_authorizer = options->authorize_url != NULL;
  credentials->rules = (struct signed_token_rules){options->token_issuer, options->token_audience};
  credentials_set_tokens(credentials, options->tokens);
  credentials_set_keys(credentials, options->keys);
  return 0;
}

void credentials_free(struct credentials *credentials) {
  if (credentials->revocations == NULL) return;
  uv_mutex_destroy(&credentials->lock);
  fluxbp_tokens_free(credentials->tokens);
  fluxbp_keys_free(credentials->keys);
  revocations_free(credentials->revocations);
}

/* Within the lock. A key can sign for every role, and a backend can give every role. */
static void update_guarded(struct credentials *credentials) {
  bool is_all = credentials->keys != NULL || credentials->has_authorizer;
  atomic_store(&credentials->guarded, is_all ? FLUXBP_ROLE_ALL : tokens_guarded(credentials->tokens));
}

void credentials_set_tokens(struct credentials *credentials, fluxbp_tokens_t *tokens) {
  uv_mutex_lock(&credentials->lock);
  fluxbp_tokens_t *old = credentials->tokens;
  credentials->tokens = tokens_ref(tokens);
  update_guarded(credentials);
  uv_mutex_unlock(&credentials->lock);
  fluxbp_tokens_free(old);
}

void credentials_set_keys(struct credentials *credentials, fluxbp_keys_t *keys) {
  uv_mutex_lock(&credentials->lock);
  fluxbp_keys_t *old = credentials->keys;
  credentials->keys = keys_ref(keys);
  update_guarded(credentials);
  uv_mutex_unlock(&credentials->lock);
  fluxbp_keys_free(old);
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

static fluxbp_keys_t *keys_now(struct credentials *credentials) {
  uv_mutex_lock(&credentials->lock);
  fluxbp_keys_t *keys = keys_ref(credentials->keys);
  uv_mutex_unlock(&credentials->lock);
  return keys;
}

/* A token of the file may have the form of a signed one. */
static struct grant *find_grant(struct credentials *credentials, const char *token, size_t length, uint64_t now_s,
                                const char **problem) {
  fluxbp_tokens_t *tokens = tokens_now(credentials);
  struct grant *grant = tokens_find(tokens, token, length);
  fluxbp_tokens_free(tokens);
  *problem = "unknown token";
  if (grant != NULL || !signed_tokens_is_one(token, length)) return grant;
  fluxbp_keys_t *keys = keys_now(credentials);
  if (keys != NULL) grant = signed_tokens_check(keys, &credentials->rules, token, length, now_s, problem);
  fluxbp_keys_free(keys);
  return grant;
}

struct grant *credentials_check(struct credentials *credentials, const char *token, size_t length, uint64_t now_s,
                                bool *is_revoked, const char **problem) {
  struct grant *grant = find_grant(credentials, token, length, now_s, problem);
  *is_revoked = grant != NULL && revocations_hold_for(credentials->revocations, grant, now_s);
  if (!*is_revoked) return grant;
  grant_unref(grant);
  *problem = "the token was revoked";
  return NULL;
}

struct grant *credentials_certificate(struct credentials *credentials, const char *name, size_t length) {
  fluxbp_tokens_t *tokens = tokens_now(credentials);
  struct grant *grant = tokens_find_certificate(tokens, name, length);
  fluxbp_tokens_free(tokens);
  if (grant != NULL) return grant;
  grant = grant_create();
  if (grant == NULL || grant_set_text(&grant->subject, name, length) == 0) return grant;
  grant_unref(grant);
  return NULL;
}

struct grant *credentials_renew(struct credentials *credentials, const struct grant *grant) {
  fluxbp_tokens_t *tokens = tokens_now(credentials);
  struct grant *renewed = tokens_find_mark(tokens, grant->store_mark);
  fluxbp_tokens_free(tokens);
  return renewed;
}
