/* SPDX-License-Identifier: MIT */
/*
 * pattern: which texts are patterns, and which names they match.
 */
#include "fluxbp/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static void pattern_may_have_wildcards_as_whole_tokens(void **state) {
  (void) state;
  const char *const valid[] = {"news",   "news.sports",     "news/sports", "*",    ">", "*.*",     "news.*", "*.news",
                               "news.>", "orders.*.status", "*.>",         "a..b", ".", "/news/*", "news.",  "news..>"};
  for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) assert_int_equal(fluxbp_pattern_check(valid[i]), 0);
}

static void pattern_with_a_part_of_a_token_as_wildcard_is_refused(void **state) {
  (void) state;
  const char *const invalid[] = {"ord*", "*ers", "o*s.x", "**", "news.>x", "x>", ">>", "*>", "a.*b.c"};
  for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
    assert_int_equal(fluxbp_pattern_check(invalid[i]), UV_EINVAL);
}

static void pattern_with_the_rest_before_its_end_is_refused(void **state) {
  (void) state;
  assert_int_equal(fluxbp_pattern_check(">.news"), UV_EINVAL);
  assert_int_equal(fluxbp_pattern_check("news.>.x"), UV_EINVAL);
  assert_int_equal(fluxbp_pattern_check("news/>/"), UV_EINVAL);
}

static void pattern_is_as_long_as_a_name_at_most(void **state) {
  (void) state;
  char text[FLUXBP_PATTERN_MAX + 2];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  assert_int_equal(fluxbp_pattern_check(text), UV_EINVAL);
  text[FLUXBP_PATTERN_MAX] = '\0';
  assert_int_equal(fluxbp_pattern_check(text), 0);
  assert_int_equal(fluxbp_pattern_check(""), UV_EINVAL);
  assert_int_equal(fluxbp_pattern_check(NULL), UV_EINVAL);
}

static void expect(const char *pattern, const char *name, int matches) {
  if (fluxbp_pattern_matches(pattern, name) == matches) return;
  print_error("'%s' and '%s'\n", pattern, name);
  fail();
}

static void star_matches_exactly_one_token(void **state) {
  (void) state;
  expect("orders.*.status", "orders.17.status", 1);
  expect("orders.*.status", "orders.17.status.old", 0);
  expect("orders.*.status", "orders.status", 0);
  expect("orders.*.status", "orders.1.2.status", 0);
  expect("orders.*", "orders.17", 1);
  expect("orders.*", "orders", 0);
  expect("*", "orders", 1);
  expect("*", "orders.17", 0);
  expect("*.*", "orders.17", 1);
}

static void rest_matches_one_token_or_more(void **state) {
  (void) state;
  expect("news.>", "news.sports", 1);
  expect("news.>", "news.sports.tennis", 1);
  expect("news.>", "news", 0);
  expect("news.>", "newsletter.x", 0);
  expect(">", "news", 1);
  expect(">", "news.sports", 1);
  expect("*.>", "news", 0);
  expect("*.>", "news.sports", 1);
}

static void dots_and_slashes_are_the_same_separator(void **state) {
  (void) state;
  expect("news.>", "news/x", 1);
  expect("news/>", "news.x", 1);
  expect("a.b/c", "a/b.c", 1);
  expect("orders/*/status", "orders.17.status", 1);
}

static void pattern_without_wildcards_matches_its_own_tokens(void **state) {
  (void) state;
  expect("news.sports", "news.sports", 1);
  expect("news.sports", "news.sport", 0);
  expect("news.sports", "News.sports", 0);
  expect("news", "news.sports", 0);
}

static void empty_tokens_are_tokens(void **state) {
  (void) state;
  expect("news.>", "news.", 1);
  expect("news.*", "news/", 1);
  expect("*.news", "/news", 1);
  expect("news", "news.", 0);
  expect("a..b", "a..b", 1);
  expect("a.*.b", "a..b", 1);
  expect("a..b", "a.b", 0);
}

static void wildcards_of_a_name_are_ordinary_bytes(void **state) {
  (void) state;
  expect("news.x", "news.*", 0);
  expect("news.x", "news.>", 0);
  expect("news.*", "news.>", 1);
  expect("news.*", "news.a*b", 1);
}

static void name_that_begins_with_a_dollar_is_hidden_from_leading_wildcards(void **state) {
  (void) state;
  expect(">", "$jobs.1", 0);
  expect("*", "$jobs", 0);
  expect("*.1", "$jobs.1", 0);
  expect("$jobs.>", "$jobs.1", 1);
  expect("$jobs.*", "$jobs.1", 1);
  expect("news.*", "news.$x", 1);
  expect("*.$x", "news.$x", 1);
}

/* ---- covers, held against its definition over all small patterns and names ---- */

enum { DEPTH = 3, TEXT_MAX = 4 * (DEPTH + 1) };

/* The text of that number with 1 to `most` tokens out of `tokens`; false: there are no more. */
static bool text_of(unsigned number, const char *tokens, unsigned most, char *text) {
  unsigned kinds = (unsigned) strlen(tokens), count = 1, texts = kinds;
  for (; number >= texts; count++, texts *= kinds) {
    number -= texts;
    if (count == most) return false;
  }
  for (unsigned i = 0; i < count; i++, number /= kinds) {
    if (i > 0) *text++ = '.';
    *text++ = tokens[number % kinds];
  }
  *text = '\0';
  return true;
}

/* One token more than the patterns have, and one kind more. */
static int covers_by_definition(const char *pattern, const char *other) {
  char name[TEXT_MAX];
  for (unsigned i = 0; text_of(i, "$bc", DEPTH + 1, name); i++)
    if (fluxbp_pattern_matches(other, name) && !fluxbp_pattern_matches(pattern, name)) return 0;
  return 1;
}

static void pattern_covers_another_if_it_matches_all_of_its_names(void **state) {
  (void) state;
  char pattern[TEXT_MAX], other[TEXT_MAX];
  int covered = 0;
  for (unsigned i = 0; text_of(i, "$b*>", DEPTH, pattern); i++) {
    if (fluxbp_pattern_check(pattern) != 0) continue;
    for (unsigned j = 0; text_of(j, "$b*>", DEPTH, other); j++) {
      if (fluxbp_pattern_check(other) != 0) continue;
      int expected = covers_by_definition(pattern, other);
      if (fluxbp_pattern_covers(pattern, other) != expected) print_error("'%s' covers '%s'?\n", pattern, other);
      assert_int_equal(fluxbp_pattern_covers(pattern, other), expected);
      covered += expected;
    }
  }
  assert_true(covered > 100);
  assert_true(fluxbp_pattern_covers("news.>", "news/*"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pattern_may_have_wildcards_as_whole_tokens),
      cmocka_unit_test(pattern_with_a_part_of_a_token_as_wildcard_is_refused),
      cmocka_unit_test(pattern_with_the_rest_before_its_end_is_refused),
      cmocka_unit_test(pattern_is_as_long_as_a_name_at_most),
      cmocka_unit_test(star_matches_exactly_one_token),
      cmocka_unit_test(rest_matches_one_token_or_more),
      cmocka_unit_test(dots_and_slashes_are_the_same_separator),
      cmocka_unit_test(pattern_without_wildcards_matches_its_own_tokens),
      cmocka_unit_test(empty_tokens_are_tokens),
      cmocka_unit_test(wildcards_of_a_name_are_ordinary_bytes),
      cmocka_unit_test(name_that_begins_with_a_dollar_is_hidden_from_leading_wildcards),
      cmocka_unit_test(pattern_covers_another_if_it_matches_all_of_its_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
