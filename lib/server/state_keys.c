/* SPDX-License-Identifier: MIT */
/*
 * state_keys: for each state topic a hash table of its keys, and two queues in the order of time: keys with a value,
 * the one that was set longest ago first, and promised keys.
 */
#include "state_keys.h"

#include "queue.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUCKETS_MIN 64
#define PROMISE_MS 10000

struct entry {
  struct entry *next;     /* in its bucket */
  struct queue_link link; /* in one of the queues */
  uint64_t number;
  uint64_t since_ms; /* that it has its value, or is promised */
  bool has_value;
  size_t bytes;         /* of its value */
  struct payers payers; /* it is counted there */
  char key[];
};

struct state_topic_keys {
  struct entry **buckets;
  size_t bucket_count; /* a power of two */
  uint32_t count;      /* of both kinds */
  uint32_t promised;
  struct queue values, promises;
};

struct state_keys {
  uv_mutex_t lock;
  uint32_t max_keys;
  uint64_t bytes; /* of all values */
  size_t topic_count;
  struct state_topic_keys topics[];
};

struct state_keys *state_keys_create(size_t topics, uint32_t max_keys) {
  struct state_keys *keys = calloc(1, sizeof *keys + topics * sizeof keys->topics[0]);
  if (keys == NULL) return NULL;
  keys->max_keys = max_keys;
  if (uv_mutex_init(&keys->lock) != 0) {
    free(keys);
    return NULL;
  }
  for (; keys->topic_count < topics; keys->topic_count++) {
    struct state_topic_keys *topic = &keys->topics[keys->topic_count];
    queue_init(&topic->values);
    queue_init(&topic->promises);
    topic->bucket_count = BUCKETS_MIN;
    topic->buckets = calloc(BUCKETS_MIN, sizeof topic->buckets[0]);
    if (topic->buckets != NULL) continue;
    state_keys_free(keys);
    return NULL;
  }
  return keys;
}

static struct entry **bucket_of(const struct state_topic_keys *topic, uint64_t number) {
  return &topic->buckets[number & (topic->bucket_count - 1)];
}

static struct entry *find_key(const struct state_topic_keys *topic, uint64_t number) {
  struct entry *entry = *bucket_of(topic, number);
  while (entry != NULL && entry->number != number) entry = entry->next;
  return entry;
}

static void drop_key(struct state_topic_keys *topic, struct entry *entry) {
  struct entry **link = bucket_of(topic, entry->number);
  while (*link != entry) link = &(*link)->next;
  *link = entry->next;
  queue_remove(&entry->link);
  topic->count--;
  if (!entry->has_value) topic->promised--;
  payers_give_back(&entry->payers, QUOTA_KEYS, 1);
  free(entry);
}

static struct entry *first_of(const struct queue *queue) {
  struct queue_link *first = queue_first(queue);
  return first != NULL ? QUEUE_ITEM(first, struct entry, link) : NULL;
}

void state_keys_free(struct state_keys *keys) {
  if (keys == NULL) return;
  for (size_t i = 0; i < keys->topic_count; i++) {
    struct state_topic_keys *topic = &keys->topics[i];
    struct entry *entry;
    while ((entry = first_of(&topic->values)) != NULL) drop_key(topic, entry);
    while ((entry = first_of(&topic->promises)) != NULL) drop_key(topic, entry);
    free(topic->buckets);
  }
  uv_mutex_destroy(&keys->lock);
  free(keys);
}

/* Keep the chains short; without memory for it they get longer. */
static void grow_buckets(struct state_topic_keys *topic) {
  if (topic->count < topic->bucket_count) return;
  struct state_topic_keys larger = *topic;
  larger.bucket_count = topic->bucket_count * 2;
  larger.buckets = calloc(larger.bucket_count, sizeof larger.buckets[0]);
  if (larger.buckets == NULL) return;
  for (size_t i = 0; i < topic->bucket_count; i++) {
    for (struct entry *entry = topic->buckets[i], *next; entry != NULL; entry = next) {
      next = entry->next;
      entry->next = *bucket_of(&larger, entry->number);
      *bucket_of(&larger, entry->number) = entry;
    }
  }
  free(topic->buckets);
  topic->buckets = larger.buckets;
  topic->bucket_count = larger.bucket_count;
}

