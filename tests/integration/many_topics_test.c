/* SPDX-License-Identifier: MIT */
/*
 * Connections with thousands of topics: subscriptions that are found by an index, and a resume of all of them together.
 */
#include "support/alloc_hook.h"
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS = 3000 };

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static void open_topics(const fixture_t *fx, fluxbp_topic_t **topics) {
  char name[16];
  for (int i = 0; i < TOPICS; i++) {
    (void) snprintf(name, sizeof name, "t%d", i);
    assert_int_equal(fluxbp_topic_open(fx->hub, name, &topics[i]), 0);
  }
}

/* The list of each connection grows to thousands, shrinks to a few, and grows again. */
static void membership_is_exact_with_thousands_of_topics(void **state) {
  enum { PEERS = 3, STEPS = 60000 };
  static bool is_member[TOPICS][PEERS];
  static fluxbp_topic_t *topics[TOPICS];
  fixture_t fx;
  peer_t *peers[PEERS];
  uint64_t accepted[PEERS] = {0};
  uint32_t seed = 7;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 1024;
  fixture_open(&fx);
  open_topics(&fx, topics);
  for (int p = 0; p < PEERS; p++) {
    peers[p] = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_unsubscribe(fx.topic, peers[p]->conn), 1);
  }
  for (int step = 0; step < STEPS; step++) {
    uint32_t t = next_random(&seed) % TOPICS;
    uint32_t p = next_random(&seed) % PEERS;
    uint32_t joins_of_ten = step / (STEPS / 4) % 2 == 0 ? 8 : 2;
    bool joins = next_random(&seed) % 10 < joins_of_ten;
    if (joins)
      assert_int_equal(fluxbp_topic_subscribe(topics[t], peers[p]->conn), !is_member[t][p]);
    else
      assert_int_equal(fluxbp_topic_unsubscribe(topics[t], peers[p]->conn), is_member[t][p]);
    is_member[t][p] = joins;
    if (step % 16 != 0) continue;
    for (int i = 0; i < PEERS; i++) accepted[i] += is_member[t][i];
    assert_int_equal(fixture_publish(&fx, topics[t], "x", 1), fluxbp_topic_subscribers(topics[t]));
    if (step % 512 == 0) fluxbp_hub_flush(fx.hub);
  }
  for (int t = 0; t < TOPICS; t++) {
    size_t members = 0;
    for (int p = 0; p < PEERS; p++) {
      assert_int_equal(fluxbp_topic_has(topics[t], peers[p]->conn), is_member[t][p]);
      members += is_member[t][p];
    }
    assert_int_equal(fluxbp_topic_subscribers(topics[t]), members);
  }
  for (int p = 0; p < PEERS; p++) assert_int_equal(peer_stats(peers[p]).accepted, accepted[p]);
  fixture_balances(&fx);

  fluxbp_conn_reset(peers[1]->conn);
  for (int t = 0; t < TOPICS; t++)
    assert_int_equal(fluxbp_topic_subscribers(topics[t]), is_member[t][0] + is_member[t][2]);
  for (int t = 0; t < TOPICS; t += 2) fluxbp_topic_destroy(topics[t]);
  for (int t = 1; t < TOPICS; t += 2) assert_int_equal(fluxbp_topic_has(topics[t], peers[2]->conn), is_member[t][2]);
  fixture_close(&fx);
}

