/* SPDX-License-Identifier: MIT */
/*
 * deflater: zlib reads each result back without the results before it, for each length and each capacity, and several
 * results one after the other are one stream.
 */
#include "server/compression/deflater.h"

#include "support/filler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define LENGTH_MAX (128 * 1024)
#define ROOM (2 * LENGTH_MAX)

static const char tail[DEFLATER_TAIL_BYTES] = {0, 0, (char) 0xff, (char) 0xff};

static char message[LENGTH_MAX], blocks[ROOM], plain[ROOM];

/* Return how many bytes zlib reads of a stream of its own. */
static size_t inflate_alone(const char *data, size_t length) {
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  assert_int_equal(inflateInit2(&stream, -15), Z_OK);
  stream.next_in = (Bytef *) (uintptr_t) data;
  stream.avail_in = (uInt) length;
  stream.next_out = (Bytef *) plain;
  stream.avail_out = ROOM;
  assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
  assert_int_equal(stream.avail_in, 0);
  assert_int_equal(inflateEnd(&stream), Z_OK);
  return ROOM - stream.avail_out;
}

static void assert_read_back(size_t length, size_t written) {
  assert_true(written > DEFLATER_TAIL_BYTES);
  assert_memory_equal(blocks + written - DEFLATER_TAIL_BYTES, tail, sizeof tail);
  assert_int_equal(inflate_alone(blocks, written), length);
  assert_memory_equal(plain, message, length);
}

static void deflater_results_stand_alone(void **state) {
  (void) state;
  static const size_t lengths[] = {1, 2, 100, 1000, 4096, 32768, 65536, LENGTH_MAX};
  struct deflater *deflater = deflater_create();
  assert_non_null(deflater);
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    filler_text(message, lengths[i]);
    size_t first = deflater_run(deflater, message, lengths[i], blocks, sizeof blocks);
    assert_read_back(lengths[i], first);
    /* the same once more doesn't refer to the first one */
    assert_int_equal(deflater_run(deflater, message, lengths[i], blocks, sizeof blocks), first);
    assert_read_back(lengths[i], first);
  }
  deflater_destroy(deflater);
}

static void deflater_shortens_text(void **state) {
  (void) state;
  struct deflater *deflater = deflater_create();
  filler_text(message, 1000);
  size_t written = deflater_run(deflater, message, 1000, blocks, sizeof blocks);
  assert_in_range(written, 1, 500);
  deflater_destroy(deflater);
}

static void deflater_says_what_does_not_fit(void **state) {
  (void) state;
  struct deflater *deflater = deflater_create();
  filler_text(message, 1000);
  size_t needed = deflater_run(deflater, message, 1000, blocks, sizeof blocks);
  for (size_t capacity = 0; capacity <= needed + 20; capacity++) {
    memset(blocks, 0x7e, needed + 40);
    size_t written = deflater_run(deflater, message, 1000, blocks, capacity);
    for (size_t i = capacity; i < needed + 40; i++) assert_int_equal(blocks[i], 0x7e);
    if (written > 0) assert_read_back(1000, written);
    if (capacity < needed) assert_int_equal(written, 0);
    if (capacity > needed) assert_int_equal(written, needed);
  }
  filler_noise(message, 1000);
  assert_int_equal(deflater_run(deflater, message, 1000, blocks, 1000), 0);
  assert_read_back(1000, deflater_run(deflater, message, 1000, blocks, sizeof blocks)); /* and goes on afterwards */
  deflater_destroy(deflater);
}

static void deflater_results_in_a_row_are_one_stream(void **state) {
  (void) state;
  struct deflater *deflater = deflater_create();
  size_t written = 0;
  filler_text(message, 3000);
  for (size_t i = 0; i < 3; i++)
    written += deflater_run(deflater, message + 1000 * i, 1000, blocks + written, sizeof blocks - written);
  assert_int_equal(inflate_alone(blocks, written), 3000);
  assert_memory_equal(plain, message, 3000);
  deflater_destroy(deflater);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deflater_results_stand_alone),
      cmocka_unit_test(deflater_shortens_text),
      cmocka_unit_test(deflater_says_what_does_not_fit),
      cmocka_unit_test(deflater_results_in_a_row_are_one_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
