/* SPDX-License-Identifier: MIT */
/*
 * authorizer_cache: answers of a backend that may be used again, by the hash of their question. The number of entries
 * has a limit: a new one takes the place of the one that was used longest ago. Time is an argument. Does no I/O.
 *
 * Thread: one. Cost: adding and finding look at a bucket of a few entries.
 */
#ifndef FLUXBP_SERVER_AUTHORIZER_CACHE_H
#define FLUXBP_SERVER_AUTHORIZER_CACHE_H

#include "authorizer_answer.h"
#include "server/secret_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authorizer_cache;

/** @param most entries; 0: nothing is kept. @return NULL: out of memory */
struct authorizer_cache *authorizer_cache_create(uint32_t most);

/** NULL is allowed. */
void authorizer_cache_free(struct authorizer_cache *cache);

/** Find an answer that is still good.
 * @param answer gets it; its grant is borrowed until the cache is changed. @return whether there is one */
bool authorizer_cache_find(struct authorizer_cache *cache, const unsigned char key[SECRET_HASH_DIGEST_BYTES],
                           uint64_t now_ms, struct authorizer_answer *answer);

/** Keep an answer, with a reference of its own, in place of an older one of the key. Without memory nothing is kept. */
void authorizer_cache_add(struct authorizer_cache *cache, const unsigned char key[SECRET_HASH_DIGEST_BYTES],
                          const struct authorizer_answer *answer, uint64_t until_ms);

/** Forget an answer. There need be none. */
void authorizer_cache_remove(struct authorizer_cache *cache, const unsigned char key[SECRET_HASH_DIGEST_BYTES]);

/** Return the number of entries, those included whose time is over. */
size_t authorizer_cache_count(const struct authorizer_cache *cache);

#endif
