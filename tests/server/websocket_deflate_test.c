/* SPDX-License-Identifier: MIT */
/*
 * websocket_deflate: what clients get that take compressed messages: the bytes of the plain codec, compressed where
 * that makes them shorter, as zlib reads them; and how they look on the wire.
 */
#include "server/codecs.h"

#include "server/compression/deflater.h"
#include "server/websocket/websocket.h"
#include "support/filler.h"

#include <fluxbp/server.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <zlib.h>

#include <cmocka.h>

#define EPOCH 0x5f1c0de5a7b3c9d2u
#define LENGTH_MAX (COMPRESSOR_MOST_BYTES + 1000)
#define ROOM (8 * LENGTH_MAX)

enum { MIN_BYTES = 100, TEXT_COMPRESSED = 0xc1, BINARY_COMPRESSED = 0xc2 };

static struct codecs codecs;
static char message[LENGTH_MAX], frame[ROOM], plain[ROOM], inflated[ROOM];

static int start_compressor(void **state) {
  (void) state;
  codecs_init(&codecs, EPOCH, MIN_BYTES);
  return !compressor_start(&codecs.compressor);
}

static int end_compressor(void **state) {
  (void) state;
  codecs_end(&codecs);
  return 0;
}

static size_t encode(enum codec_kind kind, size_t length, char *out, size_t capacity) {
  const fluxbp_codec_t *codec = &codecs.list[kind];
  const fluxbp_publication_t publication = {.topic = "news", .id = 17, .data = message, .length = length};
  ptrdiff_t bytes = codec->encode(codec, &publication, out, capacity);
  assert_true(bytes > 0);
  return (size_t) bytes;
}

/* Inflate blocks without their tail, by a window of the length that clients are promised. */
static size_t inflate_payload(const char *data, size_t length) {
  static const unsigned char tail[] = {0, 0, 0xff, 0xff};
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  assert_int_equal(inflateInit2(&stream, -DEFLATER_WINDOW_BITS), Z_OK);
  stream.next_out = (Bytef *) inflated;
  stream.avail_out = ROOM;
  stream.next_in = (Bytef *) (uintptr_t) data;
  stream.avail_in = (uInt) length;
  assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
  stream.next_in = (Bytef *) (uintptr_t) tail;
  stream.avail_in = sizeof tail;
  (void) inflate(&stream, Z_SYNC_FLUSH);
  assert_int_equal(stream.avail_in, 0);
  assert_int_equal(inflateEnd(&stream), Z_OK);
  return ROOM - stream.avail_out;
}

static bool is_compressed(const char *bytes) {
  return (unsigned char) bytes[0] == TEXT_COMPRESSED || (unsigned char) bytes[0] == BINARY_COMPRESSED;
}

/* The frame means what the plain codec's frame does. */
static void assert_frame(enum codec_kind kind, size_t length, bool expected_compressed) {
  enum codec_kind plain_kind = kind == CODEC_WEBSOCKET_DEFLATE ? CODEC_WEBSOCKET : CODEC_WEBSOCKET_JSON;
  size_t plain_bytes = encode(plain_kind, length, plain, ROOM);
  size_t bytes = encode(kind, length, frame, ROOM);
  assert_int_equal(is_compressed(frame), expected_compressed);
  if (!expected_compressed) {
    assert_int_equal(bytes, plain_bytes);
    assert_memory_equal(frame, plain, bytes);
    return;
  }
  size_t header = websocket_header_bytes(frame), plain_header = websocket_header_bytes(plain);
  size_t plain_payload = plain_bytes - plain_header;
  assert_int_equal(frame[0] & 0xf, plain[0] & 0xf);
  assert_in_range(bytes - header, 1, plain_payload - plain_payload / 16);
  assert_int_equal(inflate_payload(frame + header, bytes - header), plain_payload);
  assert_memory_equal(inflated, plain + plain_header, plain_payload);
}

static void websocket_deflate_means_the_same_as_the_plain_codec(void **state) {
  (void) state;
  static const size_t lengths[] = {MIN_BYTES, 125, 126, 127, 1000, 4096, 5000, 65535, 65536, 100000};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    filler_text(message, lengths[i]);
    assert_frame(CODEC_WEBSOCKET_DEFLATE, lengths[i], true);
    assert_frame(CODEC_WEBSOCKET_JSON_DEFLATE, lengths[i], true);
    message[lengths[i] / 2] = (char) 0xff; /* binary, and base64 */
    assert_frame(CODEC_WEBSOCKET_DEFLATE, lengths[i], true);
    assert_frame(CODEC_WEBSOCKET_JSON_DEFLATE, lengths[i], true);
  }
}

