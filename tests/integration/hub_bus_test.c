/* SPDX-License-Identifier: MIT */
/*
 * Hubs that read a bus: all of them deliver the same messages under the same ids in the same order, take no more than
 * they have room for, and lose nothing without saying so. Two hubs on one loop and thread, so that every step is known.
 */
#include "support/fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct buses {
  fixture_t fx[2];
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic; /* the number of "topic" */
} buses_t;

static void init(buses_t *b, uint32_t slots, uint64_t first_id) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = slots;
  options.first_id = first_id;
  assert_int_equal(fluxbp_pool_create(NULL, &b->pool), 0);
  assert_int_equal(fluxbp_bus_create(b->pool, &options, &b->bus), 0);
  assert_int_equal(fluxbp_bus_topic(b->bus, "topic", &b->topic), 0);
  for (int i = 0; i < 2; i++) {
    fixture_init(&b->fx[i]);
    b->fx[i].options.bus = b->bus;
  }
}

static void open_hubs(buses_t *b) {
  for (int i = 0; i < 2; i++) fixture_open(&b->fx[i]);
}

static void close_hubs(buses_t *b) {
  for (int i = 0; i < 2; i++) fixture_close(&b->fx[i]);
  assert_int_equal(fluxbp_bus_destroy(b->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(b->pool), 0);
}

static int publish_on(buses_t *b, uint32_t topic, const void *data, size_t len, uint64_t *id) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(b->pool, data, len, &msg), 0);
  int err = fluxbp_bus_publish(b->bus, topic, msg, id);
  fluxbp_msg_unref(msg);
  return err;
}

static void publish_number(buses_t *b, uint64_t number) {
  char text[32];
  int len = snprintf(text, sizeof text, "%" PRIu64, number);
  assert_int_equal(publish_on(b, b->topic, text, (size_t) len, NULL), 0);
}

static void turns(buses_t *b, int count) {
  for (int i = 0; i < count; i++)
    for (int k = 0; k < 2; k++) fixture_turns(&b->fx[k], 1);
}

/* Numbers as lines. */
static size_t lines_of(uint64_t first, uint64_t last, char *out, size_t capacity) {
  size_t len = 0;
  for (uint64_t n = first; n <= last; n++) len += (size_t) snprintf(out + len, capacity - len, "%" PRIu64 "\n", n);
  return len;
}

static void every_hub_gets_everything_in_one_order(void **state) {
  buses_t b;
  peer_t peers[2];
  char expected[8192];
  (void) state;
  init(&b, 2048, 1);
  open_hubs(&b);
  for (int i = 0; i < 2; i++) peer_open(&b.fx[i], &peers[i], FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (uint64_t n = 1; n <= 1000; n++) publish_number(&b, n);
  size_t len = lines_of(1, 1000, expected, sizeof expected);
  for (int i = 0; i < 2; i++) {
    peer_wait_for(&peers[i], len);
    assert_memory_equal(peers[i].data, expected, len);
    assert_int_equal(peer_stats(&peers[i]).last_id, 1000);
    assert_int_equal(fixture_metrics(&b.fx[i]).published, 1000);
    assert_int_equal(fixture_metrics(&b.fx[i]).dropped, 0); /* rings of 256 slots, and a burst of 1000 */
  }
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(b.bus, &stats);
  assert_int_equal(stats.lag, 0);
  close_hubs(&b);
}

static void a_sleeping_loop_is_woken(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 16, 1);
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  turns(&b, 3);
  for (uint64_t n = 1; n <= 20; n++) {
    publish_number(&b, n);
    (void) uv_run(&b.fx[0].loop, UV_RUN_ONCE); /* hangs, if nothing comes */
    fixture_turns(&b.fx[0], 2);
    fixture_turns(&b.fx[1], 2);
    peer_read(&peer);
    assert_int_equal(peer_stats(&peer).written, n);
  }
  close_hubs(&b);
}

static void a_hub_that_does_not_run_makes_the_publisher_feel_it(void **state) {
  buses_t b;
  (void) state;
  init(&b, 8, 1);
  open_hubs(&b);
  for (uint64_t n = 1; n <= 8; n++) publish_number(&b, n);
  fixture_turns(&b.fx[0], 3);
  assert_int_equal(publish_on(&b, b.topic, "9", 1, NULL), UV_EAGAIN);
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(b.bus, &stats);
  assert_ptr_equal(stats.slowest, b.fx[1].hub);
  assert_int_equal(stats.refused, 1);
  fixture_turns(&b.fx[1], 3);
  publish_number(&b, 9);
  close_hubs(&b);
}

