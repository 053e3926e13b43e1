/* SPDX-License-Identifier: MIT */
/*
 * latency: a class is the power of two and the six bits after the first one.
 */
#include "latency.h"

enum { STEP_BITS = 6 };

static unsigned class_of(uint64_t ns) {
  if (ns < LATENCY_STEPS) return (unsigned) ns;
  unsigned shift = 63 - (unsigned) __builtin_clzll(ns) - STEP_BITS;
  return (shift + 1) * LATENCY_STEPS + (unsigned) (ns >> shift) % LATENCY_STEPS;
}

static uint64_t upper_end_ns(unsigned class) {
  if (class < LATENCY_STEPS) return class;
  unsigned shift = class / LATENCY_STEPS - 1;
  return ((uint64_t) (LATENCY_STEPS + class % LATENCY_STEPS + 1) << shift) - 1;
}

void latency_add(latency_t *latency, uint64_t ns) {
  latency->count++;
  latency->classes[class_of(ns)]++;
  if (ns > latency->max_ns) latency->max_ns = ns;
}

void latency_merge(latency_t *into, const latency_t *from) {
  into->count += from->count;
  if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
  for (unsigned i = 0; i < LATENCY_CLASSES; i++) into->classes[i] += from->classes[i];
}

uint64_t latency_quantile_ns(const latency_t *latency, double share) {
  uint64_t rest = (uint64_t) (share * (double) latency->count);
  unsigned class = 0;
  while (class < LATENCY_CLASSES - 1 && latency->classes[class] <= rest) rest -= latency->classes[class ++];
  uint64_t ns = upper_end_ns(class);
  return ns < latency->max_ns ? ns : latency->max_ns;
}
