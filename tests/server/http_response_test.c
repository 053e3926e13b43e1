/* SPDX-License-Identifier: MIT */
/*
 * http_response: heads to the byte.
 */
#include "server/http/http_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FOR_BROWSERS                                                                                                   \
  "Cache-Control: no-store\r\n"                                                                                        \
  "X-Content-Type-Options: nosniff\r\n"                                                                                \
  "Content-Security-Policy: default-src 'self'\r\n"

static void http_response_head_says_what_a_browser_needs_to_know(void **state) {
  static const char EXPECTED[] = "HTTP/1.1 200 OK\r\n"
                                 "Content-Type: application/json\r\n"
                                 "Content-Length: 17\r\n" FOR_BROWSERS "Connection: keep-alive\r\n"
                                 "Keep-Alive: timeout=75\r\n"
                                 "\r\n";
  char out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  assert_int_equal(http_response_head(out, sizeof out, 200, "application/json", 17, 75, NULL, NULL), strlen(EXPECTED));
  assert_string_equal(out, EXPECTED);
}

static void http_response_head_has_what_else_is_wanted(void **state) {
  static const char EXPECTED[] = "HTTP/1.1 405 Method Not Allowed\r\n"
                                 "Content-Length: 0\r\n" FOR_BROWSERS "Connection: close\r\n"
                                 "Retry-After: 1\r\n"
                                 "Vary: Origin\r\n"
                                 "\r\n";
  char out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  size_t length = http_response_head(out, sizeof out, 405, NULL, 0, 0, "Retry-After: 1\r\n", "Vary: Origin\r\n");
  assert_int_equal(length, strlen(EXPECTED));
  assert_string_equal(out, EXPECTED);
}

static void http_response_head_of_204_has_no_length(void **state) {
  static const char EXPECTED[] = "HTTP/1.1 204 No Content\r\n" FOR_BROWSERS "Connection: close\r\n"
                                 "\r\n";
  char out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  assert_int_equal(http_response_head(out, sizeof out, 204, NULL, 0, 0, NULL, NULL), strlen(EXPECTED));
  assert_string_equal(out, EXPECTED);
}

static void http_response_head_is_cut_and_says_how_long_it_is(void **state) {
  char whole[HTTP_RESPONSE_HEAD_BYTES], out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  size_t length = http_response_head(whole, sizeof whole, 404, "text/plain", 3, 75, NULL, NULL);
  for (size_t capacity = 1; capacity <= length; capacity++) {
    memset(out, '#', sizeof out);
    assert_int_equal(http_response_head(out, capacity, 404, "text/plain", 3, 75, NULL, NULL), length);
    assert_memory_equal(out, whole, capacity - 1);
    assert_int_equal(out[capacity - 1], '\0');
    assert_int_equal(out[capacity], '#');
  }
  assert_int_equal(http_response_head(NULL, 0, 404, "text/plain", 3, 75, NULL, NULL), length);
}

static void http_response_stream_head_has_no_length(void **state) {
  static const char EXPECTED[] = "HTTP/1.1 200 OK\r\n"
                                 "Content-Type: text/event-stream\r\n" FOR_BROWSERS "X-Accel-Buffering: no\r\n"
                                 "Connection: close\r\n"
                                 "\r\n";
  char out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  assert_int_equal(http_response_stream_head(out, sizeof out, "text/event-stream", NULL), strlen(EXPECTED));
  assert_string_equal(out, EXPECTED);
}

static void http_response_upgrade_head_changes_the_protocol(void **state) {
  static const char EXPECTED[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                 "\r\n";
  char out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  size_t length = http_response_upgrade_head(out, sizeof out, "websocket",
                                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
  assert_int_equal(length, strlen(EXPECTED));
  assert_string_equal(out, EXPECTED);
}

static void http_response_head_bytes_are_enough_for_every_status(void **state) {
  char extra[129], out[HTTP_RESPONSE_HEAD_BYTES];
  (void) state;
  memset(extra, 'a', sizeof extra - 1);
  extra[sizeof extra - 1] = '\0';
  for (int status = 100; status < 600; status++) {
    assert_in_range(strlen(http_status_text(status)), 2, 31);
    assert_in_range(http_response_head(out, sizeof out, status, "", SIZE_MAX, UINT32_MAX, extra, NULL), 100,
                    sizeof out - 1);
  }
  assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
  assert_string_equal(http_status_text(599), "Unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(http_response_head_says_what_a_browser_needs_to_know),
      cmocka_unit_test(http_response_head_has_what_else_is_wanted),
      cmocka_unit_test(http_response_head_of_204_has_no_length),
      cmocka_unit_test(http_response_head_is_cut_and_says_how_long_it_is),
      cmocka_unit_test(http_response_stream_head_has_no_length),
      cmocka_unit_test(http_response_upgrade_head_changes_the_protocol),
      cmocka_unit_test(http_response_head_bytes_are_enough_for_every_status),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
