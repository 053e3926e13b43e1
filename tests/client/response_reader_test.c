/* SPDX-License-Identifier: MIT */
/*
 * response_reader: responses in any pieces, with a length, in chunks, and up to the end of the connection.
 */
#include "client/response_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct seen {
  int status;
  size_t length;
  char body[256];
};

static void on_head(void *user, int status) {
  struct seen *seen = user;
  seen->status = status;
}

static void on_body(void *user, const char *data, size_t length) {
  struct seen *seen = user;
  assert_true(seen->length + length < sizeof seen->body);
  memcpy(seen->body + seen->length, data, length);
  seen->length += length;
  seen->body[seen->length] = '\0';
}

static struct seen seen;

static void begin(struct response_reader *reader) {
  seen = (struct seen){.status = 0};
  *reader = (struct response_reader){.on_head = on_head, .on_body = on_body, .user = &seen};
  assert_true(response_reader_init(reader));
}

/* Takes the whole in pieces of every size, with the same result each time. */
static void expect(const char *bytes, int status, const char *body, bool is_complete) {
  size_t length = strlen(bytes);
  for (size_t size = 1; size <= length; size++) {
    struct response_reader reader;
    begin(&reader);
    for (size_t from = 0; from < length; from += size)
      assert_true(response_reader_take(&reader, bytes + from, size < length - from ? size : length - from));
    assert_int_equal(reader.is_complete, is_complete);
    assert_int_equal(seen.status, status);
    assert_string_equal(seen.body, body);
    response_reader_end(&reader);
    response_reader_free(&reader);
  }
}

static void a_body_with_a_length(void **state) {
  (void) state;
  expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true);
  expect("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "", true);
  expect("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 200, "hello", false);
}

static void a_body_in_chunks(void **state) {
  (void) state;
  expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, "hello", true);
}

static void a_body_up_to_the_end(void **state) {
  static const char bytes[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello";
  struct response_reader reader;
  (void) state;
  begin(&reader);
  assert_true(response_reader_take(&reader, bytes, sizeof bytes - 1));
  assert_false(reader.is_complete);
  response_reader_end(&reader);
  assert_true(reader.is_complete);
  assert_string_equal(seen.body, "hello");
  response_reader_free(&reader);
}

static void what_follows_is_ignored(void **state) {
  (void) state;
  expect("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 500 No\r\n\r\n", 200, "a", true);
}

static void what_is_not_http_is_refused(void **state) {
  static const char bytes[] = "+OK this is another port\r\n";
  struct response_reader reader;
  (void) state;
  begin(&reader);
  assert_false(response_reader_take(&reader, bytes, sizeof bytes - 1));
  response_reader_free(&reader);
}

static void a_head_without_an_end_is_refused(void **state) {
  static const char line[] = "X-More: and more\r\n";
  struct response_reader reader;
  bool is_taken = true;
  (void) state;
  begin(&reader);
  assert_true(response_reader_take(&reader, "HTTP/1.1 200 OK\r\n", 17));
  for (size_t taken = 0; is_taken && taken < 2 * RESPONSE_HEAD_BYTES; taken += sizeof line - 1)
    is_taken = response_reader_take(&reader, line, sizeof line - 1);
  assert_false(is_taken);
  response_reader_free(&reader);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_body_with_a_length),        cmocka_unit_test(a_body_in_chunks),
      cmocka_unit_test(a_body_up_to_the_end),        cmocka_unit_test(what_follows_is_ignored),
      cmocka_unit_test(what_is_not_http_is_refused), cmocka_unit_test(a_head_without_an_end_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
