/* SPDX-License-Identifier: MIT */
/*
 * codec: the exact bytes of the built-in codecs, and the contract about capacity.
 */
#include "fluxbp/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { CANARY = 0x7e, ROOM = 512 };

typedef struct written {
  char bytes[ROOM];
  ptrdiff_t len; /* what the codec returned */
} written_t;

/* What a codec can be asked to write. */
typedef struct request {
  const fluxbp_codec_t *codec;
  const fluxbp_publication_t *publication; /* one of the three */
  const fluxbp_gap_t *gap;
  fluxbp_evict_reason_t reason;
} request_t;

/* Ask the codec once; it must not write a byte behind `capacity`. */
static written_t ask(const request_t *request, size_t capacity) {
  written_t written;
  memset(written.bytes, CANARY, sizeof written.bytes);
  const fluxbp_codec_t *codec = request->codec;
  if (request->publication != NULL)
    written.len = codec->encode(codec, request->publication, written.bytes, capacity);
  else if (request->gap != NULL)
    written.len = codec->encode_gap(codec, request->gap, written.bytes, capacity);
  else
    written.len = codec->encode_farewell(codec, request->reason, written.bytes, capacity);
  for (size_t i = capacity; i < ROOM; i++) assert_int_equal(written.bytes[i], CANARY);
  return written;
}

static void assert_writes(const request_t *request, const char *bytes, size_t len) {
  written_t ample = ask(request, ROOM);
  assert_int_equal(ample.len, len);
  assert_memory_equal(ample.bytes, bytes, len);

  /* and with whatever is offered first: the same, at the latest when it gets what it asked for */
  for (size_t capacity = 0; capacity <= len + 2; capacity++) {
    written_t first = ask(request, capacity);
    assert_true(first.len > 0);
    if ((size_t) first.len > capacity) {
      size_t wanted = (size_t) first.len;
      assert_true(wanted >= len);
      first = ask(request, wanted);
      assert_true((size_t) first.len <= wanted);
    }
    assert_int_equal(first.len, len);
    assert_memory_equal(first.bytes, bytes, len);
  }
}

static fluxbp_publication_t publication_of(const char *data, size_t len) {
  return (fluxbp_publication_t){.topic = "news", .id = 7, .data = data, .length = len, .key = 9};
}

static void codec_newline_ends_a_payload_with_a_newline(void **state) {
  (void) state;
  fluxbp_publication_t publication = publication_of("hello", 5);
  assert_writes(&(request_t){.codec = &fluxbp_codec_newline, .publication = &publication}, "hello\n", 6);
  publication = publication_of("\0\r", 2);
  assert_writes(&(request_t){.codec = &fluxbp_codec_newline, .publication = &publication}, "\0\r\n", 3);
}

static void codec_newline_says_what_it_needs_however_little_there_is(void **state) {
  (void) state;
  fluxbp_publication_t publication = publication_of("hello", 5);
  request_t request = {.codec = &fluxbp_codec_newline, .publication = &publication};
  for (size_t capacity = 0; capacity < 10; capacity++) assert_int_equal(ask(&request, capacity).len, 6);
}

static void codec_newline_refuses_a_payload_that_would_be_two_lines(void **state) {
  (void) state;
  const char *payloads[] = {"\n", "\nhello", "hel\nlo", "hello\n"};
  for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
    fluxbp_publication_t publication = publication_of(payloads[i], strlen(payloads[i]));
    request_t request = {.codec = &fluxbp_codec_newline, .publication = &publication};
    assert_int_equal(ask(&request, ROOM).len, UV_EINVAL);
    assert_int_equal(ask(&request, 0).len, UV_EINVAL);
  }
  /* a newline behind the payload is none of it */
  fluxbp_publication_t publication = publication_of("hello\n", 5);
  assert_writes(&(request_t){.codec = &fluxbp_codec_newline, .publication = &publication}, "hello\n", 6);
}

static void codec_newline_tells_of_a_gap(void **state) {
  (void) state;
  const char *text = "{\"gap\":{\"from\":17,\"to\":23,\"count\":5}}\n";
  fluxbp_gap_t gap = {.first_id = 17, .last_id = 23, .count = 5};
  assert_writes(&(request_t){.codec = &fluxbp_codec_newline, .gap = &gap}, text, strlen(text));

  text = "{\"gap\":{\"from\":18446744073709551615,\"to\":18446744073709551615,\"count\":18446744073709551615}}\n";
  gap = (fluxbp_gap_t){.first_id = UINT64_MAX, .last_id = UINT64_MAX, .count = UINT64_MAX};
  assert_writes(&(request_t){.codec = &fluxbp_codec_newline, .gap = &gap}, text, strlen(text));
}

