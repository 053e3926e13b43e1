/* SPDX-License-Identifier: MIT */
/*
 * http_reader: its limits to the byte, its memory, and what the caller is told when.
 *
 * malloc and its relatives are wrapped (CMakeLists.txt), so that what the reader owns can be counted and each
 * allocation can fail.
 */
#include "server/http/http_reader.h"
#include "support/http_pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* ---- allocations ---- */

static size_t blocks, allocations, failing; /* `failing`: the number of the one that fails, or 0 */

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

void *__wrap_calloc(size_t count, size_t size) {
  if (++allocations == failing) return NULL;
  blocks++;
  return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
  if (++allocations == failing) return NULL;
  if (memory == NULL) blocks++;
  return __real_realloc(memory, size);
}

void __wrap_free(void *memory) {
  if (memory != NULL) blocks--;
  __real_free(memory);
}

static int reset_allocations(void **state) {
  (void) state;
  blocks = allocations = failing = 0;
  return 0;
}

/* ---- support ---- */

struct taken {
  enum http_outcome outcome;
  const struct http_request *request;
  size_t left;
};

static struct taken take(struct http_reader *reader, const char *data, size_t length) {
  struct taken taken = {.request = NULL};
  taken.outcome = http_reader_take(reader, &data, &length, &taken.request);
  taken.left = length;
  return taken;
}

static struct taken take_text(struct http_reader *reader, const char *text) {
  return take(reader, text, strlen(text));
}

/* `begin`, as many times `filling` as fit, blanks up to `length`, `end`. */
static char *fill(const char *begin, const char *filling, const char *end, size_t length) {
  char *text = malloc(length + 1);
  size_t used = strlen(begin), until = length - strlen(end);
  memcpy(text, begin, used);
  for (; used + strlen(filling) <= until; used += strlen(filling)) memcpy(text + used, filling, strlen(filling));
  for (; used < until; used++) text[used] = ' ';
  memcpy(text + used, end, strlen(end) + 1);
  return text;
}

static void expect_outcome(const char *text, size_t length, size_t max_body_bytes, enum http_outcome outcome,
                           int status) {
  for (int is_in_bytes = 0; is_in_bytes <= 1; is_in_bytes++) {
    struct http_reader reader;
    http_reader_init(&reader, max_body_bytes);
    struct taken taken = {.outcome = HTTP_MORE};
    size_t size = is_in_bytes ? 1 : length;
    for (size_t at = 0; at < length && taken.outcome == HTTP_MORE; at += size) taken = take(&reader, text + at, size);
    assert_int_equal(taken.outcome, outcome);
    assert_int_equal(reader.status, status);
    http_reader_reset(&reader);
  }
}

/* ---- limits ---- */

static void http_reader_takes_a_head_of_8_kib_and_not_a_byte_more(void **state) {
  (void) state;
  char *text = fill(GET "A: ", "a", "\r\n\r\n", HTTP_HEAD_BYTES);
  expect_outcome(text, HTTP_HEAD_BYTES, 0, HTTP_REQUEST, 0);
  free(text);
  text = fill(GET "A: ", "a", "\r\n\r\n", HTTP_HEAD_BYTES + 1);
  expect_outcome(text, HTTP_HEAD_BYTES + 1, 0, HTTP_REFUSED, 431);
  free(text);
}

