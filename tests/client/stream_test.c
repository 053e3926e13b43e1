/* SPDX-License-Identifier: MIT */
/*
 * What the load client makes of a server's bytes, in each protocol: the same, however they are cut into pieces.
 */
#include "client/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What was told, as text: "message(text)#id" and the like, one after the other. */
static char told[8192];

static const char *const kind_names[] = {"message", "opened", "answer",  "position", "resumed", "too_old", "error",
                                         "unset",   "gap",    "evicted", "closing",  "closed",  "ping"};

static void on_event(struct stream *stream, const struct stream_event *event) {
  size_t length = strlen(told);
  (void) stream;
  snprintf(told + length, sizeof told - length, "%s(%.*s)", kind_names[event->kind], (int) event->length,
           event->length > 0 ? event->data : "");
  length = strlen(told);
  if (event->id != NULL) snprintf(told + length, sizeof told - length, "#%.*s", (int) event->id_length, event->id);
  length = strlen(told);
  if (event->code != 0) snprintf(told + length, sizeof told - length, "=%d", event->code);
  strcat(told, " ");
}

static void feed_in_pieces(enum protocol protocol, bool has_ids, const char *bytes, size_t length, size_t cut,
                           size_t piece) {
  struct stream stream;
  told[0] = '\0';
  stream_init(&stream, protocol, on_event);
  stream.has_ids = has_ids;
  bool is_ok = stream_feed(&stream, bytes, cut);
  for (size_t at = cut; is_ok && at < length; at += piece)
    is_ok = stream_feed(&stream, bytes + at, length - at < piece ? length - at : piece);
  if (!is_ok) strcat(told, "FAILED");
  stream_reset(&stream);
}

/* Whole, cut at every place, and byte by byte. */
static void expect(enum protocol protocol, bool has_ids, const char *bytes, size_t length, const char *expected) {
  for (size_t cut = 0; cut <= length; cut++) {
    feed_in_pieces(protocol, has_ids, bytes, length, cut, length);
    assert_string_equal(told, expected);
  }
  feed_in_pieces(protocol, has_ids, bytes, length, 0, 1);
  assert_string_equal(told, expected);
}

static void expect_text(enum protocol protocol, bool has_ids, const char *text, const char *expected) {
  expect(protocol, has_ids, text, strlen(text), expected);
}

static void lines_are_messages_answers_and_notices(void **state) {
  (void) state;
  expect_text(
      PROTOCOL_LINES, false,
      "hello\n"
      "with a return\r\n"
      "\n"
      "+OK SUB news\n"
      "+PONG\n"
      "-ERR busy\n"
      "{\"gap\":{\"from\":1,\"to\":2,\"count\":2}}\n"
      "{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}\n"
      "{\"price\":1}\n"
      "+1 for this feed\n"
      "-5 degrees\n"
      "{\"evicted\":\"slow\"}\n"
      "{\"closing\":\"shutting down\"}\n"
      "not the end",
      "message(hello) message(with a return) answer(+OK SUB news) answer(+PONG) error(-ERR busy) "
      "gap({\"gap\":{\"from\":1,\"to\":2,\"count\":2}}) unset({\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}) "
      "message({\"price\":1}) message(+1 for this feed) "
      "message(-5 degrees) evicted({\"evicted\":\"slow\"}) closing({\"closing\":\"shutting down\"}) ");
}

static void lines_have_ids_when_they_were_asked_for(void **state) {
  (void) state;
  static const char lines[] = "before\n"
                              "+OK IDS 0123456789abcdef:7\n"
                              "0123456789abcdef:8 news hello there\n"
                              "0123456789abcdef:9 news \n"
                              "0123456789ABCDEF:9 news no id\n"
                              "{\"at\":\"0123456789abcdef:11\"}\n"
                              "+OK RESUMED 0123456789abcdef:7\n"
                              "-ERR too old, oldest is 0123456789abcdef:5\n";
  expect_text(PROTOCOL_LINES, true, lines,
              "message(before) position(+OK IDS 0123456789abcdef:7)#0123456789abcdef:7 "
              "message(hello there)#0123456789abcdef:8 message()#0123456789abcdef:9 "
              "message(0123456789ABCDEF:9 news no id) "
              "position({\"at\":\"0123456789abcdef:11\"})#0123456789abcdef:11 resumed(+OK RESUMED 0123456789abcdef:7) "
              "too_old(-ERR too old, oldest is 0123456789abcdef:5) ");
  expect_text(PROTOCOL_LINES, false, "0123456789abcdef:8 news hello\n", "message(0123456789abcdef:8 news hello) ");
  expect_text(PROTOCOL_LINES, false, "{\"at\":\"0123456789abcdef:8\"}\n", "message({\"at\":\"0123456789abcdef:8\"}) ");
  expect_text(PROTOCOL_LINES, true, "{\"at\":\"not the end\n", "message({\"at\":\"not the end) ");
}

