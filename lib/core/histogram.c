/* SPDX-License-Identifier: MIT */
/*
 * histogram: times in log-linear buckets. Pure.
 *
 * A time of k + 1 bits (its highest is bit k) lies in the group of four buckets for 2^k … 2^(k+1) - 1, and the two bits
 * below the highest say in which of them. Below 8 us each bucket is one time.
 */
#include "histogram.h"

#include "options.h"

enum {
  SUB_BITS = 2,                              /* four buckets for each power of two */
  LAST_BUCKET = FLUXBP_HISTOGRAM_BUCKETS - 1 /* of everything above the range */
};

static unsigned highest_bit(uint64_t value) {
  return 63 - (unsigned) __builtin_clzll(value);
}

size_t fluxbp__histogram_bucket(uint64_t time_us) {
  if (time_us < 1u << SUB_BITS) return (size_t) time_us;
  unsigned shift = highest_bit(time_us) - SUB_BITS;
  size_t bucket = ((size_t) shift << SUB_BITS) + (size_t) (time_us >> shift);
  return bucket < LAST_BUCKET ? bucket : LAST_BUCKET;
}

/* The smallest time that lies above a bucket of the range. */
static uint64_t end_of(size_t bucket) {
  size_t next = bucket + 1;
  if (next < 1u << SUB_BITS) return next;
  unsigned shift = (unsigned) (next >> SUB_BITS) - 1;
  return (uint64_t) (next - ((size_t) shift << SUB_BITS)) << shift;
}

void fluxbp_histogram_init_sized(fluxbp_histogram_t *histogram, size_t size) {
  fluxbp_histogram_t empty = {0};
  fluxbp__options_init(histogram, size, &empty, sizeof empty);
}

void fluxbp_histogram_record_many(fluxbp_histogram_t *histogram, uint64_t time_us, uint64_t times) {
  if (times == 0) return;
  histogram->count += times;
  histogram->sum_us += time_us * times;
  if (time_us > histogram->max_us) histogram->max_us = time_us;
  histogram->buckets[fluxbp__histogram_bucket(time_us)] += times;
}

void fluxbp_histogram_record(fluxbp_histogram_t *histogram, uint64_t time_us) {
  fluxbp_histogram_record_many(histogram, time_us, 1);
}

void fluxbp_histogram_add(fluxbp_histogram_t *sum, const fluxbp_histogram_t *more) {
  sum->count += more->count;
  sum->sum_us += more->sum_us;
  if (more->max_us > sum->max_us) sum->max_us = more->max_us;
  for (size_t i = 0; i < FLUXBP_HISTOGRAM_BUCKETS; i++) sum->buckets[i] += more->buckets[i];
}

uint64_t fluxbp_histogram_count(const fluxbp_histogram_t *histogram) {
  return histogram->count;
}

uint64_t fluxbp_histogram_max(const fluxbp_histogram_t *histogram) {
  return histogram->max_us;
}

/* Which of the times in their order is meant, counting from 1; with rounding up, so that no fewer than q are below. */
static uint64_t rank_of(uint64_t count, double q) {
  if (!(q > 0)) return 1; /* no number is none above 0 either */
  if (q >= 1) return count;
  double exact = q * (double) count;
  uint64_t rank = (uint64_t) exact;
  if ((double) rank < exact || rank == 0) rank++;
  return rank < count ? rank : count;
}

uint64_t fluxbp_histogram_quantile(const fluxbp_histogram_t *histogram, double q) {
  if (histogram->count == 0) return 0;
  uint64_t rank = rank_of(histogram->count, q);
  uint64_t passed = 0;
  for (size_t bucket = 0; bucket < LAST_BUCKET; bucket++) {
    passed += histogram->buckets[bucket];
    if (passed < rank) continue;
    uint64_t last_us = end_of(bucket) - 1;
    return last_us < histogram->max_us ? last_us : histogram->max_us;
  }
  return histogram->max_us;
}