static void a_hub_that_waits_for_a_client_leaves_the_rest_in_the_bus(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 64, 1);
  for (int i = 0; i < 2; i++) {
    b.fx[i].options.patience_ms = 5000;
    b.fx[i].policy.slots = 16;
    b.fx[i].policy.overflow = FLUXBP_OVERFLOW_EVICT;
  }
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  size_t before = peer_stats(&peer).written_bytes + peer_stats(&peer).queued_bytes;
  uint64_t n = 0;
  int err = 0;
  while (err == 0) {
    char text[8];
    int len = snprintf(text, sizeof text, "%03d", (int) ++n);
    err = publish_on(&b, b.topic, text, (size_t) len, NULL);
    turns(&b, 2);
  }
  assert_int_equal(err, UV_EAGAIN);
  assert_int_equal(fluxbp_hub_is_writable(b.fx[0].hub), 0);
  assert_in_range(peer_stats(&peer).queued, 8, 9);
  n--;
  fixture_turns(&b.fx[1], 3);
  peer_wait_for(&peer, before + 4 * n); /* it reads, and everything comes */
  assert_int_equal(b.fx[0].evictions, 0);
  assert_memory_equal(peer.data + before, "001\n002\n003\n", 12);
  assert_memory_equal(peer.data + before + 4 * (n - 1), "0", 1);
  close_hubs(&b);
}

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

static void what_a_codec_refuses_is_a_gap_for_all(void **state) {
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
  peer_wait_for(&raw, 8);
  peer_expects(&raw, "onethree");
  turns(&b, 2);
  assert_int_equal(raw.lost, 1);
  close_hubs(&b);
}