static void codec_newline_says_farewell_with_the_reason(void **state) {
  (void) state;
  for (int reason = FLUXBP_EVICT_NONE; reason < FLUXBP_EVICT_REASON_COUNT; reason++) {
    request_t request = {.codec = &fluxbp_codec_newline, .reason = (fluxbp_evict_reason_t) reason};
    char text[64];
    int len = snprintf(text, sizeof text, "{\"evicted\":\"%s\"}\n", fluxbp_evict_reason_name(request.reason));
    assert_writes(&request, text, (size_t) len);
  }
  assert_writes(&(request_t){.codec = &fluxbp_codec_newline, .reason = FLUXBP_EVICT_SLOW}, "{\"evicted\":\"slow\"}\n",
                19);
}

static void codec_length32_puts_the_length_in_network_order_before_the_payload(void **state) {
  (void) state;
  fluxbp_publication_t publication = publication_of("he\nlo", 5);
  assert_writes(&(request_t){.codec = &fluxbp_codec_length32, .publication = &publication}, "\0\0\0\5he\nlo", 9);

  char payload[0x181];
  memset(payload, 'x', sizeof payload);
  publication = publication_of(payload, sizeof payload);
  request_t request = {.codec = &fluxbp_codec_length32, .publication = &publication};
  written_t written = ask(&request, ROOM);
  assert_int_equal(written.len, 4 + 0x181);
  assert_memory_equal(written.bytes, "\0\0\1\x81", 4);
  assert_memory_equal(written.bytes + 4, payload, sizeof payload);
}

static void codec_length32_has_four_bytes_for_the_largest_message(void **state) {
  (void) state;
  enum { LEN = 0x01020384 };
  static char payload[LEN];
  static char out[4 + LEN];
  fluxbp_publication_t publication = publication_of(payload, LEN);
  const fluxbp_codec_t *codec = &fluxbp_codec_length32;
  assert_int_equal(codec->encode(codec, &publication, out, sizeof out), sizeof out);
  assert_memory_equal(out, "\x01\x02\x03\x84", 4);

  /* asked for its length alone it doesn't look at the payload */
  publication.length = (size_t) 1 << 30;
  assert_int_equal(codec->encode(codec, &publication, out, 0), ((size_t) 1 << 30) + 4);
}

static void codec_length32_says_what_it_needs_however_little_there_is(void **state) {
  (void) state;
  fluxbp_publication_t publication = publication_of("hello", 5);
  request_t request = {.codec = &fluxbp_codec_length32, .publication = &publication};
  for (size_t capacity = 0; capacity < 12; capacity++) assert_int_equal(ask(&request, capacity).len, 9);
}

static void codec_raw_and_length32_have_no_words_of_their_own(void **state) {
  (void) state;
  assert_null(fluxbp_codec_raw.encode);
  assert_null(fluxbp_codec_raw.encode_gap);
  assert_null(fluxbp_codec_raw.encode_farewell);
  assert_null(fluxbp_codec_length32.encode_gap);
  assert_null(fluxbp_codec_length32.encode_farewell);
}

static void codec_names_are_what_configurations_say(void **state) {
  (void) state;
  assert_string_equal(fluxbp_codec_raw.name, "raw");
  assert_string_equal(fluxbp_codec_newline.name, "newline");
  assert_string_equal(fluxbp_codec_length32.name, "length32");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codec_newline_ends_a_payload_with_a_newline),
      cmocka_unit_test(codec_newline_says_what_it_needs_however_little_there_is),
      cmocka_unit_test(codec_newline_refuses_a_payload_that_would_be_two_lines),
      cmocka_unit_test(codec_newline_tells_of_a_gap),
      cmocka_unit_test(codec_newline_says_farewell_with_the_reason),
      cmocka_unit_test(codec_length32_puts_the_length_in_network_order_before_the_payload),
      cmocka_unit_test(codec_length32_has_four_bytes_for_the_largest_message),
      cmocka_unit_test(codec_length32_says_what_it_needs_however_little_there_is),
      cmocka_unit_test(codec_raw_and_length32_have_no_words_of_their_own),
      cmocka_unit_test(codec_names_are_what_configurations_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
