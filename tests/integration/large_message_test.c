/* SPDX-License-Identifier: MIT */
/*
 * Messages that are large for their ring: what is written of one counts before all of it is.
 */
#include "support/fixture.h"

#include <stdlib.h>

enum { LARGE_BYTES = 4 << 20, SMALL_BYTES = 1000, SWEEP_MS = 250 };

static void send_large(peer_t *peer) {
  char *message = calloc(1, LARGE_BYTES);
  assert_non_null(message);
  assert_int_equal(fixture_send(peer, message, LARGE_BYTES), 1);
  fluxbp_hub_flush(peer->fx->hub);
  free(message);
}

typedef struct goal {
  const peer_t *peer;
  size_t len;
} goal_t;

static bool has_read(fixture_t *fx, void *arg) {
  goal_t *goal = arg;
  peer_t *peer = (peer_t *) (uintptr_t) goal->peer;
  (void) fx;
  if (peer->len < goal->len) peer_read(peer);
  return peer->len >= goal->len || peer_stats(peer).queued == 0;
}

/* The client reads so much of it in each sweep interval; as soon as its kernel has been read empty, more comes. */
static void read_on(peer_t *peer, size_t bytes) {
  goal_t goal = {.peer = peer, .len = peer->len + bytes};
  fixture_run_until(peer->fx, has_read, &goal, false);
  fixture_advance(peer->fx, SWEEP_MS);
}

static void reader_of_a_message_larger_than_its_ring_is_not_slow(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.max_bytes = 65536;
  fx.policy.grace_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  send_large(&peer);
  assert_int_equal(peer_stats(&peer).is_backpressured, 1);
  assert_int_equal(peer_stats(&peer).fill_percent, 100);
  uint64_t last = LARGE_BYTES;
  for (int i = 0; i < 60; i++) { /* 15 s */
    read_on(&peer, LARGE_BYTES / 80);
    fluxbp_conn_stats_t stats = peer_stats(&peer);
    assert_true(stats.queued_bytes < last);
    assert_int_equal(stats.queued_bytes + stats.written_bytes, LARGE_BYTES);
    last = stats.queued_bytes;
  }
  assert_int_equal(fx.evictions, 0);
  peer_wait_for(&peer, LARGE_BYTES);
  fixture_close(&fx);
}
FIXTURE_PLAIN(reader_of_a_message_larger_than_its_ring_is_not_slow)

static void the_fill_falls_while_the_last_message_is_written(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.max_bytes = 2 * LARGE_BYTES;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  send_large(&peer);
  uint32_t before = peer_stats(&peer).fill_percent;
  assert_in_range(before, 40, 50);
  for (int i = 0; i < 8; i++) read_on(&peer, LARGE_BYTES / 16);
  assert_in_range(peer_stats(&peer).fill_percent, 15, before - 15);
  assert_int_equal(fluxbp_conn_fill_percent(peer.conn), peer_stats(&peer).fill_percent);
  fixture_close(&fx);
}
FIXTURE_ALL(the_fill_falls_while_the_last_message_is_written)

static void a_message_that_is_being_written_does_not_lag(const fluxbp_transport_t *transport) {
  static const char small[SMALL_BYTES];
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.max_bytes = 2 * LARGE_BYTES;
  fx.policy.lag_ms = 1000;
  fx.policy.grace_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  send_large(&peer);
  for (int i = 0; i < 12; i++) {
    read_on(&peer, LARGE_BYTES / 32);
    assert_int_equal(peer_stats(&peer).oldest_ms, 0);
  }
  assert_int_equal(fx.evictions, 0);
  assert_int_equal(fixture_send(&peer, small, sizeof small), 1); /* it has to wait for it, and that is its lag */
  for (int i = 0; i < 4; i++) read_on(&peer, LARGE_BYTES / 32);
  assert_int_equal(peer_stats(&peer).oldest_ms, 1000);
  assert_int_equal(fx.evictions, 0);
  read_on(&peer, LARGE_BYTES / 32);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_LAG);
  assert_int_equal(peer.record.oldest_ms, 1250);
  fixture_close(&fx);
}
FIXTURE_ALL(a_message_that_is_being_written_does_not_lag)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_PLAIN_TESTS(reader_of_a_message_larger_than_its_ring_is_not_slow),
      FIXTURE_ALL_TESTS(the_fill_falls_while_the_last_message_is_written),
      FIXTURE_ALL_TESTS(a_message_that_is_being_written_does_not_lag),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
