/* SPDX-License-Identifier: MIT */
/*
 * origins: which Host and Origin headers are allowed.
 */
#include "server/permissions/origins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct origins NOTHING = {.host_count = 0};

static struct http_request request_of(const char *host, const char *origin) {
  struct http_request request = {.method = "GET"};
  const char *const values[] = {host, origin};
  static const char *const NAMES[] = {"Host", "Origin"};
  for (size_t i = 0; i < 2; i++) {
    if (values[i] == NULL) continue;
    struct http_header *header = &request.headers[request.header_count++];
    header->name = (struct http_text){NAMES[i], strlen(NAMES[i])};
    header->value = (struct http_text){values[i], strlen(values[i])};
  }
  return request;
}

static bool is_allowed(const struct origins *origins, const char *host, const char *origin) {
  struct http_request request = request_of(host, origin);
  return origins_check(origins, &request) == NULL;
}

struct origin_case {
  const char *host, *origin;
  bool is_allowed;
};

static void expect(const struct origins *origins, const struct origin_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (is_allowed(origins, cases[i].host, cases[i].origin) != cases[i].is_allowed)
      fail_msg("Host %s, Origin %s", cases[i].host, cases[i].origin != NULL ? cases[i].origin : "none");
}

#define EXPECT(origins, cases) expect(origins, cases, sizeof cases / sizeof *cases)

static void origins_allow_addresses_and_localhost_as_host(void **state) {
  static const struct origin_case CASES[] = {
      {"127.0.0.1", NULL, true},
      {"127.0.0.1:9001", NULL, true},
      {"192.0.2.7:1", NULL, true},
      {"0.0.0.0:65535", NULL, true},
      {"[::1]", NULL, true},
      {"[::1]:9001", NULL, true},
      {"[2001:DB8::1]:9001", NULL, true},
      {"[::ffff:127.0.0.1]", NULL, true},
      {"localhost", NULL, true},
      {"localhost:9001", NULL, true},
      {"LocalHost:9001", NULL, true},
      {NULL, NULL, false},
      {"", NULL, false},
      {":9001", NULL, false},
      {"example.org", NULL, false},
      {"localhost.example.org", NULL, false},
      {"localhos", NULL, false},
      {"localhost.", NULL, false},
      {"127.0.0.1.example.org", NULL, false},
      {"127.0.0.1.", NULL, false},
      {"127.1", NULL, false},
      {"2130706433", NULL, false},
      {"0x7f000001", NULL, false},
      {"127.0.0.256", NULL, false},
      {"127.0.0.1:", NULL, false},
      {"127.0.0.1:0", NULL, false},
      {"127.0.0.1:65536", NULL, false},
      {"127.0.0.1:123456", NULL, false},
      {"127.0.0.1:+1", NULL, false},
      {"127.0.0.1:1:2", NULL, false},
      {"127.0.0.1:http", NULL, false},
      {"127.0.0.1 ", NULL, false},
      {"127.0.0.1, example.org", NULL, false},
      {"user@127.0.0.1", NULL, false},
      {"127.0.0.1/", NULL, false},
      {"127.0.0.1?", NULL, false},
      {"127.0.0.1#", NULL, false},
      {"127.0.0.1\\example.org", NULL, false},
      {"http://127.0.0.1", NULL, false},
      {"::1", NULL, false},
      {"[::1", NULL, false},
      {"::1]", NULL, false},
      {"[]", NULL, false},
      {"[]:9001", NULL, false},
      {"[::1]9001", NULL, false},
      {"[::1]:", NULL, false},
      {"[::1]:x", NULL, false},
      {"[::1%25lo]", NULL, false},
      {"[localhost]", NULL, false},
      {"[127.0.0.1]", NULL, false},
      {"[::1].example.org", NULL, false},
      {"[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21:22:23:24:25:26]", NULL, false},
      {"1111111111111111111111111111111111111111111111111111111111111111111111111", NULL, false},
      {"loc\xc3\xa4lhost", NULL, false},
  };
  (void) state;
  EXPECT(&NOTHING, CASES);
}