static void thousands_of_topics_resume_together_in_one_order(void **state) {
  enum { MESSAGES = 9000, SINCE = 500 };
  static fluxbp_topic_t *topics[TOPICS];
  fixture_t fx;
  fluxbp_history_range_t range;
  size_t length = 0;
  (void) state;
  char *expected = malloc((size_t) MESSAGES * 8);
  assert_non_null(expected);
  fixture_init(&fx);
  fx.options.history_messages = MESSAGES;
  fx.policy.slots = 512;
  fixture_open(&fx);
  open_topics(&fx, topics);
  for (int n = 1; n <= MESSAGES; n++) {
    bool is_wanted = n % 2 == 0; /* every topic, but only half of them: TOPICS is even */
    assert_int_equal(fixture_publish_text(&fx, topics[n % TOPICS], "%d", n), 0);
    if (is_wanted && n > SINCE) length += (size_t) sprintf(expected + length, "%d\n", n);
  }
  for (int t = 1; t < TOPICS; t++) { /* which have each MESSAGES / TOPICS of them */
    uint64_t since_id;
    assert_int_equal(fluxbp_topic_since_last(topics[t], 2, &since_id), 2);
    assert_int_equal(since_id, MESSAGES - 2 * TOPICS + t - 1);
    assert_int_equal(fluxbp_topic_since_last(topics[t], 9, &since_id), MESSAGES / TOPICS);
    assert_int_equal(since_id, t - 1);
  }
  peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  fluxbp_hub_history(fx.hub, &range);
  for (int t = 0; t < TOPICS; t += 2)
    assert_int_equal(fluxbp_topic_subscribe_since(topics[t], peer->conn, range.epoch, SINCE), 1);
  assert_int_equal(fluxbp_topic_subscribe(topics[1], peer->conn), 1); /* live */
  assert_int_equal(fixture_publish(&fx, topics[0], "end", 3), 1);
  assert_int_equal(fixture_publish(&fx, topics[1], "live", 4), 1);
  length += (size_t) sprintf(expected + length, "end\nlive\n");
  peer_wait_for(peer, length);
  assert_memory_equal(peer->data, expected, length);
  fixture_balances(&fx);
  fixture_close(&fx);
  free(expected);
}

static void every_allocation_of_a_growing_list_may_fail(void **state) {
  (void) state;
  fixture_t fx;
  static fluxbp_topic_t *topics[TOPICS];
  alloc_hook_t hook;
  fixture_init(&fx);
  alloc_hook_init(&hook);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  open_topics(&fx, topics);
  peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int t = 0; t < 200; t++) {
    int result = UV_ENOMEM;
    for (uint64_t nth = 1; result == UV_ENOMEM; nth++) {
      alloc_hook_fail_from(&hook, nth);
      result = fluxbp_topic_subscribe(topics[t], peer->conn);
      alloc_hook_heal(&hook);
      assert_int_equal(fluxbp_topic_has(topics[t], peer->conn), result == 1);
    }
    assert_int_equal(result, 1);
    for (int k = 0; k <= t; k++) assert_true(fluxbp_topic_has(topics[k], peer->conn));
  }
  fixture_close(&fx);
}

/* Whatever its length, right after it has grown, too. */
static void a_subscription_takes_24_bytes_and_a_topic_256(void **state) {
  enum { HEADER = 64 };
  static fluxbp_topic_t *topics[TOPICS];
  fixture_t fx;
  alloc_hook_t hook;
  (void) state;
  fixture_init(&fx);
  alloc_hook_init(&hook);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  uint64_t bytes_before = hook.live_bytes;
  open_topics(&fx, topics);
  assert_in_range((hook.live_bytes - bytes_before) / TOPICS, 1, 256);
  peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  bytes_before = hook.live_bytes;
  for (uint64_t t = 0; t < TOPICS; t++) { /* each topic has room for its first member */
    assert_int_equal(fluxbp_topic_subscribe(topics[t], peer->conn), 1);
    assert_in_range(hook.live_bytes - bytes_before, t, 24 * (t + 1) + HEADER);
  }
  fixture_close(&fx);
}

static void a_topic_has_a_pointer_of_the_users_until_it_is_destroyed(void **state) {
  (void) state;
  fixture_t fx;
  fluxbp_topic_t *topic;
  int mine;
  fixture_init(&fx);
  fx.options.history_messages = 10;
  fixture_open(&fx);
  assert_int_equal(fluxbp_topic_open(fx.hub, "mine", &topic), 0);
  assert_null(fluxbp_topic_user(topic));
  fluxbp_topic_set_user(topic, &mine);
  assert_ptr_equal(fluxbp_topic_user(topic), &mine);
  assert_int_equal(fixture_publish(&fx, topic, "x", 1), 0);
  fluxbp_topic_destroy(topic); /* the history keeps it, dormant */
  assert_int_equal(fluxbp_topic_open(fx.hub, "mine", &topic), 0);
  assert_null(fluxbp_topic_user(topic));
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(membership_is_exact_with_thousands_of_topics),
      cmocka_unit_test(thousands_of_topics_resume_together_in_one_order),
      cmocka_unit_test(every_allocation_of_a_growing_list_may_fail),
      cmocka_unit_test(a_subscription_takes_24_bytes_and_a_topic_256),
      cmocka_unit_test(a_topic_has_a_pointer_of_the_users_until_it_is_destroyed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
