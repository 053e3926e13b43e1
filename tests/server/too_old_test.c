/* SPDX-License-Identifier: MIT */
/*
 * too_old: what is said of topics that don't reach back, as text and as JSON, with whole names only.
 */
#include "server/session/too_old.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BASE "too old, oldest is 0123456789abcdef:5"
#define JSON_BASE "{\"reason\":\"too old\",\"oldest\":\"0123456789abcdef:5\""

static struct too_old make(void) {
  return (struct too_old){.problem = "too old", .oldest = "0123456789abcdef:5"};
}

static void expect_text(const struct too_old *too_old, size_t capacity, const char *expected) {
  char text[400];
  assert_int_equal(too_old_write(too_old, text, capacity), strlen(expected));
  assert_string_equal(text, expected);
}

static void expect_json(const struct too_old *too_old, const char *expected) {
  char text[800];
  assert_int_equal(too_old_write_json(too_old, text, sizeof text), strlen(expected));
  assert_string_equal(text, expected);
  assert_int_equal(too_old_write_json(too_old, text, strlen(expected)), 0); /* no room for the NUL */
}

static void topics_are_named_behind_what_is_said_without_them(void **state) {
  struct too_old too_old = make();
  (void) state;
  expect_text(&too_old, 400, BASE);
  expect_json(&too_old, JSON_BASE "}");
  too_old_add_topic(&too_old, "news");
  expect_text(&too_old, 400, BASE ", topics news");
  expect_json(&too_old, JSON_BASE ",\"topics\":[\"news\"]}");
  too_old_add_topic(&too_old, "sport");
  expect_text(&too_old, 400, BASE ", topics news,sport");
  expect_json(&too_old, JSON_BASE ",\"topics\":[\"news\",\"sport\"]}");
}

static void names_without_room_are_counted(void **state) {
  struct too_old too_old = make();
  size_t base = strlen(BASE);
  (void) state;
  for (int i = 0; i < 3; i++) too_old_add_topic(&too_old, "abcdefghijkl");
  expect_text(&too_old, base + sizeof ", topics abcdefghijkl,abcdefghijkl,abcdefghijkl",
              BASE ", topics abcdefghijkl,abcdefghijkl,abcdefghijkl");
  expect_text(&too_old, base + sizeof ", topics abcdefghijkl,abcdefghijkl,abcdefghijk",
              BASE ", topics abcdefghijkl,abcdefghijkl and 1 more");
  expect_text(&too_old, base + sizeof ", topics abcdefghijkl and 2 more", BASE ", topics abcdefghijkl and 2 more");
  expect_text(&too_old, base + sizeof ", topics abcdefghijkl and 2 mor", BASE);
  expect_text(&too_old, base + 1, BASE);
}

static void many_names_are_cut_where_they_are_kept(void **state) {
  struct too_old too_old = make();
  char name[65], json[800];
  (void) state;
  for (int i = 0; i < 10; i++) {
    memset(name, 'a' + i, 64);
    name[64] = '\0';
    too_old_add_topic(&too_old, name);
  }
  too_old_add_topic(&too_old, "x"); /* would have room, but what was left out before counts with it */
  assert_int_equal(strlen(too_old.topics), 3 * 65 - 1);
  assert_int_equal(too_old.left_out, 8);
  assert_true(too_old_write_json(&too_old, json, sizeof json) > 0);
  assert_non_null(strstr(json, "\"],\"more\":8}"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(topics_are_named_behind_what_is_said_without_them),
      cmocka_unit_test(names_without_room_are_counted),
      cmocka_unit_test(many_names_are_cut_where_they_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
