/* SPDX-License-Identifier: MIT */
/*
 * gzip: streams that are put together from shared pieces are what zlib's reader takes, checksum and length included.
 */
#include "server/compression/gzip.h"

#include "server/compression/deflater.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { STREAM_BYTES = 1 << 20, PIECE_BYTES = 200000, READ_GZIP = 16 + MAX_WBITS };

static unsigned char stream[STREAM_BYTES], plain[STREAM_BYTES], found[STREAM_BYTES + 1];
static size_t stream_length, plain_length;
static struct gzip_sum sum;

static void begin(void) {
  memcpy(stream, gzip_head, sizeof gzip_head);
  stream_length = GZIP_HEAD_BYTES;
  plain_length = 0;
  sum = (struct gzip_sum){0};
}

/* Text that can be compressed, another one for each piece. */
static const unsigned char *make_text(size_t length) {
  for (size_t i = 0; i < length; i++)
    plain[plain_length + i] =
        (unsigned char) ('a' + (i * i + plain_length) % 7 + (i % 100 == 0) * ((unsigned) rand() % 10));
  plain_length += length;
  return plain + plain_length - length;
}

static void add_stored(size_t length) {
  const unsigned char *text = make_text(length);
  unsigned char *block = stream + stream_length;
  struct gzip_piece piece = gzip_piece_of(text, length);
  memcpy(block + GZIP_STORED_BYTES, text, length);
  block[gzip_stored_length(length)] = 0x7e; /* nothing is written behind it */
  gzip_store(block, length);
  assert_int_equal(block[gzip_stored_length(length)], 0x7e);
  stream_length += gzip_stored_length(length);
  gzip_add(&sum, &piece);
}

static void add_compressed(struct deflater *deflater, size_t length) {
  const unsigned char *text = make_text(length);
  struct gzip_piece piece = gzip_piece_of(text, length);
  size_t bytes = deflater_run(deflater, text, length, stream + stream_length, STREAM_BYTES - stream_length);
  assert_true(bytes > 0 && (length < 100 || bytes < length));
  stream_length += bytes;
  gzip_add(&sum, &piece);
}

static void end(void) {
  gzip_write_tail(&sum, stream + stream_length);
  stream_length += GZIP_TAIL_BYTES;
}

static int read_all(size_t *length, size_t *used) {
  z_stream reader = {.next_in = stream, .avail_in = (uInt) stream_length, .next_out = found, .avail_out = sizeof found};
  assert_int_equal(inflateInit2(&reader, READ_GZIP), Z_OK);
  int result = inflate(&reader, Z_SYNC_FLUSH);
  *length = sizeof found - reader.avail_out;
  *used = stream_length - reader.avail_in;
  inflateEnd(&reader);
  return result;
}

static void expect_stream(void) {
  size_t length, used;
  assert_int_equal(read_all(&length, &used), Z_STREAM_END); /* it has compared checksum and length */
  assert_int_equal(used, stream_length);
  assert_int_equal(length, plain_length);
  assert_memory_equal(found, plain, length);
}

static void stream_of_nothing_is_right(void **state) {
  (void) state;
  begin();
  end();
  expect_stream();
}

static void stream_of_stored_blocks_is_right(void **state) {
  static const size_t lengths[] = {1, 3, 100, 65534, 65535, 65536, 65537, 131070, 131071, PIECE_BYTES, 5};
  (void) state;
  begin();
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) add_stored(lengths[i]);
  end();
  expect_stream();
}

static void stored_blocks_have_the_length_that_was_said(void **state) {
  (void) state;
  assert_int_equal(gzip_stored_length(1), 11);
  assert_int_equal(gzip_stored_length(65535), 65545);
  assert_int_equal(gzip_stored_length(65536), 65551);
}

static void pieces_stand_in_any_order(void **state) {
  struct deflater *deflater = deflater_create();
  (void) state;
  assert_non_null(deflater);
  srand(7);
  for (int round = 0; round < 20; round++) {
    begin();
    for (int i = 0; i < 30; i++) {
      size_t length = 1 + (size_t) rand() % 2000;
      if (rand() % 2 == 0)
        add_stored(length);
      else
        add_compressed(deflater, length);
    }
    end();
    expect_stream();
  }
  deflater_destroy(deflater);
}

/* Go's reader waits for that. */
static void each_piece_ends_with_an_empty_stored_block(void **state) {
  struct deflater *deflater = deflater_create();
  (void) state;
  begin();
  for (size_t length = 1; length < 70000; length = length * 3 + 1) {
    add_stored(length);
    assert_memory_equal(stream + stream_length - 5, "\0\0\0\xff\xff", 5);
    add_compressed(deflater, length);
    assert_memory_equal(stream + stream_length - 4, "\0\0\xff\xff", 4);
  }
  deflater_destroy(deflater);
}

/* A reader has every piece as soon as its bytes are there. */
static void each_piece_can_be_read_at_once(void **state) {
  struct deflater *deflater = deflater_create();
  (void) state;
  begin();
  for (int i = 0; i < 20; i++) {
    size_t length, used;
    if (i % 2 == 0)
      add_stored(1 + (size_t) i * 50);
    else
      add_compressed(deflater, 1 + (size_t) i * 50);
    assert_int_equal(read_all(&length, &used), Z_OK);
    assert_int_equal(length, plain_length);
    assert_memory_equal(found, plain, length);
  }
  deflater_destroy(deflater);
}

static void sum_of_another_order_is_another_one(void **state) {
  struct gzip_piece one = gzip_piece_of("one", 3), two = gzip_piece_of("two", 3);
  struct gzip_sum first = {0}, second = {0};
  (void) state;
  gzip_add(&first, &one);
  gzip_add(&first, &two);
  gzip_add(&second, &two);
  gzip_add(&second, &one);
  assert_int_equal(first.crc, crc32(0, (const Bytef *) "onetwo", 6));
  assert_int_equal(second.crc, crc32(0, (const Bytef *) "twoone", 6));
  assert_int_equal(first.length, 6);
}

/* As the format wants the length: a stream may be longer than 4 GiB. */
static void length_begins_anew_after_four_gigabytes(void **state) {
  static const char zeros[1024];
  struct gzip_piece piece = gzip_piece_of(zeros, sizeof zeros);
  struct gzip_sum many = {.crc = 0, .length = UINT32_MAX - 23};
  (void) state;
  gzip_add(&many, &piece);
  assert_int_equal(many.length, 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stream_of_nothing_is_right),
      cmocka_unit_test(stream_of_stored_blocks_is_right),
      cmocka_unit_test(stored_blocks_have_the_length_that_was_said),
      cmocka_unit_test(pieces_stand_in_any_order),
      cmocka_unit_test(each_piece_can_be_read_at_once),
      cmocka_unit_test(each_piece_ends_with_an_empty_stored_block),
      cmocka_unit_test(sum_of_another_order_is_another_one),
      cmocka_unit_test(length_begins_anew_after_four_gigabytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
