/* SPDX-License-Identifier: MIT */
/*
 * accounts: a hash table with chains, under one lock. It is taken when a client comes or goes, subscribes, or makes a
 * topic or a key, and never for a message. Buckets are atomic: a command takes no lock. The number of chains is fixed;
 * at a hundred thousand accounts each has a few of them.
 */
#include "accounts.h"

#include "bucket.h"
#include "server/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#define CHAIN_BITS 14

struct account {
  struct account *next; /* in its chain */
  struct accounts *accounts;
  uint64_t key;
  enum payer payer;
  uint32_t counts[QUOTAS];
  atomic_uint_fast64_t full_ns[ACCOUNT_BUCKETS];
  struct queue_link idle; /* among the idle ones, while nothing is counted */
};

struct accounts {
  uv_mutex_t lock;
  struct limits *limits;
  size_t count;
  struct queue idle; /* the one that was idle first, first */
  size_t idle_count;
  uint64_t now_ns;     /* as of the last connection */
  uint64_t multiplier; /* random and odd: no client can choose addresses that share a chain */
  struct account *chains[1 << CHAIN_BITS];
};

struct accounts *accounts_create(struct limits *limits) {
  struct accounts *accounts = calloc(1, sizeof *accounts);
  if (accounts == NULL || uv_mutex_init(&accounts->lock) != 0) {
    free(accounts);
    return NULL;
  }
  accounts->limits = limits;
  queue_init(&accounts->idle);
  (void) uv_random(NULL, NULL, &accounts->multiplier, sizeof accounts->multiplier, 0, NULL);
  accounts->multiplier |= 1;
  return accounts;
}

size_t accounts_count(struct accounts *accounts) {
  uv_mutex_lock(&accounts->lock);
  size_t count = accounts->count;
  uv_mutex_unlock(&accounts->lock);
  return count;
}

static struct quota_limit *limit_of(const struct account *account, enum quota quota) {
  return &account->accounts->limits->quotas[quota][account->payer];
}

/* Return where the pointer to the account is, or would be. */
static struct account **find_account(struct accounts *accounts, enum payer payer, uint64_t key) {
  struct account **at = &accounts->chains[key * accounts->multiplier >> (64 - CHAIN_BITS)];
  while (*at != NULL && ((*at)->key != key || (*at)->payer != payer)) at = &(*at)->next;
  return at;
}

static void drop_account(struct account *account) {
  struct accounts *accounts = account->accounts;
  *find_account(accounts, account->payer, account->key) = account->next;
  if (queue_is_linked(&account->idle)) accounts->idle_count--;
  queue_remove(&account->idle);
  accounts->count--;
  free(account);
}

void accounts_free(struct accounts *accounts) {
  struct queue_link *first;
  if (accounts == NULL) return;
  while ((first = queue_first(&accounts->idle)) != NULL) drop_account(QUEUE_ITEM(first, struct account, idle));
  assert(accounts->count == 0 && "something is still counted");
  uv_mutex_destroy(&accounts->lock);
  free(accounts);
}

static struct account *make_account(struct accounts *accounts, enum payer payer, uint64_t key) {
  struct account **at = find_account(accounts, payer, key);
  if (*at != NULL) return *at;
  struct account *account = calloc(1, sizeof *account);
  if (account == NULL) return NULL;
  account->accounts = accounts;
  account->key = key;
  account->payer = payer;
  accounts->count++;
  *at = account;
  return account;
}

static bool is_empty(const struct account *account) {
  for (int quota = 0; quota < QUOTAS; quota++)
    if (account->counts[quota] > 0) return false;
  return true;
}

static bool is_full(const struct account *account) {
  for (int bucket = 0; bucket < ACCOUNT_BUCKETS; bucket++)
    if (atomic_load(&account->full_ns[bucket]) > account->accounts->now_ns) return false;
  return true;
}

/* Idle accounts that have become full go with the next ones, so they don't stay for long on a busy server. */
static void make_idle(struct account *account) {
  struct accounts *accounts = account->accounts;
  struct queue_link *first;
  queue_append(&accounts->idle, &account->idle);
  accounts->idle_count++;
  while ((first = queue_first(&accounts->idle)) != NULL) {
    struct account *oldest = QUEUE_ITEM(first, struct account, idle);
    if (accounts->idle_count <= ACCOUNTS_IDLE_MAX && !is_full(oldest)) return;
    drop_account(oldest);
  }
}

