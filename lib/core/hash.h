/* SPDX-License-Identifier: MIT */
/*
 * hash: of keys and names, for tables whose size is a power of two.
 */
#ifndef FLUXBP_LIB_HASH_H
#define FLUXBP_LIB_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Who must not
 * be able to choose keys that collide mixes a secret into them. */
static inline uint64_t fluxbp__hash_key(uint64_t key) {
  key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
  key = (key ^ key >> 27) * 0x94d049bb133111ebu;
  return key ^ key >> 31;
}

/* FNV-1a (Fowler, Noll, Vo; 64 bit), with a random seed for each table so that names can't be chosen to collide. */
static inline uint64_t fluxbp__hash_name(uint64_t seed, const char *name, size_t len) {
  uint64_t hash = 14695981039346656037u ^ seed;
  for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char) name[i]) * 1099511628211u;
  return hash ^ hash >> 32;
}

#endif