static void frames_are_messages_of_their_length(void **state) {
  (void) state;
  static const char frames[] = "\0\0\0\5hello\0\0\0\0\0\0\0\7a\nb\0c\nd\0\0\0\5+PONG\0\0\0\2x";
  expect(PROTOCOL_LENGTH, false, frames, sizeof frames - 1,
         "message(hello) message() message(a\nb) answer(+PONG) "); /* printed up to the NUL */
}

static void a_frame_of_an_impossible_length_is_refused(void **state) {
  (void) state;
  feed_in_pieces(PROTOCOL_LENGTH, false, "\xff\xff\xff\xff", 4, 4, 4);
  assert_string_equal(told, "FAILED");
}

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void events_are_messages_with_ids(void **state) {
  (void) state;
  expect_text(PROTOCOL_SSE, false,
              SSE_HEAD "retry: 1500\n\n"
                       "event: position\nid: 0123456789abcdef:6\ndata: 0123456789abcdef:6\n\n"
                       ": a comment\n\n"
                       "id: 0123456789abcdef:8\ndata: hello\n\n"
                       "data:without a blank\r\n\r\n"
                       "event: gap\ndata: {\"from\":1,\"to\":2,\"count\":2}\n\n"
                       "event: unset\ndata: {\"topic\":\"t\",\"key\":\"k\",\"unset\":true}\n\n"
                       "event: resumed\ndata: {\"since\":\"0123456789abcdef:7\"}\n\n"
                       "event: too_old\ndata: {}\n\n"
                       "event: evicted\ndata: {\"reason\":\"slow\"}\n\n"
                       "event: closing\ndata: {\"retry_ms\":5}\n\n"
                       "event: price\ndata: 5\n\n"
                       "data: not the end\n",
              "opened() position(0123456789abcdef:6)#0123456789abcdef:6 "
              "message(hello)#0123456789abcdef:8 message(without a blank) "
              "gap({\"from\":1,\"to\":2,\"count\":2}) unset({\"topic\":\"t\",\"key\":\"k\",\"unset\":true}) "
              "resumed({\"since\":\"0123456789abcdef:7\"}) too_old({}) "
              "evicted({\"reason\":\"slow\"}) closing({\"retry_ms\":5}) message(5) ");
}

static void events_may_come_in_chunks_of_http(void **state) {
  (void) state;
  expect_text(PROTOCOL_SSE, false,
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              "8\r\ndata: he\r\n5\r\nllo\n\n\r\n9\r\ndata: 2\n\n\r\n",
              "opened() message(hello) message(2) ");
}

static void a_refusal_in_http_is_told_with_its_status(void **state) {
  (void) state;
  expect_text(PROTOCOL_SSE, false, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
              "closed()=503 FAILED");
  expect_text(PROTOCOL_WEBSOCKET, false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "closed()=200 FAILED");
  expect_text(PROTOCOL_SSE, false, "+OK\n", "FAILED");
}

#define WS_HEAD                                                                                                        \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                                  \
  "Sec-WebSocket-Accept: " WEBSOCKET_ACCEPT "\r\n\r\n"

/* Appends an unmasked frame. */
static size_t frame(char *out, size_t at, int first_byte, const char *payload, size_t length) {
  out[at++] = (char) first_byte;
  if (length < 126) {
    out[at++] = (char) length;
  } else {
    out[at++] = 126;
    out[at++] = (char) (length >> 8);
    out[at++] = (char) length;
  }
  memcpy(out + at, payload, length);
  return at + length;
}

static size_t text_frame(char *out, size_t at, const char *text) {
  return frame(out, at, 0x81, text, strlen(text));
}

