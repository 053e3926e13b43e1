/* SPDX-License-Identifier: MIT */
/*
 * Hubs that read a bus: ids, histories and states are the same on all of them, so a client may go on at any; and what
 * can't be delivered is announced.
 */
#include "support/hub_bus_fixture.h"

#include <string.h>

static void ids_and_epoch_are_the_buses(void **state) {
  buses_t b;
  uint64_t id;
  fluxbp_history_range_t ranges[2];
  (void) state;
  init(&b, 64, UINT32_MAX - 2);
  b.fx[0].options.history_messages = b.fx[1].options.history_messages = 100;
  open_hubs(&b);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(publish_on(&b, b.topic, "x", 1, &id), 0);
    assert_int_equal(id, UINT32_MAX - 2 + (uint64_t) i);
  }
  turns(&b, 3);
  for (int i = 0; i < 2; i++) fluxbp_hub_history(b.fx[i].hub, &ranges[i]);
  assert_memory_equal(&ranges[0], &ranges[1], sizeof ranges[0]);
  assert_int_equal(ranges[0].epoch, fluxbp_bus_epoch(b.bus));
  assert_int_equal(ranges[0].newest_id, UINT32_MAX + (uint64_t) 3);
  assert_int_equal(ranges[0].oldest_since_id, UINT32_MAX - 3);
  close_hubs(&b);
}

