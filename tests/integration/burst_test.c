/* SPDX-License-Identifier: MIT */
/*
 * Bursts that several connections are due: they are copied into one buffer for all of them, and each gets just what was
 * published.
 */
#include "support/fixture.h"

#include <stdio.h>
#include <string.h>

enum { PEERS = 4, BURST = 5 };

static void publish_burst(fixture_t *fx, int round) {
  for (int i = 0; i < BURST; i++) assert_true(fixture_publish_text(fx, fx->topic, "%d.%d;", round, i) > 0);
}

/* What came in a burst, and is forgotten then. */
static void expect_burst(peer_t *peer, int round, const char *end) {
  char text[256];
  int len = 0;
  for (int i = 0; i < BURST; i++) len += snprintf(text + len, sizeof text - (size_t) len, "%d.%d;%s", round, i, end);
  peer_wait_for(peer, (size_t) len);
  peer_expects(peer, text);
  peer_forget(peer);
}

static void each_burst_reaches_everybody_as_it_is(void **state) {
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&fx, &peers[i], FLUXBP_TCP, i < 2 ? &fluxbp_codec_raw : &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int round = 0; round < 20; round++) {
    publish_burst(&fx, round);
    fixture_turns(&fx, 1);
    for (int i = 0; i < PEERS; i++) expect_burst(&peers[i], round, i < 2 ? "" : "\n");
  }
  fixture_close(&fx);
}

/* The pool gives out first what it was given back last. So two frames get their places again when another two were
 * there between, and those between are too large for a copy. */
static void frames_in_the_places_of_others_are_not_taken_for_them(void **state) {
  enum { LARGE = 40000 };
  static char large[LARGE];
  fixture_t fx;
  peer_t peers[2];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 2; i++) peer_open(&fx, &peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int round = 0; round < 2; round++) {
    (void) fixture_publish_text(&fx, fx.topic, "%d.0;", round);
    (void) fixture_publish_text(&fx, fx.topic, "%d.1;", round);
    fixture_turns(&fx, 1);
    for (int i = 0; i < 2; i++) {
      peer_wait_for(&peers[i], strlen("0.0;0.1;"));
      peer_expects(&peers[i], round == 0 ? "0.0;0.1;" : "1.0;1.1;");
      peer_forget(&peers[i]);
    }
    for (int i = 0; i < 2; i++) (void) fixture_publish(&fx, fx.topic, large, sizeof large);
    for (int i = 0; i < 2; i++) {
      peer_wait_for(&peers[i], 2 * sizeof large);
      peer_forget(&peers[i]);
    }
  }
  fixture_close(&fx);
}

static void a_burst_with_something_more_is_another_one(void **state) {
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) peer_open(&fx, &peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  publish_burst(&fx, 0);
  assert_int_equal(fixture_send(&peers[2], "alone", 5), 1);
  fixture_turns(&fx, 1);
  peer_wait_for(&peers[2], strlen("0.0;0.1;0.2;0.3;0.4;alone"));
  peer_expects(&peers[2], "0.0;0.1;0.2;0.3;0.4;alone");
  for (int i = 0; i < PEERS; i++)
    if (i != 2) expect_burst(&peers[i], 0, "");
  fixture_close(&fx);
}

/* The kernel takes a part of the copy; the rest comes from the frames. */
static void a_burst_that_is_taken_in_parts_is_whole(void **state) {
  enum { MESSAGES = 12, BYTES = 5000 };
  static char data[BYTES];
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) peer_open(&fx, &peers[i], FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (int i = 0; i < MESSAGES; i++) {
    memset(data, 'a' + i, sizeof data);
    assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), PEERS);
  }
  fixture_turns(&fx, 1);
  assert_true(fixture_metrics(&fx).refusals > 0);
  for (int i = 0; i < PEERS; i++) {
    peer_wait_for(&peers[i], (size_t) MESSAGES * BYTES);
    for (size_t at = 0; at < (size_t) MESSAGES * BYTES; at++)
      assert_int_equal(peers[i].data[at], 'a' + (int) (at / BYTES));
  }
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_burst_reaches_everybody_as_it_is),
      cmocka_unit_test(frames_in_the_places_of_others_are_not_taken_for_them),
      cmocka_unit_test(a_burst_with_something_more_is_another_one),
      cmocka_unit_test(a_burst_that_is_taken_in_parts_is_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
