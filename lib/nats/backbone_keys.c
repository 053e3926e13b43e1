/* SPDX-License-Identifier: MIT */
/*
 * backbone_keys: see the header.
 */
#include "backbone_keys.h"

#include <stddef.h>

static const char digits[] = "0123456789ABCDEF";

static bool is_plain(unsigned char byte) {
  return byte > ' ' && byte != 0x7f && byte != '%';
}

void key_encode(const char *key, char header[KEY_HEADER_BYTES]) {
  for (; *key != '\0'; key++) {
    unsigned char byte = (unsigned char) *key;
    if (is_plain(byte)) {
      *header++ = *key;
      continue;
    }
    *header++ = '%';
    *header++ = digits[byte >> 4];
    *header++ = digits[byte & 0xf];
  }
  *header = '\0';
}

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool key_decode(const char *header, char key[FLUXBP_SERVER_KEY_BYTES + 1]) {
  size_t length = 0;
  while (*header != '\0') {
    int high = *header == '%' ? digit_of(header[1]) : -1;
    int low = high >= 0 ? digit_of(header[2]) : -1;
    char byte = *header++;
    if (low >= 0) {
      byte = (char) (high << 4 | low);
      header += 2;
    }
    if (byte == '\0' || length == FLUXBP_SERVER_KEY_BYTES) return false;
    key[length++] = byte;
  }
  key[length] = '\0';
  return length > 0;
}
