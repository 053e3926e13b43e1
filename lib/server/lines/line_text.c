/* SPDX-License-Identifier: MIT */
/*
 * line_text: see the header. Most text has none of the bytes that a line end begins with, and is stepped over eight
 * bytes or more at a time.
 */
#include "line_text.h"

#include <stdint.h>
#include <string.h>

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* The highest bit of each byte that is less than `limit`, and perhaps of bytes behind such a one. */
static uint64_t bytes_below(uint64_t eight, unsigned char limit) {
  return (eight - EACH_BYTE(limit)) & ~eight & EACH_BYTE(0x80);
}

static bool may_have_line_end(uint64_t eight) {
  return (bytes_below(eight, ' ') | bytes_below(eight ^ EACH_BYTE(0xc2), 1) |
          bytes_below(eight ^ EACH_BYTE(0xe2), 1)) != 0;
}

static uint64_t eight_at(const unsigned char *bytes) {
  uint64_t eight;
  memcpy(&eight, bytes, sizeof eight);
  return eight;
}

/* The highest bit of a byte is set, if one of eight is below ' ' or from 0xa0 on: all that line ends begin with. */
static uint64_t unusual(uint64_t eight) {
  return eight - EACH_BYTE(' ');
}

/* Whether 32 bytes have none of these, as most text. */
static bool are_usual(const unsigned char *bytes) {
  uint64_t all = unusual(eight_at(bytes)) | unusual(eight_at(bytes + 8)) | unusual(eight_at(bytes + 16)) |
                 unusual(eight_at(bytes + 24));
  return (all & EACH_BYTE(0x80)) == 0;
}

/* Bytes in which no line end begins. */
static size_t count_plain(const unsigned char *bytes, size_t length) {
  size_t count = 0;
  while (length - count >= 32 && are_usual(bytes + count)) count += 32;
  while (length - count >= 8 && !may_have_line_end(eight_at(bytes + count))) count += 8;
  if (length - count < 8 && length >= 8 && !may_have_line_end(eight_at(bytes + length - 8))) return length;
  return count;
}

static bool begins_with_line_end(const unsigned char *bytes, size_t length) {
  switch (bytes[0]) {
  case '\n':
  case '\v':
  case '\f':
  case '\r':
  case 0x1c:
  case 0x1d:
  case 0x1e:
    return true;
  case 0xc2:
    return length >= 2 && bytes[1] == 0x85;
  case 0xe2:
    return length >= 3 && bytes[1] == 0x80 && (bytes[2] == 0xa8 || bytes[2] == 0xa9);
  default:
    return false;
  }
}

bool line_text_is_one_line(const void *data, size_t length) {
  const unsigned char *bytes = data;
  size_t at = count_plain(bytes, length);
  while (at < length) {
    if (begins_with_line_end(bytes + at, length - at)) return false;
    at++;
    at += count_plain(bytes + at, length - at);
  }
  return true;
}

size_t line_text_trimmed(const char *data, size_t length) {
  if (length == 0 || data[length - 1] != '\n') return length;
  length--;
  return length > 0 && data[length - 1] == '\r' ? length - 1 : length;
}

size_t line_text_mark(const char *data, size_t length) {
  bool has_mark = length >= BYTE_ORDER_MARK_BYTES && memcmp(data, "\xef\xbb\xbf", BYTE_ORDER_MARK_BYTES) == 0;
  return has_mark ? BYTE_ORDER_MARK_BYTES : 0;
}
