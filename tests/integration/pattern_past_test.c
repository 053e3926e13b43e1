/* SPDX-License-Identifier: MIT */
/*
 * Patterns, the history and the bus: resuming by pattern gets what was missed on all topics that match, once and in
 * order; and what comes by a bus under a name that a hub doesn't have reaches the subscribers of patterns all the same.
 */
#include "support/hub_bus_fixture.h"
#include "support/pattern_fixture.h"

static int resume(peer_t *peer, fluxbp_topic_t *topic, uint64_t since_id) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(peer->fx->hub, &range);
  peer->fx->calls++;
  int result = fluxbp_topic_subscribe_since(topic, peer->conn, range.epoch, since_id);
  peer->fx->calls--;
  return result;
}

/* Publish the number of the publication, which is its id as well. */
static void publish_next(fixture_t *fx, fluxbp_topic_t *topic) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx->hub, &range);
  assert_true(fixture_publish_text(fx, topic, "%d", (int) range.newest_id + 1) >= 0);
}

static void resuming_by_pattern_gets_all_topics_in_one_order(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.options.history_messages = 100;
  fixture_open(&fx);
  fluxbp_topic_t *a = pattern_open_topic(&fx, "n.a"), *b = pattern_open_topic(&fx, "n.b");
  fluxbp_topic_t *other = pattern_open_topic(&fx, "other");
  publish_next(&fx, a);
  publish_next(&fx, b);
  publish_next(&fx, other);
  publish_next(&fx, a);
  fluxbp_topic_destroy(b); /* it is dormant from now on */
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *pattern = pattern_open(&fx, "n.*");
  assert_int_equal(fluxbp_topic_oldest_since(pattern), 0);
  assert_int_equal(resume(&peer, pattern, 5), UV_EINVAL);
  assert_int_equal(resume(&peer, pattern, 1), 1);
  assert_int_equal(resume(&peer, pattern, 1), 0);
  publish_next(&fx, a);
  publish_next(&fx, pattern_open_topic(&fx, "n.c"));
  pattern_read_all(&peer);
  publish_next(&fx, a);
  pattern_expects(&peer, "n.b:2\nn.a:4\nn.a:5\nn.c:6\nn.a:7\n");
  assert_int_equal(peer_stats(&peer).accepted, 5);
  fixture_close(&fx);
}

static void resuming_by_pattern_and_by_name_gets_each_message_once(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.options.history_messages = 100;
  fixture_open(&fx);
  fluxbp_topic_t *a = pattern_open_topic(&fx, "n.a"), *b = pattern_open_topic(&fx, "n.b");
  for (int i = 0; i < 4; i++) publish_next(&fx, i % 2 == 0 ? a : b);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, a, 0), 1);
  assert_int_equal(resume(&peer, pattern_open(&fx, "n.*"), 1), 1);
  assert_int_equal(resume(&peer, pattern_open(&fx, "*.b"), 2), 1);
  publish_next(&fx, b);
  pattern_read_all(&peer);
  publish_next(&fx, b);
  pattern_expects(&peer, "n.a:1\nn.b:2\nn.a:3\nn.b:4\nn.b:5\nn.b:6\n");
  fixture_close(&fx);
}

static void subscriber_by_pattern_that_joins_a_replay_gets_what_is_live(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.options.history_messages = 100;
  fixture_open(&fx);
  fluxbp_topic_t *a = pattern_open_topic(&fx, "n.a"), *b = pattern_open_topic(&fx, "n.b");
  publish_next(&fx, a);
  publish_next(&fx, b);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, a, 0), 1);
  (void) pattern_subscribe(&peer, "*.b");
  publish_next(&fx, b);
  pattern_expects(&peer, "n.a:1\nn.b:3\n");
  fixture_close(&fx);
}

static void pattern_reaches_back_as_far_as_each_of_its_topics(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.options.history_messages = 10;
  fx.options.history_topic_messages = 3;
  fixture_open(&fx);
  fluxbp_topic_t *a = pattern_open_topic(&fx, "n.a"), *b = pattern_open_topic(&fx, "m.b");
  publish_next(&fx, a);
  for (int i = 0; i < 10; i++) publish_next(&fx, b);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_oldest_since(pattern_open(&fx, "n.*")), 0);
  assert_int_equal(fluxbp_topic_oldest_since(pattern_open(&fx, ">")), 8);
  assert_int_equal(resume(&peer, pattern_open(&fx, ">"), 7), UV_ERANGE);
  assert_int_equal(fluxbp_topic_has(pattern_open(&fx, ">"), peer.conn), 0);
  assert_int_equal(resume(&peer, pattern_open(&fx, "n.*"), 0), 1);
  pattern_expects(&peer, "n.a:1\n");
  fluxbp_topic_destroy(b);
  for (int i = 0; i < 10; i++) { /* the topic that was destroyed is forgotten with all its messages */
    char name[32];
    (void) snprintf(name, sizeof name, "other.%d", i);
    publish_next(&fx, pattern_open_topic(&fx, name));
  }
  assert_int_equal(fx.hub->topics.dormant, 0);
  assert_int_equal(fluxbp_topic_oldest_since(pattern_open(&fx, "m.*")), 11);
  fixture_close(&fx);
}

