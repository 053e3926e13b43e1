/* SPDX-License-Identifier: MIT */
/*
 * State topics: newcomers get the newest of each key, as fast as they read; who can't keep up gets the newest instead
 * of a queue; nothing is silent.
 */
#include "support/fixture.h"
#include "support/socketpair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct state_fixture {
  fixture_t fx;
  fluxbp_topic_t *prices;
} state_fixture_t;

static void open_prices(state_fixture_t *f, uint32_t max_keys) {
  fixture_open(&f->fx);
  assert_int_equal(fluxbp_topic_open_state(f->fx.hub, "prices", max_keys, &f->prices), 0);
}

/* Publish the line "KEY=VALUE". */
static int set(state_fixture_t *f, uint64_t key, int value) {
  char text[64];
  fluxbp_msg_t *msg;
  int len = snprintf(text, sizeof text, "%d=%d", (int) key, value);
  int err = fluxbp_msg_create_keyed(f->fx.pool, key, text, (size_t) len, &msg);
  if (err) return err;
  f->fx.calls++;
  int receivers = fluxbp_topic_publish(f->prices, msg);
  f->fx.calls--;
  fluxbp_msg_unref(msg);
  return receivers;
}

static void open_peer(state_fixture_t *f, peer_t *peer, const fluxbp_transport_t *transport, int small) {
  peer_open(&f->fx, peer, transport, &fluxbp_codec_newline, small);
  (void) fluxbp_topic_unsubscribe(f->fx.topic, peer->conn);
}

static void subscribe(state_fixture_t *f, peer_t *peer) {
  f->fx.calls++;
  assert_int_equal(fluxbp_topic_subscribe(f->prices, peer->conn), 1);
  f->fx.calls--;
}

static bool has_caught_up(fixture_t *fx, void *arg) {
  peer_t *peer = arg;
  (void) fx;
  peer_read(peer);
  return peer->conn->catching_up == 0 && peer->conn->ring.count == 0;
}

/* Let it read until nothing is left for it. */
static void read_all(peer_t *peer) {
  fixture_run_until(peer->fx, has_caught_up, peer, false);
  for (int i = 0; i < 3; i++) {
    fixture_turns(peer->fx, 1);
    peer_read(peer);
  }
}

static void newcomers_get_the_newest_of_each_key(const fluxbp_transport_t *transport) {
  state_fixture_t f;
  peer_t early;
  peer_t late;
  fixture_init(&f.fx);
  open_prices(&f, 100);
  open_peer(&f, &early, transport, FIXTURE_LARGE_BUFFERS);
  subscribe(&f, &early);
  assert_int_equal(set(&f, 1, 10), 1);
  assert_int_equal(set(&f, 2, 20), 1);
  assert_int_equal(set(&f, 1, 11), 1);
  assert_int_equal(fluxbp_topic_keys(f.prices), 2);
  peer_wait_for(&early, 15);
  peer_expects(&early, "1=10\n2=20\n1=11\n"); /* it keeps up: nothing is left out */

  open_peer(&f, &late, transport, FIXTURE_LARGE_BUFFERS);
  subscribe(&f, &late);
  read_all(&late);
  peer_expects(&late, "1=11\n2=20\n");
  assert_int_equal(set(&f, 3, 30), 2);
  read_all(&late);
  peer_expects(&late, "1=11\n2=20\n3=30\n");
  assert_int_equal(peer_stats(&late).accepted, 3);
  assert_int_equal(peer_stats(&late).last_id, 0); /* values have no ids */
  fixture_close(&f.fx);
}
FIXTURE_ALL(newcomers_get_the_newest_of_each_key)

