/* SPDX-License-Identifier: MIT */
/*
 * histogram: how often each duration came, in counters whose width grows with the value (log-linear, as
 * HdrHistogram's).
 *
 * A value is known to within 1/128 of it; below 256 ns exactly. Recording is a few instructions and touches one
 * counter, so every message can be recorded. Fixed size, no pointers: lives in memory that processes share, and adding
 * two is adding their counters. Values above HISTOGRAM_MAX_NS (73 minutes) count as that. Pure.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_LINEAR UINT64_C(256) /* values below it have a counter each */
#define HISTOGRAM_PER_OCTAVE UINT64_C(128)
#define HISTOGRAM_OCTAVES 34 /* doublings above the linear part */
#define HISTOGRAM_COUNTERS (HISTOGRAM_LINEAR + HISTOGRAM_OCTAVES * HISTOGRAM_PER_OCTAVE)
#define HISTOGRAM_MAX_NS ((HISTOGRAM_LINEAR << HISTOGRAM_OCTAVES) - 1)

struct histogram {
  uint64_t count;
  uint64_t sum_ns;
  uint64_t min_ns, max_ns; /* exact; 0 when there is none */
  uint64_t counters[HISTOGRAM_COUNTERS];
};

static inline uint64_t histogram_index(uint64_t ns) {
  if (ns < HISTOGRAM_LINEAR) return ns;
  unsigned shift = 56 - (unsigned) __builtin_clzll(ns); /* leaves 8 bits */
  return HISTOGRAM_LINEAR + (shift - 1) * HISTOGRAM_PER_OCTAVE + (ns >> shift) - HISTOGRAM_PER_OCTAVE;
}

static inline void histogram_record(struct histogram *histogram, uint64_t ns) {
  if (ns > HISTOGRAM_MAX_NS) ns = HISTOGRAM_MAX_NS;
  if (ns > histogram->max_ns) histogram->max_ns = ns;
  if (ns < histogram->min_ns || histogram->count == 0) histogram->min_ns = ns;
  histogram->count++;
  histogram->sum_ns += ns;
  histogram->counters[histogram_index(ns)]++;
}

/** Add the values of `other`. */
void histogram_add(struct histogram *histogram, const struct histogram *other);

/** Return the value that `percentile` (0 to 100) of the recorded ones don't exceed; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double percentile);

/** Return the same of the values that were recorded since `earlier` was copied from the histogram. */
uint64_t histogram_percentile_since(const struct histogram *histogram, const struct histogram *earlier,
                                    double percentile);

double histogram_mean_ns(const struct histogram *histogram);

/** Write the percentiles in milliseconds, as HdrHistogram's tools read and plot them (.hgrm). */
void histogram_write_hgrm(const struct histogram *histogram, FILE *file);

#endif