static void origins_allow_hosts_of_the_list(void **state) {
  static const char *const HOSTS[] = {"gateway.example.org", "other_1"};
  static const struct origin_case CASES[] = {
      {"gateway.example.org", NULL, true},   {"Gateway.Example.ORG:443", NULL, true},
      {"other_1:9001", NULL, true},          {"127.0.0.1", NULL, true},
      {"example.org", NULL, false},          {"a.gateway.example.org", NULL, false},
      {"gateway.example.org.", NULL, false}, {"gateway.example.or", NULL, false},
      {"gateway.example.orgs", NULL, false}, {"gateway.example.org:x", NULL, false},
  };
  struct origins origins = {.hosts = HOSTS, .host_count = 2};
  (void) state;
  EXPECT(&origins, CASES);
}

static void origins_allow_any_host_for_a_star(void **state) {
  static const char *const HOSTS[] = {"*"};
  static const struct origin_case CASES[] = {
      {"example.org", NULL, true},
      {NULL, NULL, true},
      {"", NULL, true},
      {"a b", NULL, true},
      {"example.org:1", "http://example.org:1", true},
      {"example.org:1", "http://example.com:1", false},
      {"", "http://", false},
      {NULL, "http://example.org", false},
      {NULL, "null", false},
  };
  struct origins origins = {.hosts = HOSTS, .host_count = 1};
  (void) state;
  EXPECT(&origins, CASES);
}

static void origins_allow_the_page_that_comes_from_the_same_host(void **state) {
  static const struct origin_case CASES[] = {
      {"localhost:9001", "http://localhost:9001", true},
      {"LOCALHOST:9001", "HTTP://localhost:9001", true},
      {"localhost", "http://localhost", true},
      {"localhost", "http://localhost:80", true},
      {"localhost:80", "http://localhost", true},
      {"localhost", "https://localhost", true}, /* behind a proxy */
      {"localhost:443", "https://localhost", true},
      {"localhost", "https://localhost:443", true},
      {"[::1]:9001", "http://[::1]:9001", true},
      {"localhost:9001", "http://localhost", false},
      {"localhost", "http://localhost:9001", false},
      {"localhost:9001", "http://localhost:9002", false},
      {"localhost:80", "https://localhost", false},
      {"localhost:443", "http://localhost", false},
      {"localhost:9001", "http://127.0.0.1:9001", false},
      {"localhost:9001", "http://example.org:9001", false},
      {"localhost:9001", "http://localhost:9001.example.org", false},
      {"localhost:9001", "http://localhost:09001", false},
      {"localhost:9001", "http://localhost.:9001", false},
      {"localhost:9001", "http://localhost:9001/", false},
      {"localhost:9001", "http://localhost:9001?", false},
      {"localhost:9001", "http://localhost:9001 http://example.org", false},
      {"localhost:9001", "http://example.org@localhost:9001", false},
      {"localhost:9001", "//localhost:9001", false},
      {"localhost:9001", "localhost:9001", false},
      {"localhost:9001", "http:localhost:9001", false},
      {"localhost:9001", "http:/localhost:9001", false},
      {"localhost:9001", "://localhost:9001", false},
      {"localhost:9001", "ws://localhost:9001", false},
      {"localhost:9001", "chrome-extension://localhost:9001", false},
      {"localhost:9001", "http://", false},
      {"localhost:9001", "http", false},
      {"localhost:9001", "", false},
      {"localhost:9001", "null", false},
      {"localhost:9001", "NULL", false},
      {"localhost:9001", "file://", false},
  };
  (void) state;
  EXPECT(&NOTHING, CASES);
}

static void origins_allow_pages_of_the_list(void **state) {
  static const char *const ALLOWED[] = {"https://Example.org", "http://example.com:8080", "null", "",
                                        "chrome-extension://abcdef"};
  static const struct origin_case CASES[] = {
      {"localhost", "https://example.org", true},
      {"localhost", "https://example.org:443", true},
      {"localhost", "http://example.com:8080", true},
      {"localhost", "chrome-extension://abcdef", true},
      {"localhost", "http://localhost", true},
      {"example.org", "https://example.org", false}, /* a Host that isn't ours */
      {"localhost", "http://example.org", false},
      {"localhost", "https://example.org:80", false},
      {"localhost", "https://www.example.org", false},
      {"localhost", "https://example.org.example.com", false},
      {"localhost", "http://example.com", false},
      {"localhost", "https://example.com:8080", false},
      {"localhost", "chrome-extension://abcdeg", false},
      {"localhost", "null", true},
      {"localhost", "Null", false},
      {"localhost", "", false},
  };
  struct origins origins = {.allowed = ALLOWED, .allowed_count = 5};
  (void) state;
  EXPECT(&origins, CASES);
}

