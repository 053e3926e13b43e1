/* SPDX-License-Identifier: MIT */
/*
 * keys: the keys by which signed tokens are checked. They never change, and references are counted. Any thread.
 *
 * OpenSSL and jansson read the keys: libjose of Debian 12 knows no EdDSA, and would be a second way for the others.
 */
#ifndef FLUXBP_SERVER_KEYS_H
#define FLUXBP_SERVER_KEYS_H

#include <fluxbp/server/permissions.h>

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

enum key_algorithm { KEY_HS256, KEY_RS256, KEY_ES256, KEY_EDDSA };

struct key {
  enum key_algorithm algorithm;
  char *id;      /* "kid", or NULL */
  EVP_PKEY *key; /* public; or NULL, and then: */
  unsigned char *secret;
  size_t secret_length;
};

/** Take a reference, which fluxbp_keys_free gives back. NULL is allowed. @return the keys */
fluxbp_keys_t *keys_ref(fluxbp_keys_t *keys);

/** Return the number of keys, and one of them. NULL keys: 0. */
size_t keys_count(const fluxbp_keys_t *keys);
const struct key *keys_at(const fluxbp_keys_t *keys, size_t place);

/** Return the name of an algorithm as tokens have it ("RS256"). */
const char *key_algorithm_name(enum key_algorithm algorithm);

/** Find the algorithm of that name. @return false: the name is none of these */
bool key_algorithm_of(const char *name, enum key_algorithm *algorithm);

#endif
