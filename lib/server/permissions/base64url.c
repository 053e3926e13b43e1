/* SPDX-License-Identifier: MIT */
/*
 * base64url: see the header.
 */
#include "base64url.h"

#include <stdint.h>

static int value_of(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
  if (letter >= '0' && letter <= '9') return letter - '0' + 52;
  if (letter == '-') return 62;
  return letter == '_' ? 63 : -1;
}

ptrdiff_t base64url_decode(const char *text, size_t length, unsigned char *bytes) {
  size_t count = 0;
  uint32_t kept = 0;
  unsigned kept_bits = 0;
  if (length % 4 == 1) return -1;
  for (size_t i = 0; i < length; i++) {
    int value = value_of(text[i]);
    if (value < 0) return -1;
    kept = (kept << 6 | (uint32_t) value) & 0xfff;
    kept_bits += 6;
    if (kept_bits < 8) continue;
    kept_bits -= 8;
    bytes[count++] = (unsigned char) (kept >> kept_bits);
  }
  return (kept & ((1U << kept_bits) - 1)) == 0 ? (ptrdiff_t) count : -1;
}
