/* SPDX-License-Identifier: MIT */
/*
 * value: parsing, formatting, and access to fields of the three sizes that there are.
 */
#include "value.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool parse(const struct value_type *type, const char *text, uint64_t *value) {
  switch (type->kind) {
  case VALUE_NUMBER:
  case VALUE_BYTES:
    return parse_number(text, type->kind == VALUE_BYTES, value) && *value >= type->min && *value <= type->max;
  case VALUE_CHOICE:
    return parse_choice(type->choices, text, value);
  case VALUE_SWITCH:
    return parse_choice(switch_names, text, value);
  }
  return false;
}

bool value_parse(const struct value_type *type, const char *text, uint64_t *value) {
  uint64_t parsed = 0;
  if (!parse(type, text, &parsed)) return false;
  *value = type->kind == VALUE_SWITCH ? parsed % 2 : parsed;
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

void value_format(const struct value_type *type, uint64_t value, char *text, size_t capacity) {
  switch (type->kind) {
  case VALUE_NUMBER:
    snprintf(text, capacity, "%" PRIu64, value);
    return;
  case VALUE_BYTES:
    format_bytes(value, text, capacity);
    return;
  case VALUE_CHOICE:
    snprintf(text, capacity, "%s", type->choices[value]);
    return;
  case VALUE_SWITCH:
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

void value_rule(const struct value_type *type, char *text, size_t capacity) {
  char min[VALUE_TEXT_BYTES], max[VALUE_TEXT_BYTES];
  switch (type->kind) {
  case VALUE_NUMBER:
    snprintf(text, capacity, "a number from %" PRIu64 " to %" PRIu64, type->min, type->max);
    return;
  case VALUE_BYTES:
    format_bytes(type->min, min, sizeof min);
    format_bytes(type->max, max, sizeof max);
    snprintf(text, capacity, "a number from %.24s to %.24s, with a suffix K, M or G if you like", min, max);
    return;
  case VALUE_CHOICE:
    list_choices(type->choices, text, capacity);
    return;
  case VALUE_SWITCH:
    snprintf(text, capacity, "on or off");
    return;
  }
}

uint64_t value_get(const void *base, struct value_place place) {
  const char *from = (const char *) base + place.offset;
  bool is_set;
  uint32_t narrow;
  uint64_t wide;
  switch (place.size) {
  case sizeof is_set:
    memcpy(&is_set, from, sizeof is_set);
    return is_set;
  case sizeof narrow:
    memcpy(&narrow, from, sizeof narrow);
    return narrow;
  default:
    assert(place.size == sizeof wide);
    memcpy(&wide, from, sizeof wide);
    return wide;
  }
}

void value_set(void *base, struct value_place place, uint64_t value) {
  char *to = (char *) base + place.offset;
  bool is_set = value != 0;
  uint32_t narrow = (uint32_t) value;
  switch (place.size) {
  case sizeof is_set:
    memcpy(to, &is_set, sizeof is_set);
    return;
  case sizeof narrow:
    assert(narrow == value);
    memcpy(to, &narrow, sizeof narrow);
    return;
  default:
    assert(place.size == sizeof value);
    memcpy(to, &value, sizeof value);
    return;
  }
}
