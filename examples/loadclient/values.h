/* SPDX-License-Identifier: MIT */
/*
 * values: numbers, durations, sizes and rates as people write them on a command line, and back. Pure.
 *
 * The readers take `length` bytes, all of which have to belong to the value, and leave `*value` alone when they refuse.
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
bool values_read_number(const char *text, size_t length, uint64_t max, uint64_t *value);

/** Read digits with at most one point, such as 0.5 or 20000. */
bool values_read_decimal(const char *text, size_t length, double *value);

/** Read 250ns, 100us, 5ms, 1.5s, 2m, 1h; at most a year. Without a unit it is seconds, if `may_lack_unit`. */
bool values_read_duration(const char *text, size_t length, bool may_lack_unit, uint64_t *ns);

/** Read 4096, 64K, 64KB, 64KiB, 1M, 1G: a K is 1024. */
bool values_read_bytes(const char *text, size_t length, uint64_t *bytes);

/** Read bytes as above, followed by /s. */
bool values_read_byte_rate(const char *text, size_t length, uint64_t *bytes_per_second);

/** Read 500 or 500/s. */
bool values_read_rate(const char *text, size_t length, uint64_t max, uint64_t *per_second);

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