static void origins_allow_any_page_for_a_star(void **state) {
  static const char *const ALLOWED[] = {"https://example.org", "*"};
  static const struct origin_case CASES[] = {
      {"localhost", "http://example.com", true},    {"localhost", "null", true},  {"localhost", "file://", true},
      {"example.com", "http://example.com", false}, {"example.com", NULL, false},
  };
  struct origins origins = {.allowed = ALLOWED, .allowed_count = 2};
  (void) state;
  EXPECT(&origins, CASES);
}

static void origins_refuse_several_of_them(void **state) {
  static const char *const ANY[] = {"*"};
  struct origins origins = {.allowed = ANY, .allowed_count = 1};
  (void) state;
  struct http_request request = request_of("localhost", "http://localhost");
  request.headers[request.header_count++] = request.headers[1];
  assert_non_null(origins_check(&origins, &request));
  request.headers[2] = request.headers[0];
  assert_non_null(origins_check(&origins, &request));
}

static void origins_say_which_list_would_allow_it(void **state) {
  (void) state;
  struct http_request request = request_of("example.org", NULL);
  assert_non_null(strstr(origins_check(&NOTHING, &request), "the server's list of hosts"));
  request = request_of("localhost", "http://example.org");
  assert_non_null(strstr(origins_check(&NOTHING, &request), "the server's list of origins"));
}

static void add_header(struct http_request *request, const char *name, const char *value) {
  request->headers[request->header_count++] = (struct http_header){{name, strlen(name)}, {value, strlen(value)}};
}

static void origins_know_which_page_has_asked(void **state) {
  static const char *const LIST[] = {"https://example.org", "null"}, *const ANY[] = {"https://example.org", "*"};
  static const struct origins NAMES = {.allowed = LIST, .allowed_count = 2}, ALL = {.allowed = ANY, .allowed_count = 2};
  static const struct {
    const struct origins *origins;
    const char *origin;
    enum origins_page page;
  } CASES[] = {
      {&NAMES, NULL, ORIGINS_NO_PAGE},
      {&NAMES, "http://localhost", ORIGINS_SAME},
      {&NAMES, "https://example.org", ORIGINS_NAMED},
      {&NAMES, "null", ORIGINS_UNNAMED},
      {&NAMES, "https://example.com", ORIGINS_FOREIGN},
      {&ALL, NULL, ORIGINS_NO_PAGE},
      {&ALL, "https://example.org", ORIGINS_NAMED},
      {&ALL, "null", ORIGINS_UNNAMED},
      {&ALL, "https://example.com", ORIGINS_UNNAMED},
      {&NOTHING, "null", ORIGINS_FOREIGN},
  };
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
    struct http_request request = request_of("localhost", CASES[i].origin);
    assert_int_equal(origins_page_of(CASES[i].origins, &request), CASES[i].page);
  }
  struct http_request request = request_of("example.net", "https://example.org");
  assert_int_equal(origins_page_of(&NAMES, &request), ORIGINS_FOREIGN);
}

static void origins_of_a_server_over_TLS_are_secure(void **state) {
  (void) state;
  struct http_request request = request_of("localhost:9443", "https://localhost:9443");
  request.is_tls = true;
  assert_int_equal(origins_page_of(&NOTHING, &request), ORIGINS_SAME);
  request = request_of("localhost:9443", "http://localhost:9443");
  assert_int_equal(origins_page_of(&NOTHING, &request), ORIGINS_SAME);
  request.is_tls = true;
  assert_int_equal(origins_page_of(&NOTHING, &request), ORIGINS_FOREIGN);
}