static void a_message_waits_in_the_bus_for_the_budget(void **state) {
  buses_t b;
  peer_t stalled;
  peer_t healthy;
  char data[4000];
  (void) state;
  memset(data, 'b', sizeof data);
  init(&b, 1024, 1);
  for (int i = 0; i < 2; i++) {
    b.fx[i].pool_options.max_bytes = 256 * 1024;
    b.fx[i].policy.stall_ms = 0;
    b.fx[i].policy.slow_ms = 0;
  }
  open_hubs(&b);
  peer_open(&b.fx[0], &stalled, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  peer_open(&b.fx[0], &healthy, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 200; i++) assert_int_equal(publish_on(&b, b.topic, data, sizeof data, NULL), 0);
  for (int i = 0; i < 300; i++) {
    turns(&b, 1);
    peer_read(&healthy);
  }
  assert_in_range(peer_stats(&healthy).accepted, 20, 199); /* the frames for the stalled one fill the budget */
  fixture_advance(&b.fx[0], 250);                          /* now it may go */
  peer_wait_for(&healthy, 200 * (sizeof data + 1));
  assert_int_equal(stalled.record.reason, FLUXBP_EVICT_BUDGET);
  assert_int_equal(b.fx[0].evictions, 1);
  assert_int_equal(peer_stats(&healthy).dropped, 0);
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

static void who_joined_is_published_to_through_the_bus_alone(void **state) {
  buses_t b;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  assert_int_equal(fixture_publish_text(&b.fx[0], b.fx[0].topic, "x"), UV_EPERM);
  fluxbp_hub_close(b.fx[0].hub, fixture_on_hub_closed);
  publish_number(&b, 1); /* the other one is still there */
  fixture_turns(&b.fx[1], 3);
  assert_int_equal(fixture_metrics(&b.fx[1]).published, 1);
  close_hubs(&b);
}

static void closing_with_unread_messages_gives_them_back(void **state) {
  buses_t b;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  for (uint64_t n = 1; n <= 64; n++) publish_number(&b, n);
  close_hubs(&b); /* destroying the pool proves it */
}

/* Rings are filled no further than to the high watermark before they are flushed. */
static void a_burst_is_taken_in_pieces_that_fit(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 16384, 1);
  b.fx[0].policy.slots = 64;
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (uint64_t n = 1; n <= 10000; n++) publish_number(&b, n);
  for (int i = 0; i < 10000 && peer_stats(&peer).written < 10000; i++) {
    uint64_t accepted = peer_stats(&peer).accepted;
    fixture_turns(&b.fx[0], 1);
    peer_read(&peer);
    assert_in_range(peer_stats(&peer).accepted - accepted, 0, 32);
  }
  assert_int_equal(peer_stats(&peer).written, 10000);
  assert_int_equal(fixture_metrics(&b.fx[0]).ring_full_events, 0);
  fixture_turns(&b.fx[1], 100);
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

/* The publishers are so far ahead that the messages in the bus alone take all that payload may have. */
static void a_bus_full_of_messages_does_not_block_its_reader(void **state) {
  buses_t b;
  fixture_t *fx = &b.fx[0];
  peer_t peer;
  char data[4000];
  fluxbp_msg_t *msg;
  int published = 0;
  (void) state;
  memset(data, 'h', sizeof data);
  init(&b, 1024, 1);
  fx->pool_options.max_bytes = 1 << 20;
  fixture_open(fx);
  peer_open(fx, &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  while (fluxbp_msg_create(fx->pool, data, sizeof data, &msg) == 0) {
    assert_int_equal(fluxbp_bus_publish(b.bus, b.topic, msg, NULL), 0);
    fluxbp_msg_unref(msg);
    published++;
  }
  while (fluxbp_msg_create(fx->pool, "small", 5, &msg) == 0) {
    assert_int_equal(fluxbp_bus_publish(b.bus, b.topic, msg, NULL), 0);
    fluxbp_msg_unref(msg);
  }
  peer_wait_for(&peer, (size_t) published * (sizeof data + 1));
  assert_int_equal(peer_stats(&peer).dropped, 0);
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
  for (int i = 0; i < 100; i++) {
    fixture_turns(fx, 1);
    peer_read(&late);
  }
  assert_non_null(late.conn->replay);
  assert_int_equal(peer_stats(&live).written, BURST);
  turns(&b, 20);
  close_hubs(&b);
}

/* A host that is never done: each task takes longer than the hub's whole slice, and asks for the next. */
typedef struct flood {
  uint64_t tasks;
  bool is_over;
} flood_t;

static void take_long_and_come_again(fluxbp_hub_t *hub, void *arg) {
  flood_t *flood = arg;
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < 10000;) {
  }
  flood->tasks++;
  if (!flood->is_over) assert_int_equal(fluxbp_hub_post(hub, take_long_and_come_again, flood), 0);
}

static void tasks_leave_time_for_the_bus(void **state) {
  buses_t b;
  peer_t peer;
  flood_t flood = {0};
  (void) state;
  init(&b, 16, 1);
  b.fx[0].options.slice_us = 1;
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 100; i++) assert_int_equal(fluxbp_hub_post(b.fx[0].hub, take_long_and_come_again, &flood), 0);
  publish_number(&b, 1);
  peer_wait_for(&peer, 2);
  peer_expects(&peer, "1\n");
  assert_true(flood.tasks > 0 && flood.tasks < 100); /* at least one each time, and never all of them */
  flood.is_over = true;
  close_hubs(&b); /* those that are left run now, as the pool proves */
  assert_true(flood.tasks >= 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_hub_gets_everything_in_one_order),
      cmocka_unit_test(a_sleeping_loop_is_woken),
      cmocka_unit_test(a_hub_that_does_not_run_makes_the_publisher_feel_it),
      cmocka_unit_test(a_hub_that_waits_for_a_client_leaves_the_rest_in_the_bus),
      cmocka_unit_test(ids_and_epoch_are_the_buses),
      cmocka_unit_test(a_client_may_resume_at_any_hub),
      cmocka_unit_test(the_past_of_a_topic_that_is_not_open_may_be_replaced),
      cmocka_unit_test(the_histories_of_hubs_with_one_pool_make_room),
      cmocka_unit_test(a_bus_full_of_messages_does_not_block_its_reader),
      cmocka_unit_test(a_replay_does_not_stop_the_bus),
      cmocka_unit_test(what_a_codec_refuses_is_a_gap_for_all),
      cmocka_unit_test(a_message_waits_in_the_bus_for_the_budget),
      cmocka_unit_test(states_come_over_the_bus_too),
      cmocka_unit_test(who_joined_is_published_to_through_the_bus_alone),
      cmocka_unit_test(closing_with_unread_messages_gives_them_back),
      cmocka_unit_test(a_burst_is_taken_in_pieces_that_fit),
      cmocka_unit_test(tasks_leave_time_for_the_bus),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
