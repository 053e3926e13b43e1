/* SPDX-License-Identifier: MIT */
/*
 * revocations: the subjects and the tokens that were revoked. A revocation of a subject holds for the tokens that were
 * issued up to then, so that the subject may come back with a newer one. A revocation is kept until the last token that
 * it holds for has expired.
 *
 * The texts themselves aren't kept, but 64 bits of a keyed hash of each.
 *
 * Thread: any.
 */
#ifndef FLUXBP_SERVER_REVOCATIONS_H
#define FLUXBP_SERVER_REVOCATIONS_H

#include "grant.h"
#include "server/secret_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most revocations that are kept at a time. */
#define REVOCATIONS_MAX 65536

/* What was revoked, and for how long. One of subject and token_id is NULL. Times are Unix times in seconds. */
struct revocation {
  const char *subject;
  const char *token_id;
  uint64_t issued_until_s; /* of a subject: tokens that were issued later, and say so, are good */
  uint64_t until_s;        /* when it is forgotten */
};

struct revocations;

/** @param hash has to live as long. @return NULL: out of memory */
struct revocations *revocations_create(const struct secret_hash *hash);

/** NULL is allowed. */
void revocations_free(struct revocations *revocations);

/** Add a revocation. One of the same text takes the place of an older one, and holds for as long as both.
 * @return 0, UV_ENOSPC: there are REVOCATIONS_MAX; or UV_ENOMEM */
int revocations_add(struct revocations *revocations, const struct revocation *revocation, uint64_t now_s);

/** Return whether a grant was revoked. */
bool revocations_hold_for(struct revocations *revocations, const struct grant *grant, uint64_t now_s);

/** Return the number of revocations that are kept. */
size_t revocations_count(struct revocations *revocations);

#endif
