/* SPDX-License-Identifier: MIT */
/*
 * Patterns and state topics: a subscriber of a pattern gets the newest message of each key of every state topic that
 * matches, whichever was there first, and always ends with the newest.
 */
#include "support/pattern_fixture.h"

#include "support/alloc_hook.h"

static fluxbp_topic_t *open_state(fixture_t *fx, const char *name) {
  fluxbp_topic_t *topic = NULL;
  assert_int_equal(fluxbp_topic_open_state(fx->hub, name, 100, &topic), 0);
  return topic;
}

/* Publish the value of a key. */
static int set(fixture_t *fx, fluxbp_topic_t *topic, uint64_t key, int value) {
  char text[32];
  fluxbp_msg_t *msg;
  int length = snprintf(text, sizeof text, "%d=%d", (int) key, value);
  assert_int_equal(fluxbp_msg_create_keyed(fx->pool, key, text, (size_t) length, &msg), 0);
  fx->calls++;
  int receivers = fluxbp_topic_publish(topic, msg);
  fx->calls--;
  fluxbp_msg_unref(msg);
  return receivers;
}

static void newcomer_gets_the_newest_of_each_key_of_each_topic(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_topic_t *topics[3] = {open_state(&fx, "prices.a"), open_state(&fx, "prices.b"), open_state(&fx, "rates.a")};
  for (int i = 0; i < 3; i++) assert_int_equal(set(&fx, topics[i], 1, i), 0);
  assert_int_equal(set(&fx, topics[0], 2, 20), 0);
  assert_int_equal(set(&fx, topics[0], 2, 21), 0);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  (void) pattern_subscribe(&peer, "prices.*");
  pattern_read_all(&peer);
  assert_int_equal(peer.len, strlen("prices.a:1=0\nprices.a:2=21\nprices.b:1=1\n"));
  peer_forget(&peer);
  assert_int_equal(set(&fx, topics[1], 1, 5), 1);
  assert_int_equal(set(&fx, topics[2], 1, 6), 0);
  pattern_expects(&peer, "prices.b:1=5\n");
  fixture_close(&fx);
}

static void state_topic_that_comes_later_is_subscribed_too(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  (void) pattern_subscribe(&peer, "prices.*");
  (void) pattern_subscribe(&peer, ">");
  fluxbp_topic_t *topic = open_state(&fx, "prices.a");
  assert_int_equal(set(&fx, topic, 1, 1), 1);
  assert_int_equal(set(&fx, topic, 1, 2), 1);
  pattern_expects(&peer, "prices.a:1=1\nprices.a:1=2\n");
  fluxbp_topic_destroy(topic);
  topic = open_state(&fx, "prices.a");
  assert_int_equal(set(&fx, topic, 1, 3), 1);
  pattern_expects(&peer, "prices.a:1=3\n");
  fixture_close(&fx);
}

static void subscriptions_by_pattern_and_by_name_are_told_apart(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_topic_t *topic = open_state(&fx, "prices.a");
  assert_int_equal(set(&fx, topic, 1, 1), 0);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *wide = pattern_subscribe(&peer, ">");
  fluxbp_topic_t *narrow = pattern_subscribe(&peer, "prices.*");
  pattern_expects(&peer, "prices.a:1=1\n");
  assert_int_equal(fluxbp_topic_has(topic, peer.conn), 0);
  assert_int_equal(fluxbp_topic_subscribers(topic), 0);
  assert_int_equal(fluxbp_topic_unsubscribe(topic, peer.conn), 0);

  assert_int_equal(fluxbp_topic_subscribe(topic, peer.conn), 1);
  assert_int_equal(fluxbp_topic_subscribe(topic, peer.conn), 0);
  assert_int_equal(fluxbp_topic_has(topic, peer.conn), 1);
  assert_int_equal(fluxbp_topic_subscribers(topic), 1);
  assert_int_equal(set(&fx, topic, 1, 2), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(topic, peer.conn), 1);
  assert_int_equal(fluxbp_topic_has(topic, peer.conn), 0);
  assert_int_equal(set(&fx, topic, 1, 3), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(wide, peer.conn), 1);
  assert_int_equal(set(&fx, topic, 1, 4), 1);
  assert_int_equal(fluxbp_topic_subscribe(topic, peer.conn), 1);
  fluxbp_topic_destroy(narrow);
  assert_int_equal(set(&fx, topic, 1, 5), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(topic, peer.conn), 1);
  assert_int_equal(set(&fx, topic, 1, 6), 0);
  assert_int_equal(fluxbp_topic_subscribers(topic), 0);
  pattern_expects(&peer, "prices.a:1=2\nprices.a:1=3\nprices.a:1=4\nprices.a:1=5\n");
  fixture_close(&fx);
}

