/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_HISTOGRAM_H
#define FLUXBP_HISTOGRAM_H
#include "fluxbp/export.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_HISTOGRAM_BUCKETS 101
typedef struct fluxbp_histogram {
  size_t size;
  uint64_t count;
  uint64_t sum_us;
  uint64_t max_us;
  uint64_t buckets[FLUXBP_HISTOGRAM_BUCKETS];
} fluxbp_histogram_t;
#define fluxbp_histogram_init(histogram) fluxbp_histogram_init_sized((histogram), sizeof(*(histogram)))
FLUXBP_EXTERN void fluxbp_histogram_init_sized(fluxbp_histogram_t *histogram, size_t size);
FLUXBP_EXTERN void fluxbp_histogram_record(fluxbp_histogram_t *histogram, uint64_t time_us);
FLUXBP_EXTERN void fluxbp_histogram_record_many(fluxbp_histogram_t *histogram, uint64_t time_us, uint64_t times);
FLUXBP_EXTERN void fluxbp_histogram_add(fluxbp_histogram_t *sum, const fluxbp_histogram_t *more);
FLUXBP_EXTERN uint64_t fluxbp_histogram_count(const fluxbp_histogram_t *histogram);
FLUXBP_EXTERN uint64_t fluxbp_histogram_max(const fluxbp_histogram_t *histogram);
FLUXBP_EXTERN uint64_t fluxbp_histogram_quantile(const fluxbp_histogram_t *histogram, double q);
FLUXBP_EXTERN size_t fluxbp_histogram_prometheus(const fluxbp_histogram_t *histogram, const char *name,
                                                 const char *help, char *out, size_t capacity);
#ifdef __cplusplus
}
#endif
#endif