static void websocket_deflate_writes_these_bytes(void **state) {
  (void) state;
  static const char expected[] = "\xc1\x06\x4a\x4c\x1c\x1e\x00\x00";
  memset(message, 'a', 200);
  size_t bytes = encode(CODEC_WEBSOCKET_DEFLATE, 200, frame, ROOM);
  assert_int_equal(bytes, sizeof expected - 1);
  assert_memory_equal(frame, expected, bytes);
}

static void websocket_deflate_leaves_the_others_plain(void **state) {
  (void) state;
  filler_text(message, MIN_BYTES - 1);
  assert_frame(CODEC_WEBSOCKET_DEFLATE, MIN_BYTES - 1, false); /* too short */
  assert_frame(CODEC_WEBSOCKET_JSON_DEFLATE, MIN_BYTES - 1, false);
  filler_text(message, LENGTH_MAX);
  assert_frame(CODEC_WEBSOCKET_DEFLATE, COMPRESSOR_MOST_BYTES, true);
  assert_frame(CODEC_WEBSOCKET_DEFLATE, COMPRESSOR_MOST_BYTES + 1, false);  /* too long */
  assert_frame(CODEC_WEBSOCKET_JSON_DEFLATE, COMPRESSOR_MOST_BYTES, false); /* too long as JSON */
  static const size_t lengths[] = {MIN_BYTES, 1000, 65536};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    filler_noise(message, lengths[i]); /* compressed already */
    assert_frame(CODEC_WEBSOCKET_DEFLATE, lengths[i], false);
    assert_frame(CODEC_WEBSOCKET_JSON_DEFLATE, lengths[i], false);
  }
  filler_noise(message, 500);
  for (size_t i = 0; i < 500; i++) message[i] &= 0x7f; /* shorter by 26 bytes, which is less than a sixteenth */
  assert_frame(CODEC_WEBSOCKET_DEFLATE, 500, false);
}

/* Before anything is compressed: the result would be the same, and take long. */
static void websocket_deflate_sees_what_is_compressed_already(void **state) {
  (void) state;
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static const size_t lengths[] = {MIN_BYTES, 256, 1024, 1025, 65536};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    filler_noise(message, lengths[i]);
    assert_false(compressor_is_for(&codecs.compressor, message, lengths[i]));
    for (size_t at = 0; at < lengths[i]; at++) message[at] = digits[message[at] & 63]; /* base64 */
    assert_true(compressor_is_for(&codecs.compressor, message, lengths[i]));
    filler_text(message, lengths[i]);
    assert_true(compressor_is_for(&codecs.compressor, message, lengths[i]));
  }
  filler_noise(message, 65536);
  memset(message, ' ', 30000); /* half of it is text */
  assert_true(compressor_is_for(&codecs.compressor, message, 65536));
}

static void websocket_deflate_needs_a_client_that_has_asked(void **state) {
  (void) state;
  struct codecs idle;
  filler_text(message, 1000);
  const fluxbp_publication_t publication = {.topic = "news", .id = 17, .data = message, .length = 1000};
  codecs_init(&idle, EPOCH, MIN_BYTES);
  const fluxbp_codec_t *codec = &idle.list[CODEC_WEBSOCKET_DEFLATE];
  assert_true(codec->encode(codec, &publication, frame, ROOM) > 1000);
  assert_false(is_compressed(frame));
  codecs_end(&idle);
  codecs_init(&idle, EPOCH, 0);
  assert_false(compressor_start(&idle.compressor)); /* compression is off */
  codecs_end(&idle);
}

/* As the library asks: with the message's length and 64 bytes, and then with what was said to be needed. */
static void websocket_deflate_fits_where_it_says(void **state) {
  (void) state;
  filler_text(message, 1000);
  for (int kind = CODEC_WEBSOCKET_DEFLATE; kind <= CODEC_WEBSOCKET_JSON_DEFLATE; kind++) {
    size_t bytes = encode((enum codec_kind) kind, 1000, plain, ROOM);
    assert_in_range(bytes, 1, 800);
    for (size_t capacity = 0; capacity < bytes + 5; capacity++) {
      memset(frame, 0x7e, ROOM > 2000 ? 2000 : ROOM);
      assert_int_equal(encode((enum codec_kind) kind, 1000, frame, capacity), bytes);
      for (size_t i = capacity; i < 2000; i++) assert_int_equal(frame[i], 0x7e);
      if (capacity >= bytes) assert_memory_equal(frame, plain, bytes);
    }
  }
  filler_noise(message, 1000);
  for (size_t i = 0; i < 1000; i++) message[i] = (char) (message[i] & 0x1f); /* six bytes each, in JSON */
  size_t bytes = encode(CODEC_WEBSOCKET_JSON_DEFLATE, 1000, plain, 1064);
  assert_int_equal(encode(CODEC_WEBSOCKET_JSON_DEFLATE, 1000, frame, bytes), bytes);
  assert_frame(CODEC_WEBSOCKET_JSON_DEFLATE, 1000, true);
}

