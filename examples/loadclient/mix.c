/* SPDX-License-Identifier: MIT */
/*
 * mix: reading the option, largest remainders, and the order of the classes.
 */
#include "mix.h"

#include "values.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const uint64_t max_weight = 1000000;
static const uint64_t max_slow_bytes_per_second = UINT64_C(10)
                                                  << 30; /* times nanoseconds, as behaviour.c does: 64 bits */
static const uint64_t default_slow_bytes_per_second = 64 * 1024;
static const uint64_t default_bursty_pause_ns = NS_PER_S;
static const uint64_t default_reconnect_mean_ns = 2 * NS_PER_S;

const char *const mix_class_names[CLIENT_CLASSES] = {"healthy", "slow", "stalled", "bursty", "reconnect"};

int mix_class_by_name(const char *name, size_t length) {
  for (int i = 0; i < CLIENT_CLASSES; i++)
    if (strlen(mix_class_names[i]) == length && memcmp(mix_class_names[i], name, length) == 0) return i;
  return -1;
}

/* Read HOW of CLASS:HOW. @return NULL, or a description of what it should be */
static const char *read_how(struct mix *mix, int class, const char *how, size_t length) {
  static const char *const wanted[CLIENT_CLASSES] = {
      [CLIENT_HEALTHY] = "nothing of the kind",
      [CLIENT_SLOW] = "a rate up to 10GB/s, such as slow:64KB/s=5",
      [CLIENT_STALLED] = "nothing of the kind",
      [CLIENT_BURSTY] = "a pause of up to a year, such as bursty:500ms=1",
      [CLIENT_RECONNECT] = "the mean time between cuts, up to a year, such as reconnect:2s=1"};
  uint64_t *value = class == CLIENT_SLOW     ? &mix->slow_bytes_per_second
                    : class == CLIENT_BURSTY ? &mix->bursty_pause_ns
                                             : &mix->reconnect_mean_ns;
  bool takes_how = class != CLIENT_HEALTHY && class != CLIENT_STALLED;
  bool is_right = takes_how && (class == CLIENT_SLOW
                                    ? values_read_byte_rate(how, length, value) && *value <= max_slow_bytes_per_second
                                    : values_read_duration(how, length, false, value));
  return is_right && *value > 0 ? NULL : wanted[class];
}

/* Read one CLASS[:HOW]=WEIGHT. */
static bool read_part(struct mix *mix, const char *part, size_t length, bool is_given[CLIENT_CLASSES],
                      char problem[MIX_PROBLEM_BYTES]) {
  const char *equals = memchr(part, '=', length);
  size_t left = equals != NULL ? (size_t) (equals - part) : length;
  const char *colon = memchr(part, ':', left);
  size_t name = colon != NULL ? (size_t) (colon - part) : left;
  int class = mix_class_by_name(part, name);
  if (class < 0) {
    snprintf(problem, MIX_PROBLEM_BYTES, "knows healthy, slow, stalled, bursty and reconnect, not '%.*s'", (int) name,
             part);
    return false;
  }
  if (is_given[class]) {
    snprintf(problem, MIX_PROBLEM_BYTES, "names the class %s twice", mix_class_names[class]);
    return false;
  }
  is_given[class] = true;
  const char *wanted = colon != NULL ? read_how(mix, class, colon + 1, left - name - 1) : NULL;
  if (wanted != NULL) {
    snprintf(problem, MIX_PROBLEM_BYTES, "wants behind '%s:' %s", mix_class_names[class], wanted);
    return false;
  }
  uint64_t weight;
  if (equals == NULL || !values_read_number(equals + 1, length - left - 1, max_weight, &weight)) {
    snprintf(problem, MIX_PROBLEM_BYTES, "wants a weight from 0 to 1000000 for each class, such as %s=10, not '%.*s'",
             mix_class_names[class], (int) length, part);
    return false;
  }
  mix->weights[class] = (uint32_t) weight;
  return true;
}

bool mix_parse(struct mix *mix, const char *text, char problem[MIX_PROBLEM_BYTES]) {
  bool is_given[CLIENT_CLASSES] = {false};
  *mix = (struct mix){.slow_bytes_per_second = default_slow_bytes_per_second,
                      .bursty_pause_ns = default_bursty_pause_ns,
                      .reconnect_mean_ns = default_reconnect_mean_ns};
  uint64_t sum = 0;
  for (const char *part = text;; part++) {
    size_t length = strcspn(part, ",");
    if (!read_part(mix, part, length, is_given, problem)) return false;
    part += length;
    if (*part == '\0') break;
  }
  for (int i = 0; i < CLIENT_CLASSES; i++) sum += mix->weights[i];
  if (sum == 0) snprintf(problem, MIX_PROBLEM_BYTES, "wants a weight above 0 for at least one class");
  return sum > 0;
}

/* Return the class that is furthest below its part of `total`, where the parts are as `wanted`, of the sum `sum`. */
static enum client_class furthest_below(const uint32_t *wanted, uint64_t sum, const uint32_t *given, uint64_t total) {
  int furthest = 0;
  int64_t most = INT64_MIN;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    int64_t below = (int64_t) (wanted[i] * total) - (int64_t) (given[i] * sum);
    if (wanted[i] == 0 || below <= most) continue;
    most = below;
    furthest = i;
  }
  return (enum client_class) furthest;
}

void mix_share_out(struct mix *mix, uint32_t clients) {
  uint64_t sum = 0;
  uint32_t wanted = 0, given = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    sum += mix->weights[i];
    wanted += mix->weights[i] > 0;
  }
  assert(sum > 0); /* mix_parse() refuses it otherwise */
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    mix->shares[i] = clients >= wanted && mix->weights[i] > 0;
    given += mix->shares[i];
  }
  for (; given < clients; given++) mix->shares[furthest_below(mix->weights, sum, mix->shares, clients)]++;
}

void mix_walk_init(struct mix_walk *walk, const struct mix *mix, uint32_t clients) {
  *walk = (struct mix_walk){.mix = mix, .clients = clients};
}

enum client_class mix_walk_next(struct mix_walk *walk) {
  walk->given++;
  enum client_class next = furthest_below(walk->mix->shares, walk->clients, walk->given_of, walk->given);
  walk->given_of[next]++;
  return next;
}
