/* SPDX-License-Identifier: MIT */
/*
 * The hash of a topic's name.
 */
#ifndef FLUXBP_LIB_NAME_HASH_H
#define FLUXBP_LIB_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a (Fowler, Noll, Vo; 64 bit), with a random seed for each table so that names can't be chosen to collide. */
static inline uint64_t fluxbp__name_hash(uint64_t seed, const char *name, size_t len) {
  uint64_t hash = 14695981039346656037u ^ seed;
  for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char) name[i]) * 1099511628211u;
  return hash ^ hash >> 32;
}

#endif
