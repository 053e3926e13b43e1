/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: a dense list, and behind it in the same piece of memory, once there are more than a few, an index by
 * topic: so finding, adding and removing one cost the same however many there are.
 *
 * A list grows by an eighth, and its index has a quarter more entries than the list has places: 24 bytes a subscription
 * at the most. The index probes linearly. An entry has the number of a place + 1, and above it as many bits of the
 * topic's hash as there is room for, so that nearly no probe looks at another subscription; 0 is empty. An entry that
 * is removed leaves no tombstone: those that come after it move up, as in address_table.c.
 */
#include "subscriptions.h"

#include "hash.h"
#include "pool.h"

#include <string.h>

/* Lists of up to so many places are searched: one or two cache lines more than an index would read. */
enum { SEARCHED_MAX = 16, STEP_FRACTION = 8 };

/* A list that isn't in the connection. The index is behind the places. */
typedef struct list {
  uint32_t capacity;
  uint32_t place_bits; /* the lower bits of an entry that have its place */
  fluxbp__subscription_t places[];
} list_t;

static uint32_t index_size(uint32_t capacity) {
  return capacity > SEARCHED_MAX ? capacity + (capacity + 3) / 4 : 0;
}

static size_t list_size(uint32_t capacity) {
  return sizeof(list_t) + capacity * sizeof(fluxbp__subscription_t) + index_size(capacity) * sizeof(uint32_t);
}

static list_t *list_of(const fluxbp_conn_t *conn) {
  return (list_t *) ((uintptr_t) conn->subscriptions - offsetof(list_t, places));
}

static bool has_index(const fluxbp_conn_t *conn) {
  return conn->has_subscription_list && list_of(conn)->capacity > SEARCHED_MAX;
}

static uint32_t *index_of(list_t *list) {
  return (uint32_t *) (list->places + list->capacity);
}

static uint32_t home_of(const list_t *list, uint64_t hash) {
  return (uint32_t) ((hash & UINT32_MAX) * index_size(list->capacity) >> 32);
}

static uint64_t hash_of(const struct fluxbp_topic *topic) {
  return fluxbp__hash_key((uintptr_t) topic);
}

/* The bits of the hash in an entry, where they are. */
static uint32_t tag_of(const list_t *list, uint64_t hash) {
  return (uint32_t) (hash >> 32) << list->place_bits;
}

static fluxbp__subscription_t *subscription_at(list_t *list, uint32_t entry) {
  return &list->places[(entry & (((uint32_t) 1 << list->place_bits) - 1)) - 1];
}

/* Return the place in the index of that topic's entry, or of the empty one where it would be. */
static uint32_t find_entry(list_t *list, const struct fluxbp_topic *topic) {
  const uint32_t *index = index_of(list);
  uint32_t size = index_size(list->capacity);
  uint64_t hash = hash_of(topic);
  uint32_t tag = tag_of(list, hash);
  uint32_t at = home_of(list, hash);
  for (; index[at] != 0; at = at + 1 < size ? at + 1 : 0) {
    bool may_be = (index[at] ^ tag) >> list->place_bits == 0;
    if (may_be && subscription_at(list, index[at])->topic == topic) break;
  }
  return at;
}

/* Enter the place with that number for a topic which isn't in the index. */
static void add_entry(list_t *list, const struct fluxbp_topic *topic, uint32_t place) {
  uint32_t *index = index_of(list);
  uint32_t size = index_size(list->capacity);
  uint64_t hash = hash_of(topic);
  uint32_t at = home_of(list, hash);
  while (index[at] != 0) at = at + 1 < size ? at + 1 : 0;
  index[at] = tag_of(list, hash) | (place + 1);
}

fluxbp__subscription_t *fluxbp__conn_subscription(const fluxbp_conn_t *conn, const struct fluxbp_topic *topic) {
  if (has_index(conn)) {
    list_t *list = list_of(conn);
    uint32_t entry = index_of(list)[find_entry(list, topic)];
    return entry != 0 ? subscription_at(list, entry) : NULL;
  }
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  for (uint32_t i = 0; i < conn->subscription_count; i++)
    if (subscriptions[i].topic == topic) return &subscriptions[i];
  return NULL;
}

void fluxbp__subscriptions_free(fluxbp_conn_t *conn) {
  if (conn->has_subscription_list)
    fluxbp__pool_free_object(fluxbp__conn_engine(conn)->pool, list_of(conn), list_size(list_of(conn)->capacity));
  conn->has_subscription_list = false;
}

static uint32_t capacity_of(const fluxbp_conn_t *conn) {
  return conn->has_subscription_list ? list_of(conn)->capacity : 1;
}

/* The number of bits that it takes to say `number`. */
static uint32_t bits_of(uint32_t number) {
  return 32 - (uint32_t) __builtin_clz(number);
}

int fluxbp__subscriptions_reserve(fluxbp_conn_t *conn) {
  uint32_t capacity = capacity_of(conn);
  if (conn->subscription_count < capacity) return 0;
  capacity += 1 + capacity / STEP_FRACTION;
  list_t *list = fluxbp__pool_alloc_object(fluxbp__conn_engine(conn)->pool, list_size(capacity));
  if (list == NULL) return UV_ENOMEM;
  list->capacity = capacity;
  list->place_bits = bits_of(capacity);
  memcpy(list->places, fluxbp__conn_subscriptions(conn), conn->subscription_count * sizeof *list->places);
  fluxbp__subscriptions_free(conn);
  conn->subscriptions = list->places;
  conn->has_subscription_list = true;
  if (!has_index(conn)) return 0;
  for (uint32_t i = 0; i < conn->subscription_count; i++) add_entry(list, list->places[i].topic, i);
  return 0;
}

fluxbp__subscription_t *fluxbp__subscriptions_add(fluxbp_conn_t *conn, struct fluxbp_topic *topic) {
  fluxbp__subscription_t *subscription = &fluxbp__conn_subscriptions(conn)[conn->subscription_count];
  if (has_index(conn)) add_entry(list_of(conn), topic, conn->subscription_count);
  *subscription = (fluxbp__subscription_t){.topic = topic};
  conn->subscription_count++;
  return subscription;
}

/* How far an entry is behind another one, around the end of the index. */
static uint32_t distance(uint32_t from, uint32_t to, uint32_t size) {
  return to >= from ? to - from : to + size - from;
}

/* Fill the hole with an entry that probing wouldn't find beyond it, and go on with the hole which that leaves. */
static void close_hole(list_t *list, uint32_t hole) {
  uint32_t *index = index_of(list);
  uint32_t size = index_size(list->capacity);
  for (uint32_t at = hole + 1 < size ? hole + 1 : 0; index[at] != 0; at = at + 1 < size ? at + 1 : 0) {
    uint32_t home = home_of(list, hash_of(subscription_at(list, index[at])->topic));
    if (distance(home, at, size) < distance(hole, at, size)) continue;
    index[hole] = index[at];
    hole = at;
  }
  index[hole] = 0;
}

void fluxbp__subscriptions_remove(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  const fluxbp__subscription_t *last = &subscriptions[conn->subscription_count - 1];
  if (has_index(conn)) {
    list_t *list = list_of(conn);
    close_hole(list, find_entry(list, subscription->topic));
    uint32_t tag = tag_of(list, hash_of(last->topic));
    if (last != subscription)
      index_of(list)[find_entry(list, last->topic)] = tag | ((uint32_t) (subscription - subscriptions) + 1);
  }
  *subscription = *last;
  conn->subscription_count--;
}