static void newest_messages_of_a_pattern_are_found(void **state) {
  fixture_t fx;
  peer_t peer;
  uint64_t since_id;
  (void) state;
  fixture_init(&fx);
  fx.options.history_messages = 100;
  fixture_open(&fx);
  fluxbp_topic_t *a = pattern_open_topic(&fx, "n.a"), *b = pattern_open_topic(&fx, "n.b");
  fluxbp_topic_t *other = pattern_open_topic(&fx, "other");
  fluxbp_topic_t *pattern = pattern_open(&fx, "n.*");
  assert_int_equal(fluxbp_topic_since_last(pattern, 3, &since_id), 0);
  assert_int_equal(since_id, 0);
  for (int i = 0; i < 4; i++) publish_next(&fx, i % 2 == 0 ? a : b);
  publish_next(&fx, other);
  assert_int_equal(fluxbp_topic_since_last(pattern, 0, &since_id), 0);
  assert_int_equal(since_id, 5);
  assert_int_equal(fluxbp_topic_since_last(pattern, 9, &since_id), 4);
  assert_int_equal(since_id, 0);
  assert_int_equal(fluxbp_topic_since_last(pattern, 3, &since_id), 3);
  assert_int_equal(since_id, 1);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, pattern, since_id), 1);
  pattern_expects(&peer, "n.b:2\nn.a:3\nn.b:4\n");
  fixture_close(&fx);
}

static void what_the_history_forgets_before_a_slow_subscriber_gets_it_is_a_gap(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.options.history_messages = 10;
  fx.policy.slots = 16;
  fixture_open(&fx);
  fluxbp_topic_t *a = pattern_open_topic(&fx, "n.a");
  publish_next(&fx, a);
  pattern_peer_open(&fx, &peer, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  assert_int_equal(resume(&peer, pattern_open(&fx, "n.*"), 0), 1);
  for (int i = 0; i < 100; i++) publish_next(&fx, a);
  uint64_t dropped = fixture_metrics(&fx).dropped;
  assert_true(dropped > 50);
  pattern_read_all(&peer);
  fixture_turns(&fx, 2);
  assert_int_equal(peer.lost, dropped);
  assert_int_equal(peer_stats(&peer).last_id, 101);
  fixture_close(&fx);
}

/* ---- by a bus ---- */

static int publish_to(buses_t *b, const char *name, const char *text) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(b->pool, text, strlen(text), &msg), 0);
  int err = fluxbp_bus_publish_to(b->bus, name, msg, NULL);
  fluxbp_msg_unref(msg);
  return err;
}

static void names_that_no_hub_has_reach_subscribers_of_patterns(void **state) {
  buses_t b;
  peer_t peers[2];
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  for (int i = 0; i < 2; i++) pattern_peer_open(&b.fx[i], &peers[i], FIXTURE_LARGE_BUFFERS);
  assert_int_equal(publish_to(&b, "news.a", "early"), 0);
  turns(&b, 3);
  (void) pattern_subscribe(&peers[0], "news.>");
  (void) pattern_subscribe(&peers[1], "*.b");
  assert_int_equal(publish_to(&b, "news.a", "1"), 0);
  assert_int_equal(publish_to(&b, "news.b", "2"), 0);
  turns(&b, 3);
  (void) pattern_subscribe(&peers[1], "news.a"); /* after the hub has seen that nothing matched */
  assert_int_equal(publish_to(&b, "news.a", "3"), 0);
  assert_int_equal(publish_to(&b, "other", "4"), 0);
  pattern_expects(&peers[0], "news.a:1\nnews.b:2\nnews.a:3\n");
  pattern_expects(&peers[1], "news.b:2\nnews.a:3\n");
  for (int i = 0; i < 2; i++) {
    assert_null(fluxbp_topic_find(b.fx[i].hub, "news.a"));
    assert_int_equal(fixture_metrics(&b.fx[i]).topics, 1); /* the fixture's */
    assert_int_equal(peer_stats(&peers[i]).last_id, 4);
  }
  close_hubs(&b);
}

