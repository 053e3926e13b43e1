/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions by pattern: a connection gets each message of every topic that matches, once and in order, whatever
 * comes first and whatever goes.
 */
#include "support/pattern_fixture.h"

#include "support/alloc_hook.h"
#include "support/socketpair.h"

static void subscriber_of_a_pattern_gets_all_topics_that_match(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *before = pattern_open_topic(&fx, "orders.17.status");
  assert_int_equal(fixture_publish_text(&fx, before, "too early"), 0);
  (void) pattern_subscribe(&peer, "orders.*.status");
  fluxbp_topic_t *after = pattern_open_topic(&fx, "orders/18/status");
  fluxbp_topic_t *other = pattern_open_topic(&fx, "orders.18.price");
  assert_int_equal(fixture_publish_text(&fx, before, "paid"), 1);
  assert_int_equal(fixture_publish_text(&fx, other, "10"), 0);
  assert_int_equal(fixture_publish_text(&fx, after, "sent"), 1);
  assert_int_equal(fixture_publish_text(&fx, before, "closed"), 1);
  pattern_expects(&peer, "orders.17.status:paid\norders/18/status:sent\norders.17.status:closed\n");
  assert_int_equal(peer_stats(&peer).last_id, 5);
  fixture_close(&fx);
}

static void pattern_is_found_by_its_tokens(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_topic_t *pattern = pattern_open(&fx, "news.*.x");
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "news.*.x");
  assert_ptr_equal(pattern_open(&fx, "news/*/x"), pattern);
  assert_ptr_equal(fluxbp_topic_find_pattern(fx.hub, "news.*.x"), pattern);
  assert_null(fluxbp_topic_find_pattern(fx.hub, "news.*"));
  assert_null(fluxbp_topic_find_pattern(fx.hub, "new*"));
  assert_ptr_not_equal(topic, pattern);
  assert_ptr_equal(fluxbp_topic_find(fx.hub, "news.*.x"), topic);
  assert_true(fluxbp_topic_is_pattern(pattern));
  assert_false(fluxbp_topic_is_pattern(topic));
  assert_string_equal(fluxbp_topic_name(pattern), "news.*.x");
  fluxbp_topic_set_user(pattern, &fx);
  assert_ptr_equal(fluxbp_topic_user(pattern), &fx);
  fixture_close(&fx);
}

static void wrong_uses_of_a_pattern_are_refused(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *pattern;
  fluxbp_msg_t *msg;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_open_pattern(fx.hub, "new*", &pattern), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open_pattern(fx.hub, ">.x", &pattern), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open_pattern(fx.hub, "", &pattern), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open_pattern(fx.hub, "x", NULL), UV_EINVAL);
  pattern = pattern_open(&fx, "news.>");
  assert_int_equal(fixture_publish_text(&fx, pattern, "nowhere"), UV_EINVAL);
  assert_int_equal(fluxbp_msg_create(fx.pool, "x", 1, &msg), 0);
  assert_int_equal(fluxbp_topic_send_past(pattern, peer.conn, msg, 1), UV_EINVAL);
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp_topic_is_state(pattern), 0);
  assert_int_equal(fluxbp_topic_forget(pattern, 1), 0);
  fixture_close(&fx);
}

static void connection_that_several_ways_reach_gets_each_message_once(void **state) {
  fixture_t fx;
  peer_t both;
  peer_t one;
  peer_t exact;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &both, FIXTURE_LARGE_BUFFERS);
  pattern_peer_open(&fx, &one, FIXTURE_LARGE_BUFFERS);
  pattern_peer_open(&fx, &exact, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "news.x");
  assert_int_equal(fluxbp_topic_subscribe(topic, both.conn), 1);
  assert_int_equal(fluxbp_topic_subscribe(topic, exact.conn), 1);
  (void) pattern_subscribe(&both, "news.>");
  (void) pattern_subscribe(&both, "*.x");
  (void) pattern_subscribe(&one, "news.>");
  (void) pattern_subscribe(&one, "news.*");
  for (int i = 0; i < 3; i++) assert_int_equal(fixture_publish_text(&fx, topic, "%d", i), 3);
  const char *expected = "news.x:0\nnews.x:1\nnews.x:2\n";
  pattern_expects(&both, expected);
  pattern_expects(&one, expected);
  pattern_expects(&exact, expected);
  assert_int_equal(fluxbp_topic_subscribers(topic), 2);
  fixture_close(&fx);
}

