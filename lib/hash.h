/* SPDX-License-Identifier: MIT */
/*
 * hash: of 64-bit keys, for tables whose size is a power of two.
 */
#ifndef FLUXBP_LIB_HASH_H
#define FLUXBP_LIB_HASH_H

#include <stdint.h>

/* The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Who must not
 * be able to choose keys that collide mixes a secret into them. */
static inline uint64_t fluxbp__hash_key(uint64_t key) {
  key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
  key = (key ^ key >> 27) * 0x94d049bb133111ebu;
  return key ^ key >> 31;
}

#endif
