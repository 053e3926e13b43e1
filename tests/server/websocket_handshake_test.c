/* SPDX-License-Identifier: MIT */
/*
 * websocket_handshake: which requests become a WebSocket, the answer to their key, and what the others are told.
 */
#include "server/websocket/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { HEADERS = 6 };

/* A header is "Name: value"; the four that a handshake needs, and others. */
struct handshake_case {
  int status;
  const char *method;
  const char *headers[HEADERS];
};

#define UPGRADE "Upgrade: websocket"
#define CONNECTION "Connection: Upgrade"
#define VERSION "Sec-WebSocket-Version: 13"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* the example of RFC 6455, 1.3 */

static struct http_request request_of(const struct handshake_case *c) {
  struct http_request request = {.method = c->method, .path = {"/ws", 3}};
  for (size_t i = 0; i < HEADERS && c->headers[i] != NULL; i++) {
    const char *header = c->headers[i], *colon = strstr(header, ": ");
    request.headers[request.header_count].name = (struct http_text){header, (size_t) (colon - header)};
    request.headers[request.header_count].value = (struct http_text){colon + 2, strlen(colon + 2)};
    request.header_count++;
  }
  return request;
}

static void websocket_handshake_answers_the_key(void **state) {
  (void) state;
  static const struct handshake_case cases[] = {
      {101, "GET", {UPGRADE, CONNECTION, VERSION, KEY}},
      {101, "GET", {KEY, VERSION, CONNECTION, UPGRADE, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: x"}},
      {101, "GET", {"UPGRADE: WebSocket", "connection: keep-alive, upgrade", VERSION, KEY}},
      {101, "GET", {"Upgrade: h2c, websocket", "Connection: a", CONNECTION, VERSION, KEY}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_request request = request_of(&cases[i]);
    char accept[WEBSOCKET_ACCEPT_BYTES];
    const char *problem;
    assert_int_equal(websocket_handshake(&request, accept, &problem), 101);
    assert_string_equal(accept, ACCEPT);
  }
}

static void websocket_handshake_says_what_is_wrong(void **state) {
  (void) state;
  static const struct handshake_case cases[] = {
      {405, "POST", {UPGRADE, CONNECTION, VERSION, KEY}},
      {405, "HEAD", {UPGRADE, CONNECTION, VERSION, KEY}},
      {400, "GET", {NULL}},
      {400, "GET", {CONNECTION, VERSION, KEY}},
      {400, "GET", {UPGRADE, VERSION, KEY}},
      {400, "GET", {"Upgrade: websocket2", CONNECTION, VERSION, KEY}},
      {400, "GET", {"Upgrade: h2c", CONNECTION, VERSION, KEY}},
      {400, "GET", {UPGRADE, "Connection: keep-alive", VERSION, KEY}},
      {400, "GET", {UPGRADE, CONNECTION, KEY}},
      {426, "GET", {UPGRADE, CONNECTION, "Sec-WebSocket-Version: 8", KEY}},
      {426, "GET", {UPGRADE, CONNECTION, "Sec-WebSocket-Version: 013", KEY}},
      {426, "GET", {UPGRADE, CONNECTION, "Sec-WebSocket-Version: 13, 8", KEY}},
      {426, "GET", {UPGRADE, CONNECTION, "Sec-WebSocket-Version: ", KEY}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: "}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==="}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA="}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA"}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q=="}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25 ZQ=="}},
      {400, "GET", {UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2=jZQ=="}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_request request = request_of(&cases[i]);
    char accept[WEBSOCKET_ACCEPT_BYTES];
    const char *problem = NULL;
    print_message("case %zu\n", i);
    assert_int_equal(websocket_handshake(&request, accept, &problem), cases[i].status);
    assert_non_null(problem);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(websocket_handshake_answers_the_key),
      cmocka_unit_test(websocket_handshake_says_what_is_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
