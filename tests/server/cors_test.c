/* SPDX-License-Identifier: MIT */
/*
 * cors: the lines for each kind of page, to the byte.
 */
#include "server/http/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define VARY "Vary: Origin\r\n"
#define EXPOSE "Access-Control-Expose-Headers: Allow, Retry-After, WWW-Authenticate\r\n"
#define VARY_OF_PREFLIGHT                                                                                              \
  "Vary: Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network\r\n"
#define MAX_AGE "Access-Control-Max-Age: 7200\r\n"

static const char *const NAMED_LIST[] = {"https://example.org"};
static const char *const NULL_LIST[] = {"https://example.org", "null"};
static const char *const ANY_LIST[] = {"https://example.org", "*"};
static const struct origins NAMES = {.allowed = NAMED_LIST, .allowed_count = 1};
static const struct origins WITH_NULL = {.allowed = NULL_LIST, .allowed_count = 2};
static const struct origins ANY = {.allowed = ANY_LIST, .allowed_count = 2};

static void add_header(struct http_request *request, const char *name, const char *value) {
  request->headers[request->header_count++] = (struct http_header){{name, strlen(name)}, {value, strlen(value)}};
}

/* A request to localhost by a page of `origin`. */
static struct http_request request_of(const char *method, const char *origin) {
  struct http_request request = {.method = method};
  add_header(&request, "Host", "localhost:9001");
  if (origin != NULL) add_header(&request, "Origin", origin);
  return request;
}

static void expect_lines(const struct origins *origins, const char *origin, const char *expected) {
  char lines[CORS_BYTES];
  struct http_request request = request_of("GET", origin);
  cors_write(origins, &request, NULL, lines);
  assert_string_equal(lines, expected);
}

static void a_named_origin_gets_itself_and_credentials(void **state) {
  static const char EXPECTED[] = VARY "Access-Control-Allow-Origin: https://example.org\r\n"
                                      "Access-Control-Allow-Credentials: true\r\n" EXPOSE;
  (void) state;
  expect_lines(&NAMES, "https://example.org", EXPECTED);
  expect_lines(&ANY, "https://example.org", EXPECTED);
}

static void any_other_origin_gets_a_star_and_no_credentials(void **state) {
  (void) state;
  expect_lines(&ANY, "https://example.com", VARY "Access-Control-Allow-Origin: *\r\n" EXPOSE);
  expect_lines(&ANY, "null", VARY "Access-Control-Allow-Origin: *\r\n" EXPOSE);
  expect_lines(&WITH_NULL, "null", VARY "Access-Control-Allow-Origin: null\r\n" EXPOSE);
}

static void a_star_is_not_for_cookies(void **state) {
  char lines[CORS_BYTES];
  struct http_request request = request_of("GET", "https://example.com");
  (void) state;
  add_header(&request, "Cookie", "a=1");
  cors_write(&ANY, &request, NULL, lines);
  assert_string_equal(lines, VARY);
}

static void pages_that_need_or_get_nothing_change_the_answer_all_the_same(void **state) {
  char lines[CORS_BYTES];
  (void) state;
  expect_lines(&NAMES, NULL, VARY);
  expect_lines(&NAMES, "http://localhost:9001", VARY);
  expect_lines(&NAMES, "https://example.com", VARY);
  expect_lines(&NAMES, "null", VARY);
  cors_write(&NAMES, NULL, NULL, lines);
  assert_string_equal(lines, VARY);
}

static void the_program_has_the_last_word(void **state) {
  char lines[CORS_BYTES];
  struct http_request request = request_of("GET", "https://example.org");
  (void) state;
  cors_write(&NAMES, &request, "A: b\r\naccess-control-allow-origin: https://example.net\r\n", lines);
  assert_string_equal(lines, VARY);
  cors_write(&NAMES, &request, "X-Access-Control-Allow-Origin: x\r\n", lines);
  assert_non_null(strstr(lines, "\r\nAccess-Control-Allow-Origin: https://example.org\r\n"));
}

