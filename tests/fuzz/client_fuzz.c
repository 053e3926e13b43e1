/* SPDX-License-Identifier: MIT */
/*
 * client_fuzz: a stream of the client library makes the same of any bytes as a whole, byte by byte, cut in two, and
 * when it is paused at each message.
 */
#include "support/client_stream.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says which protocol and dialect, the second one where to cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const fluxbp_client_protocol_t protocols[] = {FLUXBP_CLIENT_LINES, FLUXBP_CLIENT_LENGTH,
                                                       FLUXBP_CLIENT_WEBSOCKET, FLUXBP_CLIENT_SSE};
  static struct client_stream_told whole, other;
  if (size < 3) return 0;
  fluxbp_client_protocol_t protocol = protocols[data[0] % 4];
  int is_plain = data[0] >> 2 & 1, has_ids = data[0] >> 3 & 1;
  const char *bytes = (const char *) data + 2;
  size_t length = size - 2, cut = data[1] % length;
  client_stream_read(&whole, protocol, is_plain, has_ids, bytes, length, 0, length, 0);
  for (int way = 0; way < 4; way++) {
    size_t piece = way % 2 == 0 ? 1 : length;
    client_stream_read(&other, protocol, is_plain, has_ids, bytes, length, way % 2 == 0 ? 0 : cut, piece, way / 2);
    if (whole.length == other.length && memcmp(whole.text, other.text, whole.length) == 0) continue;
    fprintf(stderr, "whole:\n%s\nin pieces of %zu behind %zu, paused %d:\n%s\n", whole.text, piece, cut, way / 2,
            other.text);
    abort();
  }
  return 0;
}
