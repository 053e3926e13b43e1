/* SPDX-License-Identifier: MIT */
/*
 * mix: reading the option, largest remainders, and the order of the classes.
 */
#include "mix.h"

#include "values.h"

#include <stdio.h>
#include <string.h>

static const uint64_t max_weight = 1000000;

const char *const mix_class_names[CLIENT_CLASSES] = {"healthy", "slow", "stalled", "bursty", "reconnect"};

/* HOW of the classes that have one. The most bytes a second, times nanoseconds as in behaviour.c, fit into 64 bits. */
static const struct how {
  enum values_kind kind;
  uint64_t fallback, max;
} hows[CLIENT_CLASSES] = {[CLIENT_SLOW] = {VALUES_BYTE_RATE, 64 * 1024, UINT64_C(10) << 30},
                          [CLIENT_BURSTY] = {VALUES_DURATION, NS_PER_S, UINT64_MAX},
                          [CLIENT_RECONNECT] = {VALUES_DURATION, 2 * NS_PER_S, UINT64_MAX}};

int mix_class_by_name(const char *name) {
  for (int i = 0; i < CLIENT_CLASSES; i++)
    if (strcmp(mix_class_names[i], name) == 0) return i;
  return -1;
}

/* Read CLASS or CLASS:HOW, and WEIGHT; NULL: it is missing. */
static const char *read_part(struct mix *mix, char *class_text, const char *weight_text, bool *are_given) {
  char *how_text = class_text;
  uint64_t weight;
  strsep(&how_text, ":");
  int class = mix_class_by_name(class_text);
  if (class < 0) return "the classes are healthy, slow, stalled, bursty and reconnect";
  const struct how *how = &hows[class];
  if (how_text != NULL && (how->max == 0 || !values_read_whole(how_text, how->kind, how->max, &mix->how[class])))
    return "behind the colon comes a rate up to 10GB/s, as slow:64KB/s, or a time up to a year, as bursty:500ms or "
           "reconnect:2s; healthy and stalled have none";
  if (weight_text == NULL || !values_read_number(weight_text, max_weight, &weight))
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
    const char *problem = read_part(mix, class, weight, are_given);
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
