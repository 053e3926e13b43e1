/* SPDX-License-Identifier: MIT */
/*
 * A client and a server in one process, in each protocol: connecting, messages, sending, closing.
 */
#include "support/client_fixture.h"

#include <netdb.h>
#include <stdio.h>

static client_fixture_t fx;

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void lines_are_messages_and_can_be_sent(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.topics = "news,prices";
  fx.options.token = "secret";
  client_fixture_connect(&fx);
  server_expects(&fx, "AUTH secret\nSUB news\nSUB prices\nIDS\n");
  server_say_text(&fx, "+OK AUTH\n+OK SUB news\n+OK SUB prices\n+OK IDS 0123456789abcdef:7\n"
                       "0123456789abcdef:8 news hello\n- prices 42\n");
  client_expects(&fx, "message(42)@prices");
  assert_string_equal(fx.told, "connect open answer(+OK AUTH) answer(+OK SUB news) answer(+OK SUB prices) "
                               "position(+OK IDS 0123456789abcdef:7)#0123456789abcdef:7 "
                               "message(hello)#0123456789abcdef:8@news message(42)@prices ");
  assert_string_equal(fluxbp_client_position(fx.client), "0123456789abcdef:8");
  client_fixture_forget(&fx);
  assert_int_equal(fluxbp_client_send(fx.client, "PUB news one", 12, 0), 0);
  assert_int_equal(fluxbp_client_send(fx.client, "PUB news two", 12, 0), 0);
  assert_int_equal(fluxbp_client_send(fx.client, "a\nb", 3, 0), UV_EINVAL);
  server_expects(&fx, "PUB news one\nPUB news two\n");
  client_fixture_close(&fx);
}

static void frames_are_messages_and_can_be_sent(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp-length", "");
  fx.options.resumes = 0;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  assert_int_equal(fluxbp_client_send(fx.client, "a\nb", 3, 0), 0);
  while (fx.received_length < 7) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_memory_equal(fx.received, "\0\0\0\3a\nb", 7);
  server_say(&fx, "\0\0\0\2hi\0\0\0\5+PONG", 15);
  client_expects(&fx, "message(hi) answer(+PONG)");
  client_fixture_close(&fx);
}

static void a_plain_client_of_lines_says_nothing_and_interprets_nothing(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  fx.options.topics = "news";
  fx.options.first_message = "hello server";
  fx.options.first_message_length = 12;
  client_fixture_connect(&fx);
  server_expects(&fx, "hello server\n");
  assert_string_equal(fx.received, "hello server\n");
  server_say_text(&fx, "+OK\n-ERR\n{\"gap\":{}}\n");
  client_expects(&fx, "message(+OK) message(-ERR) message({\"gap\":{}})");
  client_fixture_close(&fx);
}

static void a_websocket_asks_for_ids_and_gets_messages(void **state) {
  (void) state;
  client_fixture_open(&fx, "ws", "/stream?a=b");
  fx.options.topics = "news";
  fx.options.token = "secret";
  fx.options.headers = "X-One: 1\r\nX-Two: 2\r\n";
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  assert_non_null(strstr(fx.received, "GET /stream?a=b&topic=news&format=json HTTP/1.1\r\nHost: 127.0.0.1:"));
  assert_non_null(strstr(fx.received, "Authorization: Bearer secret\r\nX-One: 1\r\nX-Two: 2\r\n"));
  server_accept_websocket(&fx, NULL, "");
  client_expects(&fx, "open");
  static const char json[] = "{\"id\":\"0123456789abcdef:8\",\"topic\":\"news\",\"data\":\"a \\\"b\\\"\"}";
  static const char base64[] = "{\"id\":\"0123456789abcdef:9\",\"topic\":\"news\",\"base64\":\"AAEC\"}";
  server_say_frame(&fx, 0x81, json, sizeof json - 1);
  server_say_frame(&fx, 0x81, base64, sizeof base64 - 1);
  client_expects(&fx, "message(a \"b\")#0123456789abcdef:8@news");
  client_expects(&fx, "binary message(");
  assert_string_equal(fluxbp_client_position(fx.client), "0123456789abcdef:9");
  client_fixture_close(&fx);
}

