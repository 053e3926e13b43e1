/* SPDX-License-Identifier: MIT */
/*
 * A codec with notes learns exactly what was written to a connection, in the order of the bytes on the wire: not what
 * was dropped, and nothing twice, however the kernel cuts the bytes; and has the last word at a polite end.
 */
#include "support/fixture.h"

#include "conn_pressure.h"
#include "support/alloc_hook.h"

#include <stdio.h>
#include <string.h>

enum { TEXTS_MAX = 4096, TEXT_BYTES = 2048, SMALL_RING = 8, SPREAD = 1500 };

/* Every text that the codec has encoded; the note of a frame is the number of its text. */
static struct {
  char bytes[TEXT_BYTES];
  size_t length;
} texts[TEXTS_MAX];
static uint32_t text_count;

/* What the codec was told of one peer: peer->arg. */
struct told {
  char data[TEXTS_MAX * 256];
  size_t length;
  uint64_t frames;
};

static void forget_texts(void) {
  text_count = 0;
}

static ptrdiff_t note(char *out, size_t capacity, const void *text, size_t length) {
  size_t whole = length + 1 + sizeof text_count;
  if (whole > capacity) return (ptrdiff_t) whole;
  assert_true(text_count < TEXTS_MAX && length + 1 <= TEXT_BYTES);
  memcpy(out, text, length);
  out[length] = '\n';
  memcpy(texts[text_count].bytes, out, length + 1);
  texts[text_count].length = length + 1;
  memcpy(out + length + 1, &text_count, sizeof text_count);
  text_count++;
  return (ptrdiff_t) whole;
}

static ptrdiff_t encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                        size_t capacity) {
  (void) codec;
  return note(out, capacity, publication->data, publication->length);
}

static ptrdiff_t encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  char text[64];
  (void) codec;
  return note(out, capacity, text, (size_t) snprintf(text, sizeof text, "gap of %u", (unsigned) gap->count));
}

static ptrdiff_t encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                 size_t capacity) {
  char text[64];
  (void) codec;
  return note(out, capacity, text,
              (size_t) snprintf(text, sizeof text, "evicted: %s", fluxbp_evict_reason_name(reason)));
}

static void written(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, const void *what) {
  const peer_t *peer = fluxbp_conn_user(conn);
  struct told *told = peer->arg;
  uint32_t number;
  (void) codec;
  memcpy(&number, what, sizeof number);
  assert_true(number < text_count && told->length + texts[number].length <= sizeof told->data);
  memcpy(told->data + told->length, texts[number].bytes, texts[number].length);
  told->length += texts[number].length;
  told->frames++;
}

static size_t write_end(const struct told *told, char text[64]) {
  return (size_t) snprintf(text, 64, "the end of %u messages and %u bytes", (unsigned) told->frames,
                           (unsigned) told->length);
}

static ptrdiff_t encode_end(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, char *out, size_t capacity) {
  const peer_t *peer = fluxbp_conn_user(conn);
  char text[64];
  size_t length = write_end(peer->arg, text);
  (void) codec;
  if (length <= capacity) memcpy(out, text, length);
  return (ptrdiff_t) length;
}

static const fluxbp_codec_t noted = {.size = sizeof noted,
                                     .name = "noted",
                                     .encode = encode,
                                     .encode_gap = encode_gap,
                                     .encode_farewell = encode_farewell,
                                     .note_bytes = sizeof(uint32_t),
                                     .written = written,
                                     .encode_end = encode_end};

/* A hub that drops by that rule, and a peer with the codec that doesn't read. */
static void open_peer(fixture_t *fx, peer_t *peer, struct told *told, const fluxbp_transport_t *transport,
                      fluxbp_overflow_t rule) {
  fixture_init(fx);
  fx->policy.slots = SMALL_RING;
  fx->policy.overflow = rule;
  fixture_open(fx);
  peer_open(fx, peer, transport, &noted, FIXTURE_SMALL_BUFFERS);
  memset(told, 0, sizeof *told);
  peer->arg = told;
  forget_texts();
}

static int publish_text_of(fixture_t *fx, size_t length) {
  char text[SPREAD + 64];
  memset(text, 'a' + (int) (length % 26), sizeof text);
  return fixture_publish(fx, fx->topic, text, length);
}

