/* SPDX-License-Identifier: MIT */
/*
 * on_members: a program is told that a topic has gained or lost subscribers, from the loop, and may destroy the topic.
 */
#include "support/alloc_hook.h"
#include "support/hub_bus_fixture.h"

#include <stdio.h>
#include <string.h>

enum { TOLD_MAX = 64, PEERS = 4 };

typedef struct told {
  char name[16];
  size_t before;
  size_t now;
} told_t;

typedef struct events {
  fixture_t fx;
  peer_t peers[PEERS];
  told_t told[TOLD_MAX];
  int count;
  void (*hook)(struct events *e, fluxbp_topic_t *topic); /* what the program does when it is told */
  int left;                                              /* for the hook */
} events_t;

static void on_members(fluxbp_hub_t *hub, fluxbp_topic_t *topic, size_t before) {
  events_t *e = (events_t *) fluxbp_hub_user(hub); /* the fixture is its first part */
  assert_int_equal(e->fx.calls, 0);                /* never inside of a call */
  told_t *told = &e->told[e->count++ % TOLD_MAX];
  (void) snprintf(told->name, sizeof told->name, "%s", fluxbp_topic_name(topic));
  told->before = before;
  told->now = fluxbp_topic_subscribers(topic);
  assert_int_not_equal(told->before, told->now);
  if (e->hook != NULL) e->hook(e, topic);
}

static void init_events(events_t *e) {
  memset(e, 0, sizeof *e);
  fixture_init(&e->fx);
  e->fx.options.on_members = on_members;
}

