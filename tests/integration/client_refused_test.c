/* SPDX-License-Identifier: MIT */
/*
 * Servers that refuse, break the rules, or go away in the middle: what a client says about it, and whether it comes
 * back.
 */
#include "support/client_fixture.h"

#include <netinet/in.h>
#include <stdio.h>

static client_fixture_t fx;

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void open_fixture(const char *scheme) {
  client_fixture_open(&fx, scheme, "");
  fx.random = 0; /* pauses are 0, but for what the server asks for */
}

/* The answer ends the attempt, with words in `problem`; -1: for good. */
static void expect_refusal(const char *scheme, const char *answer, int status, const char *problem, int64_t retry_ms) {
  open_fixture(scheme);
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, answer);
  client_expects(&fx, "disconnect(EPROTO)");
  assert_int_equal(fx.last.status, status);
  assert_non_null(strstr(fx.problem, problem));
  assert_int_equal(fx.last.retry_ms, retry_ms);
  assert_true(fx.last.was_connected);
  assert_false(fx.last.was_open);
  if (retry_ms < 0) client_expects(&fx, "close(EPROTO)");
  client_fixture_close(&fx);
}

static void refusals_in_http_have_their_status_and_may_be_final(void **state) {
  static const char *const schemes[] = {"ws", "sse"};
  (void) state;
  for (int i = 0; i < 2; i++) {
    expect_refusal(schemes[i], "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "status 403", -1);
    expect_refusal(schemes[i], "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "status 404", -1);
    expect_refusal(schemes[i], "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, "status 503", 0);
    expect_refusal(schemes[i], "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 503, "503", 7000);
    expect_refusal(schemes[i], "HTTP/1.1 429 Slow Down\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n", 429, "429",
                   2000);
  }
  expect_refusal("ws", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "status 200", -1);
  expect_refusal("sse", "HTTP/1.1 204 No Content\r\n\r\n", 204, "status 204", -1);
}

static void redirects_are_not_followed_and_say_where_to(void **state) {
  (void) state;
  expect_refusal("ws", "HTTP/1.1 301 Moved\r\nLocation: http://other/ws\r\nContent-Length: 0\r\n\r\n", 301,
                 "redirects to http://other/ws, which is not followed", -1);
  expect_refusal("sse", "HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 307,
                 "redirects to /elsewhere", -1);
}

static void a_persistent_client_comes_back_whatever_the_refusal(void **state) {
  (void) state;
  open_fixture("sse");
  fx.options.is_persistent = 1;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  client_expects(&fx, "disconnect(EPROTO)");
  assert_int_equal(fx.last.retry_ms, 0);
  client_fixture_forget(&fx);
  client_fixture_advance(&fx, 0);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD);
  client_expects(&fx, "open");
  client_fixture_close(&fx);
}

static void what_is_no_handshake_is_refused(void **state) {
  (void) state;
  expect_refusal("ws", "+OK this is another port\n", 0, "does not speak HTTP", -1);
  expect_refusal("sse", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", 0, "not a stream of events", -1);
  char head[40000] = "HTTP/1.1 200 OK\r\n";
  for (size_t length = strlen(head); length < 20000; length += 18) memcpy(head + length, "X-More: and more\r\n", 19);
  expect_refusal("sse", head, 0, "too long", -1);
}

static void expect_wrong_upgrade(const char *subprotocols, const char *accept, const char *more, const char *problem) {
  open_fixture("ws");
  fx.options.subprotocols = subprotocols;
  client_fixture_connect(&fx);
  server_accept_websocket(&fx, accept, more);
  client_expects(&fx, "disconnect(EPROTO)");
  assert_non_null(strstr(fx.problem, problem));
  client_expects(&fx, "close(EPROTO)");
  client_fixture_close(&fx);
}

static void a_websocket_has_to_be_agreed_to_as_it_was_asked_for(void **state) {
  (void) state;
  expect_wrong_upgrade(NULL, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", "wrong Sec-WebSocket-Accept");
  expect_wrong_upgrade(NULL, "", "", "wrong Sec-WebSocket-Accept");
  expect_wrong_upgrade(NULL, NULL, "Sec-WebSocket-Extensions: permessage-deflate\r\n", "extension");
  expect_wrong_upgrade(NULL, NULL, "Sec-WebSocket-Protocol: chat\r\n", "subprotocol that was not asked for");
  expect_wrong_upgrade("chat", NULL, "", "none of the subprotocols");
  expect_wrong_upgrade("chat, superchat", NULL, "Sec-WebSocket-Protocol: cha\r\n", "none of the subprotocols");
}

/* Cut */

static void expect_cut(const char *scheme, const char *said, bool resets, int error, bool is_mid_message) {
  open_fixture(scheme);
  fx.options.resumes = 0;
  client_fixture_connect(&fx);
  while (fx.peer == NULL) uv_run(&fx.loop, UV_RUN_ONCE);
  if (strcmp(scheme, "tcp") != 0) server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, said);
  client_fixture_turns(&fx, 20);
  server_hang_up(&fx, resets);
  client_expects(&fx, "disconnect(");
  assert_int_equal(fx.last.error, error);
  assert_int_equal(fx.last.is_mid_message, is_mid_message);
  assert_int_equal(fx.last.retry_ms, 0);
  client_fixture_close(&fx);
}

static void a_connection_may_be_cut_anywhere(void **state) {
  (void) state;
  expect_cut("tcp", "one\ntw", false, UV_EOF, true);
  expect_cut("tcp", "one\n", false, UV_EOF, false);
  expect_cut("tcp", "one\n", true, UV_ECONNRESET, false);
  expect_cut("sse", SSE_HEAD "data: one\n\ndata: tw", false, UV_EOF, true);
  expect_cut("sse", "HTTP/1.1 200 O", false, UV_EOF, false);
  expect_cut("sse", "HTTP/1.1 200 OK\r\nContent-Ty", true, UV_ECONNRESET, false);
  expect_cut("ws", "HTTP/1.1 101 Switching Protocols\r\nUpgr", false, UV_EOF, false);
}

static void a_stream_of_events_may_end_in_http(void **state) {
  (void) state;
  open_fixture("sse");
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(
      &fx, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
           "9\r\ndata: 1\n\n\r\n0\r\n\r\n");
  client_expects(&fx, "disconnect(EOF)");
  assert_string_equal(fx.told, "connect open message(1) disconnect(EOF) ");
  assert_string_equal(fx.problem, "the server ended the stream");
  client_fixture_close(&fx);
}

/* Against the protocol */

static void expect_close_code(const char *frames, size_t length, int code, int error) {
  char payload[128];
  size_t payload_length;
  open_fixture("ws");
  fx.options.max_message_bytes = 100;
  client_fixture_open_websocket(&fx);
  server_say(&fx, frames, length);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &payload_length), 8);
  assert_int_equal((unsigned char) payload[0] << 8 | (unsigned char) payload[1], code);
  client_expects(&fx, "disconnect(");
  assert_int_equal(fx.last.error, error);
  client_fixture_close(&fx);
}

static void a_server_against_the_rules_is_told_by_a_close_code(void **state) {
  (void) state;
  expect_close_code("\x81\x81\1\2\3\4\5", 7, 1002, UV_EPROTO);
  expect_close_code("\x82\x7e\0\xc8x", 5, 1009, UV_EMSGSIZE);
  expect_close_code("\x88\1x", 3, 1002, UV_EPROTO);
  expect_close_code("\x88\2\x03\xed", 4, 1002, UV_EPROTO); /* 1005 is never sent */
  static const char json[] = "\x81\x19{\"topic\":\"a\",\"data\":\"\\x\"}";
  expect_close_code(json, sizeof json - 1, 1007, UV_EPROTO);
}

static void close_codes_are_answered_and_told(void **state) {
  static const struct {
    int code;
    const char *told;
    bool is_final;
  } cases[] = {{1000, "disconnect(EOF)", true}, {1001, "disconnect(EOF)", false}, {4000, "disconnect(EOF)", true},
               {4008, "evicted(why)", false},   {4010, "too_old(why)", false},    {4011, "closing(why)", false},
               {1013, "closing(why)", false},   {4401, "disconnect(EOF)", true},  {4403, "disconnect(EOF)", true}};
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char payload[128], frame[8] = {(char) (cases[i].code >> 8), (char) cases[i].code, 'w', 'h', 'y'};
    size_t length;
    open_fixture("ws");
    client_fixture_open_websocket(&fx);
    server_say_frame(&fx, 0x88, frame, 5);
    assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 8);
    assert_memory_equal(payload, frame, 2);
    server_hang_up(&fx, false);
    client_expects(&fx, cases[i].told);
    client_expects(&fx, "disconnect(EOF)");
    assert_int_equal(fx.last.code, cases[i].code);
    assert_string_equal(fx.reason, "why");
    assert_int_equal(fx.last.retry_ms < 0, cases[i].is_final);
    client_fixture_close(&fx);
  }
}

