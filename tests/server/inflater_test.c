/* SPDX-License-Identifier: MIT */
/*
 * inflater: it reads what any encoder of deflate may write, stops at the limit, and takes nothing else for blocks.
 */
#include "server/compression/inflater.h"

#include "support/alloc_hook.h"
#include "support/filler.h"

#include <fluxbp/fluxbp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define LENGTH_MAX (300 * 1024)

static char message[LENGTH_MAX];
static unsigned char blocks[2 * LENGTH_MAX];

struct bytes {
  const char *data;
  size_t length;
};
#define BYTES(literal)                                                                                                 \
  { (literal), sizeof(literal) - 1 }

static struct inflater *inflater;

static int create_inflater(void **state) {
  (void) state;
  inflater = inflater_create();
  return inflater == NULL;
}

static int destroy_inflater(void **state) {
  (void) state;
  inflater_destroy(inflater);
  return 0;
}

/* By zlib with these settings, in one block or in pieces, without the tail. */
static size_t compress_message(size_t length, int level, int window_bits, int strategy, size_t piece) {
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, -window_bits, 8, strategy), Z_OK);
  stream.next_out = blocks;
  stream.avail_out = sizeof blocks;
  for (size_t at = 0; at == 0 || at < length; at += piece) {
    stream.next_in = (Bytef *) message + at;
    stream.avail_in = (uInt) (length - at < piece ? length - at : piece);
    assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
  }
  size_t written = sizeof blocks - stream.avail_out;
  (void) deflateEnd(&stream);
  assert_memory_equal(blocks + written - 4, "\0\0\xff\xff", 4);
  return written - 4;
}

static enum inflated run(const void *data, size_t length, size_t max_bytes, char **text, size_t *text_length) {
  /* a copy of its own, so that a sanitizer sees when it is read beyond */
  char *copy = malloc(length > 0 ? length : 1);
  assert_non_null(copy);
  memcpy(copy, data, length);
  enum inflated outcome = inflater_run(inflater, NULL, copy, length, max_bytes, text, text_length);
  free(copy);
  return outcome;
}

static void assert_read_back(size_t compressed, size_t length, size_t max_bytes) {
  char *text;
  size_t text_length;
  assert_int_equal(run(blocks, compressed, max_bytes, &text, &text_length), INFLATED_OK);
  assert_int_equal(text_length, length);
  if (length > 0) assert_memory_equal(text, message, length);
  memory_free(text);
}

static void inflater_reads_what_any_encoder_writes(void **state) {
  (void) state;
  static const size_t lengths[] = {1, 2, 511, 512, 513, 1024, 4096, 65536, LENGTH_MAX};
  static const struct {
    int level, window_bits, strategy;
  } settings[] = {{0, 15, Z_DEFAULT_STRATEGY}, {1, 9, Z_DEFAULT_STRATEGY},
                  {6, 15, Z_DEFAULT_STRATEGY}, {9, 15, Z_FIXED},
                  {6, 12, Z_HUFFMAN_ONLY},     {6, 15, Z_RLE}};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    filler_text(message, lengths[i]);
    for (size_t j = 0; j < sizeof settings / sizeof settings[0]; j++) {
      for (size_t piece = lengths[i]; piece > 0; piece = piece == lengths[i] && piece > 1000 ? 997 : 0) {
        size_t compressed =
            compress_message(lengths[i], settings[j].level, settings[j].window_bits, settings[j].strategy, piece);
        assert_read_back(compressed, lengths[i], lengths[i]);
        assert_read_back(compressed, lengths[i], LENGTH_MAX + 1);
      }
    }
  }
}

