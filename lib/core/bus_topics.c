/* SPDX-License-Identifier: MIT */
/*
 * bus_topics: a hash table from names to numbers under a lock, and chunks from numbers to names without one.
 *
 * A chunk is there before `count` is raised over its numbers, and stays. A number that is free again is the first to be
 * handed out, so that tables by number are as long as the most topics that there were at a time. Idle topics stand in
 * the order in which they were used last: the first that can't go yet is followed by none that can.
 */
#include "bus_topics.h"

#include "hash.h"
#include "pool.h"

#include <assert.h>
#include <string.h>

enum {
  BUCKETS_MIN = 16,
  RELEASED_AT_ONCE = 2 /* a call adds one at most */
};

#define NO_NUMBER UINT32_MAX

static size_t name_size(size_t length) {
  return sizeof(fluxbp__bus_name_t) + length + 1;
}

int fluxbp__bus_topics_init(fluxbp__bus_topics_t *topics, fluxbp_pool_t *pool, uint32_t max) {
  topics->pool = pool;
  topics->max = max;
  topics->first_free = NO_NUMBER;
  int err = uv_random(NULL, NULL, &topics->seed, sizeof topics->seed, 0, NULL);
  return err ? err : uv_mutex_init(&topics->lock);
}

static fluxbp__bus_name_t **bucket_of(const fluxbp__bus_topics_t *topics, uint64_t hash) {
  return &topics->buckets[hash & (topics->bucket_count - 1)];
}

static fluxbp__bus_place_t *place_of(const fluxbp__bus_topics_t *topics, uint32_t number) {
  return &topics->chunks[number / FLUXBP__BUS_TOPICS_CHUNK][number % FLUXBP__BUS_TOPICS_CHUNK];
}

static void free_name(const fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name) {
  fluxbp__pool_free_object(topics->pool, name, name_size(name->length));
}

void fluxbp__bus_topics_destroy(fluxbp__bus_topics_t *topics) {
  for (size_t i = 0; i < topics->bucket_count; i++) {
    for (fluxbp__bus_name_t *name = topics->buckets[i], *next; name != NULL; name = next) {
      next = name->next;
      free_name(topics, name);
    }
  }
  for (size_t i = 0; i < FLUXBP__BUS_TOPICS_CHUNKS; i++)
    fluxbp__pool_free_object(topics->pool, topics->chunks[i], FLUXBP__BUS_TOPICS_CHUNK * sizeof *topics->chunks[i]);
  fluxbp__pool_free_object(topics->pool, topics->buckets, topics->bucket_count * sizeof *topics->buckets);
  uv_mutex_destroy(&topics->lock);
}

bool fluxbp__bus_topics_want(const fluxbp__bus_topics_t *topics, const char *name, fluxbp__bus_wanted_t *wanted) {
  size_t length = name != NULL ? strnlen(name, FLUXBP_BUS_TOPIC_NAME_MAX + 1) : 0;
  if (length == 0 || length > FLUXBP_BUS_TOPIC_NAME_MAX) return false;
  *wanted = (fluxbp__bus_wanted_t){
      .text = name, .length = (uint32_t) length, .hash = fluxbp__hash_name(topics->seed, name, length)};
  return true;
}

/* ---- making them ---- */

static fluxbp__bus_name_t *find_topic(const fluxbp__bus_topics_t *topics, const fluxbp__bus_wanted_t *wanted) {
  if (topics->bucket_count == 0) return NULL;
  fluxbp__bus_name_t *name = *bucket_of(topics, wanted->hash);
  while (name != NULL && (name->hash != wanted->hash || strcmp(name->text, wanted->text) != 0)) name = name->next;
  return name;
}

/* Keep the chains short; without memory for it they get longer. */
static int grow_buckets(fluxbp__bus_topics_t *topics) {
  if (topics->used < topics->bucket_count) return 0;
  fluxbp__bus_topics_t grown = {.bucket_count = topics->bucket_count ? topics->bucket_count * 2 : BUCKETS_MIN};
  grown.buckets = fluxbp__pool_alloc_object(topics->pool, grown.bucket_count * sizeof *grown.buckets);
  if (grown.buckets == NULL) return topics->bucket_count ? 0 : UV_ENOMEM;

  for (size_t i = 0; i < topics->bucket_count; i++) {
    for (fluxbp__bus_name_t *name = topics->buckets[i], *next; name != NULL; name = next) {
      next = name->next;
      name->next = *bucket_of(&grown, name->hash);
      *bucket_of(&grown, name->hash) = name;
    }
  }
  fluxbp__pool_free_object(topics->pool, topics->buckets, topics->bucket_count * sizeof *topics->buckets);
  topics->buckets = grown.buckets;
  topics->bucket_count = grown.bucket_count;
  return 0;
}