static void names_of_strangers_take_a_bounded_amount_of_memory(void **state) {
  enum { NAMES = 20000 };
  buses_t b;
  peer_t peer;
  char name[64];
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  pattern_peer_open(&b.fx[0], &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *pattern = pattern_subscribe(&peer, ">");
  for (int i = 0; i < NAMES; i++) {
    (void) snprintf(name, sizeof name, "stranger.%d", i);
    assert_int_equal(publish_to(&b, name, "x"), 0);
    turns(&b, 1);
    if (i % 100 == 0) pattern_read_all(&peer);
    assert_true(b.fx[0].hub->topics.names.count <= 1 + FLUXBP__TOPICS_KEPT);
    assert_true(b.fx[1].hub->topics.names.count <= 1); /* which has no pattern */
  }
  pattern_read_all(&peer);
  assert_int_equal(peer_stats(&peer).written, NAMES);
  fluxbp_topic_destroy(pattern);
  assert_int_equal(b.fx[0].hub->topics.names.count, 1);
  close_hubs(&b);
}

static void topic_that_was_kept_for_a_pattern_can_be_opened(void **state) {
  buses_t b;
  peer_t peer;
  fluxbp_topic_t *topic;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  pattern_peer_open(&b.fx[0], &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *pattern = pattern_subscribe(&peer, ">");
  assert_int_equal(publish_to(&b, "a.log", "1"), 0);
  assert_int_equal(publish_to(&b, "a.state", "2"), 0);
  pattern_expects(&peer, "a.log:1\na.state:2\n");

  topic = pattern_open_topic(&b.fx[0], "a.log");
  assert_int_equal(fluxbp_topic_open_state(b.fx[0].hub, "a.log", 10, &topic), UV_EEXIST);
  fluxbp_topic_destroy(topic);
  for (int i = 0; i < 2; i++) assert_int_equal(fluxbp_topic_open_state(b.fx[i].hub, "a.state", 10, &topic), 0);
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create_keyed(b.pool, 1, "3", 1, &msg), 0);
  assert_int_equal(fluxbp_bus_publish_to(b.bus, "a.state", msg, NULL), 0);
  fluxbp_msg_unref(msg);
  assert_int_equal(publish_to(&b, "a.log", "4"), 0);
  pattern_expects(&peer, "a.state:3\na.log:4\n");
  fluxbp_topic_destroy(fluxbp_topic_find(b.fx[0].hub, "a.state"));
  fluxbp_topic_destroy(pattern);
  close_hubs(&b);
}

static void pattern_resumes_names_that_no_hub_has(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 64, 1);
  for (int i = 0; i < 2; i++) b.fx[i].options.history_messages = 100;
  open_hubs(&b);
  assert_int_equal(publish_to(&b, "news.a", "1"), 0);
  assert_int_equal(publish_to(&b, "other", "2"), 0);
  assert_int_equal(publish_to(&b, "news.b", "3"), 0);
  turns(&b, 3);
  pattern_peer_open(&b.fx[1], &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *pattern = pattern_open(&b.fx[1], "news.>");
  assert_int_equal(publish_to(&b, "news.c", "4"), 0); /* which the hub has yet to read */
  assert_int_equal(fluxbp_topic_subscribe_since(pattern, peer.conn, fluxbp_bus_epoch(b.bus), 4), UV_EAGAIN);
  assert_int_equal(fluxbp_topic_subscribe_since(pattern, peer.conn, fluxbp_bus_epoch(b.bus), 0), 1);
  assert_int_equal(publish_to(&b, "news.d", "5"), 0);
  turns(&b, 3);
  pattern_expects(&peer, "news.a:1\nnews.b:3\nnews.c:4\nnews.d:5\n");
  close_hubs(&b);
}

static void what_a_codec_refuses_is_a_gap_for_members_of_patterns_too(void **state) {
  buses_t b;
  peer_t peer;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  pattern_peer_open(&b.fx[0], &peer, FIXTURE_LARGE_BUFFERS);
  (void) pattern_subscribe(&peer, "news.>");
  (void) pattern_subscribe(&peer, "*.a");
  assert_int_equal(publish_to(&b, "news.a", "one"), 0);
  assert_int_equal(publish_to(&b, "news.a", "!"), 0);
  assert_int_equal(publish_to(&b, "news.a", "three"), 0);
  pattern_expects(&peer, "news.a:one\n{\"gap\":{\"from\":2,\"to\":2,\"count\":1}}\nnews.a:three\n");
  close_hubs(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resuming_by_pattern_gets_all_topics_in_one_order),
      cmocka_unit_test(resuming_by_pattern_and_by_name_gets_each_message_once),
      cmocka_unit_test(subscriber_by_pattern_that_joins_a_replay_gets_what_is_live),
      cmocka_unit_test(pattern_reaches_back_as_far_as_each_of_its_topics),
      cmocka_unit_test(newest_messages_of_a_pattern_are_found),
      cmocka_unit_test(what_the_history_forgets_before_a_slow_subscriber_gets_it_is_a_gap),
      cmocka_unit_test(names_that_no_hub_has_reach_subscribers_of_patterns),
      cmocka_unit_test(names_of_strangers_take_a_bounded_amount_of_memory),
      cmocka_unit_test(topic_that_was_kept_for_a_pattern_can_be_opened),
      cmocka_unit_test(pattern_resumes_names_that_no_hub_has),
      cmocka_unit_test(what_a_codec_refuses_is_a_gap_for_members_of_patterns_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
