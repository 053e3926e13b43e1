/* SPDX-License-Identifier: MIT */
/*
 * message: writing, reading, and a checksum for both; the messages of a process that were read lately.
 *
 * The checksum finds what a server could do to a message by mistake, all but one in four thousand million times; it is
 * no defence against an attacker.
 *
 * The cache has one place for each message, by the digits of its sequence number; a newer message takes the place. The
 * bytes are kept one behind the other and overwritten in that order.
 */
#include "common/message.h"

#include <stdbool.h>
#include <stdlib.h>

enum { RUN_AT = 4, PUBLISHER_AT = 13, SEQUENCE_AT = 16, SEQUENCE_DIGITS = 12, PLANNED_AT = 29, CHECKSUM_AT = 46 };

static const uint64_t odd_number = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t load(const char *data, size_t length) {
  uint64_t word = 0;
  memcpy(&word, data, length);
  return word;
}

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * odd_number;
  return hash ^ hash >> 32;
}

static uint64_t mix_bytes(uint64_t hash, const char *data, size_t length) {
  size_t at = 0;
  for (; length - at >= 8; at += 8) hash = mix(hash, load(data + at, 8));
  return mix(hash ^ length, load(data + at, length - at));
}

static uint32_t checksum(const char *data, size_t length) {
  uint64_t header = mix_bytes(odd_number, data, CHECKSUM_AT);
  return (uint32_t) (mix_bytes(header, data + MESSAGE_HEADER_BYTES, length - MESSAGE_HEADER_BYTES) >> 16);
}

/* Read a number. Other characters count as some digit; the checksum, which is over the characters, finds them. */
static uint64_t read_hex(const char *data, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) value = value << 4 | (((uint64_t) data[i] & 15) + 9 * ((uint64_t) data[i] >> 6 & 1));
  return value;
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
  message->run = (uint32_t) read_hex(data + RUN_AT, 8);
  message->publisher = (uint32_t) read_hex(data + PUBLISHER_AT, 2);
  message->sequence = read_hex(data + SEQUENCE_AT, SEQUENCE_DIGITS);
  message->planned_ns = read_hex(data + PLANNED_AT, 16);
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
#define KEPT_BYTES ((size_t) 4 << 20)

/* Longer messages are read each time: copies of all that are in flight would be too much. */
static const size_t max_kept_bytes = KEPT_BYTES / 64;

struct place {
  struct message message;
  size_t length; /* 0: nothing is kept */
  size_t at;     /* offset of the copy */
};

struct message_cache {
  struct place places[1 << PLACES_BITS];
  size_t end; /* offset of the next copy */
  char bytes[KEPT_BYTES];
};

struct message_cache *message_cache_create(void) {
  return calloc(1, sizeof(struct message_cache));
}

enum message_outcome message_cache_read(struct message_cache *cache, const char *data, size_t length,
                                        struct message *message) {
  if (length < MESSAGE_HEADER_BYTES || length > max_kept_bytes) return message_read(data, length, message);
  uint64_t last_digits = load(data + SEQUENCE_AT + SEQUENCE_DIGITS - 8, 8);
  struct place *place = &cache->places[last_digits * odd_number >> (64 - PLACES_BITS)];
  /* A copy that was overwritten since is another message, whose sequence number would have led to another place. */
  if (place->length == length && memcmp(&cache->bytes[place->at], data, length) == 0) {
    *message = place->message;
    return MESSAGE_OK;
  }
  enum message_outcome outcome = message_read(data, length, message);
  if (outcome != MESSAGE_OK) return outcome;
  if (cache->end + length > KEPT_BYTES) cache->end = 0;
  *place = (struct place){.message = *message, .length = length, .at = cache->end};
  memcpy(&cache->bytes[cache->end], data, length);
  cache->end += length;
  return MESSAGE_OK;
}