static int reply(peer_t *peer, const char *text) {
  fluxbp_msg_t *msg;
  fluxbp_send_options_t options;
  fluxbp_send_options_init(&options);
  options.is_reply = 1;
  assert_int_equal(fluxbp_msg_create(peer->fx->pool, text, strlen(text), &msg), 0);
  peer->fx->calls++;
  int result = fluxbp_conn_send_with(peer->conn, msg, &options);
  peer->fx->calls--;
  fluxbp_msg_unref(msg);
  return result;
}

static void expect_all_told(const peer_t *peer, const struct told *told) {
  assert_true(peer->len >= told->length);
  assert_memory_equal(peer->data, told->data, told->length);
}

static void expect_told_and_end(const peer_t *peer, const struct told *told) {
  char end[64];
  size_t length = write_end(told, end);
  assert_int_equal(peer->len, told->length + length);
  expect_all_told(peer, told);
  assert_memory_equal(peer->data + told->length, end, length);
}

static void close_politely(peer_t *peer) {
  peer->fx->calls++;
  fluxbp_conn_close(peer->conn, 1000);
  peer->fx->calls--;
  peer_wait_for_eof(peer);
}

/* The peer reads little at a time, so that messages are cut; some are dropped, and some are replies. */
static void codec_is_told_what_was_written_in_order(const fluxbp_transport_t *transport) {
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_DROP_OLDEST; rule++) {
    static struct told told;
    fixture_t fx;
    peer_t peer;
    open_peer(&fx, &peer, &told, transport, (fluxbp_overflow_t) rule);
    for (unsigned round = 0; round < 300; round++) {
      for (unsigned i = 0; i < round % 5; i++) (void) publish_text_of(&fx, 1 + (round * 7919 + i * 104729) % SPREAD);
      if (round % 7 == 0) (void) reply(&peer, "a reply");
      fluxbp_hub_flush(fx.hub);
      if (round % 40 > 20) peer_read_turns(&peer);
    }
    assert_true(peer_stats(&peer).dropped > 0);
    assert_true(told.length > 0);
    fixture_balances(&fx);
    close_politely(&peer);
    expect_told_and_end(&peer, &told);
    assert_non_null(strstr(told.data, "gap of "));
    assert_non_null(strstr(told.data, "a reply"));
    fixture_close(&fx);
  }
}
FIXTURE_ALL(codec_is_told_what_was_written_in_order)

static void part_of_a_message_is_not_told(const fluxbp_transport_t *transport) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  open_peer(&fx, &peer, &told, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  for (int i = 0; i < TEXTS_MAX / 2 && !peer_stats(&peer).is_refused; i++) {
    (void) publish_text_of(&fx, SPREAD);
    fluxbp_hub_flush(fx.hub);
  }
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_true(stats.is_refused);
  assert_int_equal(told.frames, stats.written);
  assert_int_equal(told.length, stats.written * (SPREAD + 1));
  close_politely(&peer);
  expect_told_and_end(&peer, &told);
  fixture_close(&fx);
}
FIXTURE_PLAIN(part_of_a_message_is_not_told)

static void evicted_connection_gets_its_farewell_and_then_the_end(const fluxbp_transport_t *transport) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  open_peer(&fx, &peer, &told, transport, FLUXBP_OVERFLOW_EVICT);
  for (int i = 0; i < TEXTS_MAX / 2 && peer_state(&peer) == FLUXBP__CONN_OPEN; i++) {
    (void) publish_text_of(&fx, SPREAD);
    fluxbp_hub_flush(fx.hub);
  }
  peer_wait_for_eof(&peer);
  expect_told_and_end(&peer, &told);
  assert_non_null(strstr(told.data, "\nevicted: "));
  fixture_close(&fx);
}
FIXTURE_ALL(evicted_connection_gets_its_farewell_and_then_the_end)

static void reset_connection_gets_no_end(void **state) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_peer(&fx, &peer, &told, FLUXBP_PIPE, FLUXBP_OVERFLOW_EVICT);
  assert_int_equal(publish_text_of(&fx, 10), 1);
  peer_wait_for(&peer, 11);
  fx.calls++;
  fluxbp_conn_reset(peer.conn);
  fx.calls--;
  peer_wait_for_eof(&peer);
  assert_int_equal(peer.len, told.length);
  expect_all_told(&peer, &told);
  fixture_close(&fx);
}

