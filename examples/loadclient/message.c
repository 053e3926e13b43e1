/* SPDX-License-Identifier: MIT */
/*
 * message: writing, reading, and a checksum for both; the messages of a process that were read lately.
 *
 * The checksum finds what a server could do to a message by mistake, all but one in four thousand million times; it is
 * no defence against an attacker. It takes 32 bytes at a time, each eight of them in a lane of their own, so that every
 * client can check every message.
 *
 * The cache has one place for each message, by the digits of its sequence number; a newer message takes the place.
 */
#include "message.h"

#include "values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

enum { RUN_AT = 4, PUBLISHER_AT = 13, SEQUENCE_AT = 16, SEQUENCE_DIGITS = 12, PLANNED_AT = 29, CHECKSUM_AT = 46 };

#define LANES 4
static const uint64_t odd_number = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t load(const char *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

static uint64_t mix(uint64_t lane, uint64_t word) {
  lane = (lane ^ word) * odd_number;
  return lane ^ lane >> 32;
}

/* The bytes left at the end are part of a last word, which overlaps the one before. */
static uint64_t checksum_header(const char *data) {
  uint64_t lane = odd_number;
  for (int i = 0; i < CHECKSUM_AT / 8; i++) lane = mix(lane, load(data + (ptrdiff_t) 8 * i));
  return mix(lane, load(data + CHECKSUM_AT - 8));
}

static uint64_t checksum_text(uint64_t seed, const char *data, size_t length) {
  uint64_t lanes[LANES] = {seed, seed + 1, seed + 2, seed + 3}, tail = 0;
  const char *end = data + length;
  for (; end - data >= 8 * LANES; data += 8 * LANES)
    for (int i = 0; i < LANES; i++) lanes[i] = mix(lanes[i], load(data + (ptrdiff_t) 8 * i));
  for (; end - data >= 8; data += 8) lanes[0] = mix(lanes[0], load(data));
  if (length >= 8)
    tail = load(end - 8);
  else
    memcpy(&tail, data, length);
  return mix(mix(mix(mix(tail ^ length, lanes[0]), lanes[1]), lanes[2]), lanes[3]);
}

static uint32_t checksum(const char *data, size_t length) {
  uint64_t seed = checksum_header(data);
  return (uint32_t) (checksum_text(seed, data + MESSAGE_HEADER_BYTES, length - MESSAGE_HEADER_BYTES) >> 16);
}

/* Eight characters, the first one in the highest byte, and back. */
static uint64_t load_in_order(const char *data) {
  uint64_t word = load(data);
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(word) : word;
}

/* Read eight digits at once. Other characters count as some digit; the checksum, which is over the characters, finds
 * them. */
static uint64_t read_hex8(const char *data) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t characters = load_in_order(data);
  uint64_t digits = (characters & 15 * ones) + 9 * (characters >> 6 & ones); /* bit 6 is set in letters */
  digits = (digits | digits >> 4) & UINT64_C(0x00ff00ff00ff00ff);
  digits = (digits | digits >> 8) & UINT64_C(0x0000ffff0000ffff);
  return (digits | digits >> 16) & UINT32_MAX;
}

static void write_hex(char *out, int digits, uint64_t value) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) out[i] = "0123456789abcdef"[value & 15];
}

/* Return whether the right characters stand between the numbers. The checksum covers the digits. */
static bool has_form(const char *data, size_t length) {
  return length >= MESSAGE_HEADER_BYTES && data[PUBLISHER_AT - 1] == '.' && data[SEQUENCE_AT - 1] == ' ' &&
         data[PLANNED_AT - 1] == ' ' && data[CHECKSUM_AT - 1] == ' ' &&
         (length == MESSAGE_HEADER_BYTES || data[MESSAGE_HEADER_BYTES] == ' ');
}

/* Compared as text: a checksum whose digits were changed is as wrong as any. */
static bool has_checksum(const char *data, size_t length) {
  char digits[8];
  write_hex(digits, 8, checksum(data, length));
  return memcmp(digits, data + CHECKSUM_AT, sizeof digits) == 0;
}