/* A topic with peers that the program has been told of. */
static void open_events(events_t *e, uint32_t history_messages) {
  init_events(e);
  e->fx.options.history_messages = history_messages;
  fixture_open(&e->fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&e->fx, &e->peers[i], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  fixture_turns(&e->fx, 1);
  e->count = 0;
}

static int unsubscribe(events_t *e, fluxbp_topic_t *topic, int peer) {
  e->fx.calls++;
  int result = fluxbp_topic_unsubscribe(topic, e->peers[peer].conn);
  e->fx.calls--;
  return result;
}

static int subscribe(events_t *e, fluxbp_topic_t *topic, int peer) {
  e->fx.calls++;
  int result = fluxbp_topic_subscribe(topic, e->peers[peer].conn);
  e->fx.calls--;
  return result;
}

/* What was told since the last check is one event of that topic, or nothing for NULL. */
static void expect(events_t *e, const char *name, size_t before, size_t now) {
  fixture_turns(&e->fx, 2);
  assert_int_equal(e->count, name != NULL);
  if (name != NULL) assert_string_equal(e->told[0].name, name);
  if (name != NULL) assert_int_equal(e->told[0].before, before);
  if (name != NULL) assert_int_equal(e->told[0].now, now);
  e->count = 0;
}

static void a_topic_that_gains_or_loses_subscribers_is_told_once_an_iteration(void **state) {
  events_t e;
  (void) state;
  init_events(&e);
  fixture_open(&e.fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&e.fx, &e.peers[i], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  expect(&e, "topic", 0, PEERS);
  expect(&e, NULL, 0, 0);
  assert_int_equal(subscribe(&e, e.fx.topic, 0), 0); /* it is subscribed already */
  expect(&e, NULL, 0, 0);
  assert_int_equal(unsubscribe(&e, e.fx.topic, 0), 1);
  expect(&e, "topic", PEERS, PEERS - 1);
  for (int i = 1; i < PEERS; i++) assert_int_equal(unsubscribe(&e, e.fx.topic, i), 1);
  expect(&e, "topic", PEERS - 1, 0);
  assert_int_equal(unsubscribe(&e, e.fx.topic, 0), 0);
  expect(&e, NULL, 0, 0);
  fixture_close(&e.fx);
}

static void a_subscriber_that_is_back_in_time_makes_no_event(void **state) {
  events_t e;
  (void) state;
  open_events(&e, 0);
  for (int i = 0; i < PEERS; i++) assert_int_equal(unsubscribe(&e, e.fx.topic, i), 1);
  for (int i = 0; i < PEERS; i++) assert_int_equal(subscribe(&e, e.fx.topic, i), 1);
  expect(&e, NULL, 0, 0);
  fixture_close(&e.fx);
}

static void connections_that_end_leave_their_topics(const fluxbp_transport_t *transport) {
  events_t e;
  peer_t peer;
  fluxbp_topic_t *other;
  open_events(&e, 0);
  assert_int_equal(fluxbp_topic_open(e.fx.hub, "other", &other), 0);
  peer_open(&e.fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(other, peer.conn), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(e.fx.topic, peer.conn), 1);
  expect(&e, "other", 0, 1);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  expect(&e, "other", 1, 0);

  e.fx.calls++;
  fluxbp_conn_reset(e.peers[0].conn);
  fluxbp_conn_close(e.peers[1].conn, 1000);
  e.fx.calls--;
  expect(&e, "topic", PEERS, PEERS - 2);
  fixture_close(&e.fx);
}
FIXTURE_BOTH(connections_that_end_leave_their_topics)

static void destroy_if_empty(events_t *e, fluxbp_topic_t *topic) {
  (void) e;
  if (fluxbp_topic_subscribers(topic) == 0) fluxbp_topic_destroy(topic);
}

static void a_topic_may_be_destroyed_when_no_subscriber_is_left(void **state) {
  (void) state;
  for (uint32_t history = 0; history <= 10; history += 10) { /* with a history it is dormant then */
    events_t e;
    open_events(&e, history);
    e.hook = destroy_if_empty;
    if (history > 0) assert_int_equal(fixture_publish(&e.fx, e.fx.topic, "m", 1), PEERS);
    fluxbp_topic_t *topic = e.fx.topic;
    e.fx.topic = NULL;
    for (int i = 0; i < PEERS; i++) fluxbp_conn_reset(e.peers[i].conn);
    assert_ptr_equal(fluxbp_topic_find(e.fx.hub, "topic"), topic); /* until the loop goes on */
    expect(&e, "topic", PEERS, 0);
    assert_null(fluxbp_topic_find(e.fx.hub, "topic"));
    fixture_close(&e.fx);
  }
}

static void a_destroyed_topic_is_not_told(void **state) {
  (void) state;
  for (uint32_t history = 0; history <= 10; history += 10) {
    events_t e;
    open_events(&e, history);
    if (history > 0) assert_int_equal(fixture_publish(&e.fx, e.fx.topic, "m", 1), PEERS);
    assert_int_equal(unsubscribe(&e, e.fx.topic, 0), 1);
    fluxbp_topic_destroy(e.fx.topic);
    assert_int_equal(fluxbp_topic_open(e.fx.hub, "topic", &e.fx.topic), 0);
    expect(&e, NULL, 0, 0);
    assert_int_equal(subscribe(&e, e.fx.topic, 0), 1);
    expect(&e, "topic", 0, 1);
    fixture_close(&e.fx);
  }
}

/* The first event destroys all other topics, of which the program was to be told as well. */
static void destroy_the_others(events_t *e, fluxbp_topic_t *topic) {
  for (int i = 0; i < 10; i++) {
    char name[16];
    (void) snprintf(name, sizeof name, "t%d", i);
    fluxbp_topic_t *other = fluxbp_topic_find(e->fx.hub, name);
    if (other != topic) fluxbp_topic_destroy(other);
  }
}

static void a_topic_with_an_event_to_be_told_may_be_destroyed(void **state) {
  events_t e;
  (void) state;
  open_events(&e, 0);
  e.hook = destroy_the_others;
  for (int i = 0; i < 10; i++) {
    char name[16];
    fluxbp_topic_t *topic;
    (void) snprintf(name, sizeof name, "t%d", i);
    assert_int_equal(fluxbp_topic_open(e.fx.hub, name, &topic), 0);
    assert_int_equal(subscribe(&e, topic, 0), 1);
  }
  expect(&e, "t0", 0, 1);
  fixture_close(&e.fx);
}

static void change_it(events_t *e, fluxbp_topic_t *topic) {
  if (e->left-- == 0) return;
  if (fluxbp_topic_has(topic, e->peers[0].conn))
    assert_int_equal(fluxbp_topic_unsubscribe(topic, e->peers[0].conn), 1);
  else
    assert_int_equal(fluxbp_topic_subscribe(topic, e->peers[0].conn), 1);
}

/* Each in the next iteration: the loop goes on meanwhile. */
static void a_change_while_it_is_told_is_told_later(void **state) {
  events_t e;
  (void) state;
  open_events(&e, 0);
  e.hook = change_it;
  e.left = 10;
  assert_int_equal(unsubscribe(&e, e.fx.topic, 0), 1);
  for (int i = 1; i <= 11; i++) {
    fixture_turns(&e.fx, 1);
    assert_int_equal(e.count, i);
  }
  fixture_turns(&e.fx, 3);
  assert_int_equal(e.count, 11);
  fixture_close(&e.fx);
}

static void close_the_hub(events_t *e, fluxbp_topic_t *topic) {
  (void) topic;
  if (e->count == 3) fluxbp_hub_close(e->fx.hub, fixture_on_hub_closed);
}

/* With a slice of a microsecond the events of many topics take many iterations. The hub is closed while they are
 * told. */
static void many_events_wait_for_their_iteration_and_end_with_the_hub(void **state) {
  enum { TOPICS = 3000 };
  (void) state;
  for (int closes = 0; closes < 2; closes++) {
    events_t e;
    init_events(&e);
    e.fx.options.slice_us = closes ? 10000000 : 1;
    fixture_open(&e.fx);
    peer_open(&e.fx, &e.peers[0], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    for (int i = 0; i < TOPICS; i++) {
      char name[16];
      fluxbp_topic_t *topic;
      (void) snprintf(name, sizeof name, "t%d", i);
      assert_int_equal(fluxbp_topic_open(e.fx.hub, name, &topic), 0);
      assert_int_equal(subscribe(&e, topic, 0), 1);
    }
    for (int i = 0; i < 2 * TOPICS; i++) (void) uv_run(&e.fx.loop, UV_RUN_NOWAIT);
    assert_int_equal(e.count, TOPICS + 1);
    if (closes) {
      e.hook = close_the_hub;
      e.count = 0;
      fluxbp_conn_reset(e.peers[0].conn);
      fixture_turns(&e.fx, 3);
      assert_int_equal(e.count, 3);
    }
    fixture_close(&e.fx);
  }
}

static void a_hub_that_is_closed_tells_nothing(void **state) {
  events_t e;
  (void) state;
  open_events(&e, 0);
  assert_int_equal(unsubscribe(&e, e.fx.topic, 0), 1);
  fixture_close(&e.fx);
  assert_int_equal(e.count, 0);
}

static void patterns_have_subscribers_of_their_own(void **state) {
  events_t e;
  fluxbp_topic_t *pattern, *prices;
  (void) state;
  open_events(&e, 0);
  assert_int_equal(fluxbp_topic_open_pattern(e.fx.hub, "prices.>", &pattern), 0);
  assert_int_equal(fluxbp_topic_open_state(e.fx.hub, "prices.a", 10, &prices), 0);
  assert_int_equal(subscribe(&e, pattern, 0), 1);
  expect(&e, "prices.>", 0, 1);
  assert_int_equal(subscribe(&e, prices, 0), 1);
  expect(&e, "prices.a", 0, 1);
  assert_int_equal(unsubscribe(&e, prices, 0), 1);
  expect(&e, "prices.a", 1, 0);
  assert_int_equal(unsubscribe(&e, pattern, 0), 1);
  expect(&e, "prices.>", 1, 0);
  assert_int_equal(subscribe(&e, pattern, 0), 1);
  assert_int_equal(subscribe(&e, prices, 1), 1);
  fixture_turns(&e.fx, 1);
  e.count = 0;
  fluxbp_conn_reset(e.peers[0].conn);
  fixture_turns(&e.fx, 2);
  assert_int_equal(e.count, 2); /* the pattern, and the topic of all */
  fixture_close(&e.fx);
}

static int bus_events[2];

static void on_members_of_bus(fluxbp_hub_t *hub, fluxbp_topic_t *topic, size_t before) {
  buses_t *b = fluxbp_hub_user(hub);
  (void) topic;
  (void) before;
  bus_events[hub == b->fx[1].hub]++;
}

static void each_hub_of_a_bus_tells_of_its_own_subscribers(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  memset(bus_events, 0, sizeof bus_events);
  init(&b, 16, 1);
  for (int h = 0; h < 2; h++) b.fx[h].options.on_members = on_members_of_bus;
  open_hubs(&b);
  for (int h = 0; h < 2; h++) fluxbp_hub_set_user(b.fx[h].hub, &b);
  peer_open(&b.fx[1], &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  turns(&b, 2);
  assert_int_equal(bus_events[0], 0);
  assert_int_equal(bus_events[1], 1);
  for (int h = 0; h < 2; h++) fluxbp_hub_set_user(b.fx[h].hub, &b.fx[h]);
  close_hubs(&b);
}

static uint64_t bytes_of_a_topic(bool is_told) {
  fixture_t fx;
  alloc_hook_t hook;
  fluxbp_topic_t *topic;
  alloc_hook_init(&hook);
  fixture_init(&fx);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  if (is_told) fx.options.on_members = on_members;
  fixture_open(&fx);
  uint64_t before = hook.live_bytes;
  assert_int_equal(fluxbp_topic_open(fx.hub, "0123456", &topic), 0);
  uint64_t bytes = hook.live_bytes - before;
  fixture_close(&fx);
  return bytes;
}

static void a_topic_takes_no_memory_for_events_that_are_not_wanted(void **state) {
  (void) state;
  assert_true(bytes_of_a_topic(true) - bytes_of_a_topic(false) >= sizeof(fluxbp__members_event_t));
  assert_true(bytes_of_a_topic(true) - bytes_of_a_topic(false) <= 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_topic_that_gains_or_loses_subscribers_is_told_once_an_iteration),
      cmocka_unit_test(a_subscriber_that_is_back_in_time_makes_no_event),
      FIXTURE_TESTS(connections_that_end_leave_their_topics),
      cmocka_unit_test(a_topic_may_be_destroyed_when_no_subscriber_is_left),
      cmocka_unit_test(a_destroyed_topic_is_not_told),
      cmocka_unit_test(a_topic_with_an_event_to_be_told_may_be_destroyed),
      cmocka_unit_test(a_change_while_it_is_told_is_told_later),
      cmocka_unit_test(many_events_wait_for_their_iteration_and_end_with_the_hub),
      cmocka_unit_test(a_hub_that_is_closed_tells_nothing),
      cmocka_unit_test(patterns_have_subscribers_of_their_own),
      cmocka_unit_test(each_hub_of_a_bus_tells_of_its_own_subscribers),
      cmocka_unit_test(a_topic_takes_no_memory_for_events_that_are_not_wanted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