static void a_websocket_sends_masked_messages_and_answers_pings(void **state) {
  char payload[256];
  size_t length;
  (void) state;
  client_fixture_open(&fx, "ws", "/");
  fx.options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  fx.options.subprotocols = "chat.v2, chat.v1";
  fx.options.first_message = "subscribe";
  fx.options.first_message_length = 9;
  client_fixture_connect(&fx);
  server_expects(&fx, "Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n");
  assert_non_null(strstr(fx.received, "GET / HTTP/1.1\r\n"));
  server_accept_websocket(&fx, NULL, "Sec-WebSocket-Protocol: chat.v1\r\n");
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 1);
  assert_string_equal(payload, "subscribe");
  client_expects(&fx, "open");
  fluxbp_client_send(fx.client, "text", 4, 0);
  fluxbp_client_send(fx.client, "\1\2", 2, 1);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 1);
  assert_string_equal(payload, "text");
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 2);
  assert_int_equal(length, 2);
  server_say_frame(&fx, 0x89, "ping", 4);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 10);
  assert_string_equal(payload, "ping");
  client_fixture_close(&fx);
}

static void events_of_any_server_are_messages_with_a_name_and_an_id(void **state) {
  (void) state;
  client_fixture_open(&fx, "http", "/events");
  fx.options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  assert_non_null(strstr(fx.received, "GET /events HTTP/1.1\r\n"));
  assert_non_null(strstr(fx.received, "Accept: text/event-stream\r\n"));
  server_say_text(&fx, SSE_HEAD "event: price\nid: 17\ndata: 5\n\ndata: a\ndata: b\n\nid: 18\n\n");
  client_expects(&fx, "position()#18");
  assert_string_equal(fx.told, "connect open message(5)#17 message(a\nb) position()#18 ");
  assert_string_equal(fluxbp_client_position(fx.client), "18");
  assert_int_equal(fluxbp_client_send(fx.client, "x", 1, 0), UV_ENOTSUP);
  client_fixture_close(&fx);
}

static void requests_are_answered_one_at_a_time(void **state) {
  fluxbp_client_request_t request = {.size = sizeof request, .path = "/a", .body = "hello", .body_length = 5};
  (void) state;
  client_fixture_open(&fx, "http", "");
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0);
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), UV_EBUSY);
  server_expects(&fx, "POST /a HTTP/1.1\r\n");
  server_expects(&fx, "Content-Length: 5\r\n\r\nhello");
  server_say_text(&fx, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
  client_expects(&fx, "answer(ok)=201");
  request.body = NULL;
  request.body_length = 0;
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0);
  server_expects(&fx, "GET /a HTTP/1.1\r\n");
  server_say_text(&fx, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  client_expects(&fx, "answer(abcde)=200");
  assert_int_equal(fx.accepted, 1);
  client_fixture_close(&fx);
}

static void a_server_that_closes_between_requests_is_connected_to_again(void **state) {
  fluxbp_client_request_t request = {.size = sizeof request};
  (void) state;
  client_fixture_open(&fx, "http", "/x");
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0);
  server_expects(&fx, "GET /x HTTP/1.1\r\n");
  server_say_text(&fx, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1");
  client_expects(&fx, "answer(1)=200");
  client_fixture_forget(&fx);
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0);
  server_expects(&fx, "GET /x HTTP/1.1\r\n");
  server_say_text(&fx, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
  server_hang_up(&fx, false);
  client_expects(&fx, "answer(until the end)=200");
  assert_int_equal(fx.accepted, 2);
  assert_int_equal(fx.disconnects, 0);
  client_fixture_close(&fx);
}

