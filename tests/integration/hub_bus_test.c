/* SPDX-License-Identifier: MIT */
/*
 * Hubs that read a bus: all of them deliver the same messages in the same order, take no more than they have room for,
 * and make publishers feel it. What they know of the past is in hub_bus_past_test.c.
 */
#include "support/hub_bus_fixture.h"

#include "hub.h"

#include <string.h>

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
    (void) fixture_run(&b.fx[0], UV_RUN_ONCE); /* fails, if nothing comes */
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

typedef struct reader {
  peer_t peer;
  uint64_t last_id; /* up to which it is to read */
} reader_t;

static bool has_read(fixture_t *fx, void *arg) {
  reader_t *reader = arg;
  (void) fx;
  peer_read(&reader->peer);
  return peer_stats(&reader->peer).last_id >= reader->last_id;
}

/* Publish, and let both hubs read, until the bus is full: some hub waits for a client. The number of the next
 * message. */
static uint64_t publish_until_held(buses_t *b, uint64_t next) {
  for (int err = 0; err == 0;) {
    char text[16];
    int len = snprintf(text, sizeof text, "%08llu", (unsigned long long) next);
    err = publish_on(b, b->topic, text, (size_t) len, NULL);
    if (err == 0) next++;
    turns(b, 2);
  }
  return next;
}

/* A client of one hub uses up its patience. That counts neither for another client of this hub nor on the other hub. */
static void patience_that_was_used_up_is_nobody_elses_on_any_hub(void **state) {
  buses_t b;
  peer_t stalled;
  reader_t pausing[2];
  (void) state;
  init(&b, 64, 1);
  for (int i = 0; i < 2; i++) {
    b.fx[i].options.patience_ms = 5000;
    b.fx[i].policy.slots = 16;
    b.fx[i].policy.overflow = FLUXBP_OVERFLOW_EVICT;
    b.fx[i].policy.stall_ms = 0;
    b.fx[i].policy.slow_ms = 0;
  }
  open_hubs(&b);
  peer_open(&b.fx[0], &stalled, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&stalled);
  uint64_t next = publish_until_held(&b, 1);
  assert_int_equal(fluxbp_hub_is_writable(b.fx[0].hub), 0);
  for (int i = 0; i < 2; i++) fixture_advance(&b.fx[i], 5000);
  assert_int_equal(fluxbp_hub_is_writable(b.fx[0].hub), 1);
  turns(&b, 2);
  assert_int_equal(stalled.record.reason, FLUXBP_EVICT_SLOW); /* its ring overflowed with what was in the bus */

  for (int i = 0; i < 2; i++) {
    peer_open(&b.fx[i], &pausing[i].peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  }
  for (int pause = 0; pause < 10; pause++) {
    for (int i = 0; i < 2; i++) (void) peer_refuse(&pausing[i].peer);
    next = publish_until_held(&b, next);
    for (int i = 0; i < 2; i++) fixture_advance(&b.fx[i], 900);
    for (int i = 0; i < 2; i++) {
      pausing[i].last_id = next - 1; /* without patience its ring would have overflowed before */
      fixture_run_until(&b.fx[i], has_read, &pausing[i], false);
    }
  }
  assert_int_equal(b.fx[0].evictions, 1);
  assert_int_equal(b.fx[1].evictions, 0);
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

enum { SLICE_US = 200 }; /* half of it is enough to read the bus, in a sanitizer's build too */

/* A host that is never done: each task takes the hub's whole slice, and asks for the next. */
typedef struct flood {
  uint64_t tasks;
  bool is_over;
} flood_t;

static void take(uint64_t us) {
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < us * 1000;) {
  }
}

static void take_long_and_come_again(fluxbp_hub_t *hub, void *arg) {
  flood_t *flood = arg;
  take(SLICE_US);
  flood->tasks++;
  if (!flood->is_over) assert_int_equal(fluxbp_hub_post(hub, take_long_and_come_again, flood), 0);
}

static void tasks_leave_time_for_the_bus(void **state) {
  buses_t b;
  peer_t peer;
  flood_t flood = {0};
  (void) state;
  init(&b, 16, 1);
  b.fx[0].options.slice_us = SLICE_US;
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

static void take_an_eighth(fluxbp_hub_t *hub, void *arg) {
  (void) hub;
  take(SLICE_US / 8);
  ++*(int *) arg;
}

/* Such as new connections: what is published waits for no more than that. */
static void tasks_have_an_eighth_of_an_iteration(void **state) {
  buses_t b;
  int tasks = 0;
  (void) state;
  init(&b, 16, 1);
  b.fx[0].options.slice_us = SLICE_US;
  open_hubs(&b);
  for (int i = 0; i < 4; i++) assert_int_equal(fluxbp_hub_post(b.fx[0].hub, take_an_eighth, &tasks), 0);
  for (int i = 1; i <= 4; i++) {
    turns(&b, 1);
    assert_int_equal(tasks, i);
  }
  close_hubs(&b);
}

/* The marker of the loss takes a slot like a message, and lets the ring grow like one. */
static void a_loss_does_not_close_a_ring_that_has_room(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 64, 1);
  b.fx[0].policy.overflow = FLUXBP_OVERFLOW_EVICT;
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  size_t len = peer_refuse(&peer);
  while (peer.conn->ring.count < FLUXBP__INLINE_SLOTS) {
    publish_number(&b, 1);
    turns(&b, 1);
  }
  assert_int_equal(peer.conn->ring.capacity, peer.conn->ring.count);
  assert_int_equal(publish_on(&b, b.topic, "t\nwo", 4, NULL), 0);
  publish_number(&b, 3);
  turns(&b, 2);
  assert_int_equal(b.fx[0].evictions, 0);
  fixture_balances(&b.fx[0]);
  peer_wait_for(&peer, len);
  turns(&b, 3);
  peer_read(&peer);
  assert_int_equal(peer.lost, 1);
  assert_memory_equal(peer.data + peer.len - 2, "3\n", 2);
  turns(&b, 2);
  close_hubs(&b);
}

static void publish_to(buses_t *b, const char *name) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(b->pool, name, strlen(name), &msg), 0);
  assert_int_equal(fluxbp_bus_publish_to(b->bus, name, msg, NULL), 0);
  fluxbp_msg_unref(msg);
}

