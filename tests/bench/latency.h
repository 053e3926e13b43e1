/* SPDX-License-Identifier: MIT */
/*
 * latency: how often which time was taken, in a fixed amount of memory; to be zeroed before use. Classes are less than
 * 1.6 % wide, and a quantile is the upper end of its class.
 */
#ifndef FLUXBP_TESTS_BENCH_LATENCY_H
#define FLUXBP_TESTS_BENCH_LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 64 /* of each power of two */, LATENCY_CLASSES = 59 * LATENCY_STEPS };

typedef struct latency {
  uint64_t count;
  uint64_t max_ns;
  uint64_t classes[LATENCY_CLASSES];
} latency_t;

void latency_add(latency_t *latency, uint64_t ns);
void latency_merge(latency_t *into, const latency_t *from);

/* What a `share` (0 … 1) of all were not above. */
uint64_t latency_quantile_ns(const latency_t *latency, double share);

#endif