/* The examples of RFC 7692, 7.2.3, and what else stands for little. */
static void inflater_reads_short_messages(void **state) {
  (void) state;
  static const struct {
    struct bytes blocks;
    const char *text;
  } cases[] = {
      {BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello"},
      {BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"},
      {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"}, /* in a block that says it is the last one */
      {BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"},
      {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"), "HelloHello"},
      {BYTES("\x00"), ""},
      {BYTES("\x02\x00"), ""},
      {BYTES("\x01"), ""},
      {BYTES("\x03\x00\x00"), ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *text;
    size_t length;
    print_message("case %zu\n", i);
    assert_int_equal(run(cases[i].blocks.data, cases[i].blocks.length, 100, &text, &length), INFLATED_OK);
    assert_int_equal(length, strlen(cases[i].text));
    if (length == 0) assert_null(text);
    if (length > 0) assert_memory_equal(text, cases[i].text, length);
    memory_free(text);
  }
}

static void inflater_stops_at_the_limit(void **state) {
  (void) state;
  alloc_hook_t hook;
  alloc_hook_init(&hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&hook);
  fluxbp_pool_t *pool;
  struct memory memory;
  assert_int_equal(fluxbp_pool_create(&options, &pool), 0);
  assert_int_equal(memory_init(&memory, pool), 0);
  memset(message, 0, sizeof message);
  size_t compressed = compress_message(LENGTH_MAX, 9, 15, Z_DEFAULT_STRATEGY, LENGTH_MAX);
  assert_in_range(compressed, 1, 400); /* a bomb */
  for (size_t max_bytes = 1; max_bytes < LENGTH_MAX; max_bytes = max_bytes * 3 + 1) {
    char *text = message;
    size_t length;
    assert_int_equal(inflater_run(inflater, &memory, blocks, compressed, max_bytes, &text, &length), INFLATED_TOO_LONG);
    assert_null(text);
    assert_int_equal(length, max_bytes + 1); /* no more than that was made */
    struct memory_stats stats;
    memory_get_stats(&memory, &stats);
    assert_int_equal(stats.used_bytes, 0);
  }
  assert_read_back(compressed, LENGTH_MAX, LENGTH_MAX);
  memory_end(&memory);
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
}

static void inflater_counts_against_the_memory(void **state) {
  (void) state;
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = 64 * 1024;
  fluxbp_pool_t *pool;
  struct memory memory;
  assert_int_equal(fluxbp_pool_create(&options, &pool), 0);
  assert_int_equal(memory_init(&memory, pool), 0);
  filler_text(message, LENGTH_MAX);
  size_t compressed = compress_message(LENGTH_MAX, 6, 15, Z_DEFAULT_STRATEGY, LENGTH_MAX);
  char *text;
  size_t length;
  struct memory_stats stats;
  assert_int_equal(inflater_run(inflater, &memory, blocks, compressed, LENGTH_MAX, &text, &length), INFLATED_NO_MEMORY);
  assert_null(text);
  memory_get_stats(&memory, &stats);
  assert_int_equal(stats.used_bytes, 0);
  compressed = compress_message(1000, 6, 15, Z_DEFAULT_STRATEGY, 1000);
  assert_int_equal(inflater_run(inflater, &memory, blocks, compressed, LENGTH_MAX, &text, &length), INFLATED_OK);
  memory_get_stats(&memory, &stats);
  assert_in_range(stats.used_bytes, 1000, 2000);
  memory_free(text);
  memory_end(&memory);
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
}

static void inflater_refuses_what_are_no_blocks(void **state) {
  (void) state;
  static const struct bytes cases[] = {
      BYTES(""),     /* not even an empty block */
      BYTES("\x06"), /* a kind of block that there isn't */
      BYTES("\x07\x00"),
      BYTES("\x00\x05\x00\x00\x00Hello\x00"), /* a stored block whose lengths differ */
      BYTES("\xf2\x48\xcd\xc9\xc9\x07"),      /* without its last byte */
      BYTES("\xf2\x48\xcd"),                  /* half a block */
      BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"),  /* the last block, and nothing for the tail */
      BYTES("\x02\x06\x00"),                  /* a distance before the beginning */
      BYTES("Hello"),
      BYTES("\xff\xff\xff\xff"),
      BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x07"), /* nonsense behind a message */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *text;
    size_t length;
    print_message("case %zu\n", i);
    assert_int_equal(run(cases[i].data, cases[i].length, 100, &text, &length), INFLATED_CORRUPT);
    assert_null(text);
  }
  assert_read_back(compress_message(5, 6, 15, Z_DEFAULT_STRATEGY, 5), 5, 5); /* it goes on afterwards */
}

/* Half of a message is no message, wherever it is cut, and one with a wrong byte is at most another one. */
static void inflater_survives_damage(void **state) {
  (void) state;
  filler_text(message, 2000);
  size_t compressed = compress_message(2000, 6, 15, Z_DEFAULT_STRATEGY, 700);
  char *text;
  size_t length, read = 0;
  for (size_t cut = 0; cut < compressed; cut++) {
    enum inflated outcome = run(blocks, cut, 2000, &text, &length);
    if (outcome == INFLATED_OK) { /* cut behind a flush */
      assert_int_equal(length % 700, 0);
      read++;
    }
    memory_free(text);
  }
  assert_in_range(read, 2, 4);
  for (size_t at = 0; at < compressed; at++) {
    for (unsigned bit = 0; bit < 8; bit++) {
      blocks[at] ^= (unsigned char) (1u << bit);
      enum inflated outcome = run(blocks, compressed, 2000, &text, &length);
      if (outcome == INFLATED_OK) assert_in_range(length, 0, 2000);
      memory_free(text);
      blocks[at] ^= (unsigned char) (1u << bit);
    }
  }
  assert_read_back(compressed, 2000, 2000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(inflater_reads_what_any_encoder_writes),
      cmocka_unit_test(inflater_reads_short_messages),
      cmocka_unit_test(inflater_stops_at_the_limit),
      cmocka_unit_test(inflater_counts_against_the_memory),
      cmocka_unit_test(inflater_refuses_what_are_no_blocks),
      cmocka_unit_test(inflater_survives_damage),
  };
  return cmocka_run_group_tests(tests, create_inflater, destroy_inflater);
}