/* There is a place for the number that is handed out next. */
static int grow_chunks(fluxbp__bus_topics_t *topics) {
  uint32_t count = atomic_load_explicit(&topics->count, memory_order_relaxed);
  if (topics->first_free != NO_NUMBER) return 0;
  fluxbp__bus_place_t **chunk = &topics->chunks[count / FLUXBP__BUS_TOPICS_CHUNK];
  if (*chunk == NULL) *chunk = fluxbp__pool_alloc_object(topics->pool, FLUXBP__BUS_TOPICS_CHUNK * sizeof **chunk);
  return *chunk == NULL ? UV_ENOMEM : 0;
}

static uint32_t take_number(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name) {
  uint32_t count = atomic_load_explicit(&topics->count, memory_order_relaxed);
  uint32_t number = topics->first_free != NO_NUMBER ? topics->first_free : count;
  fluxbp__bus_place_t *place = place_of(topics, number);
  if (number < count) topics->first_free = place->next_free;
  atomic_store_explicit(&place->name, name, memory_order_release);
  if (number == count) atomic_store_explicit(&topics->count, count + 1, memory_order_release);
  return number;
}

static int add_topic(fluxbp__bus_topics_t *topics, const fluxbp__bus_wanted_t *wanted, fluxbp__bus_name_t **out) {
  if (topics->used == topics->max) return topics->idle > 0 ? UV_EAGAIN : UV_ENOSPC;
  int err = grow_buckets(topics);
  if (!err) err = grow_chunks(topics);
  if (err) return err;

  fluxbp__bus_name_t *name = fluxbp__pool_alloc_object(topics->pool, name_size(wanted->length));
  if (name == NULL) return UV_ENOMEM;
  name->serial = ++topics->last_serial;
  name->hash = wanted->hash;
  name->length = wanted->length;
  memcpy(name->text, wanted->text, wanted->length + 1);
  name->number = take_number(topics, name);
  name->next = *bucket_of(topics, name->hash);
  *bucket_of(topics, name->hash) = name;
  topics->used++;
  *out = name;
  return 0;
}

int fluxbp__bus_topics_take(fluxbp__bus_topics_t *topics, const fluxbp__bus_wanted_t *wanted, fluxbp__bus_name_t **name,
                            bool *is_new) {
  *name = find_topic(topics, wanted);
  *is_new = *name == NULL;
  return *is_new ? add_topic(topics, wanted, name) : 0;
}

void fluxbp__bus_topics_drop(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name) {
  fluxbp__bus_place_t *place = place_of(topics, name->number);
  atomic_store_explicit(&place->name, NULL, memory_order_release);
  place->next_free = topics->first_free;
  topics->first_free = name->number;

  fluxbp__bus_name_t **link = bucket_of(topics, name->hash);
  while (*link != name) link = &(*link)->next;
  *link = name->next;
  topics->used--;
  free_name(topics, name);
}

/* ---- idle topics ---- */

static bool is_idle(const fluxbp__bus_topics_t *topics, const fluxbp__bus_name_t *name) {
  return name->before != NULL || topics->oldest == name;
}

static void append_idle(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name, uint64_t last_use) {
  assert(topics->newest == NULL || topics->newest->last_use <= last_use);
  name->last_use = last_use;
  name->before = topics->newest;
  name->behind = NULL;
  *(topics->newest != NULL ? &topics->newest->behind : &topics->oldest) = name;
  topics->newest = name;
  topics->idle++;
}

static void remove_idle(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name) {
  *(name->before != NULL ? &name->before->behind : &topics->oldest) = name->behind;
  *(name->behind != NULL ? &name->behind->before : &topics->newest) = name->before;
  name->before = name->behind = NULL;
  topics->idle--;
}

void fluxbp__bus_topics_hold(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name) {
  if (is_idle(topics, name)) remove_idle(topics, name);
  name->holders++;
}

void fluxbp__bus_topics_note_use(fluxbp__bus_topics_t *topics, fluxbp__bus_name_t *name, uint64_t position) {
  if (name->holders > 0) return;
  if (is_idle(topics, name)) remove_idle(topics, name);
  append_idle(topics, name, position);
}

bool fluxbp__bus_topics_give_up(fluxbp__bus_topics_t *topics, uint32_t number, uint64_t last_use) {
  if (fluxbp__bus_topics_at(topics, number) == NULL) return false;
  fluxbp__bus_name_t *name = atomic_load_explicit(&place_of(topics, number)->name, memory_order_relaxed);
  if (name->holders == 0) return false;
  if (--name->holders == 0) append_idle(topics, name, last_use);
  return true;
}

void fluxbp__bus_topics_release_passed(fluxbp__bus_topics_t *topics, uint64_t cursor) {
  for (int i = 0; i < RELEASED_AT_ONCE && fluxbp__bus_topics_has_passed(topics, cursor); i++) {
    fluxbp__bus_name_t *name = topics->oldest;
    remove_idle(topics, name);
    fluxbp__bus_topics_drop(topics, name);
  }
}