static void each_way_goes_on_without_the_others(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "news.x");
  fluxbp_topic_t *wide = pattern_subscribe(&peer, "news.>");
  fluxbp_topic_t *narrow = pattern_subscribe(&peer, "news.*");
  assert_int_equal(fluxbp_topic_subscribe(narrow, peer.conn), 0);
  assert_int_equal(fluxbp_topic_subscribe(topic, peer.conn), 1);
  assert_int_equal(fluxbp_topic_has(wide, peer.conn), 1);
  assert_int_equal(fluxbp_topic_subscribers(wide), 1);

  assert_int_equal(fluxbp_topic_unsubscribe(wide, peer.conn), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(wide, peer.conn), 0);
  assert_int_equal(fixture_publish_text(&fx, topic, "1"), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(topic, peer.conn), 1);
  assert_int_equal(fixture_publish_text(&fx, topic, "2"), 1);
  fluxbp_topic_destroy(narrow);
  assert_null(fluxbp_topic_find_pattern(fx.hub, "news.*"));
  assert_int_equal(fixture_publish_text(&fx, topic, "3"), 0);
  assert_int_equal(fluxbp_topic_subscribe(wide, peer.conn), 1);
  assert_int_equal(fixture_publish_text(&fx, topic, "4"), 1);
  fluxbp_topic_destroy(topic);
  topic = pattern_open_topic(&fx, "news.x");
  assert_int_equal(fixture_publish_text(&fx, topic, "5"), 1);
  pattern_expects(&peer, "news.x:1\nnews.x:2\nnews.x:4\nnews.x:5\n");
  fixture_close(&fx);
}

static void members_of_patterns_and_topics_have_their_own_codecs(void **state) {
  fixture_t fx;
  peer_t named;
  peer_t lines;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &named, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &lines, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx.topic, lines.conn);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "a.b");
  (void) pattern_subscribe(&named, "a.*");
  (void) pattern_subscribe(&lines, "*.b");
  assert_int_equal(fixture_publish_text(&fx, topic, "1"), 2);
  pattern_read_all(&lines);
  assert_int_equal(fluxbp_conn_set_codec(lines.conn, &fluxbp_codec_length32), 0);
  assert_int_equal(fixture_publish_text(&fx, topic, "2"), 2);
  assert_int_equal(fixture_publish_text(&fx, topic, "!"), UV_EINVAL); /* which one codec refuses: nothing for both */
  pattern_read_all(&lines);
  assert_int_equal(lines.len, 7);
  assert_memory_equal(lines.data, "1\n\0\0\0\0012", 7);
  pattern_expects(&named, "a.b:1\na.b:2\n");
  fixture_close(&fx);
}

static void what_a_full_ring_loses_is_a_gap_in_its_place(void **state) {
  fixture_t fx;
  peer_t peer;
  char last[32];
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  pattern_peer_open(&fx, &peer, FIXTURE_SMALL_BUFFERS);
  (void) pattern_subscribe(&peer, "news.>");
  fluxbp_topic_t *topics[2] = {pattern_open_topic(&fx, "news.a"), pattern_open_topic(&fx, "news.b")};
  (void) peer_refuse(&peer);
  for (int i = 0; i < 100; i++) assert_int_equal(fixture_publish_text(&fx, topics[i % 2], "%d", i), 1);
  assert_true(fixture_metrics(&fx).dropped >= 80);
  pattern_read_all(&peer);
  fixture_turns(&fx, 2);
  assert_int_equal(peer.lost, fixture_metrics(&fx).dropped);
  assert_int_equal(fixture_publish_text(&fx, topics[0], "after"), 1);
  pattern_read_all(&peer);
  (void) snprintf(last, sizeof last, "}}\nnews.a:after\n");
  assert_memory_equal(peer.data + peer.len - strlen(last), last, strlen(last));
  fixture_close(&fx);
}

