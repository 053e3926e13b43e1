/* SPDX-License-Identifier: MIT */
/*
 * policy_text: the table of settings, and access by it.
 */
#include "policy_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS ((uint64_t) 24 * 60 * 60 * 1000)
_Static_assert(DAY_MS <= FLUXBP_TIME_MS_MAX, "hubs take every time that is taken here");

static const char *const overflow_rules[] = {
    [FLUXBP_OVERFLOW_DROP_NEWEST] = "drop-newest",
    [FLUXBP_OVERFLOW_DROP_OLDEST] = "drop-oldest",
    [FLUXBP_OVERFLOW_EVICT] = "evict",
    NULL,
};

#define PLACE(member) FLUXBP_VALUE_PLACE(fluxbp_policy_t, member)

const fluxbp_policy_setting_t policy_settings[POLICY_SETTINGS] = {
    {"slots", {FLUXBP_VALUE_NUMBER, 2, FLUXBP_SLOTS_MAX, NULL}, PLACE(slots)},
    {"ring_bytes", {FLUXBP_VALUE_BYTES, 1, FLUXBP_RING_BYTES_MAX, NULL}, PLACE(max_bytes)},
    {"high", {FLUXBP_VALUE_NUMBER, 1, 100, NULL}, PLACE(high_percent)},
    {"low", {FLUXBP_VALUE_NUMBER, 0, 99, NULL}, PLACE(low_percent)},
    {"overflow", {FLUXBP_VALUE_CHOICE, 0, 0, overflow_rules}, PLACE(overflow)},
    {"stall_ms", {FLUXBP_VALUE_NUMBER, 0, DAY_MS, NULL}, PLACE(stall_ms)},
    {"slow_ms", {FLUXBP_VALUE_NUMBER, 0, DAY_MS, NULL}, PLACE(slow_ms)},
    {"lag_ms", {FLUXBP_VALUE_NUMBER, 0, DAY_MS, NULL}, PLACE(lag_ms)},
    {"soft_bytes", {FLUXBP_VALUE_BYTES, 0, FLUXBP_RING_BYTES_MAX, NULL}, PLACE(soft_bytes)},
    {"soft_ms", {FLUXBP_VALUE_NUMBER, 0, DAY_MS, NULL}, PLACE(soft_ms)},
    {"grace_ms", {FLUXBP_VALUE_NUMBER, 0, DAY_MS, NULL}, PLACE(grace_ms)},
    {"shadow", {FLUXBP_VALUE_SWITCH, 0, 0, NULL}, PLACE(is_shadow)},
};

const fluxbp_policy_setting_t *fluxbp_policy_setting_of(const char *name) {
  for (size_t i = 0; i < POLICY_SETTINGS; i++)
    if (strcmp(policy_settings[i].name, name) == 0) return &policy_settings[i];
  return NULL;
}

static void say_unknown(const char *name, char *problem, size_t capacity) {
  int length = snprintf(problem, capacity, "there is no setting '%.64s'; there are", name);
  for (size_t i = 0; i < POLICY_SETTINGS && length >= 0 && (size_t) length < capacity; i++)
    length +=
        snprintf(problem + length, capacity - (size_t) length, "%s %s", i > 0 ? "," : "", policy_settings[i].name);
}

bool policy_set(fluxbp_policy_t *policy, const char *name, const char *text, char *problem, size_t capacity) {
  char rule[FLUXBP_VALUE_TEXT_BYTES];
  uint64_t value;
  const fluxbp_policy_setting_t *setting = fluxbp_policy_setting_of(name);
  if (setting == NULL) {
    say_unknown(name, problem, capacity);
    return false;
  }
  if (!fluxbp_value_parse(&setting->type, text, &value)) {
    fluxbp_value_rule(&setting->type, rule, sizeof rule);
    snprintf(problem, capacity, "%s must be %s", name, rule);
    return false;
  }
  fluxbp_value_set(policy, &setting->place, value);
  return true;
}

uint64_t policy_get(const fluxbp_policy_t *policy, const fluxbp_policy_setting_t *setting) {
  return fluxbp_value_get(policy, &setting->place);
}

uint64_t fluxbp_policy_least_ring_bytes(uint64_t max_message) {
  return 2 * max_message;
}

static bool refuse_ring_bytes(uint64_t ring_bytes, const char *relation, uint64_t other, const char *advice,
                              uint64_t advised, char *problem, size_t capacity) {
  static const fluxbp_value_type_t bytes = {.kind = FLUXBP_VALUE_BYTES};
  char ring_text[FLUXBP_VALUE_TEXT_BYTES], other_text[FLUXBP_VALUE_TEXT_BYTES], advised_text[FLUXBP_VALUE_TEXT_BYTES];
  fluxbp_value_format(&bytes, ring_bytes, ring_text, sizeof ring_text);
  fluxbp_value_format(&bytes, other, other_text, sizeof other_text);
  fluxbp_value_format(&bytes, advised, advised_text, sizeof advised_text);
  snprintf(problem, capacity, "ring_bytes (%.24s) %s (%.24s): make it %.24s or %s", ring_text, relation, other_text,
           advised_text, advice);
  return false;
}

bool policy_check(const fluxbp_policy_t *policy, const struct policy_surroundings *surroundings, char *problem,
                  size_t capacity) {
  uint64_t least_bytes = fluxbp_policy_least_ring_bytes(surroundings->max_message);
  if (policy->low_percent >= policy->high_percent) {
    snprintf(problem, capacity, "low (%" PRIu32 ") must be below high (%" PRIu32 ")", policy->low_percent,
             policy->high_percent);
    return false;
  }
  if (policy->max_bytes < least_bytes)
    return refuse_ring_bytes(policy->max_bytes, "must be at least twice the limit of bytes per message",
                             surroundings->max_message, "more", least_bytes, problem, capacity);
  if (policy->max_bytes > surroundings->budget)
    return refuse_ring_bytes(policy->max_bytes, "is more than the server's memory budget", surroundings->budget, "less",
                             surroundings->budget, problem, capacity);
  if (policy->soft_bytes >= policy->max_bytes) {
    static const fluxbp_value_type_t bytes = {.kind = FLUXBP_VALUE_BYTES};
    char soft_text[FLUXBP_VALUE_TEXT_BYTES], ring_text[FLUXBP_VALUE_TEXT_BYTES];
    fluxbp_value_format(&bytes, policy->soft_bytes, soft_text, sizeof soft_text);
    fluxbp_value_format(&bytes, policy->max_bytes, ring_text, sizeof ring_text);
    snprintf(problem, capacity, "soft_bytes (%.24s) must be below ring_bytes (%.24s)", soft_text, ring_text);
    return false;
  }
  return true;
}
