/* SPDX-License-Identifier: MIT */
/*
 * What a stream makes of a server's bytes, in each protocol: the same, however they are cut into pieces, and however
 * often reading is paused.
 */
#define _GNU_SOURCE /* memmem */
#include "support/client_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct client_stream_told told;

enum { FLUXBP, IDS, PLAIN };

static void expect(fluxbp_client_protocol_t protocol, int dialect, const char *bytes, size_t length,
                   const char *expected) {
  for (int pauses = 0; pauses < 2; pauses++) {
    for (size_t cut = 0; cut <= length; cut++) {
      client_stream_read(&told, protocol, dialect == PLAIN, dialect == IDS, bytes, length, cut, length, pauses);
      assert_string_equal(told.text, expected);
    }
    client_stream_read(&told, protocol, dialect == PLAIN, dialect == IDS, bytes, length, 0, 1, pauses);
    assert_string_equal(told.text, expected);
  }
}

static void expect_text(fluxbp_client_protocol_t protocol, int dialect, const char *text, const char *expected) {
  expect(protocol, dialect, text, strlen(text), expected);
}

/* Only the last words matter: where a problem is seen depends on the pieces. */
static void expect_failure(fluxbp_client_protocol_t protocol, int dialect, const char *bytes, size_t length) {
  for (size_t piece = 1; piece <= length; piece += piece == 1 ? length - 1 : 1) {
    client_stream_read(&told, protocol, dialect == PLAIN, dialect == IDS, bytes, length, 0, piece, 0);
    assert_non_null(strstr(told.text, "FAILED: "));
  }
}

static void lines_are_messages_answers_and_notices(void **state) {
  (void) state;
  expect_text(FLUXBP_CLIENT_LINES, FLUXBP,
              "hello\n"
              "with a return\r\n"
              "\n"
              "+OK SUB news\n"
              "+PONG\n"
              "-ERR busy\n"
              "{\"gap\":{\"from\":1,\"to\":12,\"count\":5}}\n"
              "{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}\n"
              "{\"price\":1}\n"
              "+1 for this feed\n"
              "-5 degrees\n"
              "{\"evicted\":\"slow\"}\n"
              "{\"closing\":\"shutting down\",\"retry_ms\":700}\n"
              "not the end",
              "message(hello) message(with a return) answer(+OK SUB news) answer(+PONG) error(-ERR busy) "
              "gap({\"gap\":{\"from\":1,\"to\":12,\"count\":5}})1-12*5 "
              "unset({\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}})"
              "@prices/BTC message({\"price\":1}) message(+1 for this feed) message(-5 degrees) "
              "evicted({\"evicted\":\"slow\"}) "
              "closing({\"closing\":\"shutting down\",\"retry_ms\":700}) MID retry 700");
}

static void lines_have_ids_when_they_were_asked_for(void **state) {
  (void) state;
  static const char lines[] = "before\n"
                              "+OK IDS 0123456789abcdef:7\n"
                              "0123456789abcdef:8 news hello there\n"
                              "0123456789abcdef:9 news \n"
                              "- prices 42\n"
                              "0123456789ABCDEF:9 news no id\n"
                              "{\"at\":\"0123456789abcdef:11\"}\n"
                              "+OK RESUMED 0123456789abcdef:7\n"
                              "-ERR too old, oldest is 0123456789abcdef:5, topics a,b\n"
                              "-ERR unknown epoch, oldest is 0123456789abcdef:5\n"
                              "-ERR not yet given\n";
  expect_text(FLUXBP_CLIENT_LINES, IDS, lines,
              "message(before) position(+OK IDS 0123456789abcdef:7)#0123456789abcdef:7 "
              "message(hello there)#0123456789abcdef:8@news message()#0123456789abcdef:9@news message(42)@prices "
              "message(0123456789ABCDEF:9 news no id) "
              "position({\"at\":\"0123456789abcdef:11\"})#0123456789abcdef:11 resumed(+OK RESUMED 0123456789abcdef:7) "
              "too_old(-ERR too old, oldest is 0123456789abcdef:5, topics a,b)>0123456789abcdef:5 "
              "too_old(-ERR unknown epoch, oldest is 0123456789abcdef:5)>0123456789abcdef:5 "
              "too_old(-ERR not yet given) ");
  expect_text(FLUXBP_CLIENT_LINES, FLUXBP, "0123456789abcdef:8 news hello\n",
              "message(0123456789abcdef:8 news hello) ");
  expect_text(FLUXBP_CLIENT_LINES, FLUXBP, "{\"at\":\"0123456789abcdef:8\"}\n",
              "message({\"at\":\"0123456789abcdef:8\"}) ");
  expect_text(FLUXBP_CLIENT_LINES, IDS, "{\"at\":\"not the end\n", "message({\"at\":\"not the end) ");
}

static void lines_of_any_server_are_messages(void **state) {
  (void) state;
  expect_text(FLUXBP_CLIENT_LINES, PLAIN, "+OK\n-ERR\n{\"gap\":{}}\n",
              "message(+OK) message(-ERR) message({\"gap\":{}}) ");
}