static bool has_received(const peer_t *peer, const char *line) {
  size_t length = strlen(line);
  for (size_t at = 0; at + length <= peer->len; at++)
    if (memcmp(peer->data + at, line, length) == 0) return true;
  return false;
}

static void subscriber_that_is_behind_ends_with_the_newest(void **state) {
  enum { KEYS = 50, TIMES = 30 };
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  fluxbp_topic_t *topics[2] = {open_state(&fx, "prices.a"), open_state(&fx, "prices.b")};
  pattern_peer_open(&fx, &peer, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  (void) pattern_subscribe(&peer, "prices.*");
  for (int i = 0; i < TIMES * KEYS; i++) assert_int_equal(set(&fx, topics[i % 2], (uint64_t) (i / 2 % KEYS), i), 1);
  pattern_read_all(&peer);
  assert_int_equal(fixture_metrics(&fx).dropped, 0);
  for (int i = (TIMES - 2) * KEYS; i < TIMES * KEYS; i++) {
    char line[32];
    (void) snprintf(line, sizeof line, "prices.%c:%d=%d\n", 'a' + i % 2, i / 2 % KEYS, i);
    assert_true(has_received(&peer, line));
  }
  fixture_close(&fx);
}

static void without_memory_nothing_is_subscribed(void **state) {
  fixture_t fx;
  peer_t peer;
  alloc_hook_t hook;
  (void) state;
  alloc_hook_init(&hook);
  fixture_init(&fx);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  fluxbp_topic_t *topics[3] = {open_state(&fx, "prices.a"), open_state(&fx, "prices.b"), open_state(&fx, "prices.c")};
  for (int i = 0; i < 3; i++) assert_int_equal(set(&fx, topics[i], 1, i), 0);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *pattern = pattern_open(&fx, "prices.*");
  int failures = 0;
  for (uint64_t nth = 1;; nth++) {
    alloc_hook_fail_once(&hook, nth);
    int result = fluxbp_topic_subscribe(pattern, peer.conn);
    alloc_hook_heal(&hook);
    if (result == 1) break;
    assert_true(result == UV_ENOMEM || result == UV_ENOBUFS);
    assert_int_equal(fluxbp_topic_subscribers(pattern), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(set(&fx, topics[i], 1, i), 0);
    failures++;
  }
  assert_true(failures >= 3);
  pattern_read_all(&peer);
  assert_int_equal(peer.len, strlen("prices.a:1=0\n") * 3);

  fluxbp_topic_t *topic = NULL;
  for (uint64_t nth = 1;; nth++) { /* a state topic is there with all its subscribers, or not at all */
    alloc_hook_fail_once(&hook, nth);
    int err = fluxbp_topic_open_state(fx.hub, "prices.d", 10, &topic);
    alloc_hook_heal(&hook);
    if (!err) break;
    assert_int_equal(err, UV_ENOMEM);
    assert_null(fluxbp_topic_find(fx.hub, "prices.d"));
  }
  assert_int_equal(set(&fx, topic, 1, 1), 1);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(newcomer_gets_the_newest_of_each_key_of_each_topic),
      cmocka_unit_test(state_topic_that_comes_later_is_subscribed_too),
      cmocka_unit_test(subscriptions_by_pattern_and_by_name_are_told_apart),
      cmocka_unit_test(subscriber_that_is_behind_ends_with_the_newest),
      cmocka_unit_test(without_memory_nothing_is_subscribed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
