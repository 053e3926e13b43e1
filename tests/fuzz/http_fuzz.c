/* SPDX-License-Identifier: MIT */
/*
 * http_fuzz: an http_reader makes the same of any bytes as a whole, byte by byte, and cut in two.
 */
#include "support/http_pieces.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says where to cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  const char *bytes = (const char *) data + 1;
  size_t length = size - 1, cut = data[0] % length;
  char *whole = http_pieces_read(bytes, length, SIZE_MAX, SIZE_MAX);
  char *in_bytes = http_pieces_read(bytes, length, 1, 1);
  char *in_two = http_pieces_read(bytes, length, cut, SIZE_MAX);
  if (strcmp(whole, in_bytes) != 0 || strcmp(whole, in_two) != 0) {
    fprintf(stderr, "whole:\n%s\nin bytes:\n%s\nin two, cut at %zu:\n%s\n", whole, in_bytes, cut, in_two);
    abort();
  }
  free(whole);
  free(in_bytes);
  free(in_two);
  return 0;
}
