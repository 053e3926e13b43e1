/* SPDX-License-Identifier: MIT */
/*
 * sizes: how long the published messages are: always the same, anything within a range, or a few sizes by weight. Pure.
 */
#ifndef LOADCLIENT_SIZES_H
#define LOADCLIENT_SIZES_H

#include <stddef.h>
#include <stdint.h>

#define SIZES_PARTS 16

struct sizes {
  uint32_t count;
  uint64_t weight_sum;
  struct {
    uint32_t least, most; /* any size in between is as likely */
    uint32_t weight;
  } parts[SIZES_PARTS];
};

/** Read 200, 100-1000, or 64:90,1024-2048:9,16384:1 (size or range, and weight). @return NULL, or what is wrong */
const char *sizes_parse(struct sizes *sizes, const char *text, uint32_t max_bytes);

/** The size for a random number. */
uint32_t sizes_pick(const struct sizes *sizes, uint64_t random);

#endif