/* Nothing may be counted in it any more. */
static void leave_if_empty(struct account *account) {
  if (!is_empty(account)) return;
  if (is_full(account))
    drop_account(account);
  else
    make_idle(account);
}

struct account *accounts_join(struct accounts *accounts, enum payer payer, uint64_t key, uint64_t now_ns,
                              uint32_t *over) {
  uv_mutex_lock(&accounts->lock);
  if (accounts->now_ns < now_ns) accounts->now_ns = now_ns;
  struct account *account = make_account(accounts, payer, key);
  *over = 0;
  if (account != NULL) {
    if (queue_is_linked(&account->idle)) accounts->idle_count--;
    queue_remove(&account->idle);
    uint32_t connections = ++account->counts[QUOTA_CONNECTIONS];
    struct quota_limit *limit = limit_of(account, QUOTA_CONNECTIONS);
    if (limit->most > 0 && connections > limit->most) *over = connections - limit->most;
    if (*over > 0) atomic_fetch_add(&limit->reached, 1);
  }
  uv_mutex_unlock(&accounts->lock);
  return account;
}

bool account_is_of(const struct account *account, uint64_t key) {
  return account->key == key;
}

void account_add(struct account *account, enum quota quota, uint32_t count) {
  if (account == NULL) return;
  uv_mutex_lock(&account->accounts->lock);
  account->counts[quota] += count;
  uv_mutex_unlock(&account->accounts->lock);
}

void account_remove(struct account *account, enum quota quota, uint32_t count) {
  if (account == NULL) return;
  struct accounts *accounts = account->accounts;
  uv_mutex_lock(&accounts->lock);
  assert(account->counts[quota] >= count && "it was never counted");
  account->counts[quota] -= count;
  leave_if_empty(account);
  uv_mutex_unlock(&accounts->lock);
}

uint64_t account_full_ns(const struct account *account, enum account_bucket bucket) {
  return account != NULL ? atomic_load(&account->full_ns[bucket]) : 0;
}

uint64_t account_wait_ns(const struct account *account, enum account_bucket bucket, uint64_t now_ns) {
  return bucket_wait_ns(account_full_ns(account, bucket), BUCKET_NS, now_ns);
}

void account_pay(struct account *account, enum account_bucket bucket, uint64_t cost_ns, uint64_t now_ns) {
  if (account == NULL) return;
  atomic_uint_fast64_t *full = &account->full_ns[bucket];
  uint_fast64_t full_ns = atomic_load(full);
  while (!atomic_compare_exchange_weak(full, &full_ns, bucket_paid(full_ns, cost_ns, now_ns))) continue;
}

static bool is_at_limit(const struct account *account, enum quota quota) {
  if (account == NULL) return false;
  uint32_t most = limit_of(account, quota)->most;
  return most > 0 && account->counts[quota] >= most;
}

static struct quota_limit *find_limit_reached(const struct payers *payers, enum quota quota) {
  for (int payer = 0; payer < PAYERS; payer++)
    if (is_at_limit(payers->list[payer], quota)) return limit_of(payers->list[payer], quota);
  return NULL;
}

/* Return the table of the payers; NULL: there is no payer. */
static struct accounts *accounts_of(const struct payers *payers) {
  for (int payer = 0; payer < PAYERS; payer++)
    if (payers->list[payer] != NULL) return payers->list[payer]->accounts;
  return NULL;
}

const char *payers_take(const struct payers *payers, enum quota quota) {
  struct accounts *accounts = accounts_of(payers);
  if (accounts == NULL) return NULL;
  uv_mutex_lock(&accounts->lock);
  struct quota_limit *limit = find_limit_reached(payers, quota);
  for (int payer = 0; limit == NULL && payer < PAYERS; payer++)
    if (payers->list[payer] != NULL) payers->list[payer]->counts[quota]++;
  uv_mutex_unlock(&accounts->lock);
  if (limit == NULL) return NULL;
  atomic_fetch_add(&limit->reached, 1);
  return limit->text;
}

void payers_give_back(const struct payers *payers, enum quota quota, uint32_t count) {
  for (int payer = 0; payer < PAYERS; payer++) account_remove(payers->list[payer], quota, count);
}
