/* SPDX-License-Identifier: MIT */
/*
 * websocket: the exact bytes of the frames that are sent, what the reader makes of them, and what memory it holds.
 */
#include "frame_notation.h"

#include "support/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CANARY = 0x7e, ROOM = 70000, ROUNDS = 300, FRAMES_A_ROUND = 40 };

static struct bytes bytes;
static char out[ROOM];

/* Numbers that look random, the same in every run. */
static uint32_t next_number(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static void assert_frame(enum websocket_opcode opcode, size_t length, const char *header, size_t header_bytes) {
  static char payload[ROOM];
  for (size_t i = 0; i < length; i++) payload[i] = (char) (i * 7 + i / 256);

  size_t whole = header_bytes + length;
  memset(out, CANARY, sizeof out);
  assert_int_equal(websocket_frame(opcode, payload, length, out, whole), whole);
  assert_memory_equal(out, header, header_bytes);
  assert_memory_equal(out + header_bytes, payload, length);
  assert_int_equal(out[whole], CANARY);

  memset(out, CANARY, sizeof out);
  assert_int_equal(websocket_frame(opcode, payload, length, out, whole - 1), whole);
  assert_int_equal(websocket_frame(opcode, payload, length, NULL, 0), whole);
  for (size_t i = 0; i <= whole; i++) assert_int_equal(out[i], CANARY);
}

static void websocket_frame_writes_the_shortest_header(void **state) {
  (void) state;
  assert_frame(WEBSOCKET_TEXT, 0, "\x81\x00", 2);
  assert_frame(WEBSOCKET_TEXT, 1, "\x81\x01", 2);
  assert_frame(WEBSOCKET_TEXT, 125, "\x81\x7d", 2);
  assert_frame(WEBSOCKET_TEXT, 126, "\x81\x7e\x00\x7e", 4);
  assert_frame(WEBSOCKET_BINARY, 127, "\x82\x7e\x00\x7f", 4);
  assert_frame(WEBSOCKET_BINARY, 65535, "\x82\x7e\xff\xff", 4);
  assert_frame(WEBSOCKET_BINARY, 65536, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
  assert_frame(WEBSOCKET_PING, 0, "\x89\x00", 2);
  assert_frame(WEBSOCKET_PONG, 125, "\x8a\x7d", 2);
}

static void websocket_frame_takes_a_payload_that_is_in_its_place(void **state) {
  (void) state;
  memcpy(out, "??hello", 7);
  assert_int_equal(websocket_frame(WEBSOCKET_TEXT, out + 2, 5, out, ROOM), 7);
  assert_memory_equal(out, "\x81\x05hello", 7);

  memset(out, 'a', 128); /* where the header turns out to be longer */
  assert_int_equal(websocket_frame(WEBSOCKET_TEXT, out + 2, 126, out, 130), 130);
  assert_memory_equal(out,
                      "\x81\x7e\x00\x7e"
                      "aaaa",
                      8);
  assert_int_equal(out[129], 'a');
}

static void assert_close_frame(fluxbp_close_code_t code, const char *reason, const char *expected, size_t length) {
  memset(out, CANARY, sizeof out);
  assert_int_equal(websocket_close_frame(code, reason, out, length - 1), length);
  assert_int_equal(out[0], CANARY);
  assert_int_equal(websocket_close_frame(code, reason, out, length), length);
  assert_memory_equal(out, expected, length);
}

static void websocket_close_frame_says_code_and_reason(void **state) {
  (void) state;
  assert_close_frame(FLUXBP_CLOSE_NORMAL, "", "\x88\x02\x03\xe8", 4);
  assert_close_frame(FLUXBP_CLOSE_SLOW, "slow", "\x88\x06\x0f\xa8slow", 8);
  assert_close_frame(FLUXBP_CLOSE_NO_CODE, "not said", "\x88\x00", 2);
}

static void websocket_close_frame_cuts_a_reason_between_characters(void **state) {
  (void) state;
  char reason[200], expected[WEBSOCKET_CONTROL_BYTES + 2] = "\x88\x7d\x03\xe8";
  memset(reason, 'x', sizeof reason);
  reason[sizeof reason - 1] = '\0';
  memset(expected + 4, 'x', 123);
  assert_close_frame(FLUXBP_CLOSE_NORMAL, reason, expected, 127);

  memcpy(reason + 121, "\xe2\x82\xac", 3); /* a character of 3 bytes, of which 2 would fit */
  expected[1] = 2 + 121;
  assert_close_frame(FLUXBP_CLOSE_NORMAL, reason, expected, 4 + 121);

  memcpy(reason + 120, "\xe2\x82\xac", 3); /* and one that fits */
  memcpy(reason + 123, "\xe2\x82\xac", 3);
  expected[1] = 2 + 123;
  memcpy(expected + 4 + 120, "\xe2\x82\xac", 3);
  assert_close_frame(FLUXBP_CLOSE_NORMAL, reason, expected, 4 + 123);
}

enum { THREADS = 4, FRAMES_A_THREAD = 2000 };

static void write_frames(void *arg) {
  char frame[200], payload[150], expected[4 + sizeof payload] = "\x81\x7e\x00\x96";
  memset(payload, *(const char *) arg, sizeof payload);
  memcpy(expected + 4, payload, sizeof payload);
  for (int i = 0; i < FRAMES_A_THREAD; i++) {
    size_t length = websocket_frame(WEBSOCKET_TEXT, payload, sizeof payload, frame, sizeof frame);
    THREADS_CHECK(length == sizeof expected && memcmp(frame, expected, length) == 0);
  }
}

static void websocket_frame_may_be_called_on_any_thread(void **state) {
  (void) state;
  uv_thread_t threads[THREADS];
  char letters[] = "abcd";
  for (int i = 0; i < THREADS; i++) threads_start(&threads[i], write_frames, &letters[i]);
  for (int i = 0; i < THREADS; i++) threads_join(&threads[i]);
}

static void websocket_reader_counts_fragments(void **state) {
  (void) state;
  struct websocket_reader reader;
  websocket_reader_init(&reader, 1000);
  struct outcomes outcomes = {0};
  bytes.length = 0;
  append_frames(&bytes, "T(a) P T-(b) C-(c) C(d) B- C");
  take_piece(&reader, &bytes, 0, bytes.length, &outcomes);
  assert_int_equal(reader.fragments, 3);

  bytes.length = 0;
  append_frames(&bytes, "T- C-");
  take_piece(&reader, &bytes, 0, bytes.length, &outcomes);
  assert_int_equal(reader.fragments, 5);
  websocket_reader_reset(&reader);
}

static void websocket_reader_may_be_used_again_after_a_reset(void **state) {
  (void) state;
  struct websocket_reader reader;
  websocket_reader_init(&reader, 1000);
  const char *const beginnings[] = {"T-(abc)", "T-<e2>", "T(a) =81", "T(abc) =82ff", "Tu", "X<03e8>(bye)"};
  for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
    struct outcomes outcomes = {0};
    bytes.length = 0;
    append_frames(&bytes, beginnings[i]);
    take_piece(&reader, &bytes, 0, bytes.length, &outcomes);
    websocket_reader_reset(&reader);
    assert_null(reader.parse);

    outcomes = (struct outcomes){0};
    bytes.length = 0;
    append_frames(&bytes, "T(hello)");
    take_piece(&reader, &bytes, 0, bytes.length, &outcomes);
    end_outcomes(&reader, &outcomes);
    assert_string_equal(outcomes.text, "T(hello) .");
  }
}

static void websocket_reader_leaves_what_is_behind_a_message(void **state) {
  (void) state;
  struct websocket_reader reader;
  websocket_reader_init(&reader, 1000);
  bytes.length = 0;
  append_frames(&bytes, "T(ab) T(c)");
  struct websocket_taken taken;
  const char *data = bytes.data;
  size_t length = bytes.length;
  assert_int_equal(websocket_reader_take(&reader, NULL, &data, &length, &taken), WEBSOCKET_MESSAGE);
  assert_int_equal(length, 7);
  assert_int_equal(websocket_reader_take(&reader, NULL, &data, &length, &taken), WEBSOCKET_MESSAGE);
  assert_int_equal(length, 0);
  assert_memory_equal(taken.payload, "c", 1);
  assert_int_equal(websocket_reader_take(&reader, NULL, &data, &length, &taken), WEBSOCKET_MORE);
  assert_null(reader.parse);
}

static void websocket_reader_limits_messages_and_nothing_else(void **state) {
  (void) state;
  struct websocket_reader reader;
  websocket_reader_init(&reader, 0);
  struct outcomes outcomes = {0};
  bytes.length = 0;
  append_frames(&bytes, "P[125] T O[125] B- C X<03e8>[123]");
  take_piece(&reader, &bytes, 0, bytes.length, &outcomes);
  end_outcomes(&reader, &outcomes);
  assert_string_equal(outcomes.text, "P[125] T() O[125] B() X1000[123]");
  websocket_reader_reset(&reader);

  outcomes = (struct outcomes){0};
  bytes.length = 0;
  append_frames(&bytes, "T- P C(a)");
  take_piece(&reader, &bytes, 0, bytes.length, &outcomes);
  assert_string_equal(outcomes.text, "P() !1009");
}

/* What the reader is to hand out next, in the order of sending. */
struct sent {
  enum websocket_outcome outcome;
  enum websocket_opcode opcode;
  size_t from, length; /* in `payloads` */
};

static char payloads[BYTES_MAX];
static size_t payloads_length;
static struct sent sent[FRAMES_A_ROUND * 2];
static size_t sent_count;

static size_t add_payload(size_t length, uint32_t *seed) {
  size_t from = payloads_length;
  for (size_t i = 0; i < length; i++) payloads[payloads_length++] = (char) next_number(seed);
  return from;
}

static void send_control(uint32_t *seed) {
  size_t length = next_number(seed) % (WEBSOCKET_CONTROL_BYTES + 1);
  bool is_ping = next_number(seed) % 2 == 0;
  sent[sent_count] = (struct sent){.outcome = is_ping ? WEBSOCKET_IS_PING : WEBSOCKET_IS_PONG, .length = length};
  sent[sent_count].from = add_payload(length, seed);
  append_frame(&bytes, is_ping ? WEBSOCKET_PING : WEBSOCKET_PONG, true, payloads + sent[sent_count].from, length);
  sent_count++;
}

/* A binary message in up to 4 frames, with control frames between them. */
static void send_message(uint32_t *seed) {
  size_t fragments = 1 + next_number(seed) % 4;
  size_t lengths[4], from[4];
  static char message[BYTES_MAX];
  size_t message_length = 0;
  for (size_t i = 0; i < fragments; i++) {
    lengths[i] = next_number(seed) % (next_number(seed) % 8 == 0 ? 6000 : 150);
    from[i] = message_length;
    for (size_t k = 0; k < lengths[i]; k++) message[message_length++] = (char) next_number(seed);
  }
  for (size_t i = 0; i < fragments; i++) {
    enum websocket_opcode opcode = i == 0 ? WEBSOCKET_BINARY : (enum websocket_opcode) 0;
    append_frame(&bytes, opcode, i + 1 == fragments, message + from[i], lengths[i]);
    if (i + 1 < fragments && next_number(seed) % 4 == 0) send_control(seed);
  }
  sent[sent_count] = (struct sent){.outcome = WEBSOCKET_MESSAGE, .opcode = WEBSOCKET_BINARY};
  sent[sent_count].length = message_length;
  sent[sent_count].from = payloads_length;
  memcpy(payloads + payloads_length, message, message_length);
  payloads_length += message_length;
  sent_count++;
}

static void assert_received(struct websocket_reader *reader, uint32_t *seed) {
  const char *data = bytes.data, *end = bytes.data + bytes.length;
  size_t received = 0;
  while (data < end) {
    size_t piece = 1 + next_number(seed) % (next_number(seed) % 2 == 0 ? 10 : 3000);
    size_t length = piece < (size_t) (end - data) ? piece : (size_t) (end - data);
    enum websocket_outcome outcome;
    struct websocket_taken taken;
    while ((outcome = websocket_reader_take(reader, NULL, &data, &length, &taken)) != WEBSOCKET_MORE) {
      assert_true(received < sent_count);
      const struct sent *expected = &sent[received++];
      assert_int_equal(outcome, expected->outcome);
      if (outcome == WEBSOCKET_MESSAGE) assert_int_equal(taken.opcode, expected->opcode);
      assert_int_equal(taken.length, expected->length);
      assert_memory_equal(taken.payload, payloads + expected->from, expected->length);
    }
    assert_int_equal(reader->parse == NULL, bytes.is_between[data - bytes.data]);
  }
  assert_int_equal(received, sent_count);
}

static void websocket_reader_reads_back_whatever_was_sent_and_however_it_was_cut(void **state) {
  (void) state;
  uint32_t seed = 20261124;
  struct websocket_reader reader;
  websocket_reader_init(&reader, 30000);
  for (int round = 0; round < ROUNDS; round++) {
    bytes.length = sent_count = payloads_length = 0;
    for (int i = 0; i < FRAMES_A_ROUND / 4; i++) {
      if (next_number(&seed) % 3 == 0) send_control(&seed);
      send_message(&seed);
    }
    assert_received(&reader, &seed);
    assert_null(reader.parse);
  }
}

/* Frames that are mostly right, with some bytes changed, so that every kind of failure comes up. */
static void damage(uint32_t *seed) {
  size_t changes = next_number(seed) % 4;
  for (size_t i = 0; i < changes && bytes.length > 0; i++) {
    size_t place = next_number(seed) % bytes.length;
    bytes.data[place] = (char) next_number(seed);
  }
}

static void take_all(size_t piece, struct outcomes *outcomes) {
  struct websocket_reader reader;
  websocket_reader_init(&reader, 300);
  *outcomes = (struct outcomes){0};
  for (size_t from = 0; from < bytes.length && !outcomes->has_ended; from += piece) {
    const char *data = bytes.data + from;
    size_t length = bytes.length - from < piece ? bytes.length - from : piece;
    enum websocket_outcome outcome;
    struct websocket_taken taken;
    while (!outcomes->has_ended &&
           (outcome = websocket_reader_take(&reader, NULL, &data, &length, &taken)) != WEBSOCKET_MORE) {
      outcomes->has_ended = outcome == WEBSOCKET_IS_CLOSE || outcome == WEBSOCKET_FAILED;
      int written = snprintf(outcomes->text + outcomes->length, sizeof outcomes->text - outcomes->length, "%d %zu %d;",
                             (int) outcome, taken.length, taken.code);
      outcomes->length += (size_t) written;
    }
  }
  websocket_reader_reset(&reader);
}

static void websocket_reader_says_the_same_of_damaged_frames_however_they_are_cut(void **state) {
  (void) state;
  static const char *const streams[] = {"T(hello) P(a) T-(b) C(c) X<03e8>(bye)", "B[126] T- P C-<e2> C<82ac> O T(d)",
                                        "T-(abc) C-[200] P[125] C[97] B<ff> X"};
  uint32_t seed = 7;
  struct outcomes whole, cut;
  for (int round = 0; round < 20000; round++) {
    bytes.length = 0;
    append_frames(&bytes, streams[round % 3]);
    damage(&seed);
    take_all(BYTES_MAX, &whole);
    take_all(1, &cut);
    assert_string_equal(cut.text, whole.text);
    take_all(2 + next_number(&seed) % 20, &cut);
    assert_string_equal(cut.text, whole.text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(websocket_frame_writes_the_shortest_header),
      cmocka_unit_test(websocket_frame_takes_a_payload_that_is_in_its_place),
      cmocka_unit_test(websocket_close_frame_says_code_and_reason),
      cmocka_unit_test(websocket_close_frame_cuts_a_reason_between_characters),
      cmocka_unit_test(websocket_frame_may_be_called_on_any_thread),
      cmocka_unit_test(websocket_reader_counts_fragments),
      cmocka_unit_test(websocket_reader_may_be_used_again_after_a_reset),
      cmocka_unit_test(websocket_reader_leaves_what_is_behind_a_message),
      cmocka_unit_test(websocket_reader_limits_messages_and_nothing_else),
      cmocka_unit_test(websocket_reader_reads_back_whatever_was_sent_and_however_it_was_cut),
      cmocka_unit_test(websocket_reader_says_the_same_of_damaged_frames_however_they_are_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
