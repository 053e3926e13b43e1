/* SPDX-License-Identifier: MIT */
/*
 * secret_hash: HMAC-SHA-256; a number is its first 64 bits.
 */
#include "secret_hash.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <uv.h>

_Static_assert(SECRET_HASH_DIGEST_BYTES == SHA256_DIGEST_LENGTH, "a digest is one of SHA-256");

int secret_hash_init(struct secret_hash *hash) {
  return uv_random(NULL, NULL, hash->secret, sizeof hash->secret, 0, NULL);
}

void secret_hash_digest(const struct secret_hash *hash, const void *data, size_t length,
                        unsigned char digest[SECRET_HASH_DIGEST_BYTES]) {
  memset(digest, 0, SECRET_HASH_DIGEST_BYTES);
  HMAC(EVP_sha256(), hash->secret, sizeof hash->secret, data, length, digest, NULL);
}

uint64_t secret_hash_of(const struct secret_hash *hash, const char *text) {
  unsigned char digest[SECRET_HASH_DIGEST_BYTES];
  uint64_t number = 0;
  secret_hash_digest(hash, text, strlen(text), digest);
  for (size_t i = 0; i < sizeof number; i++) number = number << 8 | digest[i];
  return number;
}