static void a_token_that_expires_soon_is_told(void **state) {
  static const char json[] = "{\"token_expires_in\":30}";
  (void) state;
  open_fixture("ws");
  client_fixture_open_websocket(&fx);
  server_say_frame(&fx, 0x81, json, sizeof json - 1);
  client_expects(&fx, "token_expires({\"token_expires_in\":30})=30");
  client_fixture_close(&fx);
  open_fixture("sse");
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "event: token_expires\ndata: {\"token_expires_in\":30}\n\n");
  client_expects(&fx, "token_expires({\"token_expires_in\":30})=30");
  client_fixture_close(&fx);
}

static void a_close_frame_without_a_code_is_1005(void **state) {
  (void) state;
  open_fixture("ws");
  client_fixture_open_websocket(&fx);
  server_say_frame(&fx, 0x88, NULL, 0);
  client_fixture_turns(&fx, 20);
  client_fixture_advance(&fx, 2000); /* the server doesn't end the connection */
  client_expects(&fx, "disconnect(EOF)");
  assert_int_equal(fx.last.code, 1005);
  client_fixture_close(&fx);
}

/* Dead servers */

static void a_server_that_does_not_answer_the_handshake_is_given_up(void **state) {
  (void) state;
  open_fixture("ws");
  fx.options.handshake_timeout_ms = 3000;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  client_fixture_advance(&fx, 2999);
  assert_int_equal(fx.disconnects, 0);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "disconnect(ETIMEDOUT)");
  client_fixture_close(&fx);
}

