/* SPDX-License-Identifier: MIT */
/*
 * random: the numbers of a simulation. SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
 * 2014): one word of state, and any seed will do, 0 too. The same on every machine, which rand() is not.
 */
#ifndef FLUXBP_TESTS_RANDOM_H
#define FLUXBP_TESTS_RANDOM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sim_random {
  uint64_t state;
} sim_random_t;

static inline uint64_t sim_random_next(sim_random_t *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* 0 … 1, without 1. */
static inline double sim_random_unit(sim_random_t *random) {
  return (double) (sim_random_next(random) >> 11) * 0x1p-53;
}

/* least … most, both included. */
static inline uint32_t sim_random_int(sim_random_t *random, uint32_t least, uint32_t most) {
  return least + (uint32_t) (sim_random_next(random) % ((uint64_t) most - least + 1));
}

static inline double sim_random_real(sim_random_t *random, double least, double most) {
  return least + (most - least) * sim_random_unit(random);
}

/* Small numbers as often as large ones: as many between 1 and 10 as between 10 and 100. */
static inline double sim_random_scale(sim_random_t *random, double least, double most) {
  return least * pow(most / least, sim_random_unit(random));
}

static inline bool sim_random_chance(sim_random_t *random, uint32_t percent) {
  return sim_random_int(random, 0, 99) < percent;
}

#endif
