/* SPDX-License-Identifier: MIT */
/*
 * http_pieces: see the header.
 */
#include "support/http_pieces.h"

#include "server/http/http_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WHOLE SIZE_MAX

static void write_text(FILE *out, struct http_text text) {
  fwrite(text.data != NULL ? text.data : "", 1, text.length, out);
}

static void write_request(FILE *out, const struct http_request *request) {
  fprintf(out, "%s ", request->method);
  write_text(out, request->path);
  if (request->query.data != NULL) {
    fputs(" ?", out);
    write_text(out, request->query);
  }
  fputs(" |", out);
  for (size_t i = 0; i < request->header_count; i++) {
    write_text(out, request->headers[i].name);
    fputs(": ", out);
    write_text(out, request->headers[i].value);
    fputc('|', out);
  }
  fputc(' ', out);
  write_text(out, request->body);
  fputs(request->keeps_alive ? " keep-alive\n" : " close\n", out);
}

/* @return whether to go on */
static bool read_piece(struct http_reader *reader, FILE *out, const char *data, size_t length) {
  const struct http_request *request;
  for (;;) {
    switch (http_reader_take(reader, &data, &length, &request)) {
    case HTTP_REQUEST:
      write_request(out, request);
      break;
    case HTTP_REFUSED:
      return false;
    case HTTP_MORE:
    case HTTP_CONTINUE:
      assert_int_equal(length, 0);
      return true;
    }
  }
}

char *http_pieces_read(const char *data, size_t length, size_t first, size_t others) {
  char *text;
  size_t text_length;
  FILE *out = open_memstream(&text, &text_length);
  struct http_reader reader;
  http_reader_init(&reader, HTTP_PIECES_BODY_MAX);

  bool goes_on = true;
  for (size_t offset = 0, size = first; goes_on && offset < length; offset += size, size = others) {
    if (size > length - offset) size = length - offset;
    char *piece = malloc(size);
    if (size > 0) memcpy(piece, data + offset, size);
    goes_on = read_piece(&reader, out, piece, size);
    free(piece);
  }
  if (goes_on)
    fputs(http_reader_is_busy(&reader) ? "busy" : "idle", out);
  else
    fprintf(out, "refused %d %s", reader.status, reader.problem);
  http_reader_reset(&reader);
  fclose(out);
  return text;
}

static void expect_same(const char *name, const char *data, size_t length, size_t first, size_t others,
                        const char *expected) {
  char *got = http_pieces_read(data, length, first, others);
  if (strcmp(got, expected) != 0)
    fail_msg("%s, a piece of %zu and then of %zu bytes:\n%s\nexpected:\n%s", name, first, others, got, expected);
  free(got);
}

static void expect_same_in_pieces(const char *name, const char *data, size_t length, const char *expected) {
  expect_same(name, data, length, 1, 1, expected);
  for (size_t first = 0; first <= length; first++) expect_same(name, data, length, first, WHOLE, expected);
}

void http_pieces_expect(const char *name, const char *data, size_t length, const char *expected) {
  expect_same(name, data, length, WHOLE, WHOLE, expected);
  expect_same_in_pieces(name, data, length, expected);
}

void http_pieces_expect_refused(const char *name, const char *data, size_t length, int status) {
  char begin[32];
  (void) snprintf(begin, sizeof begin, "refused %d ", status);
  char *whole = http_pieces_read(data, length, WHOLE, WHOLE);
  if (strncmp(whole, begin, strlen(begin)) != 0) fail_msg("%s:\n%s\nexpected:\n%s", name, whole, begin);
  expect_same_in_pieces(name, data, length, whole);
  free(whole);
}
