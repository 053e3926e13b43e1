/* SPDX-License-Identifier: MIT */
/*
 * units: strtod and strtoull alone would take signs, blanks, "inf" and hexadecimal numbers as well, so the characters
 * are looked at first.
 */
#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
  const char *name; /* NULL ends a list */
  double factor;
};

static const struct unit decimals[] = {{"", 1}, {NULL, 0}};
static const struct unit rates[] = {{"", 1}, {"/s", 1}, {NULL, 0}};
static const struct unit seconds[] = {{"", 1e9},  {"ns", 1},   {"us", 1e3},   {"ms", 1e6},
                                      {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {NULL, 0}};
static const struct unit bytes[] = {{"", 1},           {"B", 1},           {"K", 1024},         {"KB", 1024},
                                    {"KiB", 1024},     {"M", 1048576},     {"MB", 1048576},     {"MiB", 1048576},
                                    {"G", 1073741824}, {"GB", 1073741824}, {"GiB", 1073741824}, {NULL, 0}};

/* A year: sums of a few fit into 64 bits, and so does the longest time between cuts of a client, 37 times the mean. */
#define MAX_DURATION_NS (365.0 * 24 * 3600e9)
#define MAX_AMOUNT 1e15

static const struct {
  const struct unit *units;
  const char *suffix; /* behind the unit */
  double max;
} kinds[] = {[UNITS_DECIMAL] = {decimals, "", MAX_AMOUNT},     [UNITS_RATE] = {rates, "", MAX_AMOUNT},
             [UNITS_SECONDS] = {seconds, "", MAX_DURATION_NS}, [UNITS_DURATION] = {seconds + 1, "", MAX_DURATION_NS},
             [UNITS_BYTES] = {bytes, "", MAX_AMOUNT},          [UNITS_BYTE_RATE] = {bytes, "/s", MAX_AMOUNT}};

bool units_read_number(const char *text, uint64_t max, uint64_t *value) {
  errno = 0;
  *value = strtoull(text, NULL, 10);
  return *text != '\0' && text[strspn(text, "0123456789")] == '\0' && errno == 0 && *value <= max;
}

bool units_read(const char *text, enum units_kind kind, double *value) {
  const struct unit *unit = kinds[kind].units;
  size_t digits = strspn(text, "0123456789.");
  char *rest;
  *value = strtod(text, &rest);
  if (digits == 0 || rest != text + digits) return false;
  for (; unit->name != NULL; unit++) {
    size_t length = strlen(unit->name);
    if (strncmp(rest, unit->name, length) == 0 && strcmp(rest + length, kinds[kind].suffix) == 0) break;
  }
  *value *= unit->factor;
  return unit->name != NULL && *value <= kinds[kind].max;
}

bool units_read_whole(const char *text, enum units_kind kind, uint64_t max, uint64_t *value) {
  double read;
  if (!units_read(text, kind, &read)) return false;
  *value = (uint64_t) round(read);
  return read >= 1 && *value <= max;
}

/* Write a whole number below `whole_below`, else three significant digits with the unit for each power of 1000. */
static const char *write_scaled(uint64_t value, uint64_t whole_below, const char *const units[4],
                                char text[UNITS_TEXT_BYTES]) {
  double scaled = (double) value;
  size_t power = 0;
  if (value < whole_below) {
    snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 "%s", value, units[0]);
    return text;
  }
  do {
    scaled /= 1e3;
    power++;
  } while (power < 3 && scaled >= 999.5);
  int places = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  snprintf(text, UNITS_TEXT_BYTES, "%.*f%s", places, scaled, units[power]);
  return text;
}

const char *units_write_duration(uint64_t ns, char text[UNITS_TEXT_BYTES]) {
  static const char *const units[] = {" ns", " us", " ms", " s"};
  return write_scaled(ns, 1000, units, text);
}

const char *units_write_count(uint64_t count, char text[UNITS_TEXT_BYTES]) {
  static const char *const units[] = {"", "k", "M", "G"};
  return write_scaled(count, 100000, units, text);
}