static void http_reader_says_that_the_request_line_is_too_long(void **state) {
  (void) state;
  char *text = fill("GET /", "a", " HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_HEAD_BYTES);
  expect_outcome(text, HTTP_HEAD_BYTES, 0, HTTP_REQUEST, 0);
  free(text);
  text = fill("GET /", "a", "\r\n", HTTP_HEAD_BYTES + 1);
  expect_outcome(text, HTTP_HEAD_BYTES + 1, 0, HTTP_REFUSED, 414);
  free(text);
}

/* A request with that many headers, Host included, and trailers. */
static char *with_headers(size_t headers, size_t trailers) {
  char *text;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  fputs(POST "Transfer-Encoding: chunked\r\n", out);
  for (size_t i = 2; i < headers; i++) fputs("A: b\r\n", out);
  fputs("\r\n0\r\n", out);
  for (size_t i = 0; i < trailers; i++) fputs("A: b\r\n", out);
  fputs("\r\n", out);
  fclose(out);
  return text;
}

static void http_reader_takes_64_headers_and_trailers(void **state) {
  static const struct {
    size_t headers, trailers;
    bool is_right;
  } CASES[] = {{64, 0, true}, {65, 0, false}, {2, 62, true}, {2, 63, false}, {64, 1, false}};
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    char *text = with_headers(CASES[i].headers, CASES[i].trailers);
    expect_outcome(text, strlen(text), 0, CASES[i].is_right ? HTTP_REQUEST : HTTP_REFUSED, CASES[i].is_right ? 0 : 431);
    if (!CASES[i].is_right) http_pieces_expect_refused("headers", text, strlen(text), 431);
    free(text);
  }
}

static void http_reader_refuses_a_bad_65th_header_in_the_same_way_in_pieces(void **state) {
  (void) state;
  char *text;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  fputs(GET, out);
  for (size_t i = 1; i < HTTP_HEADERS_MAX; i++) fputs("A: b\r\n", out);
  fputs("A(B: c\r\n\r\n", out);
  fclose(out);
  http_pieces_expect_refused("bad 65th", text, length, 400);
  free(text);
}

static void http_reader_counts_extensions_and_trailers_as_it_does_heads(void **state) {
  (void) state;
  char *text = fill(CHUNKED "1;a=", "b", "\r\na\r\n0\r\n\r\n", HTTP_HEAD_BYTES);
  expect_outcome(text, HTTP_HEAD_BYTES, 64, HTTP_REQUEST, 0);
  free(text);
  text = fill(CHUNKED, "1;abcdefghijklmnopqrstuvwxyz\r\na\r\n", "0\r\n\r\n", 4 * HTTP_HEAD_BYTES);
  expect_outcome(text, 4 * HTTP_HEAD_BYTES, HTTP_HEAD_BYTES, HTTP_REFUSED, 431);
  free(text);
  text = fill(CHUNKED "0\r\nA: ", "a", "\r\n\r\n", HTTP_HEAD_BYTES + 100);
  expect_outcome(text, HTTP_HEAD_BYTES + 100, 64, HTTP_REFUSED, 431);
  free(text);
}

static void http_reader_takes_any_number_of_small_chunks(void **state) {
  enum { CHUNKS = 20000 };
  (void) state;
  size_t length = strlen(CHUNKED) + CHUNKS * strlen("0001\r\na\r\n") + strlen("0\r\n\r\n");
  char *text = fill(CHUNKED, "0001\r\na\r\n", "0\r\n\r\n", length);
  expect_outcome(text, length, CHUNKS, HTTP_REQUEST, 0);
  expect_outcome(text, length, CHUNKS - 1, HTTP_REFUSED, 413);
  free(text);
}

static void http_reader_takes_any_number_of_requests_with_an_empty_line_behind_them(void **state) {
  (void) state;
  struct http_reader reader;
  http_reader_init(&reader, 1);
  for (int i = 0; i < 100; i++) {
    assert_int_equal(take_text(&reader, POST "Content-Length: 1\r\n\r\na").outcome, HTTP_REQUEST);
    assert_int_equal(take_text(&reader, "\r\n").outcome, HTTP_MORE);
  }
  http_reader_reset(&reader);
}

static void http_reader_reads_large_bodies(void **state) {
  enum { BODY = 100000 };
  (void) state;
  size_t length = strlen(POST "Content-Length: 100000\r\n\r\n") + BODY;
  char *text = fill(POST "Content-Length: 100000\r\n\r\n", "0123456789", "", length);
  struct http_reader reader;
  http_reader_init(&reader, BODY);
  assert_int_equal(take(&reader, text, length / 3).outcome, HTTP_MORE);
  struct taken taken = take(&reader, text + length / 3, length - length / 3);
  assert_int_equal(taken.outcome, HTTP_REQUEST);
  assert_int_equal(taken.request->body.length, BODY);
  assert_memory_equal(taken.request->body.data, text + length - BODY, BODY);
  http_reader_reset(&reader);
  free(text);
}

