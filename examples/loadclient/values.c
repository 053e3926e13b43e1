/* SPDX-License-Identifier: MIT */
/*
 * values: strtod and strtoull alone would take signs, blanks, "inf" and hexadecimal numbers as well, so the characters
 * are looked at first.
 */
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 32 /* of any number that is taken, with its NUL */

/* A year: sums of a few fit into 64 bits, and so does the longest time between cuts of a client, 37 times the mean. */
static const double max_duration_ns = 365.0 * 24 * 3600e9;
static const double max_bytes = 1e15;

struct unit {
  const char *name; /* NULL ends a list */
  double factor;
};

static const struct unit duration_units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6}, {"s", 1e9},
                                             {"m", 60e9}, {"h", 3600e9}, {NULL, 0}};
static const struct unit byte_units[] = {{"", 1},           {"B", 1},           {"K", 1024},         {"KB", 1024},
                                         {"KiB", 1024},     {"M", 1048576},     {"MB", 1048576},     {"MiB", 1048576},
                                         {"G", 1073741824}, {"GB", 1073741824}, {"GiB", 1073741824}, {NULL, 0}};

static bool copy_number(const char *text, size_t length, const char *characters, char number[NUMBER_BYTES]) {
  if (length == 0 || length >= NUMBER_BYTES) return false;
  memcpy(number, text, length);
  number[length] = '\0';
  return strspn(number, characters) == length;
}

bool values_read_number(const char *text, size_t length, uint64_t max, uint64_t *value) {
  char number[NUMBER_BYTES];
  if (!copy_number(text, length, "0123456789", number)) return false;
  errno = 0;
  uint64_t read = strtoull(number, NULL, 10);
  if (errno != 0 || read > max) return false;
  *value = read;
  return true;
}

bool values_read_decimal(const char *text, size_t length, double *value) {
  char number[NUMBER_BYTES];
  if (!copy_number(text, length, "0123456789.", number)) return false;
  if (strchr(number, '.') != strrchr(number, '.') || strcmp(number, ".") == 0) return false;
  *value = strtod(number, NULL);
  return true;
}

/* Read a decimal with one of the units behind it, of at most `max` in all. */
static bool read_with_unit(const char *text, size_t length, const struct unit *unit, double max, double *value) {
  size_t digits = 0;
  while (digits < length && text[digits] != '\0' && strchr("0123456789.", text[digits]) != NULL) digits++;
  while (unit->name != NULL &&
         (strlen(unit->name) != length - digits || memcmp(unit->name, text + digits, length - digits) != 0))
    unit++;
  if (unit->name == NULL || !values_read_decimal(text, digits, value)) return false;
  *value *= unit->factor;
  return *value <= max;
}

bool values_read_duration(const char *text, size_t length, bool may_lack_unit, uint64_t *ns) {
  double value;
  if (may_lack_unit && values_read_decimal(text, length, &value))
    value *= 1e9;
  else if (!read_with_unit(text, length, duration_units, max_duration_ns, &value))
    return false;
  if (value > max_duration_ns) return false;
  *ns = (uint64_t) (value + 0.5);
  return true;
}

bool values_read_bytes(const char *text, size_t length, uint64_t *bytes) {
  double value;
  if (!read_with_unit(text, length, byte_units, max_bytes, &value)) return false;
  *bytes = (uint64_t) value;
  return true;
}

/* Return the length without "/s" at the end; the whole length where there is none. */
static size_t length_without_per_second(const char *text, size_t length) {
  return length >= 2 && memcmp(text + length - 2, "/s", 2) == 0 ? length - 2 : length;
}

bool values_read_byte_rate(const char *text, size_t length, uint64_t *bytes_per_second) {
  size_t bytes_length = length_without_per_second(text, length);
  return bytes_length < length && values_read_bytes(text, bytes_length, bytes_per_second);
}

bool values_read_rate(const char *text, size_t length, uint64_t max, uint64_t *per_second) {
  return values_read_number(text, length_without_per_second(text, length), max, per_second);
}

/* Write a whole number below `whole_below`, else three significant digits with the unit for each power of 1000. */
static const char *write_scaled(uint64_t value, uint64_t whole_below, const char *const units[4],
                                char text[VALUES_TEXT_BYTES]) {
  double scaled = (double) value;
  size_t power = 0;
  if (value < whole_below) {
    snprintf(text, VALUES_TEXT_BYTES, "%" PRIu64 "%s", value, units[0]);
    return text;
  }
  do {
    scaled /= 1e3;
    power++;
  } while (power < 3 && scaled >= 999.5);
  int decimals = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  snprintf(text, VALUES_TEXT_BYTES, "%.*f%s", decimals, scaled, units[power]);
  return text;
}

const char *values_write_duration(uint64_t ns, char text[VALUES_TEXT_BYTES]) {
  static const char *const units[] = {" ns", " us", " ms", " s"};
  return write_scaled(ns, 1000, units, text);
}

const char *values_write_count(uint64_t count, char text[VALUES_TEXT_BYTES]) {
  static const char *const units[] = {"", "k", "M", "G"};
  return write_scaled(count, 100000, units, text);
}