static void connection_that_was_sent_nothing_gets_the_end(void **state) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_peer(&fx, &peer, &told, FLUXBP_TCP, FLUXBP_OVERFLOW_EVICT);
  close_politely(&peer);
  expect_told_and_end(&peer, &told);
  fixture_close(&fx);
}

/* What waits from before the codec was set is left out. */
static void another_codecs_frames_are_not_told(void **state) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_peer(&fx, &peer, &told, FLUXBP_TCP, FLUXBP_OVERFLOW_EVICT);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &fluxbp_codec_newline), 0);
  assert_int_equal(publish_text_of(&fx, 10), 1);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &noted), 0);
  assert_int_equal(publish_text_of(&fx, 20), 1);
  assert_int_equal(peer_stats(&peer).queued, 2);
  peer_wait_for(&peer, 11 + 21);
  assert_int_equal(told.frames, 1);
  assert_int_equal(told.length, 21);
  assert_memory_equal(told.data, peer.data + 11, 21);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &fluxbp_codec_newline), 0);
  assert_int_equal(publish_text_of(&fx, 30), 1);
  peer_wait_for(&peer, 11 + 21 + 31);
  assert_int_equal(told.frames, 1);
  close_politely(&peer);
  assert_int_equal(peer.len, 11 + 21 + 31); /* that codec has no end */
  fixture_close(&fx);
}

static void codec_that_is_set_later_is_told(void **state) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  memset(&told, 0, sizeof told);
  peer.arg = &told;
  forget_texts();
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &noted), 0);
  assert_int_equal(publish_text_of(&fx, 10), 1);
  peer_wait_for(&peer, 11);
  assert_int_equal(told.frames, 1);
  close_politely(&peer);
  expect_told_and_end(&peer, &told);
  fixture_close(&fx);
}

/* A burst of several messages for several connections is copied once. */
static void each_connection_of_a_burst_is_told(void **state) {
  static struct told told[3];
  fixture_t fx;
  peer_t peers[3];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  forget_texts();
  memset(told, 0, sizeof told);
  for (int i = 0; i < 3; i++) {
    peer_open(&fx, &peers[i], FLUXBP_TCP, &noted, FIXTURE_LARGE_BUFFERS);
    peers[i].arg = &told[i];
  }
  for (size_t length = 1; length <= 6; length++) assert_int_equal(publish_text_of(&fx, length), 3);
  fluxbp_hub_flush(fx.hub);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(told[i].frames, 6);
    close_politely(&peers[i]);
    expect_told_and_end(&peers[i], &told[i]);
  }
  fixture_close(&fx);
}

static void end_without_memory_is_left_out(void **state) {
  static struct told told;
  fixture_t fx;
  peer_t peer;
  alloc_hook_t hook;
  (void) state;
  alloc_hook_init(&hook);
  fixture_init(&fx);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &noted, FIXTURE_LARGE_BUFFERS);
  memset(&told, 0, sizeof told);
  peer.arg = &told;
  forget_texts();
  assert_int_equal(fluxbp__conn_take_pressure(peer.conn), 0); /* what a polite end needs is there */
  fluxbp_pool_trim(fx.pool);
  alloc_hook_fail_from(&hook, 1);
  close_politely(&peer);
  alloc_hook_heal(&hook);
  assert_int_equal(peer.len, 0);
  assert_int_equal(peer.error, 0);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(codec_is_told_what_was_written_in_order),
      FIXTURE_PLAIN_TESTS(part_of_a_message_is_not_told),
      FIXTURE_ALL_TESTS(evicted_connection_gets_its_farewell_and_then_the_end),
      cmocka_unit_test(reset_connection_gets_no_end),
      cmocka_unit_test(connection_that_was_sent_nothing_gets_the_end),
      cmocka_unit_test(another_codecs_frames_are_not_told),
      cmocka_unit_test(codec_that_is_set_later_is_told),
      cmocka_unit_test(each_connection_of_a_burst_is_told),
      cmocka_unit_test(end_without_memory_is_left_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