/* ---- what is said when ---- */

static void http_reader_says_continue_once(void **state) {
  (void) state;
  struct http_reader reader;
  http_reader_init(&reader, 10);
  assert_int_equal(take_text(&reader, POST "Expect: 100-Continue\r\nContent-Length: 2\r\n").outcome, HTTP_MORE);
  assert_null(http_reader_head(&reader));
  assert_int_equal(take_text(&reader, "\r\n").outcome, HTTP_CONTINUE);
  assert_true(http_text_is(http_request_header(http_reader_head(&reader), "content-length"), "2"));
  assert_int_equal(take_text(&reader, "").outcome, HTTP_MORE);
  assert_int_equal(take_text(&reader, "a").outcome, HTTP_MORE);
  assert_int_equal(take_text(&reader, "b").outcome, HTTP_REQUEST);
  assert_null(http_reader_head(&reader));
  assert_int_equal(take_text(&reader, CHUNKED).outcome, HTTP_MORE); /* nor for the next one */
  http_reader_reset(&reader);
}

static void http_reader_says_continue_before_chunks(void **state) {
  (void) state;
  struct http_reader reader;
  http_reader_init(&reader, 10);
  assert_int_equal(take_text(&reader, POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n").outcome,
                   HTTP_CONTINUE);
  assert_int_equal(take_text(&reader, "0\r\n").outcome, HTTP_MORE);
  assert_int_equal(take_text(&reader, "\r\n").outcome, HTTP_REQUEST);
  http_reader_reset(&reader);
}

static void http_reader_says_no_continue_to_who_does_not_wait(void **state) {
  static const char *const TEXTS[] = {
      POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\na",
      POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1",
      "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
      POST "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n",
  };
  (void) state;
  for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
    struct http_reader reader;
    http_reader_init(&reader, 10);
    assert_int_equal(take_text(&reader, TEXTS[i]).outcome, HTTP_MORE);
    assert_int_equal(take_text(&reader, "").outcome, HTTP_MORE);
    http_reader_reset(&reader);
  }
}

