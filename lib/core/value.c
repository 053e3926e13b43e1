/* SPDX-License-Identifier: MIT */
/*
 * value: parsing, formatting, and access to fields of the three sizes that there are.
 */
#include "fluxbp/value.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)
#define GIB ((uint64_t) 1 << 30)

/* Those that mean "on" at the odd places; the first two are the ones to write. */
static const char *const switch_names[] = {"off", "on", "false", "true", "no", "yes", "0", "1", NULL};

static bool parse_choice(const char *const *choices, const char *text, uint64_t *place) {
  for (size_t i = 0; choices[i] != NULL; i++) {
    if (strcmp(text, choices[i]) == 0) {
      *place = i;
      return true;
    }
  }
  return false;
}

static uint64_t unit_of(char suffix) {
  switch (suffix) {
  case 'K':
  case 'k':
    return KIB;
  case 'M':
  case 'm':
    return MIB;
  case 'G':
  case 'g':
    return GIB;
  default:
    return 0;
  }
}

/* Digits only: strtoull alone would take a sign and blanks as well. */
static bool parse_number(const char *text, bool takes_suffix, uint64_t *number) {
  char *end;
  uint64_t unit = 1;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  uint64_t value = strtoull(text, &end, 10);
  if (takes_suffix && *end != '\0') unit = unit_of(*end++);
  if (errno != 0 || *end != '\0' || unit == 0 || value > UINT64_MAX / unit) return false;
  *number = value * unit;
  return true;
}

static bool parse(const fluxbp_value_type_t *type, const char *text, uint64_t *value) {
  switch (type->kind) {
  case FLUXBP_VALUE_NUMBER:
  case FLUXBP_VALUE_BYTES:
    return parse_number(text, type->kind == FLUXBP_VALUE_BYTES, value) && *value >= type->min && *value <= type->max;
  case FLUXBP_VALUE_CHOICE:
    return parse_choice(type->choices, text, value);
  case FLUXBP_VALUE_SWITCH:
    return parse_choice(switch_names, text, value);
  }
  return false;
}

int fluxbp_value_parse(const fluxbp_value_type_t *type, const char *text, uint64_t *value) {
  uint64_t parsed = 0;
  if (!parse(type, text, &parsed)) return false;
  *value = type->kind == FLUXBP_VALUE_SWITCH ? parsed % 2 : parsed;
  return true;
}

static void format_bytes(uint64_t bytes, char *text, size_t capacity) {
  static const char suffixes[] = {'G', 'M', 'K'};
  uint64_t unit = GIB;
  for (size_t i = 0; i < sizeof suffixes; i++, unit /= 1024) {
    if (bytes == 0 || bytes % unit != 0) continue;
    snprintf(text, capacity, "%" PRIu64 "%c", bytes / unit, suffixes[i]);
    return;
  }
  snprintf(text, capacity, "%" PRIu64, bytes);
}

void fluxbp_value_format(const fluxbp_value_type_t *type, uint64_t value, char *text, size_t capacity) {
  switch (type->kind) {
  case FLUXBP_VALUE_NUMBER:
    snprintf(text, capacity, "%" PRIu64, value);
    return;
  case FLUXBP_VALUE_BYTES:
    format_bytes(value, text, capacity);
    return;
  case FLUXBP_VALUE_CHOICE:
    snprintf(text, capacity, "%s", type->choices[value]);
    return;
  case FLUXBP_VALUE_SWITCH:
    snprintf(text, capacity, "%s", switch_names[value != 0]);
    return;
  }
}

/* "debug, info, warn or error" */
static void list_choices(const char *const *choices, char *text, size_t capacity) {
  size_t length = 0;
  for (size_t i = 0; choices[i] != NULL && length < capacity; i++) {
    const char *joint = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
    length += (size_t) snprintf(text + length, capacity - length, "%s%s", joint, choices[i]);
  }
}

void fluxbp_value_rule(const fluxbp_value_type_t *type, char *text, size_t capacity) {
  char min[FLUXBP_VALUE_TEXT_BYTES], max[FLUXBP_VALUE_TEXT_BYTES];
  switch (type->kind) {
  case FLUXBP_VALUE_NUMBER:
    snprintf(text, capacity, "a number from %" PRIu64 " to %" PRIu64, type->min, type->max);
    return;
  case FLUXBP_VALUE_BYTES:
    format_bytes(type->min, min, sizeof min);
    format_bytes(type->max, max, sizeof max);
    snprintf(text, capacity, "a number from %.24s to %.24s, with a suffix K, M or G if you like", min, max);
    return;
  case FLUXBP_VALUE_CHOICE:
    list_choices(type->choices, text, capacity);
    return;
  case FLUXBP_VALUE_SWITCH:
    snprintf(text, capacity, "on or off");
    return;
  }
}

uint64_t fluxbp_value_get(const void *base, const fluxbp_value_place_t *place) {
  const char *from = (const char *) base + place->offset;
  bool is_set;
  uint32_t narrow;
  uint64_t wide;
  switch (place->size) {
  case sizeof is_set:
    memcpy(&is_set, from, sizeof is_set);
    return is_set;
  case sizeof narrow:
    memcpy(&narrow, from, sizeof narrow);
    return narrow;
  default:
    assert(place->size == sizeof wide);
    memcpy(&wide, from, sizeof wide);
    return wide;
  }
}

void fluxbp_value_set(void *base, const fluxbp_value_place_t *place, uint64_t value) {
  char *to = (char *) base + place->offset;
  bool is_set = value != 0;
  uint32_t narrow = (uint32_t) value;
  switch (place->size) {
  case sizeof is_set:
    memcpy(to, &is_set, sizeof is_set);
    return;
  case sizeof narrow:
    assert(narrow == value);
    memcpy(to, &narrow, sizeof narrow);
    return;
  default:
    assert(place->size == sizeof value);
    memcpy(to, &value, sizeof value);
    return;
  }
}