/* As a promise. */
static int add_key(struct state_topic_keys *topic, struct state_change *change, uint64_t now_ms) {
  size_t size = strlen(change->key) + 1;
  struct entry *entry = calloc(1, sizeof *entry + size);
  if (entry == NULL) return UV_ENOMEM;
  change->refusal = payers_take(&change->payers, QUOTA_KEYS);
  if (change->refusal != NULL) {
    free(entry);
    return UV_ENFILE;
  }
  grow_buckets(topic);
  entry->payers = change->payers;
  entry->number = change->number;
  entry->since_ms = now_ms;
  memcpy(entry->key, change->key, size);
  entry->next = *bucket_of(topic, entry->number);
  *bucket_of(topic, entry->number) = entry;
  queue_append(&topic->promises, &entry->link);
  topic->count++;
  topic->promised++;
  return 0;
}

static uint32_t values_of(const struct state_topic_keys *topic) {
  return topic->count - topic->promised;
}

int state_keys_begin(struct state_keys *keys, struct state_change *change) {
  struct state_topic_keys *topic = &keys->topics[change->topic];
  int err = 0;
  uv_mutex_lock(&keys->lock);
  const struct entry *known = find_key(topic, change->number);
  bool is_new = !change->removes && (known == NULL || !known->has_value);
  if (is_new && values_of(topic) >= keys->max_keys)
    err = UV_ENOSPC;
  else if (is_new && known == NULL)
    err = add_key(topic, change, 0); /* goes again if it isn't published */
  if (err != 0) uv_mutex_unlock(&keys->lock);
  return err;
}

static void give_value(struct state_topic_keys *topic, struct entry *entry, uint64_t now_ms) {
  if (!entry->has_value) topic->promised--;
  entry->has_value = true;
  entry->since_ms = now_ms;
  queue_remove(&entry->link);
  queue_append(&topic->values, &entry->link);
}

void state_keys_end(struct state_keys *keys, const struct state_change *change, bool is_published, uint64_t now_ms) {
  struct state_topic_keys *topic = &keys->topics[change->topic];
  struct entry *entry = find_key(topic, change->number);
  bool is_temporary = entry != NULL && !entry->has_value && entry->since_ms == 0;
  if (is_published && entry != NULL) {
    keys->bytes = keys->bytes - entry->bytes + change->bytes; /* size_t may have fewer bits */
    entry->bytes = change->bytes;
  }
  if (is_published && !change->removes)
    give_value(topic, entry, now_ms);
  else if (entry != NULL && (is_temporary || (is_published && entry->has_value)))
    drop_key(topic, entry);
  uv_mutex_unlock(&keys->lock);
}

/* Another thread may have promised one since this one looked at the clock. */
static void drop_old_promises(struct state_topic_keys *topic, uint64_t now_ms) {
  struct entry *oldest;
  while ((oldest = first_of(&topic->promises)) != NULL && oldest->since_ms + PROMISE_MS <= now_ms)
    drop_key(topic, oldest);
}

int state_keys_promise(struct state_keys *keys, struct state_change *change, uint64_t now_ms) {
  struct state_topic_keys *topic = &keys->topics[change->topic];
  int err = 0;
  uv_mutex_lock(&keys->lock);
  struct entry *known = find_key(topic, change->number);
  if (known != NULL && !known->has_value) {
    known->since_ms = now_ms; /* the value before may never come back, so the place is this one's */
    queue_remove(&known->link);
    queue_append(&topic->promises, &known->link);
  } else if (known == NULL) {
    if (topic->count >= keys->max_keys) drop_old_promises(topic, now_ms);
    err = topic->count < keys->max_keys ? add_key(topic, change, now_ms) : UV_ENOSPC;
  }
  uv_mutex_unlock(&keys->lock);
  return err;
}

bool state_keys_begin_expiry(struct state_keys *keys, uint64_t until_ms, struct state_change *change,
                             char key[FLUXBP_SERVER_KEY_BYTES + 1]) {
  uv_mutex_lock(&keys->lock);
  for (size_t i = 0; i < keys->topic_count; i++) {
    const struct entry *oldest = first_of(&keys->topics[i].values);
    if (oldest == NULL || oldest->since_ms > until_ms) continue;
    memcpy(key, oldest->key, strlen(oldest->key) + 1);
    *change = (struct state_change){.topic = i, .key = key, .number = oldest->number, .removes = true};
    return true;
  }
  uv_mutex_unlock(&keys->lock);
  return false;
}

uint32_t state_keys_count(struct state_keys *keys, size_t topic) {
  uv_mutex_lock(&keys->lock);
  uint32_t count = values_of(&keys->topics[topic]);
  uv_mutex_unlock(&keys->lock);
  return count;
}

uint64_t state_keys_bytes(struct state_keys *keys) {
  uv_mutex_lock(&keys->lock);
  uint64_t bytes = keys->bytes;
  uv_mutex_unlock(&keys->lock);
  return bytes;
}
