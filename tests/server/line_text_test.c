/* SPDX-License-Identifier: MIT */
/*
 * line_text: every character that ends a line for some reader is found, wherever it stands, and no other one.
 */
#include "server/lines/line_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Longer than what is looked at in one go. */
enum { PLACES = 80 };

/* Memory of its own, so that a sanitizer sees what is read beyond it. */
static bool is_one_line(const char *text, size_t length) {
  char *copy = malloc(length > 0 ? length : 1);
  assert_non_null(copy);
  if (length > 0) memcpy(copy, text, length);
  bool is_it = line_text_is_one_line(copy, length);
  free(copy);
  return is_it;
}

static void assert_is_one_line_anywhere(const char *piece, size_t length, bool is_it) {
  for (char filler = 'x'; filler != '\0'; filler = filler == 'x' ? (char) 0xff : '\0') {
    for (size_t place = 0; place < PLACES; place++) {
      char text[PLACES + 4];
      memset(text, filler, sizeof text);
      memcpy(text + place, piece, length);
      assert_int_equal(is_one_line(text, sizeof text), is_it);
      assert_int_equal(is_one_line(text, place + length), is_it);
    }
  }
}

static void bytes_that_end_a_line_are_found_anywhere(void **state) {
  (void) state;
  for (int byte = 0; byte < 256; byte++) {
    char piece = (char) byte;
    bool ends_line = byte != 0 && memchr("\n\v\f\r\x1c\x1d\x1e", byte, 7) != NULL;
    assert_is_one_line_anywhere(&piece, 1, !ends_line);
  }
}

static void characters_that_end_a_line_are_found_anywhere(void **state) {
  (void) state;
  assert_is_one_line_anywhere("\xc2\x85", 2, false);
  assert_is_one_line_anywhere("\xe2\x80\xa8", 3, false);
  assert_is_one_line_anywhere("\xe2\x80\xa9", 3, false);
  assert_is_one_line_anywhere("\xc2\x84", 2, true);
  assert_is_one_line_anywhere("\xc3\x85", 2, true);
  assert_is_one_line_anywhere("\xe2\x80\xa7", 3, true);
  assert_is_one_line_anywhere("\xe2\x80\xaa", 3, true);
  assert_is_one_line_anywhere("\xe2\x81\xa8", 3, true);
  assert_is_one_line_anywhere("\xe3\x80\xa8", 3, true);
}

static void the_line_end_at_the_end_is_one_of_two(void **state) {
  (void) state;
  static const struct {
    const char *text;
    size_t length;
  } cases[] = {{"", 0},        {"a", 1},       {"a\n", 1}, {"a\r\n", 1}, {"a\r", 2}, {"a\n\n", 2},
               {"a\r\n\n", 3}, {"a\r\r\n", 2}, {"\n", 0},  {"\r\n", 0},  {"\r", 1},  {"a\n\r", 3}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(line_text_trimmed(cases[i].text, strlen(cases[i].text)), cases[i].length);
}

static void a_byte_order_mark_is_whole_and_at_the_beginning(void **state) {
  (void) state;
  assert_int_equal(line_text_mark("\xef\xbb\xbf", 3), 3);
  assert_int_equal(line_text_mark("\xef\xbb\xbf\xef\xbb\xbf", 6), 3);
  assert_int_equal(line_text_mark("\xef\xbb", 2), 0);
  assert_int_equal(line_text_mark("", 0), 0);
  assert_int_equal(line_text_mark("a\xef\xbb\xbf", 4), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_that_end_a_line_are_found_anywhere),
      cmocka_unit_test(characters_that_end_a_line_are_found_anywhere),
      cmocka_unit_test(the_line_end_at_the_end_is_one_of_two),
      cmocka_unit_test(a_byte_order_mark_is_whole_and_at_the_beginning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