static void who_subscribed_before_it_was_started_gets_them_then(void **state) {
  state_fixture_t f;
  peer_t peer;
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, 100);
  assert_int_equal(set(&f, 1, 10), 0);
  fluxbp_conn_t *conn;
  assert_int_equal(fluxbp_conn_create(f.fx.hub, NULL, &conn), 0);
  assert_int_equal(fluxbp_topic_subscribe(f.prices, conn), 1);
  assert_int_equal(set(&f, 1, 11), 1); /* it gets that later, or something newer */
  assert_int_equal(set(&f, 2, 20), 1);
  assert_int_equal(conn->catching_up, 1);
  fluxbp_conn_reset(conn); /* one that never started leaves nothing behind */
  assert_int_equal(fluxbp_topic_subscribers(f.prices), 0);
  open_peer(&f, &peer, FLUXBP_TCP, FIXTURE_LARGE_BUFFERS);
  subscribe(&f, &peer);
  read_all(&peer);
  peer_expects(&peer, "1=11\n2=20\n");
  fixture_close(&f.fx);
}

/* The topic was empty when it subscribed. */
static void who_is_started_later_gets_the_first_values_too(void **state) {
  state_fixture_t f;
  peer_t peer = {.fd = -1};
  fluxbp_conn_options_t options = peer_options(&peer, FLUXBP_PIPE, &fluxbp_codec_newline);
  int fds[2];
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, 100);
  peer.fx = &f.fx;
  f.fx.peers = &peer;
  assert_int_equal(socketpair_make(FLUXBP_PIPE, false, fds), 0);
  assert_int_equal(fluxbp_conn_create(f.fx.hub, &options, &peer.conn), 0);
  assert_int_equal(fluxbp_topic_subscribe(f.prices, peer.conn), 1);
  assert_int_equal(set(&f, 1, 10), 1);
  assert_int_equal(socketpair_open(peer.conn, FLUXBP_PIPE, fds[0]), 0);
  peer.fd = fds[1];
  assert_int_equal(fluxbp_conn_start(peer.conn), 0);
  assert_int_equal(set(&f, 2, 20), 1);
  read_all(&peer);
  peer_expects(&peer, "1=10\n2=20\n");
  fixture_close(&f.fx);
}

static void a_refused_ring_holds_the_newest_of_each_key_once(const fluxbp_transport_t *transport) {
  state_fixture_t f;
  peer_t peer;
  fixture_init(&f.fx);
  f.fx.policy.slots = 64;
  open_prices(&f, 100);
  open_peer(&f, &peer, transport, FIXTURE_SMALL_BUFFERS);
  subscribe(&f, &peer);
  size_t sent = peer_refuse(&peer);
  size_t before = sent + sent / 4096; /* with their newlines */
  uint64_t queued = peer_stats(&peer).queued;
  for (int value = 1; value <= 1000; value++) assert_int_equal(set(&f, (uint64_t) (value % 30), value), 1);
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.queued, queued + 30);
  assert_int_equal(stats.conflated, 970);
  assert_int_equal(stats.dropped, 0);
  fixture_balances(&f.fx);

  read_all(&peer);
  char expected[1024];
  int len = 0;
  for (int value = 1; value <= 30; value++) /* in the order in which the keys came up first */
    len += snprintf(expected + len, sizeof expected - (size_t) len, "%d=%d\n", value % 30,
                    value <= 10 ? value + 990 : value + 960);
  assert_int_equal(peer.len - before, len);
  assert_memory_equal(peer.data + before, expected, (size_t) len);
  fixture_close(&f.fx);
}
FIXTURE_ALL(a_refused_ring_holds_the_newest_of_each_key_once)

/* More keys than the ring has slots, at a client that reads slowly, while they change: its last word on every key is
 * the newest, and nothing is lost. */
