/* SPDX-License-Identifier: MIT */
/*
 * The history when memory is tight: it goes before anybody does, whoever else holds its messages.
 */
#include "support/fixture.h"

#include <string.h>

static fluxbp_history_range_t range_of(const fixture_t *fx) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx->hub, &range);
  return range;
}

static void the_history_goes_before_anybody_is_evicted(void **state) {
  fixture_t fx;
  peer_t peer;
  char data[4000];
  (void) state;
  memset(data, 'h', sizeof data);
  fixture_init(&fx);
  fx.options.history_messages = 100000;
  fx.options.history_bytes = 1 << 30;
  fx.pool_options.max_bytes = 1 << 20;
  fx.policy.stall_ms = 0;
  fx.policy.slow_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fixture_advance(&fx, 1000); /* old enough to be evicted */
  (void) fluxbp_topic_unsubscribe(fx.topic, peer.conn);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 0);
    fixture_turns(&fx, 1);
  }
  assert_int_equal(fx.evictions, 0);
  assert_int_equal(range_of(&fx).newest_id, 1000);
  assert_in_range(range_of(&fx).oldest_since_id, 700, 999);
  fixture_close(&fx);
}

/* What has been replayed has frames, which may hold the message, too; and the publisher may keep one. */
static void what_was_replayed_or_is_held_elsewhere_is_forgotten_too(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *kept;
  char data[4000];
  (void) state;
  memset(data, 'h', sizeof data);
  fixture_init(&fx);
  fx.options.history_messages = 100000;
  fx.options.history_bytes = 1 << 30;
  fx.pool_options.max_bytes = 1 << 20;
  fixture_open(&fx);
  assert_int_equal(fluxbp_msg_create(fx.pool, "kept", 4, &kept), 0);
  for (int i = 0; i < 100; i++) assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 0);
  assert_int_equal(fluxbp_topic_publish(fx.topic, kept), 0);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx.topic, peer.conn);
  assert_int_equal(fluxbp_topic_subscribe_since(fx.topic, peer.conn, range_of(&fx).epoch, 0), 1);
  peer_wait_for(&peer, 100 * sizeof data + 4);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 1);
    fixture_turns(&fx, 1);
    peer_read(&peer);
  }
  assert_in_range(range_of(&fx).oldest_since_id, 700, 1100);
  fluxbp_msg_unref(kept);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_history_goes_before_anybody_is_evicted),
      cmocka_unit_test(what_was_replayed_or_is_held_elsewhere_is_forgotten_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
