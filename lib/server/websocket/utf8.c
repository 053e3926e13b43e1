/* SPDX-License-Identifier: MIT */
/*
 * utf8: see the header. Most text is ASCII, which is stepped over eight bytes at a time.
 */
#include "utf8.h"

#include <string.h>

/* Bytes of a character behind its first one. */
#define CONTINUATIONS_MAX 3

static size_t count_ascii(const uint8_t *bytes, size_t length) {
  size_t count = 0;
  uint64_t eight;
  while (length - count >= sizeof eight) {
    memcpy(&eight, bytes + count, sizeof eight);
    if ((eight & 0x8080808080808080u) != 0) break;
    count += sizeof eight;
  }
  while (count < length && bytes[count] < 0x80) count++;
  return count;
}

/* The first byte of a character that isn't ASCII. Only some second bytes are right after E0, ED, F0 and F4. */
static bool begin_character(struct utf8 *utf8, uint8_t byte) {
  if (byte < 0xc2 || byte > 0xf4) return false;
  *utf8 = (struct utf8){.missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3, .low = 0x80, .high = 0xbf};
  if (byte == 0xe0) utf8->low = 0xa0;  /* below: over-long */
  if (byte == 0xed) utf8->high = 0x9f; /* above: surrogates */
  if (byte == 0xf0) utf8->low = 0x90;  /* below: over-long */
  if (byte == 0xf4) utf8->high = 0x8f; /* above: nothing that Unicode has */
  return true;
}

static bool continue_character(struct utf8 *utf8, uint8_t byte) {
  if (byte < utf8->low || byte > utf8->high) return false;
  *utf8 = (struct utf8){.missing = (uint8_t) (utf8->missing - 1), .low = 0x80, .high = 0xbf};
  return true;
}

bool utf8_take(struct utf8 *utf8, const void *data, size_t length) {
  const uint8_t *bytes = data;
  size_t at = 0;
  while (at < length) {
    if (utf8->missing > 0) {
      if (!continue_character(utf8, bytes[at++])) return false;
      continue;
    }
    at += count_ascii(bytes + at, length - at);
    if (at < length && !begin_character(utf8, bytes[at++])) return false;
  }
  return true;
}

bool utf8_is_whole(const struct utf8 *utf8) {
  return utf8->missing == 0;
}

size_t utf8_cut(const void *data, size_t length, size_t max_bytes) {
  const uint8_t *bytes = data;
  if (length <= max_bytes) return length;
  size_t cut = max_bytes;
  while (cut > 0 && max_bytes - cut < CONTINUATIONS_MAX && (bytes[cut] & 0xc0) == 0x80) cut--;
  return (bytes[cut] & 0xc0) == 0x80 ? max_bytes : cut; /* it is no UTF-8: no place is better than another */
}
