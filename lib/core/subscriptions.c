/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: a dense list, and behind it in the same piece of memory, once there are more than a few, an index by
 * topic: so finding, adding and removing one cost the same however many there are.
 *
 * The index has twice as many entries as the list has places, and probes linearly. An entry is the number of a place +
 * 1, or 0. One that is removed leaves no tombstone: those that come after it move up, as in address_table.c.
 */
#include "subscriptions.h"

#include "hash.h"
#include "pool.h"

#include <string.h>

/* Lists of up to 2^this places are searched: one or two cache lines more than an index would read. */
enum { SEARCHED_SHIFT = 4 };

static bool has_index(uint8_t shift) {
  return shift > SEARCHED_SHIFT;
}

static size_t memory_size(uint8_t shift) {
  size_t index_bytes = has_index(shift) ? 2 * sizeof(uint32_t) : 0;
  return (sizeof(fluxbp__subscription_t) + index_bytes) << shift;
}

static uint32_t *index_of(const fluxbp_conn_t *conn) {
  return (uint32_t *) (fluxbp__conn_subscriptions(conn) + ((size_t) 1 << conn->subscription_shift));
}

static uint32_t mask_of(const fluxbp_conn_t *conn) {
  return ((uint32_t) 2 << conn->subscription_shift) - 1;
}

static uint32_t home_of(const fluxbp_conn_t *conn, const struct fluxbp_topic *topic) {
  return (uint32_t) fluxbp__hash_key((uintptr_t) topic) & mask_of(conn);
}

/* Of the entry of that topic, or of the empty one where it would be. */
static uint32_t entry_of(const fluxbp_conn_t *conn, const struct fluxbp_topic *topic) {
  const fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  const uint32_t *index = index_of(conn);
  uint32_t entry = home_of(conn, topic);
  while (index[entry] != 0 && subscriptions[index[entry] - 1].topic != topic) entry = (entry + 1) & mask_of(conn);
  return entry;
}

fluxbp__subscription_t *fluxbp__conn_subscription(const fluxbp_conn_t *conn, const struct fluxbp_topic *topic) {
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  if (has_index(conn->subscription_shift)) {
    uint32_t place = index_of(conn)[entry_of(conn, topic)];
    return place != 0 ? &subscriptions[place - 1] : NULL;
  }
  for (uint32_t i = 0; i < conn->subscription_count; i++)
    if (subscriptions[i].topic == topic) return &subscriptions[i];
  return NULL;
}

void fluxbp__subscriptions_free(fluxbp_conn_t *conn) {
  if (conn->subscription_shift > 0)
    fluxbp__pool_free_object(fluxbp__conn_engine(conn)->pool, conn->subscriptions,
                             memory_size(conn->subscription_shift));
  conn->subscription_shift = 0;
}

int fluxbp__subscriptions_reserve(fluxbp_conn_t *conn) {
  if (conn->subscription_count >> conn->subscription_shift == 0) return 0;
  uint8_t shift = (uint8_t) (conn->subscription_shift + 1);
  fluxbp__subscription_t *grown = fluxbp__pool_alloc_object(fluxbp__conn_engine(conn)->pool, memory_size(shift));
  if (grown == NULL) return UV_ENOMEM;
  memcpy(grown, fluxbp__conn_subscriptions(conn), conn->subscription_count * sizeof *grown);
  fluxbp__subscriptions_free(conn);
  conn->subscriptions = grown;
  conn->subscription_shift = shift;
  if (!has_index(shift)) return 0;
  for (uint32_t i = 0; i < conn->subscription_count; i++) index_of(conn)[entry_of(conn, grown[i].topic)] = i + 1;
  return 0;
}

fluxbp__subscription_t *fluxbp__subscriptions_add(fluxbp_conn_t *conn, struct fluxbp_topic *topic) {
  fluxbp__subscription_t *subscription = &fluxbp__conn_subscriptions(conn)[conn->subscription_count];
  if (has_index(conn->subscription_shift)) index_of(conn)[entry_of(conn, topic)] = conn->subscription_count + 1;
  *subscription = (fluxbp__subscription_t){.topic = topic};
  conn->subscription_count++;
  return subscription;
}

/* Fill the hole with an entry that probing wouldn't find beyond it, and go on with the hole which that leaves. */
static void close_hole(const fluxbp_conn_t *conn, uint32_t hole) {
  const fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  uint32_t *index = index_of(conn);
  uint32_t mask = mask_of(conn);
  for (uint32_t entry = (hole + 1) & mask; index[entry] != 0; entry = (entry + 1) & mask) {
    uint32_t distance_from_home = (entry - home_of(conn, subscriptions[index[entry] - 1].topic)) & mask;
    if (distance_from_home < ((entry - hole) & mask)) continue;
    index[hole] = index[entry];
    hole = entry;
  }
  index[hole] = 0;
}

void fluxbp__subscriptions_remove(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  const fluxbp__subscription_t *last = &subscriptions[conn->subscription_count - 1];
  if (has_index(conn->subscription_shift)) {
    close_hole(conn, entry_of(conn, subscription->topic));
    if (last != subscription)
      index_of(conn)[entry_of(conn, last->topic)] = (uint32_t) (subscription - subscriptions) + 1;
  }
  *subscription = *last;
  conn->subscription_count--;
}