static void a_full_queue_says_so_and_drains(void **state) {
  static char large[300000];
  (void) state;
  memset(large, 'x', sizeof large);
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.options.max_queued_bytes = 1000;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.peer == NULL) uv_run(&fx.loop, UV_RUN_ONCE);
  uv_read_stop((uv_stream_t *) fx.peer);
  int error = 0, sent = 0;
  for (; error == 0 && sent < 1000; sent++) {
    fx.calls++;
    error = fluxbp_client_send(fx.client, large, sizeof large, 0);
    fluxbp_client_flush(fx.client);
    fx.calls--;
  }
  assert_int_equal(error, UV_EAGAIN);
  fluxbp_client_stats_t stats;
  fluxbp_client_get_stats(fx.client, &stats);
  assert_true(stats.queued_bytes > 0);
  for (size_t i = 0; strstr(fx.told, "drain") == NULL && i < 1000000; i++) { /* the server reads, and throws it away */
    char bytes[65536];
    uv_os_fd_t fd;
    uv_fileno((uv_handle_t *) fx.peer, &fd);
    if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0) uv_run(&fx.loop, UV_RUN_NOWAIT);
  }
  client_expects(&fx, "drain");
  client_fixture_close(&fx);
}

static void a_queue_that_is_full_before_it_is_written_drains_too(void **state) {
  char text[600] = {'x'};
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.options.max_queued_bytes = 1000;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  assert_int_equal(fluxbp_client_send(fx.client, text, sizeof text, 0), 0);
  assert_int_equal(fluxbp_client_send(fx.client, text, sizeof text, 0), UV_EAGAIN);
  client_expects(&fx, "drain");
  assert_int_equal(fluxbp_client_send(fx.client, text, sizeof text, 0), 0);
  client_fixture_close(&fx);
}

/* How a client closes */

static void closing_a_websocket_says_why_and_waits_for_the_server(void **state) {
  char payload[256];
  size_t length;
  (void) state;
  client_fixture_open(&fx, "ws", "");
  client_fixture_open_websocket(&fx);
  fx.calls++;
  fluxbp_client_close(fx.client, 4321, "enough", 1000);
  fx.calls--;
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 8);
  assert_memory_equal(payload,
                      "\x10\xe1"
                      "enough",
                      8);
  client_fixture_turns(&fx, 20);
  assert_non_null(fx.client); /* it waits */
  server_hang_up(&fx, false);
  client_expects(&fx, "close(0)");
  assert_null(strstr(fx.told, "disconnect"));
  client_fixture_close(&fx);
}

static void a_server_that_does_not_close_too_is_left_at_the_deadline(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  fluxbp_client_send(fx.client, "QUIT", 4, 0);
  fluxbp_client_close(fx.client, 0, NULL, 1000);
  server_expects(&fx, "QUIT\n");
  while (!fx.has_eof) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_non_null(fx.client);
  client_fixture_advance(&fx, 999);
  assert_non_null(fx.client);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "close(0)");
  client_fixture_close(&fx);
}

static void a_reset_client_is_gone_at_once_in_every_state(void **state) {
  static const char *const schemes[] = {"tcp", "ws", "sse"};
  (void) state;
  for (int i = 0; i < 3; i++) {
    for (int turns = 0; turns < 6; turns++) {
      client_fixture_open(&fx, schemes[i], "");
      client_fixture_connect(&fx);
      client_fixture_turns(&fx, turns);
      client_fixture_close(&fx);
      assert_non_null(strstr(fx.told, "close(ECANCELED)"));
    }
  }
}

static void hook_that_closes(client_fixture_t *fixture, const char *told) {
  if (strncmp(told, "message(2)", 10) == 0) fluxbp_client_close(fixture->client, 1000, NULL, 0);
}

static void a_handler_may_close_the_client(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.greeting = "1\n2\n3\n";
  fx.hook = hook_that_closes;
  client_fixture_connect(&fx);
  client_expects(&fx, "close(0)");
  assert_string_equal(fx.told, "connect open message(1) message(2) close(0) ");
  client_fixture_close(&fx);
}

