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

/* HOW of CLASS:HOW. @return NULL, or what it should be */
static const char *read_how(struct mix *mix, int class, const char *how, size_t length) {
  switch (class) {
  case CLIENT_SLOW:
    return values_read_byte_rate(how, length, &mix->slow_bytes_per_second) && mix->slow_bytes_per_second > 0 &&
                   mix->slow_bytes_per_second <= max_slow_bytes_per_second
               ? NULL
               : "a rate up to 10GB/s, such as slow:64KB/s=5";
  case CLIENT_BURSTY:
    return values_read_duration(how, length, false, &mix->bursty_pause_ns) && mix->bursty_pause_ns > 0
               ? NULL
               : "a pause of up to a year, such as bursty:500ms=1";
  case CLIENT_RECONNECT:
    return values_read_duration(how, length, false, &mix->reconnect_mean_ns) && mix->reconnect_mean_ns > 0
               ? NULL
               : "the mean time between cuts, up to a year, such as reconnect:2s=1";
  default:
    return "nothing of the kind";
  }
}

/* One CLASS[:HOW]=WEIGHT. */
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

/* The class whose share is furthest below what its weight asks for. */
static int class_furthest_below(const struct mix *mix, uint64_t sum, uint32_t clients) {
  int best = 0;
  int64_t most = INT64_MIN;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    int64_t below = (int64_t) mix->weights[i] * clients - (int64_t) (mix->shares[i] * sum);
    if (mix->weights[i] > 0 && below > most) {
      most = below;
      best = i;
    }
  }
  return best;
}

static int class_with_most(const struct mix *mix) {
  int most = 0;
  for (int i = 1; i < CLIENT_CLASSES; i++)
    if (mix->shares[i] > mix->shares[most]) most = i;
  return most;
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
    uint64_t share = (uint64_t) mix->weights[i] * clients / sum;
    if (share == 0 && mix->weights[i] > 0 && clients >= wanted) share = 1;
    mix->shares[i] = (uint32_t) share;
    given += mix->shares[i];
  }
  for (; given < clients; given++) mix->shares[class_furthest_below(mix, sum, clients)]++;
  for (; given > clients; given--) mix->shares[class_with_most(mix)]--; /* what was given above cost the largest */
}

void mix_walk_init(struct mix_walk *walk, const struct mix *mix, uint32_t clients) {
  *walk = (struct mix_walk){.mix = mix, .clients = clients};
}

enum client_class mix_walk_next(struct mix_walk *walk) {
  int64_t most = INT64_MIN;
  int next = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    uint32_t share = walk->mix->shares[i];
    int64_t due = (int64_t) share * (walk->given + 1);
    int64_t behind = due - (int64_t) walk->given_of[i] * walk->clients;
    if (walk->given_of[i] < share && behind > most) {
      most = behind;
      next = i;
    }
  }
  walk->given++;
  walk->given_of[next]++;
  return (enum client_class) next;
}
