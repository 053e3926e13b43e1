/* SPDX-License-Identifier: MIT */
/*
 * histogram: counts of times, in a struct of fixed size, so that recording never allocates. There is a bucket for each
 * microsecond below 8, four buckets for each power of two up to 2^26 us (67 s), and one for longer times. So a quantile
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
 * A histogram, read and written by the functions below. It may be copied. The number of buckets stays as it is; a later
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

/** Make a histogram empty. */
#define fluxbp_histogram_init(histogram) fluxbp_histogram_init_sized((histogram), sizeof(*(histogram)))
FLUXBP_EXTERN void fluxbp_histogram_init_sized(fluxbp_histogram_t *histogram, size_t size);

/** Count a time of any value. */
FLUXBP_EXTERN void fluxbp_histogram_record(fluxbp_histogram_t *histogram, uint64_t time_us);

/** Count a time `times` times. */
FLUXBP_EXTERN void fluxbp_histogram_record_many(fluxbp_histogram_t *histogram, uint64_t time_us, uint64_t times);

/** Add the counts of `more` to `sum`. */
FLUXBP_EXTERN void fluxbp_histogram_add(fluxbp_histogram_t *sum, const fluxbp_histogram_t *more);

/** Return the number of times that were counted. */
FLUXBP_EXTERN uint64_t fluxbp_histogram_count(const fluxbp_histogram_t *histogram);

/** Return the longest time in microseconds, exactly; 0 if nothing was counted. */
FLUXBP_EXTERN uint64_t fluxbp_histogram_max(const fluxbp_histogram_t *histogram);

/**
 * Return the `q` quantile in microseconds, rounded up to the end of its bucket, but at most the longest time; 0 if
 * nothing was counted.
 *
 * @param q 0.5 for the median, 0.99 …; a value below 0 counts as 0, one above 1 as 1
 */
FLUXBP_EXTERN uint64_t fluxbp_histogram_quantile(const fluxbp_histogram_t *histogram, double q);

/**
 * Write a histogram of seconds in Prometheus' text format, version 0.0.4, with twelve bounds from 64 us to 4 s. Writes
 * as snprintf does: at most `capacity` bytes with a NUL. Any thread.
 *
 * @param name name with its unit: "fluxbp_broadcast_duration_seconds"
 * @param help one line without backslashes
 * @return the length of the whole text without the NUL
 */
FLUXBP_EXTERN size_t fluxbp_histogram_prometheus(const fluxbp_histogram_t *histogram, const char *name,
                                                 const char *help, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
