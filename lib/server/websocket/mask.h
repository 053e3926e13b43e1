/* SPDX-License-Identifier: MIT */
/*
 * mask: taking the mask off what a WebSocket's client has sent (RFC 6455, 5.3). Pure.
 */
#ifndef FLUXBP_SERVER_WEBSOCKET_MASK_H
#define FLUXBP_SERVER_WEBSOCKET_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * Unmask `length` bytes at `data`, which begin `offset` bytes behind the first of their frame's payload. `out` is other
 * memory.
 */
static inline void websocket_unmask(const char *data, size_t length, const unsigned char mask[4], size_t offset,
                                    char *out) {
  unsigned char turned[8];
  uint64_t eight, bytes;
  size_t at = 0;
  for (size_t i = 0; i < sizeof turned; i++) turned[i] = mask[(offset + i) % 4];
  memcpy(&eight, turned, sizeof eight);
  for (; length - at >= sizeof bytes; at += sizeof bytes) {
    memcpy(&bytes, data + at, sizeof bytes);
    bytes ^= eight;
    memcpy(out + at, &bytes, sizeof bytes);
  }
  for (; at < length; at++) out[at] = (char) ((unsigned char) data[at] ^ turned[at % 4]);
}

#endif
