/* SPDX-License-Identifier: MIT */
/*
 * random: numbers for jitter and for sizes. Pure; nothing secret depends on them.
 */
#ifndef COMMON_RANDOM_H
#define COMMON_RANDOM_H

#include <stdint.h>

/** Return 64 random bits, by xorshift64*. `*state` isn't 0. */
static inline uint64_t random_bits(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
