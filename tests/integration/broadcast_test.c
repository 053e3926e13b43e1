/* SPDX-License-Identifier: MIT */
/*
 * How long a broadcast takes, as a hub measures it: every message once, from when it was taken until the last of those
 * who are written to has been offered it. Real time here has lower bounds only.
 */
#include "support/hub_bus_fixture.h"

#include <string.h>

enum { PEERS = 100 };

static fluxbp_histogram_t times_of(const fixture_t *fx) {
  fluxbp_histogram_t times;
  fluxbp_hub_get_broadcast_times(fx->hub, &times);
  return times;
}

static uint64_t measured(const fixture_t *fx) {
  fluxbp_histogram_t times = times_of(fx);
  return fluxbp_histogram_count(&times);
}

static void spend_us(uint64_t us) {
  uint64_t end_ns = uv_hrtime() + us * 1000;
  while (uv_hrtime() < end_ns) {
  }
}

static void publish(fixture_t *fx, int receivers) {
  assert_int_equal(fixture_publish(fx, fx->topic, "x", 1), receivers);
}

static void every_message_of_a_burst_has_the_time_of_the_first(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 3; i++) (void) peer_new(&fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  publish(&fx, 3);
  spend_us(2000);
  for (int i = 0; i < 9; i++) publish(&fx, 3);
  assert_int_equal(measured(&fx), 0);
  fixture_turns(&fx, 1);
  fluxbp_histogram_t times = times_of(&fx);
  assert_int_equal(fluxbp_histogram_count(&times), 10);
  assert_true(fluxbp_histogram_quantile(&times, 0) >= 2000);
  fixture_turns(&fx, 3);
  assert_int_equal(measured(&fx), 10);

  publish(&fx, 3); /* the next one has its own time, which begins now */
  spend_us(4000);
  fluxbp_hub_flush(fx.hub);
  times = times_of(&fx);
  assert_int_equal(fluxbp_histogram_count(&times), 11);
  assert_true(fluxbp_histogram_max(&times) >= 4000);
  fixture_close(&fx);
}

static void nobody_to_write_to_is_nothing_to_measure(void **state) {
  fixture_t fx;
  peer_t refused;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  publish(&fx, 0);
  fixture_turns(&fx, 2);
  assert_int_equal(measured(&fx), 0);

  peer_open(&fx, &refused, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&refused);
  publish(&fx, 1); /* queued for it, but it isn't waited for */
  fixture_turns(&fx, 2);
  assert_int_equal(measured(&fx), 0);

  peer_t other;
  peer_open(&fx, &other, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  publish(&fx, 2);
  fixture_turns(&fx, 1);
  assert_int_equal(measured(&fx), 1);
  fixture_close(&fx);
}

/* A slice of one microsecond: an iteration flushes four of the hundred. */
static void a_message_is_measured_when_the_last_has_been_offered_it(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.options.slice_us = 1;
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) (void) peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  publish(&fx, PEERS);
  while (fixture_metrics(&fx).queued > 0) {
    assert_int_equal(measured(&fx), 0);
    fixture_turns(&fx, 1);
  }
  fixture_turns(&fx, 1); /* the time may have been up with the last of them */
  assert_int_equal(measured(&fx), 1);
  fixture_close(&fx);
}

/* Then the list is never empty, and messages are measured all the same, each once. */
static void a_constant_load_does_not_put_the_measuring_off(void **state) {
  enum { MESSAGES = 400 };
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.options.slice_us = 1;
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) (void) peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 1; i <= MESSAGES; i++) {
    publish(&fx, PEERS);
    fixture_turns(&fx, 1);
    assert_true(fixture_metrics(&fx).queued > 0);
  }
  assert_in_range(measured(&fx), MESSAGES / 2, MESSAGES - 1);
  fluxbp_hub_flush(fx.hub);
  fixture_turns(&fx, PEERS);
  assert_int_equal(measured(&fx), MESSAGES);
  fixture_close(&fx);
}

/* Who gets what a state topic keeps is dirty for as long as that takes. */
static void who_catches_up_is_not_waited_for(void **state) {
  enum { KEYS = 2000 };
  fixture_t fx;
  peer_t peer;
  peer_t late;
  fluxbp_topic_t *prices;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &late, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "prices", KEYS, &prices), 0);
  for (uint64_t key = 0; key < KEYS; key++) {
    fluxbp_msg_t *msg;
    assert_int_equal(fluxbp_msg_create_keyed(fx.pool, key, "value", 5, &msg), 0);
    assert_int_equal(fluxbp_topic_publish(prices, msg), 0);
    fluxbp_msg_unref(msg);
  }
  assert_int_equal(fluxbp_topic_subscribe(prices, late.conn), 1);
  publish(&fx, 2);
  fixture_turns(&fx, 1);
  assert_int_equal(measured(&fx), 1);
  assert_true(late.conn->catching_up > 0);
  fixture_close(&fx);
}

static void messages_of_a_bus_are_measured_from_when_the_hub_takes_them(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (uint64_t n = 1; n <= 5; n++) publish_number(&b, n);
  turns(&b, 3);
  assert_int_equal(measured(&b.fx[0]), 5);
  assert_int_equal(measured(&b.fx[1]), 0); /* nobody is there */
  close_hubs(&b);
}

static void spend_three_milliseconds(fluxbp_hub_t *hub, void *arg) {
  (void) hub;
  (void) arg;
  spend_us(3000);
}

static void longest_turn_has_what_the_user_did_in_it(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_hub_post(fx.hub, spend_three_milliseconds, NULL), 0);
  fixture_turns(&fx, 2);
  assert_true(fixture_metrics(&fx).longest_turn_us >= 3000);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_message_of_a_burst_has_the_time_of_the_first),
      cmocka_unit_test(nobody_to_write_to_is_nothing_to_measure),
      cmocka_unit_test(a_message_is_measured_when_the_last_has_been_offered_it),
      cmocka_unit_test(a_constant_load_does_not_put_the_measuring_off),
      cmocka_unit_test(who_catches_up_is_not_waited_for),
      cmocka_unit_test(messages_of_a_bus_are_measured_from_when_the_hub_takes_them),
      cmocka_unit_test(longest_turn_has_what_the_user_did_in_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