/* Messages to one connection, removals, gaps and farewells. */
static void websocket_deflate_passes_on_what_is_no_message_of_a_topic(void **state) {
  (void) state;
  const fluxbp_codec_t *codec = &codecs.list[CODEC_WEBSOCKET_JSON_DEFLATE];
  filler_text(message, 1000);
  fluxbp_publication_t publication = {.data = message, .length = 1000};
  assert_int_equal(codec->encode(codec, &publication, frame, ROOM), 1000);
  assert_memory_equal(frame, message, 1000);

  char key[FLUXBP_SERVER_KEY_BYTES + 1];
  memset(key, 'k', sizeof key - 1);
  key[sizeof key - 1] = '\0';
  publication =
      (fluxbp_publication_t){.topic = "news", .data = message, .length = 1000, .key_name = key, .is_removal = 1};
  ptrdiff_t bytes = codec->encode(codec, &publication, frame, ROOM);
  assert_true(bytes > 0);
  assert_int_equal((unsigned char) frame[0], 0x81);

  fluxbp_gap_t gap = {.first_id = UINT64_MAX, .last_id = UINT64_MAX, .count = UINT64_MAX};
  assert_true(codec->encode_gap(codec, &gap, frame, ROOM) > 0);
  assert_int_equal((unsigned char) frame[0], 0x81);
  assert_true(codec->encode_farewell(codec, FLUXBP_EVICT_SLOW, frame, ROOM) > 0);
  assert_int_equal((unsigned char) frame[0], 0x88);
}

static void websocket_deflate_counts_what_was_sent(void **state) {
  (void) state;
  codecs.compressor.figures = (struct compression_figures){0};
  filler_text(message, 1000);
  (void) encode(CODEC_WEBSOCKET_DEFLATE, 1000, frame, 10); /* doesn't fit */
  assert_int_equal(codecs.compressor.figures.messages, 0);
  size_t bytes = encode(CODEC_WEBSOCKET_DEFLATE, 1000, frame, ROOM);
  (void) encode(CODEC_WEBSOCKET_DEFLATE, MIN_BYTES - 1, plain, ROOM);
  assert_int_equal(codecs.compressor.figures.messages, 1);
  assert_int_equal(codecs.compressor.figures.plain_bytes, 1000);
  assert_int_equal(codecs.compressor.figures.compressed_bytes, bytes - websocket_header_bytes(frame));
}

static void websocket_deflate_keeps_little_room(void **state) {
  (void) state;
  filler_text(message, LENGTH_MAX);
  (void) encode(CODEC_WEBSOCKET_DEFLATE, 1000, frame, ROOM);
  assert_in_range(codecs.compressor.room_bytes, 1000, 128 * 1024);
  (void) encode(CODEC_WEBSOCKET_DEFLATE, COMPRESSOR_MOST_BYTES, frame, ROOM);
  assert_int_equal(codecs.compressor.room_bytes, 0);
  assert_frame(CODEC_WEBSOCKET_DEFLATE, 1000, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(websocket_deflate_means_the_same_as_the_plain_codec),
      cmocka_unit_test(websocket_deflate_writes_these_bytes),
      cmocka_unit_test(websocket_deflate_leaves_the_others_plain),
      cmocka_unit_test(websocket_deflate_sees_what_is_compressed_already),
      cmocka_unit_test(websocket_deflate_needs_a_client_that_has_asked),
      cmocka_unit_test(websocket_deflate_fits_where_it_says),
      cmocka_unit_test(websocket_deflate_passes_on_what_is_no_message_of_a_topic),
      cmocka_unit_test(websocket_deflate_counts_what_was_sent),
      cmocka_unit_test(websocket_deflate_keeps_little_room),
  };
  return cmocka_run_group_tests(tests, start_compressor, end_compressor);
}