static void a_snapshot_larger_than_the_ring_is_paced(const fluxbp_transport_t *transport) {
  enum { KEYS = 5000 };
  static int last[KEYS];
  static int seen[KEYS];
  state_fixture_t f;
  peer_t peer;
  uint32_t seed = 3;
  fixture_init(&f.fx);
  f.fx.policy.slots = 128;
  open_prices(&f, KEYS);
  for (int key = 0; key < KEYS; key++) assert_int_equal(set(&f, (uint64_t) key, last[key] = 1), 0);
  memset(seen, 0, sizeof seen);
  open_peer(&f, &peer, transport, FIXTURE_SMALL_BUFFERS);
  subscribe(&f, &peer);
  bool was_refused = false;
  for (int i = 2; peer.conn->catching_up > 0; i++) {
    seed = seed * 1664525u + 1013904223u;
    int key = (int) (seed >> 8) % KEYS;
    assert_int_equal(set(&f, (uint64_t) key, last[key] = i), 1);
    fixture_turns(&f.fx, 1);
    was_refused = was_refused || peer.conn->is_writing;
    if (peer.conn->is_writing && i % 16 == 0) peer_read(&peer);
    if (i % 500 == 0) fixture_balances(&f.fx);
  }
  assert_true(was_refused);
  read_all(&peer);
  peer.data[peer.len - 1] = '\0';
  for (char *line = strtok(peer.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    int key;
    int value;
    assert_int_equal(sscanf(line, "%d=%d", &key, &value), 2);
    assert_true(value >= seen[key]); /* never an older one after a newer */
    seen[key] = value;
  }
  assert_memory_equal(seen, last, sizeof seen);
  assert_int_equal(peer_stats(&peer).dropped, 0);
  assert_int_equal(f.fx.evictions, 0);
  fixture_close(&f.fx);
}
FIXTURE_ALL(a_snapshot_larger_than_the_ring_is_paced)

static void a_snapshot_does_not_starve_on_a_busy_topic(void **state) {
  enum { KEYS = 1000 };
  state_fixture_t f;
  peer_t peer;
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, KEYS);
  for (int key = 0; key < KEYS; key++) (void) set(&f, (uint64_t) key, 1);
  peer_open(&f.fx, &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  subscribe(&f, &peer);
  int turns = 0;
  for (; peer.conn->catching_up > 0; turns++) {
    for (int i = 0; i < 50; i++) assert_int_equal(fixture_publish(&f.fx, f.fx.topic, "log", 3), 1);
    fixture_turns(&f.fx, 1);
    peer_read(&peer);
    assert_in_range(turns, 0, KEYS / 50);
  }
  read_all(&peer);
  assert_int_equal(peer_stats(&peer).accepted, KEYS + turns * 50);
  assert_int_equal(peer_stats(&peer).written, KEYS + turns * 50);
  fixture_close(&f.fx);
}

static void values_queued_long_ago_are_not_old_when_they_are_staged(void **state) {
  state_fixture_t f;
  peer_t peer;
  (void) state;
  fixture_init(&f.fx);
  f.fx.policy.lag_ms = 1000;
  f.fx.policy.grace_ms = 0;
  open_prices(&f, 5000);
  for (int key = 0; key < 5000; key++) (void) set(&f, (uint64_t) key, 1);
  fixture_advance(&f.fx, 60000);
  open_peer(&f, &peer, FLUXBP_PIPE, FIXTURE_SMALL_BUFFERS);
  subscribe(&f, &peer);
  while (!peer.conn->is_writing) fixture_turns(&f.fx, 1);
  assert_int_equal(peer_stats(&peer).oldest_ms, 0);
  fixture_advance(&f.fx, 1000);
  assert_int_equal(peer_stats(&peer).oldest_ms, 1000);
  assert_int_equal(f.fx.evictions, 0);
  fixture_advance(&f.fx, 250);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_LAG);
  fixture_close(&f.fx);
}

