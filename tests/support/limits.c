/* SPDX-License-Identifier: MIT */
/*
 * limits: see limits.h. The header is read as text, so that a new field without a row of its own is noticed.
 */
#include "support/limits.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { TEXT_BYTES = 65536, NAME_BYTES = 64 };

static void read_header(const char *header, char text[TEXT_BYTES]) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", FLUXBP_HEADERS, header);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  size_t length = fread(text, 1, TEXT_BYTES - 1, file);
  text[length] = '\0';
  fclose(file);
}

static void blank_comments(char *text) {
  for (char *begin; (begin = strstr(text, "/*")) != NULL;) {
    const char *end = strstr(begin, "*/");
    assert_non_null(end);
    memset(begin, ' ', (size_t) (end + 2 - begin));
  }
}

/* From behind the brace that opens the struct; ends at the one that closes it. */
static char *find_struct(char *text, const char *name) {
  char opening[NAME_BYTES + 32];
  snprintf(opening, sizeof opening, "typedef struct %s {", name);
  char *begin = strstr(text, opening);
  assert_non_null(begin);
  begin += strlen(opening);
  char *end = strchr(begin, '}');
  assert_non_null(end);
  *end = '\0';
  return begin;
}

/* The name in a declaration: that in (*name)(…), or else the last word. */
static void name_of(const char *declaration, char name[NAME_BYTES]) {
  const char *pointer = strstr(declaration, "(*");
  const char *end = pointer != NULL ? strchr(pointer, ')') : declaration + strlen(declaration);
  const char *begin = end;
  while (begin > declaration && (isalnum((unsigned char) begin[-1]) || begin[-1] == '_')) begin--;
  assert_in_range(end - begin, 1, NAME_BYTES - 1);
  snprintf(name, NAME_BYTES, "%.*s", (int) (end - begin), begin);
}

static bool has_field(const limits_struct_t *walked, const char *name) {
  for (size_t i = 0; i < walked->count; i++)
    if (strcmp(walked->fields[i].name, name) == 0) return true;
  return false;
}

static void compare_with_header(const limits_struct_t *walked) {
  static char text[TEXT_BYTES];
  char name[NAME_BYTES];
  size_t count = 0;
  char *rest;
  read_header(walked->header, text);
  blank_comments(text);
  for (char *part = strtok_r(find_struct(text, walked->name), ";", &rest); part; part = strtok_r(NULL, ";", &rest)) {
    if (strspn(part, " \n") == strlen(part)) continue;
    name_of(part, name);
    count++;
    if (!has_field(walked, name)) fail_msg("%s.%s has no row in the table of limits", walked->name, name);
  }
  assert_int_equal(count, walked->count);
}

static bool is_in_range(const limits_field_t *field, uint64_t value) {
  if (!field->is_signed) return value >= field->min && value <= field->max;
  return (int64_t) value >= (int64_t) field->min && (int64_t) value <= (int64_t) field->max;
}

/* Whether the field can hold it at all. */
static bool can_hold(const limits_field_t *field, uint64_t value) {
  if (field->size == sizeof(uint64_t)) return true;
  if (!field->is_signed) return value <= UINT32_MAX;
  return (int64_t) value >= INT32_MIN && (int64_t) value <= INT32_MAX;
}

static void set(void *options, const limits_field_t *field, uint64_t value) {
  uint32_t narrow = (uint32_t) value;
  assert_true(field->size == sizeof value || field->size == sizeof narrow);
  char *to = (char *) options + field->offset;
  if (field->size == sizeof value)
    memcpy(to, &value, sizeof value);
  else
    memcpy(to, &narrow, sizeof narrow);
}

static void try_value(const limits_struct_t *walked, const limits_field_t *field, uint64_t value) {
  union {
    uint64_t aligned;
    char bytes[LIMITS_STRUCT_BYTES];
  } options;
  if (!can_hold(field, value)) return;
  assert_true(walked->size <= sizeof options);
  walked->init(&options);
  set(&options, field, value);
  int err = walked->make(&options);
  int expected = is_in_range(field, value) ? 0 : UV_EINVAL;
  if (err != expected)
    fail_msg("%s.%s = %lld: %s instead of %s", walked->name, field->name, (long long) value,
             err != 0 ? uv_strerror(err) : "taken", expected != 0 ? uv_strerror(expected) : "taken");
}

void limits_walk(const limits_struct_t *walked) {
  compare_with_header(walked);
  for (size_t i = 0; i < walked->count; i++) {
    const limits_field_t *field = &walked->fields[i];
    if (!field->is_number) continue;
    uint64_t all_ones = field->size == sizeof(uint64_t) || field->is_signed ? UINT64_MAX : UINT32_MAX;
    const uint64_t values[] = {field->min - 1, field->min, field->max, field->max + 1, 0, all_ones};
    for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) try_value(walked, field, values[j]);
  }
}
