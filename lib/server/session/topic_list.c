/* SPDX-License-Identifier: MIT */
/*
 * topic_list: an array, and behind it in the same piece of memory, once it is long, an index: the number of a place
 * + 1, or 0. It probes linearly; those that come after an entry that is removed move up. An array without an index is
 * searched: of the 256 topics that a client may have by default in some hundred cycles, and 8 bytes a topic are what a
 * million subscriptions take here.
 */
#include "topic_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4
#define CAPACITY_SEARCHED 256 /* up to which there is no index */

static bool has_index(const struct topic_list *list) {
  return list->capacity > CAPACITY_SEARCHED;
}

/* The entries of an index: a quarter of them are empty at the least, and more but for a full list. */
static uint32_t index_size(uint32_t capacity) {
  return capacity > CAPACITY_SEARCHED ? capacity + capacity / 3 : 0;
}

static size_t memory_size(uint32_t capacity) {
  return sizeof(struct topic_list) + capacity * sizeof(fluxbp_topic_t *) + index_size(capacity) * sizeof(uint32_t);
}

static uint32_t *index_of(struct topic_list *list) {
  return (uint32_t *) (void *) &list->topics[list->capacity];
}

/* Addresses are multiples of 16 and often neighbours: a product with an odd number spreads them over its high bits. */
static uint32_t home_of(const struct topic_list *list, const fluxbp_topic_t *topic) {
  uint64_t hash = (uint64_t) (uintptr_t) topic * UINT64_C(0x9e3779b97f4a7c15) >> 32;
  return (uint32_t) (hash * index_size(list->capacity) >> 32);
}

static uint32_t after(const struct topic_list *list, uint32_t entry) {
  return entry + 1 < index_size(list->capacity) ? entry + 1 : 0;
}

/* How far an entry is behind another one, around the end of the index. */
static uint32_t distance(const struct topic_list *list, uint32_t from, uint32_t to) {
  return to >= from ? to - from : to + index_size(list->capacity) - from;
}

/* The entry of that topic, or the empty one where it would be. */
static uint32_t entry_of(struct topic_list *list, const fluxbp_topic_t *topic) {
  const uint32_t *index = index_of(list);
  uint32_t entry = home_of(list, topic);
  while (index[entry] != 0 && list->topics[index[entry] - 1] != topic) entry = after(list, entry);
  return entry;
}

fluxbp_topic_t **topic_list_find(struct topic_list *list, const fluxbp_topic_t *topic) {
  if (has_index(list)) {
    uint32_t place = index_of(list)[entry_of(list, topic)];
    return place != 0 ? &list->topics[place - 1] : NULL;
  }
  for (uint32_t i = 0; i < list->count; i++)
    if (list->topics[i] == topic) return &list->topics[i];
  return NULL;
}

static struct topic_list *grow(struct topic_list *list) {
  uint32_t capacity = list != NULL ? list->capacity + list->capacity / 4 + 1 : CAPACITY_MIN;
  struct topic_list *grown = calloc(1, memory_size(capacity));
  if (grown == NULL) return NULL;
  grown->capacity = capacity;
  if (list == NULL) return grown;
  grown->count = list->count;
  memcpy(grown->topics, list->topics, list->count * sizeof list->topics[0]);
  for (uint32_t i = 0; has_index(grown) && i < grown->count; i++)
    index_of(grown)[entry_of(grown, grown->topics[i])] = i + 1;
  free(list);
  return grown;
}

int topic_list_add(struct topic_list **list, fluxbp_topic_t *topic) {
  if (*list == NULL || (*list)->count == (*list)->capacity) {
    struct topic_list *grown = grow(*list);
    if (grown == NULL) return UV_ENOMEM;
    *list = grown;
  }
  if (has_index(*list)) index_of(*list)[entry_of(*list, topic)] = (*list)->count + 1;
  (*list)->topics[(*list)->count++] = topic;
  return 0;
}

/* Fill the hole with an entry that probing wouldn't find beyond it, and go on with the hole which that leaves. */
static void close_hole(struct topic_list *list, uint32_t hole) {
  uint32_t *index = index_of(list);
  for (uint32_t entry = after(list, hole); index[entry] != 0; entry = after(list, entry)) {
    uint32_t home = home_of(list, list->topics[index[entry] - 1]);
    if (distance(list, home, entry) < distance(list, hole, entry)) continue;
    index[hole] = index[entry];
    hole = entry;
  }
  index[hole] = 0;
}

void topic_list_remove(struct topic_list *list, fluxbp_topic_t **place) {
  fluxbp_topic_t **last = &list->topics[list->count - 1];
  if (has_index(list)) {
    close_hole(list, entry_of(list, *place));
    if (place != last) index_of(list)[entry_of(list, *last)] = (uint32_t) (place - list->topics) + 1;
  }
  *place = *last;
  list->count--;
}
