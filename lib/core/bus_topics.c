/* SPDX-License-Identifier: MIT */
/*
 * bus_topics: a hash table from names to numbers under a lock, and chunks from numbers to names without one.
 *
 * A chunk and a topic are written before `count` is raised over them, and never again; so a number below `count` can be
 * looked up while another thread adds.
 */
#include "bus_topics.h"

#include "hash.h"
#include "pool.h"

#include <string.h>

enum { BUCKETS_MIN = 16 };

struct fluxbp__bus_topic {
  fluxbp__bus_topic_t *next; /* in its bucket */
  uint64_t hash;
  uint32_t number;
  size_t name_len;
  char name[];
};

static size_t topic_size(size_t name_len) {
  return sizeof(fluxbp__bus_topic_t) + name_len + 1;
}

int fluxbp__bus_topics_init(fluxbp__bus_topics_t *topics, fluxbp_pool_t *pool) {
  topics->pool = pool;
  int err = uv_random(NULL, NULL, &topics->seed, sizeof topics->seed, 0, NULL);
  return err ? err : uv_mutex_init(&topics->lock);
}

static fluxbp__bus_topic_t **bucket_of(const fluxbp__bus_topics_t *topics, uint64_t hash) {
  return &topics->buckets[hash & (topics->bucket_count - 1)];
}

static fluxbp__bus_topic_t **place_of(const fluxbp__bus_topics_t *topics, uint32_t number) {
  return &topics->chunks[number / FLUXBP__BUS_TOPICS_CHUNK][number % FLUXBP__BUS_TOPICS_CHUNK];
}

static void link_topic(fluxbp__bus_topics_t *topics, fluxbp__bus_topic_t *topic) {
  fluxbp__bus_topic_t **bucket = bucket_of(topics, topic->hash);
  topic->next = *bucket;
  *bucket = topic;
}

void fluxbp__bus_topics_destroy(fluxbp__bus_topics_t *topics) {
  uint32_t count = atomic_load_explicit(&topics->count, memory_order_relaxed);
  for (uint32_t number = 0; number < count; number++) {
    fluxbp__bus_topic_t *topic = *place_of(topics, number);
    fluxbp__pool_free_object(topics->pool, topic, topic_size(topic->name_len));
  }
  for (size_t i = 0; i < FLUXBP__BUS_TOPICS_CHUNKS; i++)
    fluxbp__pool_free_object(topics->pool, topics->chunks[i], FLUXBP__BUS_TOPICS_CHUNK * sizeof *topics->chunks[i]);
  fluxbp__pool_free_object(topics->pool, topics->buckets, topics->bucket_count * sizeof *topics->buckets);
  uv_mutex_destroy(&topics->lock);
}

static fluxbp__bus_topic_t *find(const fluxbp__bus_topics_t *topics, uint64_t hash, const char *name) {
  if (topics->bucket_count == 0) return NULL;
  fluxbp__bus_topic_t *topic = *bucket_of(topics, hash);
  while (topic != NULL && (topic->hash != hash || strcmp(topic->name, name) != 0)) topic = topic->next;
  return topic;
}

/* Keep the chains short; without memory for it they get longer. */
static int grow_buckets(fluxbp__bus_topics_t *topics, uint32_t count) {
  if (count < topics->bucket_count) return 0;
  size_t bucket_count = topics->bucket_count ? topics->bucket_count * 2 : BUCKETS_MIN;
  fluxbp__bus_topic_t **buckets = fluxbp__pool_alloc_object(topics->pool, bucket_count * sizeof *buckets);
  if (buckets == NULL) return topics->bucket_count ? 0 : UV_ENOMEM;

  fluxbp__pool_free_object(topics->pool, topics->buckets, topics->bucket_count * sizeof *topics->buckets);
  topics->buckets = buckets;
  topics->bucket_count = bucket_count;
  for (uint32_t number = 0; number < count; number++) link_topic(topics, *place_of(topics, number));
  return 0;
}

static int grow_chunks(fluxbp__bus_topics_t *topics, uint32_t count) {
  fluxbp__bus_topic_t ***chunk = &topics->chunks[count / FLUXBP__BUS_TOPICS_CHUNK];
  if (*chunk == NULL) *chunk = fluxbp__pool_alloc_object(topics->pool, FLUXBP__BUS_TOPICS_CHUNK * sizeof **chunk);
  return *chunk == NULL ? UV_ENOMEM : 0;
}

static int add(fluxbp__bus_topics_t *topics, uint64_t hash, const char *name, size_t len, uint32_t *number) {
  uint32_t count = atomic_load_explicit(&topics->count, memory_order_relaxed);
  if (count == FLUXBP_BUS_TOPICS_MAX) return UV_ENOSPC;
  int err = grow_buckets(topics, count);
  if (!err) err = grow_chunks(topics, count);
  if (err) return err;

  fluxbp__bus_topic_t *topic = fluxbp__pool_alloc_object(topics->pool, topic_size(len));
  if (topic == NULL) return UV_ENOMEM;
  topic->hash = hash;
  topic->number = count;
  topic->name_len = len;
  memcpy(topic->name, name, len + 1);
  link_topic(topics, topic);
  *place_of(topics, count) = topic;
  *number = count;
  atomic_store_explicit(&topics->count, count + 1, memory_order_release);
  return 0;
}

int fluxbp__bus_topics_open(fluxbp__bus_topics_t *topics, const char *name, uint32_t *number) {
  size_t len = name != NULL ? strnlen(name, FLUXBP_BUS_TOPIC_NAME_MAX + 1) : 0;
  if (len == 0 || len > FLUXBP_BUS_TOPIC_NAME_MAX || number == NULL) return UV_EINVAL;

  uint64_t hash = fluxbp__hash_name(topics->seed, name, len);
  int err = 0;
  uv_mutex_lock(&topics->lock);
  const fluxbp__bus_topic_t *topic = find(topics, hash, name);
  if (topic != NULL)
    *number = topic->number;
  else
    err = add(topics, hash, name, len, number);
  uv_mutex_unlock(&topics->lock);
  return err;
}

const char *fluxbp__bus_topics_name(const fluxbp__bus_topics_t *topics, uint32_t number) {
  return fluxbp__bus_topics_has(topics, number) ? (*place_of(topics, number))->name : NULL;
}
