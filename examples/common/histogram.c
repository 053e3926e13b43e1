/* SPDX-License-Identifier: MIT */
/*
 * histogram: sums, percentiles, and HdrHistogram's file.
 */
#include "common/histogram.h"

#include <inttypes.h>
#include <math.h>

/* Lines of a .hgrm file each time that the distance to 100 % is halved. */
static const double hgrm_lines_per_half = 5;

void histogram_add(struct histogram *histogram, const struct histogram *other) {
  if (other->count == 0) return;
  if (other->max_ns > histogram->max_ns) histogram->max_ns = other->max_ns;
  if (other->min_ns < histogram->min_ns || histogram->count == 0) histogram->min_ns = other->min_ns;
  histogram->count += other->count;
  histogram->sum_ns += other->sum_ns;
  for (uint64_t i = 0; i < HISTOGRAM_COUNTERS; i++) histogram->counters[i] += other->counters[i];
}

/* Return the largest value of a counter, but no value above the largest one that was recorded. */
static uint64_t capped_value_of(const struct histogram *histogram, uint64_t index) {
  uint64_t octave = (index - HISTOGRAM_LINEAR) / HISTOGRAM_PER_OCTAVE;
  uint64_t top = (index - HISTOGRAM_LINEAR) % HISTOGRAM_PER_OCTAVE + HISTOGRAM_PER_OCTAVE;
  uint64_t value = index < HISTOGRAM_LINEAR ? index : ((top + 1) << (octave + 1)) - 1;
  return value < histogram->max_ns ? value : histogram->max_ns;
}

uint64_t histogram_percentile_since(const struct histogram *histogram, const struct histogram *earlier,
                                    double percentile) {
  uint64_t count = histogram->count - (earlier != NULL ? earlier->count : 0), seen = 0;
  double rank = fmin(fmax(ceil(percentile / 100 * (double) count), 1), (double) count);
  for (uint64_t i = 0; i < HISTOGRAM_COUNTERS && count > 0; i++) {
    seen += histogram->counters[i] - (earlier != NULL ? earlier->counters[i] : 0);
    if ((double) seen >= rank) return capped_value_of(histogram, i);
  }
  return 0;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percentile) {
  return histogram_percentile_since(histogram, NULL, percentile);
}

double histogram_mean_ns(const struct histogram *histogram) {
  return histogram->count > 0 ? (double) histogram->sum_ns / (double) histogram->count : 0;
}

static double next_hgrm_percentile(double percentile) {
  double half_distance = exp2(floor(log2(100 / (100 - percentile))) + 1);
  return percentile + 100 / (hgrm_lines_per_half * half_distance);
}

void histogram_write_hgrm(const struct histogram *histogram, FILE *file) {
  double wanted = 0, mean = histogram_mean_ns(histogram), squares = 0;
  uint64_t seen = 0;
  fprintf(file, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  for (uint64_t i = 0; i < HISTOGRAM_COUNTERS && seen < histogram->count; i++) {
    if (histogram->counters[i] == 0) continue;
    double value = (double) capped_value_of(histogram, i);
    seen += histogram->counters[i];
    squares += (double) histogram->counters[i] * (value - mean) * (value - mean);
    double reached = 100.0 * (double) seen / (double) histogram->count;
    for (; wanted <= reached && seen < histogram->count; wanted = next_hgrm_percentile(wanted))
      fprintf(file, "%12.3f %14.12f %10" PRIu64 " %14.2f\n", value / 1e6, wanted / 100, seen, 1 / (1 - wanted / 100));
    if (seen == histogram->count) fprintf(file, "%12.3f %14.12f %10" PRIu64 "\n", value / 1e6, 1.0, seen);
  }
  double deviation = histogram->count > 0 ? sqrt(squares / (double) histogram->count) : 0;
  fprintf(file, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / 1e6, deviation / 1e6);
  fprintf(file, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n", (double) histogram->max_ns / 1e6,
          histogram->count);
  fprintf(file, "#[Buckets = %12d, SubBuckets     = %12d]\n", HISTOGRAM_OCTAVES, (int) HISTOGRAM_LINEAR);
}