static void websocket_messages_come_whole_in_fragments_and_between_control_frames(void **state) {
  (void) state;
  char bytes[2048] = WS_HEAD;
  size_t length = strlen(bytes);
  length = text_frame(bytes, length, "hello");
  length = frame(bytes, length, 0x01, "in ", 3);
  length = frame(bytes, length, 0x89, "ping", 4);
  length = frame(bytes, length, 0x00, "frag", 4);
  length = frame(bytes, length, 0x80, "ments", 5);
  length = frame(bytes, length, 0x82, "binary", 6);
  length = text_frame(bytes, length, "");
  length = text_frame(bytes, length, "+OK SUB news");
  length = text_frame(bytes, length, "{\"gap\":{}}");
  length = frame(bytes, length, 0x88, "\x0f\xa8too slow", 10);
  expect(PROTOCOL_WEBSOCKET, false, bytes, length,
         "opened() message(hello) ping(ping) message(in fragments) message(binary) message() answer(+OK SUB news) "
         "gap({\"gap\":{}}) evicted(too slow)=4008 ");
}

static void websocket_messages_of_some_size_are_put_together(void **state) {
  (void) state;
  static char bytes[20000], text[6000];
  memset(text, 'x', sizeof text - 1);
  strcpy(bytes, WS_HEAD);
  size_t length = strlen(bytes);
  length = text_frame(bytes, length, text);
  length = text_frame(bytes, length, "after");
  feed_in_pieces(PROTOCOL_WEBSOCKET, false, bytes, length, 0, length);
  assert_int_equal(strspn(told + strlen("opened() message("), "x"), sizeof text - 1);
  assert_non_null(strstr(told, "x) message(after) "));
}

static void json_over_websocket_has_ids(void **state) {
  (void) state;
  char bytes[2048] = WS_HEAD;
  size_t length = strlen(bytes);
  length = text_frame(bytes, length, "{\"resumed\":\"0123456789abcdef:7\"}");
  length = text_frame(bytes, length, "{\"id\":\"0123456789abcdef:8\",\"topic\":\"news\",\"data\":\"hello\"}");
  length = text_frame(bytes, length, "{\"topic\":\"prices\",\"data\":\"no id\"}");
  length =
      text_frame(bytes, length, "{\"id\":\"0123456789abcdef:9\",\"topic\":\"news\",\"data\":\"a \\\"b\\\" \\u00e4\"}");
  length = frame(bytes, length, 0x88, "\x0f\xaa", 2);
  expect(PROTOCOL_WEBSOCKET, true, bytes, length,
         "opened() resumed({\"resumed\":\"0123456789abcdef:7\"}) message(hello)#0123456789abcdef:8 message(no id) "
         "message(a \"b\" \xc3\xa4)#0123456789abcdef:9 too_old()=4010 ");
}

static void a_websocket_server_that_masks_or_lies_is_refused(void **state) {
  (void) state;
  char bytes[2048] = WS_HEAD;
  size_t length = strlen(bytes);
  memcpy(bytes + length, "\x81\x81\1\2\3\4\5", 7);
  expect(PROTOCOL_WEBSOCKET, false, bytes, length + 7, "opened() FAILED");
  length = frame(bytes, length, 0xc1, "rsv", 3);
  expect(PROTOCOL_WEBSOCKET, false, bytes, length, "opened() FAILED");
  expect_text(PROTOCOL_WEBSOCKET, false,
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: something else\r\n\r\n",
              "FAILED");
}

static void a_line_that_does_not_end_is_refused(void **state) {
  (void) state;
  static char x[3 << 20];
  memset(x, 'x', sizeof x);
  feed_in_pieces(PROTOCOL_LINES, false, x, sizeof x, 0, 65536);
  assert_string_equal(told, "FAILED");
}

static void nothing_is_told_after_a_stop(void **state) {
  (void) state;
  struct stream stream;
  told[0] = '\0';
  stream_init(&stream, PROTOCOL_LINES, on_event);
  stream_feed(&stream, "1\n", 2);
  stream_stop(&stream);
  assert_true(stream_feed(&stream, "2\n", 2));
  assert_string_equal(told, "message(1) ");
  stream_reset(&stream);
}

/* What clients send */