static void frames_are_messages_of_their_length(void **state) {
  (void) state;
  static const char frames[] = "\0\0\0\5hello\0\0\0\0\0\0\0\4a\nb\r\0\0\0\5+PONG\0\0\0\2x";
  expect(FLUXBP_CLIENT_LENGTH, FLUXBP, frames, sizeof frames - 1,
         "message(hello) message() message(a\nb\r) answer(+PONG) MID");
  expect_failure(FLUXBP_CLIENT_LENGTH, FLUXBP, "\xff\xff\xff\xff", 4);
}

static void events_say_what_a_server_says_of_itself(void **state) {
  (void) state;
  expect_text(FLUXBP_CLIENT_SSE, FLUXBP,
              "retry: 1500\n\n"
              "event: position\nid: 0123456789abcdef:6\ndata: 0123456789abcdef:6\n\n"
              ": a comment\n\n"
              "id: 0123456789abcdef:8\ndata: hello\n\n"
              "data:without a blank\r\n\r\n"
              "event: gap\ndata: {\"from\":1,\"to\":2,\"count\":2}\n\n"
              "event: unset\ndata: {\"topic\":\"t\",\"key\":\"k\",\"unset\":true}\n\n"
              "event: resumed\ndata: {\"since\":\"0123456789abcdef:7\"}\n\n"
              "event: too_old\ndata: {\"reason\":\"too old\",\"oldest\":\"0123456789abcdef:7\"}\n\n"
              "event: evicted\ndata: {\"reason\":\"slow\"}\n\n"
              "event: base64\ndata: AAH/\n\n"
              "event: closing\ndata: {\"reason\":\"full\",\"retry_ms\":5}\n\n"
              "event: price\ndata: 5\n\n"
              "data: not the end\n",
              "position(0123456789abcdef:6)#0123456789abcdef:6:position message(hello)#0123456789abcdef:8 "
              "message(without a blank) gap({\"from\":1,\"to\":2,\"count\":2}):gap1-2*2 "
              "unset({\"topic\":\"t\",\"key\":\"k\",\"unset\":true})@t/k:unset "
              "resumed({\"since\":\"0123456789abcdef:7\"}):resumed "
              "too_old({\"reason\":\"too old\",\"oldest\":\"0123456789abcdef:7\"}):too_old>0123456789abcdef:7 "
              "evicted({\"reason\":\"slow\"}):evicted binary message(");
  /* what follows the NUL is cut off by the comparison of texts above */
  assert_non_null(memmem(told.text, told.length, "\0\1\xff):base64 closing(", 19));
  assert_non_null(memmem(told.text, told.length, "message(5):price MID retry 5", 28));
}

/* WebSocket */

/* Append an unmasked frame. */
static size_t frame(char *out, size_t at, int first_byte, const void *payload, size_t length) {
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
  char bytes[1024];
  size_t length = text_frame(bytes, 0, "hello");
  length = frame(bytes, length, 0x01, "in ", 3);
  length = frame(bytes, length, 0x89, "ping", 4);
  length = frame(bytes, length, 0x00, "", 0);
  length = frame(bytes, length, 0x00, "frag", 4);
  length = frame(bytes, length, 0x80, "ments", 5);
  length = frame(bytes, length, 0x02, "", 0);
  length = frame(bytes, length, 0x80, "bin", 3);
  length = frame(bytes, length, 0x82, "binary", 6);
  length = text_frame(bytes, length, "");
  length = text_frame(bytes, length, "+OK SUB news");
  length = text_frame(bytes, length, "{\"gap\":{}}");
  length = frame(bytes, length, 0x8a, "pong", 4);
  length = frame(bytes, length, 0x88, "\x0f\xa8too slow", 10);
  length = text_frame(bytes, length, "after the end");
  expect(FLUXBP_CLIENT_WEBSOCKET, FLUXBP, bytes, length,
         "message(hello) control 9(ping) message(in fragments) binary message(bin) binary message(binary) message() "
         "answer(+OK SUB news) gap({\"gap\":{}})0-0*0 control 10(pong) control 8(\x0f\xa8too slow) ");
}

static void websocket_messages_of_some_size_are_put_together(void **state) {
  (void) state;
  static char bytes[20000], text[CLIENT_STREAM_MAX_BYTES + 2];
  memset(text, 'x', CLIENT_STREAM_MAX_BYTES);
  size_t length = text_frame(bytes, 0, text);
  length = text_frame(bytes, length, "after");
  for (size_t piece = 1; piece <= length; piece += 997) {
    client_stream_read(&told, FLUXBP_CLIENT_WEBSOCKET, 0, 0, bytes, length, 0, piece, 0);
    assert_int_equal(strspn(told.text + strlen("message("), "x"), CLIENT_STREAM_MAX_BYTES);
    assert_non_null(strstr(told.text, "x) message(after) "));
  }
  text[CLIENT_STREAM_MAX_BYTES] = 'x';
  expect_failure(FLUXBP_CLIENT_WEBSOCKET, FLUXBP, bytes, text_frame(bytes, 0, text));
  length = frame(bytes, 0, 0x01, text, 4000);
  expect_failure(FLUXBP_CLIENT_WEBSOCKET, FLUXBP, bytes, frame(bytes, length, 0x80, text, 4000));
}

