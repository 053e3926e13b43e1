/* SPDX-License-Identifier: MIT */
/*
 * histogram: how often a time was how long. Of a fixed size, so that recording never allocates: a bucket for each
 * microsecond below 8, then four for each power of two up to 2^26 us (67 s), and one for what is longer. So a quantile
 * is at most a quarter too large.
 *
 * Thread: the caller's; nothing is locked.
 */
#ifndef FLUXBP_HISTOGRAM_H
#define FLUXBP_HISTOGRAM_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLUXBP_HISTOGRAM_BUCKETS 101

/**
 * To be read and written by the functions below; it may be copied. The number of buckets stays what it is; a later
 * version may append fields.
 */
typedef struct fluxbp_histogram {
  /* Set by fluxbp_histogram_init. 0, as in a zeroed struct: the struct has the fields below. */
  size_t size;
  uint64_t count;
  uint64_t sum_us;
  uint64_t max_us;
  uint64_t buckets[FLUXBP_HISTOGRAM_BUCKETS];
} fluxbp_histogram_t;

/** Make it empty. */
#define fluxbp_histogram_init(histogram) fluxbp_histogram_init_sized((histogram), sizeof(*(histogram)))
FLUXBP_EXTERN void fluxbp_histogram_init_sized(fluxbp_histogram_t *histogram, size_t size);

/** Count a time; any value. */
FLUXBP_EXTERN void fluxbp_histogram_record(fluxbp_histogram_t *histogram, uint64_t time_us);

/** Count it as often as `times` says. */
FLUXBP_EXTERN void fluxbp_histogram_record_many(fluxbp_histogram_t *histogram, uint64_t time_us, uint64_t times);

/** Count everything that was counted in `more`. */
FLUXBP_EXTERN void fluxbp_histogram_add(fluxbp_histogram_t *sum, const fluxbp_histogram_t *more);

/** How many times were counted. */
FLUXBP_EXTERN uint64_t fluxbp_histogram_count(const fluxbp_histogram_t *histogram);

/** The longest, exactly; 0 without any. */
FLUXBP_EXTERN uint64_t fluxbp_histogram_max(const fluxbp_histogram_t *histogram);

/**
 * The time in microseconds than which the fraction `q` of all was no longer, as the upper end of its bucket, but never
 * more than the longest. 0 if nothing was counted.
 *
 * @param q 0.5 for the median, 0.99 …; what is out of 0 … 1 counts as its nearer end
 */
FLUXBP_EXTERN uint64_t fluxbp_histogram_quantile(const fluxbp_histogram_t *histogram, double q);

/**
 * Write it in Prometheus' text format, version 0.0.4, as a histogram of seconds with twelve bounds from 64 us to 4 s,
 * as snprintf does: at most `capacity` bytes with a NUL. Any thread.
 *
 * @param name with its unit: "fluxbp_broadcast_duration_seconds"
 * @param help a line without backslashes
 * @return the length that the whole text has, without the NUL
 */
FLUXBP_EXTERN size_t fluxbp_histogram_prometheus(const fluxbp_histogram_t *histogram, const char *name,
                                                 const char *help, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