static void connection_that_closes_leaves_its_patterns(void **state) {
  fixture_t fx;
  peer_t going;
  peer_t staying;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  pattern_peer_open(&fx, &going, FIXTURE_LARGE_BUFFERS);
  pattern_peer_open(&fx, &staying, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "t.x");
  fluxbp_topic_t *pattern = pattern_subscribe(&going, "t.>");
  for (int i = 0; i < 40; i++) { /* more than a list that is searched */
    char text[16];
    (void) snprintf(text, sizeof text, "t.%d", i);
    (void) pattern_subscribe(&going, text);
  }
  (void) pattern_subscribe(&staying, "t.>");
  fluxbp_conn_close(going.conn, 1000);
  assert_int_equal(fluxbp_topic_subscribers(pattern), 1);
  peer_hang_up(&going);
  peer_wait_for_close(&going);
  assert_int_equal(fixture_publish_text(&fx, topic, "1"), 1);
  assert_int_equal(fluxbp_topic_subscribe(pattern, staying.conn), 0);
  pattern_expects(&staying, "t.x:1\n");
  fluxbp_conn_reset(staying.conn);
  assert_int_equal(fluxbp_topic_subscribers(pattern), 0);
  assert_int_equal(fixture_publish_text(&fx, topic, "2"), 0);
  fixture_close(&fx);
}

/* The second connection takes the index of the first one when that goes. */
static void connections_that_come_and_go_are_told_apart(void **state) {
  enum { PEERS = 130, ROUNDS = 40 };
  fixture_t fx;
  peer_t *peers[PEERS];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "a.b");
  fluxbp_topic_t *patterns[2] = {pattern_open(&fx, "a.*"), pattern_open(&fx, "*.b")};
  int expected = 0;
  for (int i = 0; i < PEERS; i++) {
    peers[i] = peer_new(&fx, FLUXBP_PIPE, pattern_codec(), FIXTURE_LARGE_BUFFERS);
    (void) fluxbp_topic_unsubscribe(fx.topic, peers[i]->conn);
    if (i % 2 == 0) assert_int_equal(fluxbp_topic_subscribe(topic, peers[i]->conn), 1);
    if (i % 3 == 0) assert_int_equal(fluxbp_topic_subscribe(patterns[0], peers[i]->conn), 1);
    if (i % 5 == 0) assert_int_equal(fluxbp_topic_subscribe(patterns[1], peers[i]->conn), 1);
    expected += i % 2 == 0 || i % 3 == 0 || i % 5 == 0;
    assert_int_equal(fixture_publish_text(&fx, topic, "x"), expected);
  }
  for (int i = 0; i < ROUNDS; i++) {
    fluxbp_conn_reset(peers[i]->conn);
    fixture_turns(&fx, 2);
    expected -= i % 2 == 0 || i % 3 == 0 || i % 5 == 0;
    assert_int_equal(fixture_publish_text(&fx, topic, "x"), expected);
  }
  fixture_close(&fx);
}