/* A client of the first hub goes on at the second, though nobody there had the topic. */
static void a_client_may_resume_at_any_hub(void **state) {
  buses_t b;
  peer_t first;
  peer_t second;
  uint32_t news;
  fluxbp_topic_t *topic;
  char expected[4096];
  (void) state;
  init(&b, 64, 1);
  b.fx[0].options.history_messages = b.fx[1].options.history_messages = 1000;
  open_hubs(&b);
  assert_int_equal(fluxbp_bus_topic(b.bus, "news", &news), 0);
  assert_int_equal(fluxbp_topic_open(b.fx[0].hub, "news", &topic), 0);
  peer_open(&b.fx[0], &first, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(topic, first.conn), 1);
  for (uint64_t n = 1; n <= 300; n++) {
    char text[8];
    int len = snprintf(text, sizeof text, "%d", (int) n);
    assert_int_equal(publish_on(&b, news, text, (size_t) len, NULL), 0);
    if (n % 50 == 0) turns(&b, 3);
    if (n == 100) {
      peer_read(&first);
      peer_break(&first);
    }
  }
  peer_open(&b.fx[1], &second, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_null(fluxbp_topic_find(b.fx[1].hub, "news"));
  assert_int_equal(fluxbp_topic_open(b.fx[1].hub, "news", &topic), 0);
  uint64_t id;
  assert_int_equal(publish_on(&b, news, "301", 3, &id), 0); /* which the second hub has yet to read */
  assert_int_equal(fluxbp_topic_subscribe_since(topic, second.conn, fluxbp_bus_epoch(b.bus), id), UV_EAGAIN);
  assert_int_equal(fluxbp_topic_subscribe_since(topic, second.conn, fluxbp_bus_epoch(b.bus), id + 1), UV_EINVAL);
  assert_int_equal(fluxbp_topic_has(topic, second.conn), 0);
  assert_int_equal(fluxbp_topic_subscribe_since(topic, second.conn, fluxbp_bus_epoch(b.bus), 100), 1);
  size_t len = lines_of(101, 301, expected, sizeof expected);
  peer_wait_for(&second, len);
  assert_memory_equal(second.data, expected, len);
  close_hubs(&b);
}

static void what_a_codec_refuses_is_a_gap_for_its_clients_alone(void **state) {
  buses_t b;
  peer_t lines;
  peer_t raw;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  peer_open(&b.fx[0], &lines, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  peer_open(&b.fx[0], &raw, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(publish_on(&b, b.topic, "one", 3, NULL), 0);
  assert_int_equal(publish_on(&b, b.topic, "t\nwo", 4, NULL), 0);
  assert_int_equal(publish_on(&b, b.topic, "three", 5, NULL), 0);
  static const char expected[] = "one\n{\"gap\":{\"from\":2,\"to\":2,\"count\":1}}\nthree\n";
  peer_wait_for(&lines, sizeof expected - 1);
  peer_expects(&lines, expected);
  peer_wait_for(&raw, 12);
  peer_expects(&raw, "onet\nwothree");
  turns(&b, 2);
  assert_int_equal(lines.lost, 1);
  assert_int_equal(raw.lost, 0);
  close_hubs(&b);
}

static void states_come_over_the_bus_too(void **state) {
  buses_t b;
  peer_t peers[2];
  fluxbp_topic_t *prices[2];
  uint32_t number;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  assert_int_equal(fluxbp_bus_topic(b.bus, "prices", &number), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(fluxbp_topic_open_state(b.fx[i].hub, "prices", 10, &prices[i]), 0);
  for (uint64_t key = 1; key <= 3; key++) {
    fluxbp_msg_t *msg;
    char text = (char) ('0' + key);
    assert_int_equal(fluxbp_msg_create_keyed(b.pool, key, &text, 1, &msg), 0);
    assert_int_equal(fluxbp_bus_publish(b.bus, number, msg, NULL), 0);
    fluxbp_msg_unref(msg);
  }
  turns(&b, 3);
  for (int i = 0; i < 2; i++) {
    peer_open(&b.fx[i], &peers[i], FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_subscribe(prices[i], peers[i].conn), 1);
    peer_wait_for(&peers[i], 6);
    peer_expects(&peers[i], "1\n2\n3\n");
  }
  close_hubs(&b);
}

/* Nobody has subscribed to it in this hub, and its only message is the one that has to go for the next. */
static void the_past_of_a_topic_that_is_not_open_may_be_replaced(void **state) {
  buses_t b;
  uint32_t others[2];
  (void) state;
  init(&b, 16, 1);
  for (int i = 0; i < 2; i++) b.fx[i].options.history_messages = 2;
  b.fx[1].options.history_bytes = 100;
  open_hubs(&b);
  for (int i = 0; i < 2; i++) assert_int_equal(fluxbp_bus_topic(b.bus, i ? "two" : "one", &others[i]), 0);
  assert_int_equal(publish_on(&b, others[0], "1", 1, NULL), 0);
  assert_int_equal(publish_on(&b, others[1], "2", 1, NULL), 0);
  assert_int_equal(publish_on(&b, others[0], "3", 1, NULL), 0);
  turns(&b, 3);
  char large[200] = {0};
  assert_int_equal(publish_on(&b, others[0], large, sizeof large, NULL), 0); /* too much for the second history */
  turns(&b, 3);
  fluxbp_history_range_t range;
  fluxbp_hub_history(b.fx[0].hub, &range);
  assert_int_equal(range.oldest_since_id, 2);
  fluxbp_hub_history(b.fx[1].hub, &range);
  assert_int_equal(range.oldest_since_id, 4);
  close_hubs(&b);
}

/* Both hubs keep the same messages, of one pool: each has to let go of them for the memory to be free. */
static void the_histories_of_hubs_with_one_pool_make_room(void **state) {
  buses_t b;
  fixture_t *fx = &b.fx[0];
  fluxbp_hub_t *other;
  char data[4000];
  (void) state;
  memset(data, 'h', sizeof data);
  init(&b, 64, 1);
  fx->pool_options.max_bytes = 1 << 20;
  fx->options.history_messages = 100000;
  fixture_open(fx);
  assert_int_equal(fluxbp_hub_create(&fx->loop, &fx->options, &other), 0);
  for (int i = 0; i < 1000; i++) {
    fluxbp_msg_t *msg;
    assert_int_equal(fluxbp_msg_create(fx->pool, data, sizeof data, &msg), 0);
    assert_int_equal(fluxbp_bus_publish(b.bus, b.topic, msg, NULL), 0);
    fluxbp_msg_unref(msg);
    fixture_turns(fx, 1);
  }
  fluxbp_hub_close(other, NULL);
  fixture_close(fx);
  assert_int_equal(fluxbp_bus_destroy(b.bus), 0);
  assert_int_equal(fluxbp_pool_destroy(b.pool), 0);
}

/* One client reads a long history while others are live: those are not kept waiting for it. */
static void a_replay_does_not_stop_the_bus(void **state) {
  enum { PAST = 20000, BURST = 20 };
  buses_t b;
  fixture_t *fx = &b.fx[0];
  peer_t live;
  peer_t late;
  (void) state;
  init(&b, 32768, 1);
  fx->policy.slots = 16;
  fx->options.history_messages = PAST + BURST;
  open_hubs(&b);
  for (uint64_t n = 1; n <= PAST; n++) publish_number(&b, n);
  turns(&b, 200);
  assert_int_equal(fixture_metrics(fx).published, PAST);
  peer_open(fx, &live, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  peer_open(fx, &late, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx->topic, late.conn);
  assert_int_equal(fluxbp_topic_subscribe_since(fx->topic, late.conn, fluxbp_bus_epoch(b.bus), 0), 1);
  fixture_turns(fx, 1);
  for (uint64_t n = 1; n <= BURST; n++) publish_number(&b, n); /* more than its rings are filled with at once */
  for (int i = 0; peer_stats(&live).written < BURST; i++) {
    assert_true(i < 100);
    fixture_turns(fx, 1);
    peer_read(&late);
  }
  assert_non_null(fluxbp__conn_replay(late.conn));
  turns(&b, 20);
  close_hubs(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_and_epoch_are_the_buses),
      cmocka_unit_test(a_client_may_resume_at_any_hub),
      cmocka_unit_test(what_a_codec_refuses_is_a_gap_for_its_clients_alone),
      cmocka_unit_test(states_come_over_the_bus_too),
      cmocka_unit_test(the_past_of_a_topic_that_is_not_open_may_be_replaced),
      cmocka_unit_test(the_histories_of_hubs_with_one_pool_make_room),
      cmocka_unit_test(a_replay_does_not_stop_the_bus),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
