/* SPDX-License-Identifier: MIT */
/*
 * URLs: their parts, and what is refused with which words.
 */
#include "fluxbp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_parts(const char *text, fluxbp_client_protocol_t protocol, const char *host, int port,
                         const char *path) {
  fluxbp_client_url_t url;
  const char *problem = NULL;
  assert_int_equal(fluxbp_client_url_parse(text, &url, &problem), 0);
  assert_null(problem);
  assert_int_equal(url.protocol, protocol);
  assert_int_equal(url.host_length, strlen(host));
  assert_memory_equal(url.host, host, url.host_length);
  assert_int_equal(url.port, port);
  assert_string_equal(url.path, path);
  assert_int_equal(url.is_secure, strncmp(text, "tls", 3) == 0 || strncmp(text, "wss", 3) == 0 || text[4] == 's');
}

static void urls_have_parts(void **state) {
  fluxbp_client_url_t url;
  (void) state;
  expect_parts("tcp://127.0.0.1:9000", FLUXBP_CLIENT_LINES, "127.0.0.1", 9000, "");
  expect_parts("tcp://localhost:9000/", FLUXBP_CLIENT_LINES, "localhost", 9000, "/");
  expect_parts("tcp-length://[::1]:65535", FLUXBP_CLIENT_LENGTH, "::1", 65535, "");
  expect_parts("ws://example.org", FLUXBP_CLIENT_WEBSOCKET, "example.org", 80, "");
  expect_parts("ws://[fe80::1%25eth0]/a?b=c", FLUXBP_CLIENT_WEBSOCKET, "fe80::1%25eth0", 80, "/a?b=c");
  expect_parts("sse://example.org:8080?topic=a", FLUXBP_CLIENT_SSE, "example.org", 8080, "?topic=a");
  expect_parts("http://example.org/x", FLUXBP_CLIENT_HTTP, "example.org", 80, "/x");
  expect_parts("tls://127.0.0.1:9000", FLUXBP_CLIENT_LINES, "127.0.0.1", 9000, "");
  expect_parts("tls-length://[::1]:65535", FLUXBP_CLIENT_LENGTH, "::1", 65535, "");
  expect_parts("wss://example.org", FLUXBP_CLIENT_WEBSOCKET, "example.org", 443, "");
  expect_parts("https://example.org/x", FLUXBP_CLIENT_HTTP, "example.org", 443, "/x");
  expect_parts("https://example.org:80", FLUXBP_CLIENT_HTTP, "example.org", 80, "");
  assert_int_equal(fluxbp_client_url_parse("ws://a:1/x", &url, NULL), 0);
  assert_int_equal(url.authority_length, 3);
}

static void wrong_urls_are_refused_in_words(void **state) {
  static const char *const urls[] = {"",
                                     "127.0.0.1:9000",
                                     "udp://a:1",
                                     "tcp://",
                                     "tcp://a",
                                     "tcp://a:",
                                     "tcp://a:0",
                                     "tcp://:1",
                                     "tcp://a:65536",
                                     "tcp://a:1x",
                                     "tcp://a:-1",
                                     "tcp://a:1/b",
                                     "tls://a",
                                     "tls-length://a:1/b",
                                     "sses://a:1",
                                     "wss:/a",
                                     "tcp://::1:9",
                                     "ws://[::1",
                                     "ws://[::1]9",
                                     "ws://a b/",
                                     "ws://a/\r\nb: c",
                                     "ws://u:p@a/",
                                     "ws://a/#b",
                                     "ws:///path",
                                     "ws://[]:1",
                                     "ws://a:99999999999999999999",
                                     "ws://\xc3\xa4/"};
  fluxbp_client_url_t url;
  (void) state;
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    const char *problem = NULL;
    assert_int_equal(fluxbp_client_url_parse(urls[i], &url, &problem), UV_EINVAL);
    assert_non_null(problem);
  }
  assert_int_equal(fluxbp_client_url_parse("", &url, NULL), UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(urls_have_parts),
      cmocka_unit_test(wrong_urls_are_refused_in_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
