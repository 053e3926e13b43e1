/* SPDX-License-Identifier: MIT */
/*
 * request_token: where a request may show its token, and which cookies count.
 */
#include "server/http/request_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COOKIE "session=1; fluxbp_token=secret; other=2"

static const char *const allowed[] = {"https://app.example.org", "null"};
static const struct origins origins = {.allowed = allowed, .allowed_count = 2};

static void add_header(struct http_request *request, const char *name, const char *value) {
  struct http_header *header = &request->headers[request->header_count++];
  header->name = (struct http_text){name, strlen(name)};
  header->value = (struct http_text){value, strlen(value)};
}

static struct http_request request_of(const char *method) {
  struct http_request request = {.method = method};
  add_header(&request, "Host", "localhost:9001");
  return request;
}

static void expect_token(const struct http_request *request, const char *expected) {
  char text[REQUEST_TOKEN_BYTES];
  struct http_text token;
  bool is_found = request_token_find(request, &origins, "fluxbp_token", text, &token);
  assert_int_equal(is_found, expected != NULL);
  if (is_found && !http_text_is(token, expected))
    fail_msg("%.*s instead of %s", (int) token.length, token.data, expected);
}

static void the_header_goes_before_the_query_and_the_query_before_the_cookie(void **state) {
  struct http_request request = request_of("GET");
  (void) state;
  expect_token(&request, NULL);
  add_header(&request, "Cookie", COOKIE);
  expect_token(&request, "secret");
  request.query = (struct http_text){"token=que%72y", 13};
  expect_token(&request, "query");
  add_header(&request, "Authorization", "Bearer header");
  expect_token(&request, "header");
}

static void a_cookie_is_found_by_its_whole_name(void **state) {
  static const struct {
    const char *header, *token;
  } CASES[] = {{"fluxbp_token=a", "a"},
               {"fluxbp_token=\"a\"", "a"},
               {"fluxbp_token=a==", "a=="},
               {"x=1;fluxbp_token=a", "a"},
               {"x=fluxbp_token=b; fluxbp_token=a; fluxbp_token=c", "a"},
               {"xfluxbp_token=a", NULL},
               {"fluxbp_token2=a", NULL},
               {"FLUXBP_TOKEN=a", NULL},
               {"fluxbp_token", NULL},
               {"fluxbp_token=", NULL},
               {"; ;=;fluxbp_token=a;", "a"},
               {"", NULL}};
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
    struct http_request request = request_of("GET");
    add_header(&request, "Cookie", CASES[i].header);
    expect_token(&request, CASES[i].token);
  }
}

static void a_cookie_counts_for_pages_that_are_allowed_by_name(void **state) {
  static const struct {
    const char *method, *origin, *site;
    bool is_websocket, counts;
  } CASES[] = {
      {"GET", NULL, NULL, false, true},
      {"HEAD", NULL, "same-origin", false, true},
      {"GET", NULL, "none", false, true},
      {"GET", NULL, "cross-site", false, false},
      {"GET", NULL, "same-origin", true, false},
      {"POST", NULL, "same-origin", false, false},
      {"POST", "http://localhost:9001", NULL, false, true},
      {"POST", "https://app.example.org", "cross-site", false, true},
      {"GET", "https://app.example.org", "cross-site", true, true},
      {"GET", "https://evil.example.org", "cross-site", true, false},
      {"GET", "https://evil.example.org", "cross-site", false, false},
      {"GET", "null", "cross-site", false, false},
      {"POST", "null", "cross-site", false, false},
  };
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
    struct http_request request = request_of(CASES[i].method);
    add_header(&request, "Cookie", COOKIE);
    if (CASES[i].origin != NULL) add_header(&request, "Origin", CASES[i].origin);
    if (CASES[i].site != NULL) add_header(&request, "Sec-Fetch-Site", CASES[i].site);
    if (CASES[i].is_websocket) add_header(&request, "Upgrade", "websocket");
    expect_token(&request, CASES[i].counts ? "secret" : NULL);
  }
}

static void without_a_name_no_cookie_counts(void **state) {
  char text[REQUEST_TOKEN_BYTES];
  struct http_text token;
  struct http_request request = request_of("GET");
  (void) state;
  add_header(&request, "Cookie", COOKIE);
  assert_false(request_token_find(&request, &origins, NULL, text, &token));
}

static void the_name_of_a_cookie_is_a_token(void **state) {
  (void) state;
  assert_true(request_token_is_cookie_name("__Host-fluxbp_token"));
  assert_false(request_token_is_cookie_name(""));
  assert_false(request_token_is_cookie_name("a=b"));
  assert_false(request_token_is_cookie_name("a b"));
  assert_false(request_token_is_cookie_name("a;"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_header_goes_before_the_query_and_the_query_before_the_cookie),
      cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
      cmocka_unit_test(a_cookie_counts_for_pages_that_are_allowed_by_name),
      cmocka_unit_test(without_a_name_no_cookie_counts),
      cmocka_unit_test(the_name_of_a_cookie_is_a_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
