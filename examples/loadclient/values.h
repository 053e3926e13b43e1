/* SPDX-License-Identifier: MIT */
/*
 * values: numbers, durations, sizes and rates as people write them on a command line, and back. Pure.
 *
 * The readers return false for a text that isn't such a value from its first byte to its last.
 */
#ifndef LOADCLIENT_VALUES_H
#define LOADCLIENT_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/** Read decimal digits only: no sign, no blank. */
bool values_read_number(const char *text, uint64_t max, uint64_t *value);

enum values_kind {
  VALUES_DECIMAL,   /* 0.5 or 20000 */
  VALUES_RATE,      /* 0.5 or 500/s */
  VALUES_DURATION,  /* 250ns, 100us, 5ms, 1.5s, 2m, 1h; in nanoseconds, at most a year */
  VALUES_SECONDS,   /* the same, and without a unit it is seconds */
  VALUES_BYTES,     /* 4096, 64K, 64KB, 64KiB, 1M, 1G: a K is 1024 */
  VALUES_BYTE_RATE, /* bytes, followed by /s */
};

/** Read digits with at most one point, and the unit behind them. */
bool values_read(const char *text, enum values_kind kind, double *value);

/** Read a value in the same way, round it, and refuse it unless it is from 1 to `max`. */
bool values_read_whole(const char *text, enum values_kind kind, uint64_t max, uint64_t *value);

#define VALUES_TEXT_BYTES 32

/** Write three significant digits and a unit: 812 ns, 95.3 us, 1.27 ms, 12.0 s. @return `text` */
const char *values_write_duration(uint64_t ns, char text[VALUES_TEXT_BYTES]);

/** Write a whole number up to 99999, then three significant digits and k, M or G. @return `text` */
const char *values_write_count(uint64_t count, char text[VALUES_TEXT_BYTES]);

/** Return 64 random bits, by xorshift64*. `*state` isn't 0. */
static inline uint64_t values_random(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
