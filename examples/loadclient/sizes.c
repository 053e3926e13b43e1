/* SPDX-License-Identifier: MIT */
/*
 * sizes: reading and picking.
 */
#include "sizes.h"

#include "values.h"

#include <string.h>

static const uint64_t max_weight = 1000000;

static const char *read_part(struct sizes *sizes, const char *part, size_t length, uint32_t max_bytes) {
  const char *colon = memchr(part, ':', length);
  size_t range = colon != NULL ? (size_t) (colon - part) : length;
  const char *dash = memchr(part, '-', range);
  size_t first = dash != NULL ? (size_t) (dash - part) : range;
  uint64_t least, most, weight = 1;
  if (!values_read_bytes(part, first, &least)) return "a size is a number of bytes, such as 200 or 4K";
  most = least;
  if (dash != NULL && !values_read_bytes(dash + 1, range - first - 1, &most)) return "a range is such as 100-1000";
  if (least == 0 || least > most || most > max_bytes) return "sizes are from 1 byte to 1 MiB, the smaller one first";
  if (colon != NULL && !values_read_number(colon + 1, length - range - 1, max_weight, &weight))
    return "a weight is a whole number, such as 64:90,1024:10";
  if (sizes->count == SIZES_PARTS) return "there may be 16 sizes at most";
  sizes->parts[sizes->count].least = (uint32_t) least;
  sizes->parts[sizes->count].most = (uint32_t) most;
  sizes->parts[sizes->count].weight = (uint32_t) weight;
  sizes->weight_sum += weight;
  sizes->count++;
  return NULL;
}

const char *sizes_parse(struct sizes *sizes, const char *text, uint32_t max_bytes) {
  memset(sizes, 0, sizeof *sizes);
  for (const char *part = text;; part++) {
    size_t length = strcspn(part, ",");
    const char *problem = read_part(sizes, part, length, max_bytes);
    if (problem != NULL) return problem;
    part += length;
    if (*part == '\0') break;
  }
  return sizes->weight_sum > 0 ? NULL : "one of the weights has to be above 0";
}

uint32_t sizes_pick(const struct sizes *sizes, uint64_t random) {
  uint64_t point = (random >> 32) % sizes->weight_sum;
  uint32_t i = 0;
  while (point >= sizes->parts[i].weight) point -= sizes->parts[i++].weight;
  uint64_t span = (uint64_t) sizes->parts[i].most - sizes->parts[i].least + 1;
  return sizes->parts[i].least + (uint32_t) ((random & UINT32_MAX) % span);
}
