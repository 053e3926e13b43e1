/* SPDX-License-Identifier: MIT */
/*
 * message_cache: each message has one place, by the digits of its sequence number; a newer one takes it.
 */
#include "message_cache.h"

#include <stdlib.h>

#define PLACES_BITS 12
#define PLACES (1 << PLACES_BITS)

/* Longer ones are read each time: copies of all that are in flight would be too much. */
static const size_t max_kept_bytes = 4 * 1024;

struct place {
  struct message message;
  size_t length, capacity; /* 0: nothing is kept */
  char *bytes;
};

struct message_cache {
  struct place places[PLACES];
};

struct message_cache *message_cache_create(void) {
  return calloc(1, sizeof(struct message_cache));
}

void message_cache_free(struct message_cache *cache) {
  if (cache == NULL) return;
  for (size_t i = 0; i < PLACES; i++) free(cache->places[i].bytes);
  free(cache);
}

static struct place *place_of(struct message_cache *cache, const char *data) {
  uint64_t digits;
  memcpy(&digits, data + MESSAGE_SEQUENCE_END - sizeof digits, sizeof digits);
  return &cache->places[digits * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PLACES_BITS)];
}

static void keep(struct place *place, const char *data, size_t length, const struct message *message) {
  if (length > max_kept_bytes) return;
  if (length > place->capacity) {
    char *grown = realloc(place->bytes, length);
    if (grown == NULL) return;
    place->bytes = grown;
    place->capacity = length;
  }
  memcpy(place->bytes, data, length);
  place->length = length;
  place->message = *message;
}

enum message_outcome message_cache_read(struct message_cache *cache, const char *data, size_t length,
                                        struct message *message) {
  if (length < MESSAGE_HEADER_BYTES) return message_read(data, length, message);
  struct place *place = place_of(cache, data);
  if (place->length == length && memcmp(place->bytes, data, length) == 0) {
    *message = place->message;
    return MESSAGE_OK;
  }
  enum message_outcome outcome = message_read(data, length, message);
  if (outcome == MESSAGE_OK) keep(place, data, length, message);
  return outcome;
}
