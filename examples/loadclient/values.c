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
  const char *name;
  double factor;
};

static const struct unit duration_units[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                             {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
static const struct unit byte_units[] = {{"", 1},           {"B", 1},           {"K", 1024},        {"KB", 1024},
                                         {"KiB", 1024},     {"M", 1048576},     {"MB", 1048576},    {"MiB", 1048576},
                                         {"G", 1073741824}, {"GB", 1073741824}, {"GiB", 1073741824}};

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

/* A decimal with one of the units behind it. */
static bool read_with_unit(const char *text, size_t length, const struct unit *units, size_t count, double *value) {
  size_t digits = 0;
  while (digits < length && strchr("0123456789.", text[digits]) != NULL && text[digits] != '\0') digits++;
  size_t rest = length - digits;
  for (size_t i = 0; i < count; i++) {
    if (strlen(units[i].name) != rest || memcmp(units[i].name, text + digits, rest) != 0) continue;
    double number;
    if (!values_read_decimal(text, digits, &number)) return false;
    *value = number * units[i].factor;
    return true;
  }
  return false;
}

bool values_read_duration(const char *text, size_t length, bool may_lack_unit, uint64_t *ns) {
  double value;
  if (may_lack_unit && values_read_decimal(text, length, &value))
    value *= 1e9;
  else if (!read_with_unit(text, length, duration_units, sizeof duration_units / sizeof duration_units[0], &value))
    return false;
  if (value > max_duration_ns) return false;
  *ns = (uint64_t) (value + 0.5);
  return true;
}

bool values_read_bytes(const char *text, size_t length, uint64_t *bytes) {
  double value;
  if (!read_with_unit(text, length, byte_units, sizeof byte_units / sizeof byte_units[0], &value)) return false;
  if (value > max_bytes) return false;
  *bytes = (uint64_t) value;
  return true;
}

/* The length without "/s" at the end; the whole length where there is none. */
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

/* Three significant digits of a value below 1000. */
static void write_digits(double value, const char *unit, char text[VALUES_TEXT_BYTES]) {
  int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  snprintf(text, VALUES_TEXT_BYTES, "%.*f%s", decimals, value, unit);
}

const char *values_write_duration(uint64_t ns, char text[VALUES_TEXT_BYTES]) {
  if (ns < 1000)
    snprintf(text, VALUES_TEXT_BYTES, "%" PRIu64 " ns", ns);
  else if (ns < 999500)
    write_digits((double) ns / 1e3, " us", text);
  else if (ns < 999500000)
    write_digits((double) ns / 1e6, " ms", text);
  else
    write_digits((double) ns / 1e9, " s", text);
  return text;
}

const char *values_write_count(uint64_t count, char text[VALUES_TEXT_BYTES]) {
  if (count < 100000)
    snprintf(text, VALUES_TEXT_BYTES, "%" PRIu64, count);
  else if (count < 999500)
    write_digits((double) count / 1e3, "k", text);
  else if (count < 999500000)
    write_digits((double) count / 1e6, "M", text);
  else
    write_digits((double) count / 1e9, "G", text);
  return text;
}