static void origins_refuse_changes_by_pages_of_other_sites(void **state) {
  static const char *const ANY[] = {"https://example.org", "*"};
  static const struct origins ALL = {.allowed = ANY, .allowed_count = 2};
  static const struct {
    const char *method, *origin, *site;
    bool is_allowed;
  } CASES[] = {
      {"POST", NULL, NULL, true},
      {"POST", NULL, "none", true},
      {"POST", NULL, "same-origin", true},
      {"POST", NULL, "cross-site", false},
      {"POST", NULL, "same-site", false},
      {"DELETE", NULL, "cross-site", false},
      {"GET", NULL, "cross-site", true},
      {"HEAD", NULL, "cross-site", true},
      {"OPTIONS", NULL, "cross-site", true},
      {"POST", "http://localhost", "same-origin", true},
      {"POST", "http://localhost", "cross-site", false}, /* the page is not on TLS, and the server is */
      {"POST", "https://example.org", "cross-site", true},
      {"POST", "https://example.com", "cross-site", true},
  };
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
    struct http_request request = request_of("localhost", CASES[i].origin);
    request.method = CASES[i].method;
    if (CASES[i].site != NULL) add_header(&request, "Sec-Fetch-Site", CASES[i].site);
    if ((origins_check(&ALL, &request) == NULL) != CASES[i].is_allowed)
      fail_msg("%s, Origin %s, site %s", CASES[i].method, CASES[i].origin, CASES[i].site);
  }
}

static void origins_refuse_cookies_of_pages_without_a_name(void **state) {
  static const char *const ANY[] = {"https://example.org", "*"};
  static const struct origins ALL = {.allowed = ANY, .allowed_count = 2};
  (void) state;
  struct http_request request = request_of("localhost", "https://example.com");
  add_header(&request, "Cookie", "a=1");
  assert_non_null(strstr(origins_check(&ALL, &request), "cookies"));
  add_header(&request, "Upgrade", "websocket");
  assert_null(origins_check(&ALL, &request));
  request = request_of("localhost", "https://example.org");
  add_header(&request, "Cookie", "a=1");
  assert_null(origins_check(&ALL, &request));
  request = request_of("localhost", "http://localhost");
  add_header(&request, "Cookie", "a=1");
  assert_null(origins_check(&ALL, &request));
}

static void a_list_may_hold_what_a_request_may_have(void **state) {
  static const char *const hosts[] = {"*", "localhost", "feed.example.org", "[::1]", "a_b"};
  static const char *const no_hosts[] = {"", "a:1", "a:", "a b", "http://a", "[::g]", "ä"};
  static const char *const right[] = {"*", "null", "https://a", "http://a:1", "https://[::1]:65535", "app://x"};
  static const char *const wrong[] = {"",
                                      "a",
                                      "://a",
                                      "https://",
                                      "https://a:0",
                                      "https://a:",
                                      "https://a/",
                                      "https://a:65536",
                                      "https://a:1:2",
                                      "https://[a]",
                                      "https://*",
                                      "a b://a"};
  char name[255];
  (void) state;
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) assert_true(fluxbp_host_is_right(hosts[i]));
  for (size_t i = 0; i < sizeof no_hosts / sizeof no_hosts[0]; i++) assert_false(fluxbp_host_is_right(no_hosts[i]));
  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) assert_true(fluxbp_origin_is_right(right[i]));
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_false(fluxbp_origin_is_right(wrong[i]));
  memset(name, 'a', sizeof name);
  name[254] = '\0';
  assert_false(fluxbp_host_is_right(name));
  name[253] = '\0';
  assert_true(fluxbp_host_is_right(name));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(origins_allow_addresses_and_localhost_as_host),
      cmocka_unit_test(origins_allow_hosts_of_the_list),
      cmocka_unit_test(origins_allow_any_host_for_a_star),
      cmocka_unit_test(origins_allow_the_page_that_comes_from_the_same_host),
      cmocka_unit_test(origins_allow_pages_of_the_list),
      cmocka_unit_test(origins_allow_any_page_for_a_star),
      cmocka_unit_test(origins_refuse_several_of_them),
      cmocka_unit_test(origins_say_which_list_would_allow_it),
      cmocka_unit_test(origins_know_which_page_has_asked),
      cmocka_unit_test(origins_of_a_server_over_TLS_are_secure),
      cmocka_unit_test(origins_refuse_changes_by_pages_of_other_sites),
      cmocka_unit_test(origins_refuse_cookies_of_pages_without_a_name),
      cmocka_unit_test(a_list_may_hold_what_a_request_may_have),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