/* Stands between the library and the look-up: a port at which nothing listens comes first. */
int __real_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *host,
                          const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *host,
                          const char *service, const struct addrinfo *hints);

static uv_getaddrinfo_cb found_cb;

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  struct addrinfo *closed = NULL;
  assert_int_equal(status, 0);
  assert_int_equal(getaddrinfo("127.0.0.1", "1", NULL, &closed), 0);
  struct addrinfo *last = closed;
  while (last->ai_next != NULL) last = last->ai_next;
  last->ai_next = found;
  found_cb(request, 0, closed);
}

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *host,
                          const char *service, const struct addrinfo *hints) {
  found_cb = cb;
  return __real_uv_getaddrinfo(loop, request, on_found, host, service, hints);
}

static void names_are_looked_up_and_their_addresses_tried_in_turn(void **state) {
  char url[64];
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  snprintf(url, sizeof url, "tcp://localhost:%d", fx.port);
  fx.options.url = url;
  fx.options.resumes = 0;
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  client_fixture_close(&fx);
}

static void options_that_are_wrong_are_refused(void **state) {
  fluxbp_client_t *client;
  (void) state;
  client_fixture_open(&fx, "ws", "");
  fluxbp_client_options_t good = fx.options;
#define REFUSED(field, value, error)                                                                                   \
  fx.options.field = value;                                                                                            \
  assert_int_equal(fluxbp_client_create(&fx.loop, &fx.options, &client), error);                                       \
  fx.options = good
  REFUSED(url, NULL, UV_EINVAL);
  REFUSED(url, "wss://:1", UV_EINVAL);
  REFUSED(url, "nats://127.0.0.1:1", UV_EINVAL);
  REFUSED(topics, "a&b", UV_EINVAL);
  REFUSED(token, "a\r\nb", UV_EINVAL);
  REFUSED(headers, "A: b", UV_EINVAL);
  REFUSED(headers, "A: b\n", UV_EINVAL);
  REFUSED(retry_first_ms, 0, UV_EINVAL);
  REFUSED(max_message_bytes, 0, UV_EINVAL);
  REFUSED(size, 0, UV_EINVAL);
  struct {
    fluxbp_client_options_t known;
    size_t unknown;
  } longer = {.known = fx.options, .unknown = 1};
  longer.known.size = sizeof longer;
  assert_int_equal(fluxbp_client_create(&fx.loop, &longer.known, &client), UV_E2BIG);
  longer.unknown = 0;
  assert_int_equal(fluxbp_client_create(&fx.loop, &longer.known, &fx.client), 0);
  client_fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_messages_and_can_be_sent),
      cmocka_unit_test(frames_are_messages_and_can_be_sent),
      cmocka_unit_test(a_plain_client_of_lines_says_nothing_and_interprets_nothing),
      cmocka_unit_test(a_websocket_asks_for_ids_and_gets_messages),
      cmocka_unit_test(a_websocket_sends_masked_messages_and_answers_pings),
      cmocka_unit_test(events_of_any_server_are_messages_with_a_name_and_an_id),
      cmocka_unit_test(requests_are_answered_one_at_a_time),
      cmocka_unit_test(a_server_that_closes_between_requests_is_connected_to_again),
      cmocka_unit_test(a_full_queue_says_so_and_drains),
      cmocka_unit_test(a_queue_that_is_full_before_it_is_written_drains_too),
      cmocka_unit_test(closing_a_websocket_says_why_and_waits_for_the_server),
      cmocka_unit_test(a_server_that_does_not_close_too_is_left_at_the_deadline),
      cmocka_unit_test(a_reset_client_is_gone_at_once_in_every_state),
      cmocka_unit_test(a_handler_may_close_the_client),
      cmocka_unit_test(names_are_looked_up_and_their_addresses_tried_in_turn),
      cmocka_unit_test(options_that_are_wrong_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