static void the_longest_origin_has_room(void **state) {
  char lines[CORS_BYTES], origin[ORIGIN_BYTES_MAX + 2] = "https://";
  const char *const list[] = {origin};
  const struct origins origins = {.allowed = list, .allowed_count = 1};
  (void) state;
  memset(origin + 8, 'a', ORIGIN_BYTES_MAX - 8);
  struct http_request request = request_of("GET", origin);
  cors_write(&origins, &request, NULL, lines);
  assert_string_equal(lines + strlen(lines) - strlen(EXPOSE), EXPOSE);
  origin[ORIGIN_BYTES_MAX] = 'a';
  request = request_of("GET", origin);
  cors_write(&origins, &request, NULL, lines);
  assert_string_equal(lines, VARY);
}

static void a_preflight_is_OPTIONS_with_an_origin_and_a_method(void **state) {
  (void) state;
  struct http_request request = request_of("OPTIONS", "https://example.org");
  assert_false(cors_is_preflight(&request));
  add_header(&request, "Access-Control-Request-Method", "POST");
  assert_true(cors_is_preflight(&request));
  request.method = "POST";
  assert_false(cors_is_preflight(&request));
  request = request_of("OPTIONS", NULL);
  add_header(&request, "Access-Control-Request-Method", "POST");
  assert_false(cors_is_preflight(&request));
}

static void a_preflight_is_told_what_the_route_takes(void **state) {
  char lines[CORS_PREFLIGHT_BYTES];
  struct http_request request = request_of("OPTIONS", "https://example.org");
  (void) state;
  add_header(&request, "Access-Control-Request-Method", "PUT");
  add_header(&request, "Access-Control-Request-Headers", "x-foreign");
  cors_write_preflight(&NAMES, &request, "GET, POST", lines);
  assert_string_equal(lines, "Access-Control-Allow-Methods: GET, POST\r\n"
                             "Access-Control-Allow-Headers: Authorization, Cache-Control, Content-Encoding, "
                             "Content-Type, Last-Event-ID\r\n" MAX_AGE VARY_OF_PREFLIGHT);
}

static void a_preflight_for_the_program_gets_what_it_asks_for(void **state) {
  char lines[CORS_PREFLIGHT_BYTES];
  struct http_request request = request_of("OPTIONS", "https://example.org");
  (void) state;
  add_header(&request, "Access-Control-Request-Method", "PUT");
  cors_write_preflight(&NAMES, &request, NULL, lines);
  assert_string_equal(lines, "Access-Control-Allow-Methods: PUT\r\n" MAX_AGE VARY_OF_PREFLIGHT);
  add_header(&request, "Access-Control-Request-Headers", "x-own,x-other");
  cors_write_preflight(&NAMES, &request, NULL, lines);
  assert_string_equal(lines, "Access-Control-Allow-Methods: PUT\r\n"
                             "Access-Control-Allow-Headers: x-own,x-other\r\n" MAX_AGE VARY_OF_PREFLIGHT);
}

static void a_private_network_is_for_named_origins(void **state) {
  static const char ALLOWED[] = "Access-Control-Allow-Private-Network: true\r\n";
  char lines[CORS_PREFLIGHT_BYTES];
  struct http_request request = request_of("OPTIONS", "https://example.org");
  (void) state;
  add_header(&request, "Access-Control-Request-Method", "GET");
  add_header(&request, "Access-Control-Request-Private-Network", "true");
  cors_write_preflight(&ANY, &request, "GET", lines);
  assert_non_null(strstr(lines, ALLOWED));
  request.headers[1].value = (struct http_text){"https://example.com", strlen("https://example.com")};
  cors_write_preflight(&ANY, &request, "GET", lines);
  assert_null(strstr(lines, ALLOWED));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_named_origin_gets_itself_and_credentials),
      cmocka_unit_test(any_other_origin_gets_a_star_and_no_credentials),
      cmocka_unit_test(a_star_is_not_for_cookies),
      cmocka_unit_test(pages_that_need_or_get_nothing_change_the_answer_all_the_same),
      cmocka_unit_test(the_program_has_the_last_word),
      cmocka_unit_test(the_longest_origin_has_room),
      cmocka_unit_test(a_preflight_is_OPTIONS_with_an_origin_and_a_method),
      cmocka_unit_test(a_preflight_is_told_what_the_route_takes),
      cmocka_unit_test(a_preflight_for_the_program_gets_what_it_asks_for),
      cmocka_unit_test(a_private_network_is_for_named_origins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