static void leaving_and_destroying_in_mid_snapshot_is_clean(void **state) {
  (void) state;
  for (int way = 0; way < 4; way++) {
    state_fixture_t f;
    peer_t peer;
    fixture_init(&f.fx);
    open_prices(&f, 5000);
    for (int key = 0; key < 5000; key++) (void) set(&f, (uint64_t) key, 1);
    open_peer(&f, &peer, FLUXBP_PIPE, FIXTURE_SMALL_BUFFERS);
    subscribe(&f, &peer);
    fixture_turns(&f.fx, 3);
    assert_int_equal(peer.conn->catching_up, 1);
    if (way == 0) assert_int_equal(fluxbp_topic_unsubscribe(f.prices, peer.conn), 1);
    if (way == 1) fluxbp_topic_destroy(f.prices);
    if (way == 2) fluxbp_conn_close(peer.conn, 1000);
    if (way == 3) fluxbp_conn_reset(peer.conn);
    assert_int_equal(peer.conn->catching_up, 0);
    if (way < 2) {
      read_all(&peer);
      assert_int_equal(fixture_publish_text(&f.fx, f.fx.topic, "x"), 0);
    }
    fixture_close(&f.fx);
  }
}

static void forgotten_keys_are_not_sent_and_new_ones_take_their_places(void **state) {
  state_fixture_t f;
  peer_t peer;
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, 3);
  for (uint64_t key = 1; key <= 3; key++) (void) set(&f, key, 1);
  assert_int_equal(set(&f, 4, 1), UV_ENOSPC);
  assert_int_equal(fluxbp_topic_forget(f.prices, 2), 1);
  assert_int_equal(fluxbp_topic_forget(f.prices, 2), 0);
  assert_int_equal(fluxbp_topic_forget(f.fx.topic, 2), 0);
  assert_int_equal(set(&f, 4, 1), 0);
  assert_int_equal(fluxbp_topic_keys(f.prices), 3);
  open_peer(&f, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  subscribe(&f, &peer);
  read_all(&peer);
  peer_expects(&peer, "1=1\n4=1\n3=1\n");
  fixture_close(&f.fx);
}

static void kinds_and_keys_are_checked(void **state) {
  state_fixture_t f;
  fluxbp_topic_t *topic;
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, 3);
  assert_int_equal(fluxbp_topic_is_state(f.prices), 1);
  assert_int_equal(fluxbp_topic_is_state(f.fx.topic), 0);
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "topic", 3, &topic), UV_EEXIST);
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "other", 0, &topic), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "other", FLUXBP_TOPIC_KEYS_MAX + 1, &topic), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "", 3, &topic), UV_EINVAL);
  assert_null(fluxbp_topic_find(f.fx.hub, "other"));
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "prices", 3, &topic), 0);
  assert_ptr_equal(topic, f.prices);
  topic = NULL;
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "prices", 2, &topic), UV_EEXIST);
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "prices", 4, &topic), UV_EEXIST);
  assert_null(topic);
  assert_int_equal(fluxbp_topic_open(f.fx.hub, "prices", &topic), 0);
  assert_ptr_equal(topic, f.prices);
  assert_int_equal(fixture_publish_text(&f.fx, f.prices, "no key"), UV_EINVAL);
  assert_int_equal(fluxbp_topic_keys(f.prices), 0);
  fixture_close(&f.fx);
}

/* A codec that can't carry what is kept: whoever wants it is refused, and nobody else notices. */
static void what_cannot_be_encoded_is_refused_to_the_newcomer_alone(void **state) {
  state_fixture_t f;
  peer_t peer;
  peer_t raw;
  fluxbp_msg_t *msg;
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, 3);
  peer_open(&f.fx, &raw, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(f.prices, raw.conn), 1);
  assert_int_equal(fluxbp_msg_create_keyed(f.fx.pool, 1, "a\nb", 3, &msg), 0);
  assert_int_equal(fluxbp_topic_publish(f.prices, msg), 1);
  open_peer(&f, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(f.prices, peer.conn), UV_EINVAL);
  assert_int_equal(fluxbp_conn_set_codec(raw.conn, &fluxbp_codec_newline), UV_EINVAL);
  assert_int_equal(fluxbp_topic_publish(f.prices, msg), 1);
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp_conn_set_codec(raw.conn, &fluxbp_codec_length32), 0);
  assert_int_equal(set(&f, 1, 5), 1);
  read_all(&raw);
  assert_memory_equal(raw.data, "a\nba\nb\0\0\0\0031=5", 13);
  assert_int_equal(fluxbp_topic_subscribe(f.prices, peer.conn), 1);
  read_all(&peer);
  peer_expects(&peer, "1=5\n");
  fixture_close(&f.fx);
}

