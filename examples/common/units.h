/* SPDX-License-Identifier: MIT */
/*
 * units: numbers, durations, sizes and rates as people write them, and back. Pure.
 *
 * The readers return false for a text that isn't such a value from its first byte to its last.
 */
#ifndef LOADCLIENT_UNITS_H
#define LOADCLIENT_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/** Read decimal digits only: no sign, no blank. */
bool units_read_number(const char *text, uint64_t max, uint64_t *value);

enum units_kind {
  UNITS_DECIMAL,   /* 0.5 or 20000 */
  UNITS_RATE,      /* 0.5 or 500/s */
  UNITS_DURATION,  /* 250ns, 100us, 5ms, 1.5s, 2m, 1h; in nanoseconds, at most a year */
  UNITS_SECONDS,   /* the same, and without a unit it is seconds */
  UNITS_BYTES,     /* 4096, 64K, 64KB, 64KiB, 1M, 1G: a K is 1024 */
  UNITS_BYTE_RATE, /* bytes, followed by /s */
};

/** Read digits with at most one point, and the unit behind them. */
bool units_read(const char *text, enum units_kind kind, double *value);

/** Read a value in the same way, round it, and refuse it unless it is from 1 to `max`. */
bool units_read_whole(const char *text, enum units_kind kind, uint64_t max, uint64_t *value);

#define UNITS_TEXT_BYTES 32

/** Write three significant digits and a unit: 812 ns, 95.3 us, 1.27 ms, 12.0 s. @return `text` */
const char *units_write_duration(uint64_t ns, char text[UNITS_TEXT_BYTES]);

/** Write a whole number up to 99999, then three significant digits and k, M or G. @return `text` */
const char *units_write_count(uint64_t count, char text[UNITS_TEXT_BYTES]);

#endif
