/* SPDX-License-Identifier: MIT */
/*
 * sse_reader: streams in any pieces, and what of them isn't an event.
 */
#include "client/sse_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_DATA_BYTES 5000 /* more than what is allocated at first */

/* Every event as "name=data;", one after the other. */
struct seen {
  size_t length;
  char text[8 * MAX_DATA_BYTES];
};

static void on_event(void *user, const char *name, const char *data, size_t length) {
  struct seen *seen = user;
  int written =
      snprintf(seen->text + seen->length, sizeof seen->text - seen->length, "%s=%.*s;", name, (int) length, data);
  seen->length += (size_t) written;
}

static struct seen seen;

static void begin(struct sse_reader *reader) {
  seen.length = 0;
  seen.text[0] = '\0';
  sse_reader_init(reader, MAX_DATA_BYTES, on_event, &seen);
}

static const char *events_of(const char *stream) {
  struct sse_reader reader;
  begin(&reader);
  sse_reader_take(&reader, stream, strlen(stream));
  sse_reader_reset(&reader);
  return seen.text;
}

static void an_event_has_a_name_and_data(void **state) {
  (void) state;
  assert_string_equal(events_of("event: snapshot\ndata: {\"a\":1}\n\n"), "snapshot={\"a\":1};");
  assert_string_equal(events_of("data: x\n\n"), "message=x;");
  assert_string_equal(events_of("data:x\n\n"), "message=x;");
  assert_string_equal(events_of("data:  x\n\n"), "message= x;"); /* one blank belongs to the colon */
}

static void lines_of_data_are_joined_by_newlines(void **state) {
  (void) state;
  assert_string_equal(events_of("data: a\ndata: b\ndata\ndata: c\n\n"), "message=a\nb\n\nc;");
}

static void the_last_name_counts_and_ends_with_its_event(void **state) {
  (void) state;
  assert_string_equal(events_of("event: a\nevent: b\ndata: 1\n\ndata: 2\n\n"), "b=1;message=2;");
}

static void comments_ids_and_the_unknown_are_skipped(void **state) {
  (void) state;
  assert_string_equal(events_of(": ping\n\nretry: 1000\nid: 5f:1\nnonsense\ndatas: y\ndata: x\n\n"), "message=x;");
}

static void an_event_without_data_is_none(void **state) {
  (void) state;
  assert_string_equal(events_of("event: a\n\ndata: x\n\n"), "message=x;");
}

static void what_is_not_ended_is_not_told(void **state) {
  (void) state;
  assert_string_equal(events_of("data: x\n\ndata: y\n"), "message=x;");
}

static void a_name_that_is_too_long_is_no_event_of_ours(void **state) {
  (void) state;
  assert_string_equal(events_of("event: 0123456789012345678901234567890123456789\ndata: x\n\ndata: y\n\n"),
                      "message=y;");
  assert_string_equal(events_of("data567890123456789012345678901234567890123: x\ndata: y\n\n"), "message=y;");
}

/* All three ends of lines, cut at every place. */
static void pieces_of_any_size_make_the_same_events(void **state) {
  static const char *const ends[] = {"\n", "\r\n", "\r"};
  char stream[256];
  (void) state;
  for (size_t end = 0; end < 3; end++) {
    const char *e = ends[end];
    int length = snprintf(stream, sizeof stream, "event: evicted%sdata: {\"n\":1}%sid: 7%s%s: x%s%sdata:a%sdata: b%s%s",
                          e, e, e, e, e, e, e, e, e);
    for (int size = 1; size <= length; size++) {
      struct sse_reader reader;
      begin(&reader);
      for (int from = 0; from < length; from += size)
        sse_reader_take(&reader, stream + from, (size_t) (size < length - from ? size : length - from));
      sse_reader_reset(&reader);
      assert_string_equal(seen.text, "evicted={\"n\":1};message=a\nb;");
    }
  }
}

static void an_event_that_is_too_large_is_skipped_and_the_next_is_not(void **state) {
  static char large[MAX_DATA_BYTES + 1];
  struct sse_reader reader;
  (void) state;
  memset(large, 'x', sizeof large);
  begin(&reader);
  sse_reader_take(&reader, "data: ", 6);
  sse_reader_take(&reader, large, MAX_DATA_BYTES);
  sse_reader_take(&reader, "\n\n", 2);
  assert_int_equal(seen.length, strlen("message=;") + MAX_DATA_BYTES);
  assert_int_equal(reader.skipped, 0);
  sse_reader_reset(&reader);
  begin(&reader);
  sse_reader_take(&reader, "data: ", 6);
  sse_reader_take(&reader, large, sizeof large);
  sse_reader_take(&reader, "\n\ndata: y\n\n", 11);
  assert_string_equal(seen.text, "message=y;");
  assert_int_equal(reader.skipped, 1);
  sse_reader_reset(&reader);
}

static void a_reset_forgets_what_was_begun(void **state) {
  struct sse_reader reader;
  (void) state;
  begin(&reader);
  sse_reader_take(&reader, "event: a\ndata: old", 18);
  sse_reader_reset(&reader);
  sse_reader_take(&reader, "data: new\n\n", 11);
  assert_string_equal(seen.text, "message=new;");
  sse_reader_reset(&reader);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_has_a_name_and_data),
      cmocka_unit_test(lines_of_data_are_joined_by_newlines),
      cmocka_unit_test(the_last_name_counts_and_ends_with_its_event),
      cmocka_unit_test(comments_ids_and_the_unknown_are_skipped),
      cmocka_unit_test(an_event_without_data_is_none),
      cmocka_unit_test(what_is_not_ended_is_not_told),
      cmocka_unit_test(a_name_that_is_too_long_is_no_event_of_ours),
      cmocka_unit_test(pieces_of_any_size_make_the_same_events),
      cmocka_unit_test(an_event_that_is_too_large_is_skipped_and_the_next_is_not),
      cmocka_unit_test(a_reset_forgets_what_was_begun),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
