/* SPDX-License-Identifier: MIT */
/*
 * options: copying structs between callers and library versions that may know different tails of them.
 */
#include "options.h"

#include <string.h>
#include <uv.h>

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

void fluxbp__options_init(void *options, size_t size, const void *defaults, size_t known) {
  memset(options, 0, size);
  memcpy(options, defaults, smaller(size, known));
  memcpy(options, &size, sizeof size);
}

int fluxbp__options_copy(void *options, size_t known, const void *given) {
  if (given == NULL) return 0;

  size_t size;
  memcpy(&size, given, sizeof size);
  if (size < sizeof size) return UV_EINVAL;
  for (size_t i = known; i < size; i++)
    if (((const unsigned char *) given)[i] != 0) return UV_E2BIG;

  memcpy(options, given, smaller(size, known));
  memcpy(options, &known, sizeof known);
  return 0;
}