static void http_reader_leaves_what_is_behind_a_request(void **state) {
  (void) state;
  struct http_reader reader;
  http_reader_init(&reader, 10);
  struct taken taken = take_text(&reader, GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80");
  assert_int_equal(taken.outcome, HTTP_REQUEST);
  assert_int_equal(taken.left, 2);
  assert_false(http_reader_is_busy(&reader));
  http_reader_reset(&reader);
}

static void http_reader_refuses_for_good_until_it_is_reset(void **state) {
  (void) state;
  struct http_reader reader;
  http_reader_init(&reader, 10);
  assert_int_equal(take_text(&reader, "bad\r\n").outcome, HTTP_REFUSED);
  assert_int_equal(take_text(&reader, GET "\r\n").outcome, HTTP_REFUSED);
  assert_int_equal(reader.status, 400);
  assert_non_null(reader.problem);
  http_reader_reset(&reader);
  assert_int_equal(reader.status, 0);
  assert_int_equal(take_text(&reader, GET "\r\n").outcome, HTTP_REQUEST);
  http_reader_reset(&reader);
}

/* ---- memory ---- */

static void http_reader_owns_nothing_between_requests(void **state) {
  (void) state;
  struct http_reader reader;
  http_reader_init(&reader, 10);
  assert_int_equal(take_text(&reader, "\r\n").outcome, HTTP_MORE);
  assert_int_equal(allocations, 0);
  assert_int_equal(take_text(&reader, POST "Content-Length: 1\r\n\r\n").outcome, HTTP_MORE);
  assert_int_equal(blocks, 2);
  assert_true(http_reader_is_busy(&reader));
  assert_int_equal(take_text(&reader, "a").outcome, HTTP_REQUEST);
  assert_int_equal(blocks, 3);
  assert_int_equal(take_text(&reader, "").outcome, HTTP_MORE);
  assert_int_equal(blocks, 0);

  assert_int_equal(take_text(&reader, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").outcome, HTTP_MORE);
  assert_null(http_reader_refused_head(&reader));
  assert_int_equal(blocks, 3);
  assert_int_equal(take_text(&reader, "6\r\n").outcome, HTTP_REFUSED);
  assert_int_equal(blocks, 2); /* its head */
  assert_true(http_text_is(http_request_header(http_reader_refused_head(&reader), "Host"), "h"));
  assert_false(http_reader_is_busy(&reader));
  http_reader_reset(&reader);
  assert_int_equal(blocks, 0);
  assert_int_equal(take_text(&reader, POST "Content-Length: 11\r\n").outcome, HTTP_MORE);
  assert_int_equal(take_text(&reader, "Bad Header\r\n").outcome, HTTP_REFUSED);
  assert_null(http_reader_refused_head(&reader));
  assert_int_equal(blocks, 0);
  http_reader_reset(&reader);
  assert_int_equal(take_text(&reader, "G").outcome, HTTP_MORE);
  http_reader_reset(&reader);
  assert_int_equal(blocks, 0);
}

static void http_reader_allocates_nothing_for_a_header_or_a_body_that_was_only_announced(void **state) {
  (void) state;
  char *text = with_headers(HTTP_HEADERS_MAX, 0);
  struct http_reader reader;
  http_reader_init(&reader, 1 << 30);
  size_t before = allocations;
  assert_int_equal(take_text(&reader, text).outcome, HTTP_REQUEST);
  assert_int_equal(allocations - before, 2);
  assert_int_equal(take_text(&reader, POST "Content-Length: 1000000000\r\n\r\n").outcome, HTTP_MORE);
  assert_int_equal(allocations - before, 4);
  http_reader_reset(&reader);
  __real_free(text);
}

static void http_reader_refuses_with_503_whichever_allocation_fails(void **state) {
  (void) state;
  char *text = fill(POST "Content-Length: 3000\r\nA: ", "a", "\r\n\r\n", 3000);
  char *body = fill("", "b", "", 3000);
  size_t refusals = 0;
  for (bool has_failed = true; has_failed; refusals += has_failed) {
    struct http_reader reader;
    http_reader_init(&reader, 3000);
    allocations = 0;
    failing = refusals + 1;
    size_t blocks_before = blocks;
    enum http_outcome outcome = HTTP_MORE;
    for (size_t at = 0; at < 6000 && outcome == HTTP_MORE; at += 100)
      outcome = take(&reader, at < 3000 ? text + at : body + (at - 3000), 100).outcome;
    has_failed = allocations >= failing;
    failing = 0;
    assert_int_equal(outcome, has_failed ? HTTP_REFUSED : HTTP_REQUEST);
    assert_int_equal(reader.status, has_failed ? 503 : 0);
    http_reader_reset(&reader);
    assert_int_equal(blocks, blocks_before);
  }
  assert_int_equal(refusals, 1 + 4 + 4); /* the parser; 512, 1024, 2048, 4096 of the head; up to 3000 of the body */
  __real_free(text);
  __real_free(body);
}

#define TEST(test) cmocka_unit_test_setup(test, reset_allocations)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(http_reader_takes_a_head_of_8_kib_and_not_a_byte_more),
      TEST(http_reader_says_that_the_request_line_is_too_long),
      TEST(http_reader_takes_64_headers_and_trailers),
      TEST(http_reader_refuses_a_bad_65th_header_in_the_same_way_in_pieces),
      TEST(http_reader_counts_extensions_and_trailers_as_it_does_heads),
      TEST(http_reader_takes_any_number_of_small_chunks),
      TEST(http_reader_takes_any_number_of_requests_with_an_empty_line_behind_them),
      TEST(http_reader_reads_large_bodies),
      TEST(http_reader_says_continue_once),
      TEST(http_reader_says_continue_before_chunks),
      TEST(http_reader_says_no_continue_to_who_does_not_wait),
      TEST(http_reader_leaves_what_is_behind_a_request),
      TEST(http_reader_refuses_for_good_until_it_is_reset),
      TEST(http_reader_owns_nothing_between_requests),
      TEST(http_reader_allocates_nothing_for_a_header_or_a_body_that_was_only_announced),
      TEST(http_reader_refuses_with_503_whichever_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
