/* SPDX-License-Identifier: MIT */
/*
 * Answers in any pieces: with a length, in chunks, up to the end of the connection, and what isn't one.
 */
#include "client/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_HEAD_BYTES 1000

static char told[2048];
static fluxbp__http_head_t last_head;

static void tell(const char *text, size_t length) {
  size_t at = strlen(told);
  snprintf(told + at, sizeof told - at, "%.*s", (int) length, text);
}

static void on_head(void *user, const fluxbp__http_head_t *head) {
  char text[16];
  (void) user;
  last_head = *head;
  tell(text, (size_t) snprintf(text, sizeof text, "%d ", head->status));
}

static void on_body(void *user, const char *data, size_t length) {
  (void) user;
  tell(data, length);
}

static void on_end(void *user) {
  fluxbp__http_t **http = user;
  tell(fluxbp__http_keeps_alive(*http) ? ". " : "! ", 2);
}

static const fluxbp__http_callbacks_t callbacks = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

static const char *feed(const char *bytes, size_t length, size_t piece, bool ends) {
  static fluxbp__http_t *http;
  const char *problem = NULL;
  size_t left = 0;
  told[0] = '\0';
  http = fluxbp__http_create(&callbacks, MAX_HEAD_BYTES, &http);
  assert_non_null(http);
  for (size_t at = 0; problem == NULL && at < length && !fluxbp__http_is_upgraded(http); at += piece)
    problem = fluxbp__http_feed(http, bytes + at, piece < length - at ? piece : length - at, &left);
  if (ends && problem == NULL) fluxbp__http_finish(http);
  if (fluxbp__http_is_upgraded(http)) tell("upgraded", 8);
  fluxbp__http_free(http);
  return problem;
}

/* The same in pieces of every size. */
static void expect(const char *bytes, bool ends, const char *expected) {
  for (size_t piece = 1; piece <= strlen(bytes); piece++) {
    assert_null(feed(bytes, strlen(bytes), piece, ends));
    assert_string_equal(told, expected);
  }
}

static void expect_problem(const char *bytes, size_t length) {
  assert_non_null(feed(bytes, length, length, false));
  assert_non_null(feed(bytes, length, 1, false));
}

static void bodies_end_in_three_ways(void **state) {
  (void) state;
  expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "200 hello. ");
  expect("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, "404 ! ");
  expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", false,
         "200 hello. ");
  expect("HTTP/1.1 200 OK\r\n\r\nhello", true, "200 hello! ");
  expect("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", true, "200 hello"); /* it was cut */
}

static void answers_follow_one_another(void **state) {
  (void) state;
  expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
         "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nb",
         false, "200 a. 204 . 500 b. ");
}

static void headers_are_read(void **state) {
  (void) state;
  expect(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection: upgrade\r\nSEC-WEBSOCKET-ACCEPT: abc=\r\n"
      "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n\r\n",
      false, "101 upgraded");
  assert_string_equal(last_head.accept, "abc=");
  assert_string_equal(last_head.subprotocol, "chat");
  assert_true(last_head.has_extensions);
  expect(
      "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Type: text/plain\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
      false, "503 . ");
  assert_int_equal(last_head.retry_after_s, 120);
  assert_string_equal(last_head.content_type, "text/plain");
  assert_string_equal(last_head.location, "/x");
  expect("HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n", false,
         "503 . ");
  assert_int_equal(last_head.retry_after_s, -1);
  assert_string_equal(last_head.accept, "");
}

static void what_is_not_http_is_refused(void **state) {
  (void) state;
  expect_problem("+OK this is another port\r\n", 26);
  expect_problem("GET / HTTP/1.1\r\n\r\n", 18);
  expect_problem("HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na", 39);
}

static void headers_without_an_end_are_refused(void **state) {
  char bytes[2 * MAX_HEAD_BYTES] = "HTTP/1.1 200 OK\r\n";
  (void) state;
  while (strlen(bytes) < sizeof bytes - 32) strcat(bytes, "X-More: and more\r\n");
  expect_problem(bytes, strlen(bytes));
  char name[2 * MAX_HEAD_BYTES] = "HTTP/1.1 200 OK\r\n";
  memset(name + 17, 'x', sizeof name - 18);
  expect_problem(name, sizeof name - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bodies_end_in_three_ways),
      cmocka_unit_test(answers_follow_one_another),
      cmocka_unit_test(headers_are_read),
      cmocka_unit_test(what_is_not_http_is_refused),
      cmocka_unit_test(headers_without_an_end_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
