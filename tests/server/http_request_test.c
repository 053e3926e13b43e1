/* SPDX-License-Identifier: MIT */
/*
 * http_request: headers, lists in them, and queries.
 */
#include "server/http/http_reader.h"
#include "server/http/parameters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct http_text text_of(const char *text) {
  return (struct http_text){text, strlen(text)};
}

static struct http_request request_of(const char *const *lines, size_t count) {
  struct http_request request = {.header_count = count};
  for (size_t i = 0; i < count; i++) {
    const char *colon = strchr(lines[i], ':');
    request.headers[i].name = (struct http_text){lines[i], (size_t) (colon - lines[i])};
    request.headers[i].value = http_text_trim(text_of(colon + 1));
  }
  return request;
}

static void http_request_header_is_found_in_any_case(void **state) {
  static const char *const LINES[] = {"Host: h", "A:", "b: first", "B: second"};
  (void) state;
  struct http_request request = request_of(LINES, 4);
  assert_true(http_text_is(http_request_header(&request, "HOST"), "h"));
  assert_true(http_text_is(http_request_header(&request, "B"), "first"));
  assert_true(http_text_is(http_request_header(&request, "a"), ""));
  assert_null(http_request_header(&request, "Hos").data);
  assert_null(http_request_header(&request, "Hostt").data);
  assert_int_equal(http_request_count(&request, "b"), 2);
  assert_int_equal(http_request_count(&request, "c"), 0);
}

static void http_request_has_token_looks_at_all_of_a_list(void **state) {
  static const char *const LINES[] = {"Connection: keep-alive ,\tUpgrade", "connection:,,te,", "Via: close"};
  (void) state;
  struct http_request request = request_of(LINES, 3);
  assert_true(http_request_has_token(&request, "Connection", "keep-alive"));
  assert_true(http_request_has_token(&request, "Connection", "upgrade"));
  assert_true(http_request_has_token(&request, "Connection", "TE"));
  assert_false(http_request_has_token(&request, "Connection", "keep"));
  assert_false(http_request_has_token(&request, "Connection", "close"));
  assert_false(http_request_has_token(&request, "Connection", "keep-alive ,\tUpgrade"));
}

static void http_text_is_compares_all_of_it(void **state) {
  (void) state;
  assert_true(http_text_is(text_of("abc"), "abc"));
  assert_false(http_text_is(text_of("abc"), "ab"));
  assert_false(http_text_is(text_of("ab"), "abc"));
  assert_false(http_text_is(text_of("abc"), "ABC"));
  assert_true(http_text_is_in_any_case(text_of("abc"), "ABC"));
  assert_false(http_text_is((struct http_text){NULL, 0}, ""));
}

static void http_query_finds_and_decodes(void **state) {
  static const struct {
    const char *query, *name;
    enum http_query_outcome outcome;
    const char *value;
  } CASES[] = {
      {"topic=a", "topic", HTTP_QUERY_OK, "a"},
      {"topic=a,b&since=1:2", "topic", HTTP_QUERY_OK, "a,b"},
      {"topic=a,b&since=1:2", "since", HTTP_QUERY_OK, "1:2"},
      {"topic=a&topic=b", "topic", HTTP_QUERY_OK, "a"},
      {"topic", "topic", HTTP_QUERY_OK, ""},
      {"topic=", "topic", HTTP_QUERY_OK, ""},
      {"&&topic=a&&", "topic", HTTP_QUERY_OK, "a"},
      {"topic=a=b", "topic", HTTP_QUERY_OK, "a=b"},
      {"t%6fpic=a", "topic", HTTP_QUERY_OK, "a"},
      {"topic=a%2Cb%2cc", "topic", HTTP_QUERY_OK, "a,b,c"},
      {"topic=a+b%20c%2B", "topic", HTTP_QUERY_OK, "a b c+"},
      {"topic=%26%3D", "topic", HTTP_QUERY_OK, "&="},
      {"topic=%C3%A4", "topic", HTTP_QUERY_OK, "\xc3\xa4"},
      {"topic=1234567", "topic", HTTP_QUERY_OK, "1234567"},
      {"topic=%31234567", "topic", HTTP_QUERY_OK, "1234567"},
      {"topic=12345678", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=%00", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=a%", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=a%4", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=a%4&b=1", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=%g1", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=%1g", "topic", HTTP_QUERY_WRONG, NULL},
      {"topic=%+1", "topic", HTTP_QUERY_WRONG, NULL},
      {"a=%zz&topic=b", "topic", HTTP_QUERY_OK, "b"},
      {"%zz=a&topic=b", "topic", HTTP_QUERY_OK, "b"},
      {"topics=a", "topic", HTTP_QUERY_NONE, NULL},
      {"topi=a", "topic", HTTP_QUERY_NONE, NULL},
      {"Topic=a", "topic", HTTP_QUERY_NONE, NULL},
      {"a=topic", "topic", HTTP_QUERY_NONE, NULL},
      {"", "topic", HTTP_QUERY_NONE, NULL},
  };
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    char out[8];
    if (http_query(text_of(CASES[i].query), CASES[i].name, out, sizeof out) != CASES[i].outcome)
      fail_msg("%s", CASES[i].query);
    if (CASES[i].value != NULL) assert_string_equal(out, CASES[i].value);
  }
}