/* Numbers of topics are never used twice: what a destroyed topic has in a ring isn't taken for the new one's. */
static void a_topic_that_was_made_anew_is_another_one(void **state) {
  state_fixture_t f;
  peer_t peer;
  (void) state;
  fixture_init(&f.fx);
  open_prices(&f, 3);
  open_peer(&f, &peer, FLUXBP_PIPE, FIXTURE_SMALL_BUFFERS);
  subscribe(&f, &peer);
  (void) peer_refuse(&peer);
  assert_int_equal(set(&f, 1, 1), 1);
  fluxbp_topic_destroy(f.prices);
  assert_int_equal(fluxbp_topic_open_state(f.fx.hub, "prices", 3, &f.prices), 0);
  subscribe(&f, &peer);
  assert_int_equal(set(&f, 1, 2), 1);
  assert_int_equal(peer_stats(&peer).conflated, 0);
  read_all(&peer);
  assert_memory_equal(peer.data + peer.len - 8, "1=1\n1=2\n", 8);
  fixture_close(&f.fx);
}

static void the_budget_refuses_a_value_and_keeps_the_older_one(void **state) {
  state_fixture_t f;
  peer_t peer;
  char data[4000];
  fluxbp_msg_t *msg;
  uint64_t key = 0;
  int err = 0;
  (void) state;
  memset(data, 'v', sizeof data);
  fixture_init(&f.fx);
  f.fx.pool_options.max_bytes = 1 << 20;
  open_prices(&f, 5000);
  open_peer(&f, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  subscribe(&f, &peer);
  while (err >= 0) {
    err = fluxbp_msg_create_keyed(f.fx.pool, ++key, data, sizeof data, &msg);
    if (err) break;
    err = fluxbp_topic_publish(f.prices, msg);
    fluxbp_msg_unref(msg);
    fixture_turns(&f.fx, 1);
    peer_read(&peer);
  }
  assert_int_equal(err, UV_ENOBUFS);
  assert_int_equal(fluxbp_topic_keys(f.prices), key - 1);
  assert_int_equal(f.fx.evictions, 0);
  assert_int_equal(fluxbp_topic_forget(f.prices, 1), 1);
  assert_int_equal(set(&f, key, 1), 1);
  fixture_close(&f.fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(newcomers_get_the_newest_of_each_key),
      cmocka_unit_test(who_subscribed_before_it_was_started_gets_them_then),
      cmocka_unit_test(who_is_started_later_gets_the_first_values_too),
      FIXTURE_ALL_TESTS(a_refused_ring_holds_the_newest_of_each_key_once),
      FIXTURE_ALL_TESTS(a_snapshot_larger_than_the_ring_is_paced),
      cmocka_unit_test(a_snapshot_does_not_starve_on_a_busy_topic),
      cmocka_unit_test(values_queued_long_ago_are_not_old_when_they_are_staged),
      cmocka_unit_test(leaving_and_destroying_in_mid_snapshot_is_clean),
      cmocka_unit_test(forgotten_keys_are_not_sent_and_new_ones_take_their_places),
      cmocka_unit_test(kinds_and_keys_are_checked),
      cmocka_unit_test(what_cannot_be_encoded_is_refused_to_the_newcomer_alone),
      cmocka_unit_test(a_topic_that_was_made_anew_is_another_one),
      cmocka_unit_test(the_budget_refuses_a_value_and_keeps_the_older_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