static void a_server_that_does_not_answer_a_ping_is_gone(void **state) {
  char payload[128];
  size_t length;
  (void) state;
  open_fixture("ws");
  client_fixture_open_websocket(&fx);
  client_fixture_advance(&fx, 24999);
  assert_int_equal(fx.received_length, 0);
  client_fixture_advance(&fx, 1);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 9);
  server_say_frame(&fx, 0x8a, NULL, 0);
  client_fixture_turns(&fx, 20);
  client_fixture_advance(&fx, 24999);
  assert_int_equal(fx.received_length, 0);
  client_fixture_advance(&fx, 1);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 9);
  client_fixture_advance(&fx, 9999);
  assert_int_equal(fx.disconnects, 0);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "disconnect(ETIMEDOUT)");
  assert_string_equal(fx.problem, "the server does not answer a ping");
  client_fixture_close(&fx);
}

static void pings_on_lines_are_commands_whose_answers_are_not_told(void **state) {
  (void) state;
  open_fixture("tcp");
  fx.options.resumes = 0;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  client_fixture_advance(&fx, 25000);
  server_expects(&fx, "PING\n");
  fluxbp_client_send(fx.client, "PING", 4, 0);
  server_expects(&fx, "PING\nPING\n");
  server_say_text(&fx, "+PONG\n+PONG\nend\n");
  client_expects(&fx, "message(end)");
  assert_string_equal(fx.told, "connect open answer(+PONG) message(end) ");
  client_fixture_close(&fx);
}