static void without_memory_all_get_it_or_none(void **state) {
  fixture_t fx;
  peer_t exact;
  peer_t wide;
  peer_t narrow;
  alloc_hook_t hook;
  (void) state;
  alloc_hook_init(&hook);
  fixture_init(&fx);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  pattern_peer_open(&fx, &exact, FIXTURE_LARGE_BUFFERS);
  pattern_peer_open(&fx, &wide, FIXTURE_LARGE_BUFFERS);
  pattern_peer_open(&fx, &narrow, FIXTURE_LARGE_BUFFERS);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "a.b");
  assert_int_equal(fluxbp_topic_subscribe(topic, exact.conn), 1);
  (void) pattern_subscribe(&wide, "a.>");
  (void) pattern_subscribe(&narrow, "a.*");
  int failures = 0;
  for (uint64_t nth = 1;; nth++) {
    fluxbp_msg_t *msg;
    assert_int_equal(fluxbp_msg_create(fx.pool, "1", 1, &msg), 0);
    alloc_hook_fail_once(&hook, nth);
    int result = fluxbp_topic_publish(topic, msg);
    alloc_hook_heal(&hook);
    fluxbp_msg_unref(msg);
    if (result == 3) break;
    assert_int_equal(result, UV_ENOMEM);
    failures++;
  }
  assert_true(failures >= 2); /* the list of matches, and the set of connections */
  pattern_expects(&exact, "a.b:1\n");
  pattern_expects(&wide, "a.b:1\n");
  pattern_expects(&narrow, "a.b:1\n");

  for (uint64_t nth = 1;; nth++) { /* a pattern is there as a whole, or not at all */
    fluxbp_topic_t *pattern;
    alloc_hook_fail_once(&hook, nth);
    int err = fluxbp_topic_open_pattern(fx.hub, "x.*.y.>", &pattern);
    if (!err) err = fluxbp_topic_subscribe(pattern, exact.conn) == 1 ? 0 : UV_ENOMEM;
    alloc_hook_heal(&hook);
    if (!err) break;
    assert_int_equal(err, UV_ENOMEM);
    pattern = fluxbp_topic_find_pattern(fx.hub, "x.*.y.>");
    if (pattern != NULL) {
      assert_int_equal(fluxbp_topic_has(pattern, exact.conn), 0);
      fluxbp_topic_destroy(pattern);
    }
  }
  assert_int_equal(fixture_publish_text(&fx, pattern_open_topic(&fx, "x.1.y.z"), "2"), 1);
  pattern_expects(&exact, "x.1.y.z:2\n");
  fixture_close(&fx);
}

static void connection_that_is_not_started_gets_what_comes_after_its_start(void **state) {
  fixture_t fx;
  fluxbp_conn_t *conn;
  peer_t peer = {.fx = &fx, .fd = -1};
  int fds[2];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_topic_t *topic = pattern_open_topic(&fx, "a.b");
  fluxbp_conn_options_t options = peer_options(&peer, FLUXBP_PIPE, pattern_codec());
  assert_int_equal(socketpair_make(FLUXBP_PIPE, false, fds), 0);
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), 0);
  assert_int_equal(socketpair_open(conn, FLUXBP_PIPE, fds[0]), 0);
  peer.conn = conn;
  peer.fd = fds[1];
  peer.next = fx.peers;
  fx.peers = &peer;
  assert_int_equal(fluxbp_topic_subscribe(pattern_open(&fx, "a.*"), conn), 1);
  assert_int_equal(fixture_publish_text(&fx, topic, "1"), 0);
  assert_int_equal(fluxbp_conn_start(conn), 0);
  assert_int_equal(fixture_publish_text(&fx, topic, "2"), 1);
  pattern_expects(&peer, "a.b:2\n");
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(subscriber_of_a_pattern_gets_all_topics_that_match),
      cmocka_unit_test(pattern_is_found_by_its_tokens),
      cmocka_unit_test(wrong_uses_of_a_pattern_are_refused),
      cmocka_unit_test(connection_that_several_ways_reach_gets_each_message_once),
      cmocka_unit_test(each_way_goes_on_without_the_others),
      cmocka_unit_test(members_of_patterns_and_topics_have_their_own_codecs),
      cmocka_unit_test(what_a_full_ring_loses_is_a_gap_in_its_place),
      cmocka_unit_test(connection_that_closes_leaves_its_patterns),
      cmocka_unit_test(connections_that_come_and_go_are_told_apart),
      cmocka_unit_test(without_memory_all_get_it_or_none),
      cmocka_unit_test(connection_that_is_not_started_gets_what_comes_after_its_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