static void a_pong_is_masked(void **state) {
  (void) state;
  char out[64];
  assert_int_equal(stream_websocket_frame(STREAM_WEBSOCKET_PONG, "hi", 2, out, sizeof out), 8);
  assert_int_equal((unsigned char) out[0], 0x8a);
  assert_int_equal((unsigned char) out[1], 0x82);
  assert_int_equal(out[6] ^ out[2], 'h');
  assert_int_equal(out[7] ^ out[3], 'i');
  assert_int_equal(stream_websocket_frame(STREAM_WEBSOCKET_PONG, "hi", 2, out, 7), 0);
}

static void request_of(const char *url, const struct wish *wish, const char *expected) {
  struct target target;
  char request[TARGET_REQUEST_BYTES];
  assert_null(target_parse(&target, url));
  size_t length = target_request(&target, wish, request);
  request[length] = '\0';
  assert_non_null(strstr(request, expected));
}

static void a_client_asks_for_what_it_wishes(void **state) {
  (void) state;
  struct wish none = {.topic = NULL};
  struct wish all = {
      .topic = "news", .token = "secret", .since = "0123456789abcdef:7", .wants_ids = true, .wants_answer = true};
  struct target target;
  char request[TARGET_REQUEST_BYTES];
  assert_null(target_parse(&target, "tcp://127.0.0.1:9000"));
  assert_int_equal(target_request(&target, &none, request), 0);
  request_of("tcp://127.0.0.1:9000", &all, "AUTH secret\nSUB news\nIDS\nRESUME 0123456789abcdef:7\nPING\n");
  request_of("ws://127.0.0.1:9001", &none, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n");
  request_of("ws://127.0.0.1:9001/a?b=c", &all,
             "GET /a?b=c&topic=news&format=json&since=0123456789abcdef:7 HTTP/1.1\r\n");
  request_of("sse://127.0.0.1:9001", &all, "GET /sse?topic=news HTTP/1.1\r\n");
  request_of("sse://127.0.0.1:9001", &all, "\r\nAuthorization: Bearer secret\r\n");
  request_of("sse://127.0.0.1:9001", &all, "\r\nLast-Event-ID: 0123456789abcdef:7\r\n\r\n");
}

static void urls_that_are_wrong_are_refused(void **state) {
  (void) state;
  static const char *const urls[] = {
      "udp://127.0.0.1:9000",      "127.0.0.1:9000",          "tcp://127.0.0.1", "tcp://127.0.0.1:0",
      "tcp://127.0.0.1:9000/path", "ws://127.0.0.1:9000/a b", "ws://:9000/",     "-x"};
  struct target target;
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) assert_non_null(target_parse(&target, urls[i]));
  assert_null(target_parse(&target, "-"));
  assert_null(target_parse(&target, "nats://127.0.0.1:4222"));
  assert_null(target_parse(&target, "nats://127.0.0.1:4222/fluxbp.news"));
  assert_string_equal(target.path, "/fluxbp.news");
  assert_true(target_takes_messages(&target));
  assert_false(target_is_feed(&target));
  assert_null(target_parse(&target, "tcp-length://[::1]:9000"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_messages_answers_and_notices),
      cmocka_unit_test(lines_have_ids_when_they_were_asked_for),
      cmocka_unit_test(frames_are_messages_of_their_length),
      cmocka_unit_test(a_frame_of_an_impossible_length_is_refused),
      cmocka_unit_test(events_are_messages_with_ids),
      cmocka_unit_test(events_may_come_in_chunks_of_http),
      cmocka_unit_test(a_refusal_in_http_is_told_with_its_status),
      cmocka_unit_test(websocket_messages_come_whole_in_fragments_and_between_control_frames),
      cmocka_unit_test(websocket_messages_of_some_size_are_put_together),
      cmocka_unit_test(json_over_websocket_has_ids),
      cmocka_unit_test(a_websocket_server_that_masks_or_lies_is_refused),
      cmocka_unit_test(a_line_that_does_not_end_is_refused),
      cmocka_unit_test(nothing_is_told_after_a_stop),
      cmocka_unit_test(a_pong_is_masked),
      cmocka_unit_test(a_client_asks_for_what_it_wishes),
      cmocka_unit_test(urls_that_are_wrong_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
