/* SPDX-License-Identifier: MIT */
/*
 * mix: reading the option, largest remainders, and the order of the classes.
 */
#include "mix.h"

#include "common/units.h"

#include <stdio.h>
#include <string.h>

static const uint64_t max_weight = 1000000;

const char *const mix_class_names[CLIENT_CLASSES] = {"healthy", "slow", "stalled", "bursty", "reconnect"};

/* HOW of the classes that have one. The most bytes a second, times nanoseconds as in behaviour.c, fit into 64 bits. */
static const struct how {
  enum units_kind kind;
  uint64_t fallback, max;
} hows[CLIENT_CLASSES] = {[CLIENT_SLOW] = {UNITS_BYTE_RATE, 64 * 1024, UINT64_C(10) << 30},
                          [CLIENT_BURSTY] = {UNITS_DURATION, NS_PER_S, UINT64_MAX},
                          [CLIENT_RECONNECT] = {UNITS_DURATION, 2 * NS_PER_S, UINT64_MAX}};

int mix_class_by_name(const char *name) {
  for (int i = 0; i < CLIENT_CLASSES; i++)
    if (strcmp(mix_class_names[i], name) == 0) return i;
  return -1;
}

/* Read CLASS or CLASS:HOW, and WEIGHT; NULL: it is missing. */
static const char *read_class(struct mix *mix, char *class_text, const char *weight_text, bool *are_given) {
  char *how_text = class_text;
  uint64_t weight;
  strsep(&how_text, ":");
  int class = mix_class_by_name(class_text);
  if (class < 0) return "the classes are healthy, slow, stalled, bursty and reconnect";
  const struct how *how = &hows[class];
  if (how_text != NULL && (how->max == 0 || !units_read_whole(how_text, how->kind, how->max, &mix->how[class])))
    return "behind the colon comes a rate up to 10GB/s, as slow:64KB/s, or a time up to a year, as bursty:500ms or "
           "reconnect:2s; healthy and stalled have none";
  if (weight_text == NULL || !units_read_number(weight_text, max_weight, &weight))
    return "each class has a weight from 0 to 1000000, such as slow=10";
  if (are_given[class]) return "each class may be named once";
  are_given[class] = true;
  mix->weights[class] = (uint32_t) weight;
  return NULL;
}

const char *mix_parse(void *place, const char *text) {
  struct mix *mix = place;
  char copy[256];
  bool are_given[CLIENT_CLASSES] = {false};
  uint64_t sum = 0;
  if ((size_t) snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) return "the text is too long";
  *mix = (struct mix){.weights = {0}};
  for (int i = 0; i < CLIENT_CLASSES; i++) mix->how[i] = hows[i].fallback;
  for (char *rest = copy, *weight; (weight = strsep(&rest, ",")) != NULL;) {
    char *class = strsep(&weight, "=");
    const char *problem = read_class(mix, class, weight, are_given);
    if (problem != NULL) return problem;
  }
  for (int i = 0; i < CLIENT_CLASSES; i++) sum += mix->weights[i];
  return sum > 0 ? NULL : "one of the weights has to be above 0";
}

/* Return the class that is furthest below its part of `total`, where the parts are as `wanted`. */
static enum client_class furthest_below(const uint32_t *wanted, const uint32_t *given, uint64_t total) {
  int furthest = 0;
  int64_t most = INT64_MIN;
  uint64_t sum = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) sum += wanted[i];
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    int64_t below = (int64_t) (wanted[i] * total) - (int64_t) (given[i] * sum);
    if (wanted[i] == 0 || below <= most) continue;
    most = below;
    furthest = i;
  }
  return (enum client_class) furthest;
}

void mix_share_out(struct mix *mix, uint32_t clients) {
  uint32_t wanted = 0, given = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) wanted += mix->weights[i] > 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    mix->shares[i] = clients >= wanted && mix->weights[i] > 0;
    given += mix->shares[i];
  }
  for (; given < clients; given++) mix->shares[furthest_below(mix->weights, mix->shares, clients)]++;
}

enum client_class mix_next(const struct mix *mix, uint32_t given[CLIENT_CLASSES]) {
  uint64_t total = 1;
  for (int i = 0; i < CLIENT_CLASSES; i++) total += given[i];
  enum client_class next = furthest_below(mix->shares, given, total);
  given[next]++;
  return next;
}

/* Sizes of messages */

/* Read SIZE, LEAST-MOST, and a weight behind a colon. */
static const char *read_size(struct sizes *sizes, char *part) {
  struct size_part *read = &sizes->parts[sizes->count];
  char *weight = part, *most;
  strsep(&weight, ":");
  most = part;
  strsep(&most, "-");
  if (sizes->count++ == SIZES_PARTS) return "there may be 16 sizes at most";
  if (!units_read_whole(part, UNITS_BYTES, SIZES_MAX_BYTES, &read->least))
    return "a size is a number of bytes from 1 to 1047552, such as 200 or 4K";
  read->most = read->least;
  if (most != NULL && (!units_read_whole(most, UNITS_BYTES, SIZES_MAX_BYTES, &read->most) || read->most < read->least))
    return "a range is such as 100-1000, the smaller size first";
  read->weight = 1;
  if (weight != NULL && !units_read_number(weight, max_weight, &read->weight))
    return "a weight is a whole number, such as 64:90,1024:10";
  sizes->weight_sum += read->weight;
  return NULL;
}

const char *sizes_parse(void *place, const char *text) {
  struct sizes *sizes = place;
  char copy[512];
  if ((size_t) snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) return "the text is too long";
  *sizes = (struct sizes){.count = 0};
  for (char *rest = copy, *part; (part = strsep(&rest, ",")) != NULL;) {
    const char *problem = read_size(sizes, part);
    if (problem != NULL) return problem;
  }
  return sizes->weight_sum > 0 ? NULL : "one of the weights has to be above 0";
}

uint32_t sizes_pick(const struct sizes *sizes, uint64_t random) {
  uint64_t point = (random >> 32) % sizes->weight_sum;
  const struct size_part *part = sizes->parts;
  while (point >= part->weight) point -= (part++)->weight;
  return (uint32_t) (part->least + (random & UINT32_MAX) % (part->most - part->least + 1));
}
