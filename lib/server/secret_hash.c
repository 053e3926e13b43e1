/* SPDX-License-Identifier: MIT */
/*
 * secret_hash: the first 64 bits of HMAC-SHA-256.
 */
#include "secret_hash.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <uv.h>

int secret_hash_init(struct secret_hash *hash) {
  return uv_random(NULL, NULL, hash->secret, sizeof hash->secret, 0, NULL);
}

uint64_t secret_hash_of(const struct secret_hash *hash, const char *text) {
  unsigned char digest[SHA256_DIGEST_LENGTH] = {0};
  uint64_t number = 0;
  HMAC(EVP_sha256(), hash->secret, sizeof hash->secret, (const unsigned char *) text, strlen(text), digest, NULL);
  for (size_t i = 0; i < sizeof number; i++) number = number << 8 | digest[i];
  return number;
}