enum message_outcome message_read(const char *data, size_t length, struct message *message) {
  if (!message_is_one(data, length)) return MESSAGE_FOREIGN;
  *message = (struct message){0};
  if (!has_form(data, length)) return MESSAGE_CORRUPT;
  message->run = (uint32_t) read_hex8(data + RUN_AT);
  message->publisher = (uint32_t) (read_hex8(data + PUBLISHER_AT - 6) & 0xff); /* its two digits are the last ones */
  message->sequence = (read_hex8(data + SEQUENCE_AT) << 16) | (read_hex8(data + SEQUENCE_AT + 4) & 0xffff);
  message->planned_ns = read_hex8(data + PLANNED_AT) << 32 | read_hex8(data + PLANNED_AT + 8);
  return has_checksum(data, length) ? MESSAGE_OK : MESSAGE_CORRUPT;
}

size_t message_write(const struct message *message, const char *text, size_t length, char *out) {
  memcpy(out, "lc1 ", 4);
  write_hex(out + RUN_AT, 8, message->run);
  out[PUBLISHER_AT - 1] = '.';
  write_hex(out + PUBLISHER_AT, 2, message->publisher);
  out[SEQUENCE_AT - 1] = ' ';
  write_hex(out + SEQUENCE_AT, SEQUENCE_DIGITS, message->sequence);
  out[PLANNED_AT - 1] = ' ';
  write_hex(out + PLANNED_AT, 16, message->planned_ns);
  out[CHECKSUM_AT - 1] = ' ';
  size_t total = MESSAGE_HEADER_BYTES;
  if (length > 0) {
    out[total++] = ' ';
    memcpy(out + total, text, length);
    total += length;
  }
  write_hex(out + CHECKSUM_AT, 8, checksum(out, total));
  return total;
}

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
  memcpy(&digits, data + SEQUENCE_AT + SEQUENCE_DIGITS - sizeof digits, sizeof digits);
  return &cache->places[digits * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PLACES_BITS)];
}

static void keep_message(struct place *place, const char *data, size_t length, const struct message *message) {
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
  if (outcome == MESSAGE_OK) keep_message(place, data, length, message);
  return outcome;
}

/* Sizes */

static const uint64_t max_weight = 1000000;

static const char *read_part(struct sizes *sizes, const char *part, size_t length, uint32_t max_bytes) {
  const char *colon = memchr(part, ':', length);
  size_t range = colon != NULL ? (size_t) (colon - part) : length;
  const char *dash = memchr(part, '-', range);
  size_t first = dash != NULL ? (size_t) (dash - part) : range;
  uint64_t least, most, weight = 1;
  if (!values_read_bytes(part, first, &least)) return "a size is a number of bytes, such as 200 or 4K";
  most = least;
  if (dash != NULL && !values_read_bytes(dash + 1, range - first - 1, &most)) return "a range is such as 100-1000";
  if (least == 0 || least > most || most > max_bytes) return "sizes are from 1 byte to 1 MiB, the smaller one first";
  if (colon != NULL && !values_read_number(colon + 1, length - range - 1, max_weight, &weight))
    return "a weight is a whole number, such as 64:90,1024:10";
  if (sizes->count == SIZES_PARTS) return "there may be 16 sizes at most";
  sizes->parts[sizes->count].least = (uint32_t) least;
  sizes->parts[sizes->count].most = (uint32_t) most;
  sizes->parts[sizes->count].weight = (uint32_t) weight;
  sizes->weight_sum += weight;
  sizes->count++;
  return NULL;
}

const char *sizes_parse(struct sizes *sizes, const char *text, uint32_t max_bytes) {
  memset(sizes, 0, sizeof *sizes);
  for (const char *part = text;; part++) {
    size_t length = strcspn(part, ",");
    const char *problem = read_part(sizes, part, length, max_bytes);
    if (problem != NULL) return problem;
    part += length;
    if (*part == '\0') break;
  }
  return sizes->weight_sum > 0 ? NULL : "one of the weights has to be above 0";
}

uint32_t sizes_pick(const struct sizes *sizes, uint64_t random) {
  uint64_t point = (random >> 32) % sizes->weight_sum;
  uint32_t i = 0;
  while (point >= sizes->parts[i].weight) point -= sizes->parts[i++].weight;
  uint64_t span = (uint64_t) sizes->parts[i].most - sizes->parts[i].least + 1;
  return sizes->parts[i].least + (uint32_t) ((random & UINT32_MAX) % span);
}