static void a_silent_stream_is_given_up_when_asked_to(void **state) {
  (void) state;
  open_fixture("sse");
  fx.options.silence_ms = 5000;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD);
  client_expects(&fx, "open");
  client_fixture_advance(&fx, 4999);
  server_say_text(&fx, ": still there\n\n");
  client_fixture_turns(&fx, 50);
  client_fixture_advance(&fx, 4999);
  assert_int_equal(fx.disconnects, 0);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "disconnect(ETIMEDOUT)");
  client_fixture_close(&fx);
}

static void an_answer_has_a_deadline(void **state) {
  fluxbp_client_request_t request = {.size = sizeof request, .path = "/"};
  (void) state;
  open_fixture("http");
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  fx.options.answer_timeout_ms = 500;
  client_fixture_connect(&fx);
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0); /* before it is connected */
  server_expects(&fx, "GET / HTTP/1.1\r\n");
  client_fixture_advance(&fx, 499);
  assert_int_equal(fx.disconnects, 0);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "disconnect(ETIMEDOUT)");
  client_fixture_close(&fx);
}

static void nobody_listens(void **state) {
  (void) state;
  open_fixture("tcp");
  fx.options.url = "tcp://127.0.0.1:1";
  fx.options.reconnects = 0;
  client_fixture_connect(&fx);
  client_expects(&fx, "close(ECONNREFUSED)");
  assert_string_equal(fx.told, "disconnect(ECONNREFUSED) close(ECONNREFUSED) ");
  assert_false(fx.last.was_connected);
  client_fixture_close(&fx);
}

static void an_address_that_is_not_ours_is_told(void **state) {
  struct sockaddr_in address;
  (void) state;
  open_fixture("tcp");
  uv_ip4_addr("192.0.2.1", 0, &address); /* for documentation: nobody has it */
  fx.options.local_address = (const struct sockaddr *) &address;
  fx.options.reconnects = 0;
  client_fixture_connect(&fx);
  client_expects(&fx, "close(EADDRNOTAVAIL)");
  client_fixture_close(&fx);
}

static void a_name_that_is_not_known_is_told(void **state) {
  (void) state;
  open_fixture("tcp");
  fx.options.url = "tcp://no-such-host.invalid:1";
  fx.options.reconnects = 0;
  client_fixture_connect(&fx);
  client_expects(&fx, "close(EAI_");
  client_fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refusals_in_http_have_their_status_and_may_be_final),
      cmocka_unit_test(redirects_are_not_followed_and_say_where_to),
      cmocka_unit_test(a_persistent_client_comes_back_whatever_the_refusal),
      cmocka_unit_test(what_is_no_handshake_is_refused),
      cmocka_unit_test(a_websocket_has_to_be_agreed_to_as_it_was_asked_for),
      cmocka_unit_test(a_connection_may_be_cut_anywhere),
      cmocka_unit_test(a_stream_of_events_may_end_in_http),
      cmocka_unit_test(a_server_against_the_rules_is_told_by_a_close_code),
      cmocka_unit_test(close_codes_are_answered_and_told),
      cmocka_unit_test(a_token_that_expires_soon_is_told),
      cmocka_unit_test(a_close_frame_without_a_code_is_1005),
      cmocka_unit_test(a_server_that_does_not_answer_the_handshake_is_given_up),
      cmocka_unit_test(a_server_that_does_not_answer_a_ping_is_gone),
      cmocka_unit_test(pings_on_lines_are_commands_whose_answers_are_not_told),
      cmocka_unit_test(a_silent_stream_is_given_up_when_asked_to),
      cmocka_unit_test(an_answer_has_a_deadline),
      cmocka_unit_test(nobody_listens),
      cmocka_unit_test(an_address_that_is_not_ours_is_told),
      cmocka_unit_test(a_name_that_is_not_known_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