static uint32_t bus_topics(const buses_t *b) {
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(b->bus, &stats);
  return stats.topics;
}

/* The bus has room for one name besides "topic", so each takes the number of the one before it. */
static void a_number_that_is_used_again_leads_to_the_new_topic(void **state) {
  buses_t b;
  peer_t peers[3];
  const char *const names[] = {"first", "second", "nobody's"};
  (void) state;
  init_with_topics(&b, 8, 2);
  open_hubs(&b);
  for (int i = 0; i < 2; i++) {
    fluxbp_topic_t *topic;
    peer_open(&b.fx[0], &peers[i], FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_open(b.fx[0].hub, names[i], &topic), 0);
    assert_int_equal(fluxbp_topic_subscribe(topic, peers[i].conn), 1);
  }
  for (unsigned round = 0; round < 30; round++) {
    publish_to(&b, names[round % 3]);
    turns(&b, 3);
    assert_int_equal(bus_topics(&b), 2);
  }
  for (int i = 0; i < 2; i++) {
    peer_read(&peers[i]);
    assert_int_equal(peer_stats(&peers[i]).written, 10);
    assert_memory_equal(peers[i].data, names[i], strlen(names[i]));
    assert_int_equal(peers[i].len, 10 * (strlen(names[i]) + 1));
  }
  close_hubs(&b);
}

/* Nobody has subscribed to any of them. Without a history a hub makes no topic; with one it keeps a topic as long as
 * the history has messages of it. */
static void names_that_nobody_wants_leave_nothing_in_bus_and_hubs(void **state) {
  enum { NAMES = 2000, KEPT = 50 };
  buses_t b;
  char name[16];
  (void) state;
  init(&b, 16, 1);
  b.fx[0].options.history_messages = KEPT;
  open_hubs(&b);
  for (unsigned i = 0; i < NAMES; i++) {
    (void) snprintf(name, sizeof name, "t%u", i);
    publish_to(&b, name);
    turns(&b, 2);
    assert_in_range(bus_topics(&b), 1, 16 + 2);
    assert_in_range(b.fx[0].hub->topics.names.count, 0, KEPT + 2);
    assert_in_range(b.fx[1].hub->topics.names.count, 0, 1);
    for (int k = 0; k < 2; k++) assert_in_range(b.fx[k].hub->bus.place_count, 0, 32);
  }
  close_hubs(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_hub_gets_everything_in_one_order),
      cmocka_unit_test(a_sleeping_loop_is_woken),
      cmocka_unit_test(a_number_that_is_used_again_leads_to_the_new_topic),
      cmocka_unit_test(names_that_nobody_wants_leave_nothing_in_bus_and_hubs),
      cmocka_unit_test(a_hub_that_does_not_run_makes_the_publisher_feel_it),
      cmocka_unit_test(a_hub_that_waits_for_a_client_leaves_the_rest_in_the_bus),
      cmocka_unit_test(patience_that_was_used_up_is_nobody_elses_on_any_hub),
      cmocka_unit_test(a_message_waits_in_the_bus_for_the_budget),
      cmocka_unit_test(who_joined_is_published_to_through_the_bus_alone),
      cmocka_unit_test(closing_with_unread_messages_gives_them_back),
      cmocka_unit_test(a_burst_is_taken_in_pieces_that_fit),
      cmocka_unit_test(a_bus_full_of_messages_does_not_block_its_reader),
      cmocka_unit_test(tasks_leave_time_for_the_bus),
      cmocka_unit_test(tasks_have_an_eighth_of_an_iteration),
      cmocka_unit_test(a_loss_does_not_close_a_ring_that_has_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
