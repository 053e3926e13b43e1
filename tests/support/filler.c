/* SPDX-License-Identifier: MIT */
/*
 * filler: see the header.
 */
#include "filler.h"

#include <stdint.h>
#include <string.h>

/* A linear congruential generator (Numerical Recipes): its highest bits are random enough. */
static uint32_t next(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed;
}

void filler_text(char *to, size_t length) {
  static const char *const words[] = {"\"price\":", "\"bid\":", "\"ask\":",   "12.5,",
                                      "{\"id\":",   "},",       "\"EURUSD\"", " "};
  uint32_t seed = 1;
  for (size_t filled = 0; filled < length;) {
    const char *word = words[next(&seed) >> 29];
    size_t part = strlen(word) < length - filled ? strlen(word) : length - filled;
    memcpy(to + filled, word, part);
    filled += part;
  }
}

void filler_noise(char *to, size_t length) {
  uint32_t seed = 7;
  for (size_t i = 0; i < length; i++) to[i] = (char) (next(&seed) >> 24);
}
