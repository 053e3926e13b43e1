/* SPDX-License-Identifier: MIT */
/*
 * address_counts: a hash table with chains, under one lock: a client is counted once when it comes and once when it
 * goes. The number of chains is fixed; at a hundred thousand addresses each has a few entries.
 */
#include "address_counts.h"

#include "networks.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#define CHAIN_BITS 14

struct entry {
  struct entry *next;
  uint64_t key;
  uint32_t count;
};

struct address_counts {
  uv_mutex_t lock;
  uint32_t most;
  uint64_t multiplier; /* random and odd: nobody can choose addresses that share a chain */
  struct entry *chains[1 << CHAIN_BITS];
};

struct address_counts *address_counts_create(uint32_t most) {
  struct address_counts *counts = calloc(1, sizeof *counts);
  if (counts == NULL || uv_mutex_init(&counts->lock) != 0) {
    free(counts);
    return NULL;
  }
  counts->most = most;
  (void) uv_random(NULL, NULL, &counts->multiplier, sizeof counts->multiplier, 0, NULL);
  counts->multiplier |= 1;
  return counts;
}

void address_counts_free(struct address_counts *counts) {
  if (counts == NULL) return;
  for (size_t i = 0; i < sizeof counts->chains / sizeof counts->chains[0]; i++)
    assert(counts->chains[i] == NULL && "a client is still counted");
  uv_mutex_destroy(&counts->lock);
  free(counts);
}

/* Where the pointer to the entry is, or would be. */
static struct entry **find_address(struct address_counts *counts, uint64_t key) {
  struct entry **at = &counts->chains[key * counts->multiplier >> (64 - CHAIN_BITS)];
  while (*at != NULL && (*at)->key != key) at = &(*at)->next;
  return at;
}

static bool add_address(struct address_counts *counts, uint64_t key) {
  struct entry **at = find_address(counts, key);
  if (*at == NULL) {
    *at = calloc(1, sizeof **at);
    if (*at == NULL) return false;
    (*at)->key = key;
  }
  if ((*at)->count >= counts->most) return false;
  (*at)->count++;
  return true;
}

bool address_counts_add(struct address_counts *counts, const struct sockaddr *address) {
  uv_mutex_lock(&counts->lock);
  bool is_counted = add_address(counts, network_key(address));
  uv_mutex_unlock(&counts->lock);
  return is_counted;
}

void address_counts_remove(struct address_counts *counts, const struct sockaddr *address) {
  uv_mutex_lock(&counts->lock);
  struct entry **at = find_address(counts, network_key(address));
  struct entry *entry = *at;
  assert(entry != NULL && "it was never counted");
  if (--entry->count == 0) {
    *at = entry->next;
    free(entry);
  }
  uv_mutex_unlock(&counts->lock);
}
