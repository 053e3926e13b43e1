/* SPDX-License-Identifier: MIT */
/*
 * accounts: what the clients of each address, and those of each subject, have together, and the buckets for what they
 * do. An account is there while anything is counted in it, so there are never more of these than connections, topics
 * and keys. After that it stays while its buckets aren't full, so that clients which come again have no new one: it
 * is idle then. There are at most ACCOUNTS_IDLE_MAX idle ones; then the one that was idle first goes. Thread: any.
 *
 * An address is an IPv4 address or an IPv6 /64 prefix (network_key); a subject is a hash with a secret of the server.
 */
#ifndef FLUXBP_SERVER_ACCOUNTS_H
#define FLUXBP_SERVER_ACCOUNTS_H

#include "limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCOUNTS_IDLE_MAX 16384

/* Of an account: for what clients do, and for what they resume. See bucket.h. */
enum account_bucket { BUCKET_RATE, BUCKET_REPLAYS, ACCOUNT_BUCKETS };

struct account;
struct accounts;

/* The accounts in which something is counted; NULL: no account. */
struct payers {
  struct account *list[PAYERS];
};

/** Make an empty table. @return NULL: out of memory */
struct accounts *accounts_create(struct limits *limits);

/** Free a table. Nothing may be counted any more. NULL is allowed. */
void accounts_free(struct accounts *accounts);

/** Return how many accounts there are. */
size_t accounts_count(struct accounts *accounts);

/**
 * Count a connection, also if it is one too many.
 *
 * @param now_ns the time, by which the table finds out which idle accounts may go
 * @param over gets by how many connections the account is over its limit; 0: this one may be served
 * @return its account; NULL: out of memory
 */
struct account *accounts_join(struct accounts *accounts, enum payer payer, uint64_t key, uint64_t now_ns,
                              uint32_t *over);

/** Return whether an account has that key. */
bool account_is_of(const struct account *account, uint64_t key);

/** Count more, whatever the limit is. NULL is no account. */
void account_add(struct account *account, enum quota quota, uint32_t count);

/** Count less. The account may be gone then. NULL is no account. */
void account_remove(struct account *account, enum quota quota, uint32_t count);

/** Return when a bucket of an account is full; 0: it is, or there is no account. */
uint64_t account_full_ns(const struct account *account, enum account_bucket bucket);

/** Return the time until a bucket of an account isn't below empty; 0: it isn't, or there is no account. */
uint64_t account_wait_ns(const struct account *account, enum account_bucket bucket, uint64_t now_ns);

/** Take so much from a bucket of an account. NULL is no account. */
void account_pay(struct account *account, enum account_bucket bucket, uint64_t cost_ns, uint64_t now_ns);

/**
 * Count one more for all payers.
 *
 * @return NULL, or the words for the client if one of them has as many as it may; then nothing was counted, but the
 *   refusal
 */
const char *payers_take(const struct payers *payers, enum quota quota);

/** Count so many less for all payers. */
void payers_give_back(const struct payers *payers, enum quota quota, uint32_t count);

#endif
