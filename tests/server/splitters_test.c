/* SPDX-License-Identifier: MIT */
/*
 * splitters: lines and frames come out the same however the bytes are cut, and what is too long is said once.
 */
#include "server/lines/line_splitter.h"

#include "server/lines/length_splitter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 300, TEXT_BYTES = 4096 };

/* What came of it: [length first-last], or ! for what is too long. */
struct outcomes {
  size_t length;
  char text[TEXT_BYTES];
};

static void add(struct outcomes *outcomes, const char *data, size_t length) {
  char edges[3] = {0};
  if (length > 0) edges[0] = data[0], edges[1] = data[length - 1];
  outcomes->length += (size_t) snprintf(outcomes->text + outcomes->length, sizeof outcomes->text - outcomes->length,
                                        "[%zu %s]", length, edges);
}

static void add_too_long(struct outcomes *outcomes) {
  outcomes->text[outcomes->length++] = '!';
}

/* A copy of its own of each piece, so that a sanitizer sees when it is read beyond, or later. */
static char *copy_of(const char *data, size_t length) {
  char *copy = malloc(length);
  assert_non_null(copy);
  return memcpy(copy, data, length);
}

static void take_lines(struct line_splitter *splitter, const char *piece, size_t length, struct outcomes *outcomes) {
  char *copy = copy_of(piece, length);
  const char *data = copy, *line;
  size_t line_length;
  enum line_outcome outcome;
  while ((outcome = line_splitter_next(splitter, NULL, MAX_BYTES, &data, &length, &line, &line_length)) != LINE_NONE) {
    if (outcome == LINE_WHOLE)
      add(outcomes, line, line_length);
    else
      add_too_long(outcomes);
  }
  assert_int_equal(length, 0);
  line_splitter_trim(splitter);
  free(copy);
}

static void take_frames(struct length_splitter *splitter, const char *piece, size_t length, struct outcomes *outcomes) {
  char *copy = copy_of(piece, length);
  const char *data = copy, *frame;
  size_t frame_length;
  enum frame_outcome outcome;
  while ((outcome = length_splitter_next(splitter, NULL, MAX_BYTES, &data, &length, &frame, &frame_length)) ==
         FRAME_WHOLE)
    add(outcomes, frame, frame_length);
  if (outcome == FRAME_TOO_LONG) add_too_long(outcomes);
  free(copy);
}

/* Appends `length` letters. */
static size_t append(char *to, char letter, size_t length) {
  memset(to, letter, length);
  if (length > 0) to[length - 1]++;
  return length;
}

static void lines_are_the_same_however_they_are_cut(void **state) {
  static const size_t lengths[] = {1, 0, 255, 256, 257, MAX_BYTES, MAX_BYTES + 1, 2, 5 * MAX_BYTES, 3};
  char bytes[TEXT_BYTES];
  size_t total = 0;
  (void) state;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    total += append(bytes + total, (char) ('a' + 2 * i), lengths[i]);
    bytes[total++] = '\n';
  }
  for (size_t cut = 1; cut <= total; cut++) {
    struct outcomes outcomes = {0};
    struct line_splitter splitter;
    line_splitter_init(&splitter);
    for (size_t from = 0; from < total; from += cut)
      take_lines(&splitter, bytes + from, total - from < cut ? total - from : cut, &outcomes);
    assert_null(splitter.partial);
    assert_string_equal(outcomes.text, "[1 bb][0 ][255 ef][256 gh][257 ij][300 kl]![2 op]![3 st]");
  }
}

static void frames_are_the_same_however_they_are_cut(void **state) {
  static const size_t lengths[] = {1, 0, 255, 256, MAX_BYTES, 2};
  char bytes[TEXT_BYTES];
  size_t total = 0;
  (void) state;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    const char header[4] = {0, 0, (char) (lengths[i] >> 8), (char) lengths[i]};
    memcpy(bytes + total, header, sizeof header);
    total += sizeof header;
    total += append(bytes + total, (char) ('a' + 2 * i), lengths[i]);
  }
  for (size_t cut = 1; cut <= total; cut++) {
    struct outcomes outcomes = {0};
    struct length_splitter splitter;
    length_splitter_init(&splitter);
    for (size_t from = 0; from < total; from += cut)
      take_frames(&splitter, bytes + from, total - from < cut ? total - from : cut, &outcomes);
    assert_string_equal(outcomes.text, "[1 bb][0 ][255 ef][256 gh][300 ij][2 kl]");
    length_splitter_reset(&splitter);
  }
}

static void a_frame_that_is_too_long_ends_it(void **state) {
  static const char *const lengths[] = {"\0\0\1\x2d", "\xff\xff\xff\xff"}; /* 301, and 2^32 - 1 */
  (void) state;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    struct outcomes outcomes = {0};
    struct length_splitter splitter;
    length_splitter_init(&splitter);
    for (size_t from = 0; from < 4; from++) take_frames(&splitter, lengths[i] + from, 1, &outcomes);
    assert_string_equal(outcomes.text, "!");
    length_splitter_reset(&splitter);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_the_same_however_they_are_cut),
      cmocka_unit_test(frames_are_the_same_however_they_are_cut),
      cmocka_unit_test(a_frame_that_is_too_long_ends_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