static void http_query_finds_nothing_where_there_is_no_query(void **state) {
  char out[8];
  (void) state;
  assert_int_equal(http_query((struct http_text){NULL, 0}, "topic", out, sizeof out), HTTP_QUERY_NONE);
}

static void http_request_first_of_goes_by_the_order_of_the_request(void **state) {
  static const char *const LINES[] = {"Host: h", "P: x, b", "p: a,b"};
  static const char *const VALUES[] = {"a", "b", NULL}, *const OTHERS[] = {"A", "h", "xb", NULL};
  struct http_request request = request_of(LINES, 3);
  (void) state;
  assert_int_equal(http_request_first_of(&request, "P", VALUES), 1);
  assert_int_equal(http_request_first_of(&request, "P", OTHERS), -1);
  assert_int_equal(http_request_first_of(&request, "Q", VALUES), -1);
}

static void http_query_next_takes_all_of_them(void **state) {
  struct http_text query = text_of("&a=1&&b&=2&a=3&"), name, value;
  static const char *const EXPECTED[][2] = {{"a", "1"}, {"b", ""}, {"", "2"}, {"a", "3"}};
  (void) state;
  for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++) {
    assert_true(http_query_next(&query, &name, &value));
    assert_int_equal(name.length, strlen(EXPECTED[i][0]));
    assert_memory_equal(name.data, EXPECTED[i][0], name.length);
    assert_int_equal(value.length, strlen(EXPECTED[i][1]));
    if (value.length > 0) assert_memory_equal(value.data, EXPECTED[i][1], value.length);
  }
  assert_false(http_query_next(&query, &name, &value));
  assert_false(http_query_next(&query, &name, &value));
}

static void parameters_are_refused_by_name(void **state) {
  static const char KNOWN[] = "topic* since";
  static const struct {
    const char *query, *problem; /* NULL: none */
  } CASES[] = {
      {"", NULL},
      {"topic=a", NULL},
      {"topic=a&topic=b&since=1:2&topic=c", NULL},
      {"&t%6fpic=a&&", NULL},
      {"_=1&_anything=2&%5fencoded=3", NULL},
      {"topics=a", "there is no query parameter 'topics' here; there are: topic, since"},
      {"topic=a&Topic=b", "there is no query parameter 'Topic' here; there are: topic, since"},
      {"topic*=a", "there is no query parameter 'topic*' here; there are: topic, since"},
      {"sinc=a", "there is no query parameter 'sinc' here; there are: topic, since"},
      {"topic%20since=a", "there is no query parameter 'topic since' here; there are: topic, since"},
      {"=a", "there is no query parameter '' here; there are: topic, since"},
      {"since=1:2&since=1:3", "the query parameter 'since' is there more than once"},
      {"%zz=a", "a query parameter's name is too long, or not percent-encoded properly"},
      {"1234567890123456789012345678901234567890123456789012345678901234=a",
       "a query parameter's name is too long, or not percent-encoded properly"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    char problem[PARAMETERS_PROBLEM_BYTES] = "";
    bool is_right = parameters_check(text_of(CASES[i].query), KNOWN, problem);
    if (is_right != (CASES[i].problem == NULL)) fail_msg("%s: %s", CASES[i].query, problem);
    if (CASES[i].problem != NULL) assert_string_equal(problem, CASES[i].problem);
  }
  char problem[PARAMETERS_PROBLEM_BYTES];
  assert_true(parameters_check((struct http_text){NULL, 0}, "", problem));
  assert_false(parameters_check(text_of("a"), "", problem));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(http_request_header_is_found_in_any_case),
      cmocka_unit_test(http_request_has_token_looks_at_all_of_a_list),
      cmocka_unit_test(http_text_is_compares_all_of_it),
      cmocka_unit_test(http_query_finds_and_decodes),
      cmocka_unit_test(http_query_finds_nothing_where_there_is_no_query),
      cmocka_unit_test(http_request_first_of_goes_by_the_order_of_the_request),
      cmocka_unit_test(http_query_next_takes_all_of_them),
      cmocka_unit_test(parameters_are_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
