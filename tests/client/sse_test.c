/* SPDX-License-Identifier: MIT */
/*
 * Server-Sent Events of any server, as the standard reads them: cut at every place, with each kind of line end.
 */
#include "support/client_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct client_stream_told told;

/* The stream with LF, CR LF and CR for each newline; all have the same meaning. */
static void expect(const char *stream, const char *expected) {
  static const char *const ends[] = {"\n", "\r\n", "\r"};
  for (int i = 0; i < 3; i++) {
    char bytes[2048];
    size_t length = 0;
    for (const char *at = stream; *at != '\0'; at++)
      length += (size_t) sprintf(bytes + length, "%s", *at == '\n' ? ends[i] : (char[]){*at, '\0'});
    for (int pauses = 0; pauses < 2; pauses++) {
      for (size_t cut = 0; cut <= length; cut++) {
        client_stream_read(&told, FLUXBP_CLIENT_SSE, 1, 0, bytes, length, cut, length, pauses);
        assert_string_equal(told.text, expected);
      }
      client_stream_read(&told, FLUXBP_CLIENT_SSE, 1, 0, bytes, length, 0, 1, pauses);
      assert_string_equal(told.text, expected);
    }
  }
}

static void an_event_has_a_name_an_id_and_data(void **state) {
  (void) state;
  expect("event: snapshot\nid: 7\ndata: {\"a\":1}\n\n", "message({\"a\":1})#7:snapshot ");
  expect("data: x\n\ndata:x\n\ndata:  x\n\n",
         "message(x) message(x) message( x) "); /* one blank belongs to the colon */
}

static void lines_of_data_are_joined_by_newlines(void **state) {
  (void) state;
  expect("data: a\ndata: b\ndata\ndata: c\n\n", "message(a\nb\n\nc) ");
  expect("data: a\nid: 1\ndata: b\n\ndata: c\ndata: d\n\n", "message(a\nb)#1 message(c\nd) ");
}

static void data_may_be_empty(void **state) {
  (void) state;
  expect("data\n\ndata:\n\n", "message() message() ");
}

static void the_last_name_and_id_count_and_end_with_their_event(void **state) {
  (void) state;
  expect("event: a\nevent: b\nid: 1\nid: 2\ndata: 1\n\ndata: 2\n\n", "message(1)#2:b message(2) ");
}

static void comments_and_the_unknown_are_skipped(void **state) {
  (void) state;
  expect(": ping\n\nnonsense\ndatas: y\ndat: z\n DATA: z\ndata: x\n\n", "message(x) ");
}

static void an_event_without_data_is_none_but_its_id_counts(void **state) {
  (void) state;
  expect("event: a\n\ndata: x\n\nid: 5\n\n", "message(x) position()#5 ");
}

static void a_retry_is_a_number(void **state) {
  (void) state;
  expect("retry: 1500\n\n", " retry 1500");
  expect("retry: 15x\n\nretry:\n\nretry: -1\n\n", "");
}

static void what_is_not_ended_is_not_told(void **state) {
  (void) state;
  expect("data: x\n\ndata: y\n", "message(x) MID");
}

static void a_byte_order_mark_is_skipped_once(void **state) {
  (void) state;
  expect("\xef\xbb\xbf"
         "data: x\n\n",
         "message(x) ");
  expect("\xef\xbb"
         "data: x\n\ndata: y\n\n",
         "message(y) ");
  expect("data: x\n\n\xef\xbb\xbf"
         "data: y\n\n",
         "message(x) ");
}

static void an_id_with_a_nul_is_none(void **state) {
  static const char bytes[] = "id: a\0b\ndata: x\n\n";
  (void) state;
  client_stream_read(&told, FLUXBP_CLIENT_SSE, 1, 0, bytes, sizeof bytes - 1, 0, sizeof bytes, 0);
  assert_string_equal(told.text, "message(x) ");
}

static void an_event_that_is_too_large_is_refused(void **state) {
  static char bytes[CLIENT_STREAM_MAX_BYTES + 64] = "data: ";
  (void) state;
  memset(bytes + 6, 'x', CLIENT_STREAM_MAX_BYTES);
  client_stream_read(&told, FLUXBP_CLIENT_SSE, 1, 0, bytes, sizeof bytes, 0, 1000, 0);
  assert_string_equal(told.text, "FAILED: a message is larger than max_message_bytes");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_has_a_name_an_id_and_data),
      cmocka_unit_test(lines_of_data_are_joined_by_newlines),
      cmocka_unit_test(data_may_be_empty),
      cmocka_unit_test(the_last_name_and_id_count_and_end_with_their_event),
      cmocka_unit_test(comments_and_the_unknown_are_skipped),
      cmocka_unit_test(an_event_without_data_is_none_but_its_id_counts),
      cmocka_unit_test(a_retry_is_a_number),
      cmocka_unit_test(what_is_not_ended_is_not_told),
      cmocka_unit_test(a_byte_order_mark_is_skipped_once),
      cmocka_unit_test(an_id_with_a_nul_is_none),
      cmocka_unit_test(an_event_that_is_too_large_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
