/* SPDX-License-Identifier: MIT */
/*
 * authorizer_cache: see the header. Buckets of a number that is fixed, and one list in the order of use. A key is a
 * hash with a secret of the process, so its first bytes serve as the bucket's number, and no client can choose them.
 */
#include "authorizer_cache.h"

#include "server/queue.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_OF_BUCKET 2 /* on average, when the cache is full */

struct entry {
  struct queue_link use; /* its place in the order of use */
  struct entry *next;    /* of its bucket */
  unsigned char key[SECRET_HASH_DIGEST_BYTES];
  struct authorizer_answer answer;
  uint64_t until_ms;
};

struct authorizer_cache {
  uint32_t most;
  size_t count;
  struct queue uses; /* the entry that was used longest ago is the first */
  size_t bucket_count;
  struct entry *buckets[];
};

struct authorizer_cache *authorizer_cache_create(uint32_t most) {
  size_t buckets = most / ENTRIES_OF_BUCKET + 1;
  struct authorizer_cache *cache = calloc(1, sizeof *cache + buckets * sizeof cache->buckets[0]);
  if (cache == NULL) return NULL;
  cache->most = most;
  cache->bucket_count = buckets;
  queue_init(&cache->uses);
  return cache;
}

static struct entry **bucket_of(struct authorizer_cache *cache, const unsigned char *key) {
  uint64_t number;
  memcpy(&number, key, sizeof number);
  return &cache->buckets[number % cache->bucket_count];
}

/* Return the place of the pointer to the entry of a key, or to NULL at the end of its bucket. */
static struct entry **place_of(struct authorizer_cache *cache, const unsigned char *key) {
  struct entry **place = bucket_of(cache, key);
  while (*place != NULL && memcmp((*place)->key, key, SECRET_HASH_DIGEST_BYTES) != 0) place = &(*place)->next;
  return place;
}

static void remove_at(struct authorizer_cache *cache, struct entry **place) {
  struct entry *entry = *place;
  *place = entry->next;
  queue_remove(&entry->use);
  grant_unref(entry->answer.grant);
  free(entry);
  cache->count--;
}

void authorizer_cache_remove(struct authorizer_cache *cache, const unsigned char key[SECRET_HASH_DIGEST_BYTES]) {
  struct entry **place = place_of(cache, key);
  if (*place != NULL) remove_at(cache, place);
}

void authorizer_cache_free(struct authorizer_cache *cache) {
  struct queue_link *first;
  if (cache == NULL) return;
  while ((first = queue_first(&cache->uses)) != NULL)
    authorizer_cache_remove(cache, QUEUE_ITEM(first, struct entry, use)->key);
  free(cache);
}

bool authorizer_cache_find(struct authorizer_cache *cache, const unsigned char key[SECRET_HASH_DIGEST_BYTES],
                           uint64_t now_ms, struct authorizer_answer *answer) {
  struct entry **place = place_of(cache, key);
  struct entry *entry = *place;
  if (entry == NULL) return false;
  if (entry->until_ms <= now_ms) {
    remove_at(cache, place);
    return false;
  }
  queue_remove(&entry->use);
  queue_append(&cache->uses, &entry->use);
  *answer = entry->answer;
  return true;
}

void authorizer_cache_add(struct authorizer_cache *cache, const unsigned char key[SECRET_HASH_DIGEST_BYTES],
                          const struct authorizer_answer *answer, uint64_t until_ms) {
  if (cache->most == 0) return;
  authorizer_cache_remove(cache, key);
  struct entry *entry = calloc(1, sizeof *entry);
  if (entry == NULL) return;
  if (cache->count == cache->most)
    authorizer_cache_remove(cache, QUEUE_ITEM(queue_first(&cache->uses), struct entry, use)->key);
  memcpy(entry->key, key, SECRET_HASH_DIGEST_BYTES);
  entry->answer = *answer;
  if (answer->grant != NULL) (void) grant_ref(answer->grant);
  entry->until_ms = until_ms;
  struct entry **bucket = bucket_of(cache, key);
  entry->next = *bucket;
  *bucket = entry;
  queue_append(&cache->uses, &entry->use);
  cache->count++;
}

size_t authorizer_cache_count(const struct authorizer_cache *cache) {
  return cache->count;
}