static void json_over_websocket_has_ids_topics_and_keys(void **state) {
  (void) state;
  char bytes[2048];
  size_t length = text_frame(bytes, 0, "{\"resumed\":\"0123456789abcdef:7\"}");
  length = text_frame(bytes, length, "{\"id\":\"0123456789abcdef:8\",\"topic\":\"news\",\"data\":\"hello\"}");
  length = text_frame(bytes, length, "{\"topic\":\"prices\",\"key\":\"gold\",\"data\":\"7\"}");
  length = text_frame(bytes, length, "{\"topic\":\"prices\",\"key\":\"gold\",\"unset\":true}");
  length =
      text_frame(bytes, length, "{\"id\":\"0123456789abcdef:9\",\"topic\":\"news\",\"data\":\"a \\\"b\\\" \\u00e4\"}");
  length = text_frame(bytes, length, "{\"topic\":\"news\",\"base64\":\"aGk=\"}");
  length = text_frame(bytes, length, "{\"at\":\"0123456789abcdef:9\"}");
  length = text_frame(bytes, length, "{\"ok\":\"PUB\",\"id\":\"0123456789abcdef:10\"}");
  length = text_frame(bytes, length, "{\"error\":\"why\"}");
  expect(FLUXBP_CLIENT_WEBSOCKET, IDS, bytes, length,
         "resumed({\"resumed\":\"0123456789abcdef:7\"}) message(hello)#0123456789abcdef:8@news message(7)@prices/gold "
         "unset({\"topic\":\"prices\",\"key\":\"gold\",\"unset\":true})@prices/gold "
         "message(a \"b\" \xc3\xa4)#0123456789abcdef:9@news binary message(hi)@news "
         "position({\"at\":\"0123456789abcdef:9\"})#0123456789abcdef:9 "
         "answer({\"ok\":\"PUB\",\"id\":\"0123456789abcdef:10\"})#0123456789abcdef:10 error({\"error\":\"why\"}) ");
  expect_failure(FLUXBP_CLIENT_WEBSOCKET, IDS, bytes, text_frame(bytes, 0, "{\"topic\":\"news\",\"data\":\"\\x\"}"));
  expect_failure(FLUXBP_CLIENT_WEBSOCKET, IDS, bytes, text_frame(bytes, 0, "{\"topic\":\"news\",\"base64\":\"!\"}"));
}

static void a_websocket_server_that_breaks_the_rules_is_refused(void **state) {
  static const struct {
    size_t length;
    const char *bytes;
  } cases[] = {{7, "\x81\x81\1\2\3\4\5"}, /* masked */
               {5, "\xc1\3rsv"},          /* an extension's bit */
               {3, "\x80\1x"},            /* a continuation of nothing */
               {6, "\1\1x\x81\1y"},       /* a message within another */
               {3, "\x83\1x"},
               {3, "\x8b\1x"},                      /* unknown kinds */
               {4, "\x09\2xx"},                     /* a control frame in fragments */
               {4, "\x89\x7e\0\x7e"},               /* a control frame that is too long */
               {4, "\x81\x7e\0\5"},                 /* a length that isn't in its shortest form */
               {10, "\x82\x7f\xff\0\0\0\0\0\0\0"}}; /* a length with its highest bit */
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_failure(FLUXBP_CLIENT_WEBSOCKET, FLUXBP, cases[i].bytes, cases[i].length);
}

static void a_message_that_does_not_end_is_refused(void **state) {
  (void) state;
  static char x[3 * CLIENT_STREAM_MAX_BYTES];
  memset(x, 'x', sizeof x);
  expect_failure(FLUXBP_CLIENT_LINES, FLUXBP, x, sizeof x);
  expect_failure(FLUXBP_CLIENT_SSE, FLUXBP, x, sizeof x);
  x[sizeof x - 1] = x[sizeof x - 2] = '\n'; /* nor one that is there in one piece */
  expect_failure(FLUXBP_CLIENT_LINES, FLUXBP, x, sizeof x);
  expect_failure(FLUXBP_CLIENT_SSE, FLUXBP, x, sizeof x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_messages_answers_and_notices),
      cmocka_unit_test(lines_have_ids_when_they_were_asked_for),
      cmocka_unit_test(lines_of_any_server_are_messages),
      cmocka_unit_test(frames_are_messages_of_their_length),
      cmocka_unit_test(events_say_what_a_server_says_of_itself),
      cmocka_unit_test(websocket_messages_come_whole_in_fragments_and_between_control_frames),
      cmocka_unit_test(websocket_messages_of_some_size_are_put_together),
      cmocka_unit_test(json_over_websocket_has_ids_topics_and_keys),
      cmocka_unit_test(a_websocket_server_that_breaks_the_rules_is_refused),
      cmocka_unit_test(a_message_that_does_not_end_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
