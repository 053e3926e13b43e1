/* SPDX-License-Identifier: MIT */
/*
 * The members of an object, and strings without their escapes; on memory of their exact size, so that a reader that
 * goes too far is seen by the sanitizer.
 */
#include "client/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char told[1024];

/* "name=value;" for each member; strings in quotation marks, and an asterisk where there are escapes. */
static const char *members_of(const char *text) {
  size_t length = strlen(text), at = 0;
  char *exact = malloc(length + 1);
  assert_non_null(exact);
  memcpy(exact, text, length);
  fluxbp__json_walk_t walk = {.at = exact, .end = exact + length};
  fluxbp__json_value_t name, value;
  told[0] = '\0';
  while (fluxbp__json_next(&walk, &name, &value))
    at += (size_t) snprintf(told + at, sizeof told - at, "%.*s=%s%.*s%s%s;", (int) name.length, name.text,
                            value.is_string ? "\"" : "", (int) value.length, value.text, value.is_string ? "\"" : "",
                            value.has_escapes ? "*" : "");
  free(exact);
  return told;
}

static void members_are_found(void **state) {
  (void) state;
  assert_string_equal(members_of("{}"), "");
  assert_string_equal(members_of("{\"a\":1}"), "a=1;");
  assert_string_equal(members_of(" { \"a\" : \"b\" , \"c\":true,\"d\":[1,{\"e\":\"]}\"}], \"f\":{} } "),
                      "a=\"b\";c=true;d=[1,{\"e\":\"]}\"}];f={};");
  assert_string_equal(members_of("{\"a\":\"b\\\"c\\\\\",\"d\":\"\"}"), "a=\"b\\\"c\\\\\"*;d=\"\";");
}

static void what_is_no_object_ends_early(void **state) {
  static const char *const texts[] = {"",           "x",       "[1]",       "{",           "{\"",           "{\"a",
                                      "{\"a\"",     "{\"a\":", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":\"\\\"", "{\"a\":{",
                                      "{\"a\":[\"", "{a:1}",   "{,}"};
  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) assert_string_equal(members_of(texts[i]), "");
}

static void expect_unescaped(const char *text, const char *expected, size_t length) {
  fluxbp__buffer_t out = {0};
  fluxbp__json_value_t value = {.text = text, .length = strlen(text), .is_string = true, .has_escapes = true};
  bool is_right = fluxbp__json_unescape(&value, &out);
  assert_int_equal(is_right, expected != NULL);
  if (expected != NULL) {
    assert_int_equal(out.length, length);
    if (length > 0) assert_memory_equal(out.data, expected, length);
  }
  fluxbp__buffer_free(&out);
}

static void escapes_are_replaced(void **state) {
  (void) state;
  expect_unescaped("a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t", "a\"b\\c/d\b\f\n\r\t", 12);
  expect_unescaped("\\u0041\\u00e4\\u20ac\\ud83d\\ude00", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10);
  expect_unescaped("\\u0000", "\0", 1);
  expect_unescaped("\\u00E4", "\xc3\xa4", 2);
  static const char *const wrong[] = {
      "\\", "\\x", "\\u", "\\u12", "\\u12g4", "\\ud83d", "\\ud83dx", "\\ud83d\\u0041", "\\ude00"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) expect_unescaped(wrong[i], NULL, 0);
}

static void numbers_are_read(void **state) {
  fluxbp__json_value_t value = {.text = "12345", .length = 5};
  (void) state;
  assert_int_equal(fluxbp__json_number(&value), 12345);
  value = (fluxbp__json_value_t){.text = "-5", .length = 2};
  assert_int_equal(fluxbp__json_number(&value), 0);
  value = (fluxbp__json_value_t){.text = "99999999999999999999999", .length = 23};
  assert_int_equal(fluxbp__json_number(&value), 0);
  value = (fluxbp__json_value_t){0};
  assert_int_equal(fluxbp__json_number(&value), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members_are_found),
      cmocka_unit_test(what_is_no_object_ends_early),
      cmocka_unit_test(escapes_are_replaced),
      cmocka_unit_test(numbers_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
