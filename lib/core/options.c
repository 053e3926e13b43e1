/* SPDX-License-Identifier: MIT */
/*
 * options: copying structs between callers and library versions that may know different tails of them. Pure.
 */
#include "options.h"

#include <stdbool.h>
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

/* The size that a struct or a table of the caller's begins with. */
static size_t size_of(const void *given) {
  size_t size;
  memcpy(&size, given, sizeof size);
  return size;
}

static bool is_zero_beyond(const void *given, size_t known) {
  size_t size = size_of(given);
  for (size_t i = known; i < size; i++)
    if (((const unsigned char *) given)[i] != 0) return false;
  return true;
}

int fluxbp__options_copy(void *options, size_t known, const void *given) {
  if (given == NULL) return 0;
  if (size_of(given) < sizeof known) return UV_EINVAL;
  if (!is_zero_beyond(given, known)) return UV_E2BIG;

  memcpy(options, given, smaller(size_of(given), known));
  memcpy(options, &known, sizeof known);
  return 0;
}

void fluxbp__result_write(void *out, size_t size, const void *result, size_t known) {
  memset(out, 0, size);
  memcpy(out, result, smaller(size, known));
}

int fluxbp__table_check(const void *table, size_t known, size_t least) {
  if (size_of(table) < least) return UV_EINVAL;
  return is_zero_beyond(table, known) ? 0 : UV_E2BIG;
}
