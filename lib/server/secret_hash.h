/* SPDX-License-Identifier: MIT */
/*
 * secret_hash: 64-bit numbers for texts that strangers choose, keyed by a secret of this process, so that nobody can
 * look for two texts that share one. A number says nothing to another process, and is never stored or sent.
 */
#ifndef FLUXBP_SERVER_SECRET_HASH_H
#define FLUXBP_SERVER_SECRET_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a whole hash. */
#define SECRET_HASH_DIGEST_BYTES 32

struct secret_hash {
  unsigned char secret[32];
};

/** Draw a secret. @return 0 or a libuv error */
int secret_hash_init(struct secret_hash *hash);

/** The number of a text. Any thread. */
uint64_t secret_hash_of(const struct secret_hash *hash, const char *text);

/** Write a hash that is long enough to take the place of its text: two texts never share one. Any thread. */
void secret_hash_digest(const struct secret_hash *hash, const void *data, size_t length,
                        unsigned char digest[SECRET_HASH_DIGEST_BYTES]);

#endif
