/* SPDX-License-Identifier: MIT */
/*
 * Members that come, go, and change their codec: a message is encoded for the codecs that members use, and for no other
 * one. The newline codec refuses what has two lines, which tells whether a topic takes it for used.
 */
#include "support/alloc_hook.h"
#include "support/fixture.h"

#include <string.h>

enum { PEERS = 40, CODECS = 3, NEWLINE = 1, TOPICS = 3, STEPS = 6000 };

static const fluxbp_codec_t *codec_of(int number) {
  static const fluxbp_codec_t *const codecs[CODECS] = {&fluxbp_codec_raw, &fluxbp_codec_newline,
                                                       &fluxbp_codec_length32};
  return codecs[number];
}

/* What a message of one byte comes to in each codec. */
static const size_t message_bytes[CODECS] = {1, 2, 5};

typedef struct crowd {
  fixture_t fx;
  fluxbp_topic_t *topics[TOPICS];
  peer_t *peers[PEERS];
  int codecs[PEERS];
  bool is_member[TOPICS][PEERS];
  size_t due[PEERS]; /* bytes */
} crowd_t;

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static void open_crowd(crowd_t *crowd) {
  static const char *const names[TOPICS] = {"one", "two", "three"};
  crowd->fx.policy.slots = 1024;
  fixture_open(&crowd->fx);
  for (int t = 0; t < TOPICS; t++) assert_int_equal(fluxbp_topic_open(crowd->fx.hub, names[t], &crowd->topics[t]), 0);
  for (int p = 0; p < PEERS; p++) {
    crowd->peers[p] = peer_new(&crowd->fx, FLUXBP_PIPE, codec_of(0), FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_unsubscribe(crowd->fx.topic, crowd->peers[p]->conn), 1);
  }
}

static void step_membership(crowd_t *crowd, int t, int p, bool joins) {
  fluxbp_conn_t *conn = crowd->peers[p]->conn;
  bool is_member = crowd->is_member[t][p];
  if (joins)
    assert_int_equal(fluxbp_topic_subscribe(crowd->topics[t], conn), !is_member);
  else
    assert_int_equal(fluxbp_topic_unsubscribe(crowd->topics[t], conn), is_member);
  crowd->is_member[t][p] = joins;
}

/* A message for all members, and one that can't be encoded for those on lines. */
static void publish_on(crowd_t *crowd, int t) {
  int members = 0;
  bool has_lines = false;
  for (int p = 0; p < PEERS; p++) {
    if (!crowd->is_member[t][p]) continue;
    members++;
    has_lines |= crowd->codecs[p] == NEWLINE;
    crowd->due[p] += message_bytes[crowd->codecs[p]];
  }
  assert_int_equal(fluxbp_topic_subscribers(crowd->topics[t]), members);
  assert_int_equal(fixture_publish(&crowd->fx, crowd->topics[t], "x", 1), members);
  assert_int_equal(fixture_publish(&crowd->fx, crowd->topics[t], "\n", 1), has_lines ? UV_EINVAL : members);
  for (int p = 0; p < PEERS; p++)
    if (crowd->is_member[t][p] && !has_lines) crowd->due[p] += message_bytes[crowd->codecs[p]];
}

static void check_received(crowd_t *crowd) {
  for (int p = 0; p < PEERS; p++) {
    peer_wait_for(crowd->peers[p], crowd->due[p]);
    assert_int_equal(crowd->peers[p]->len, crowd->due[p]);
    peer_forget(crowd->peers[p]);
    crowd->due[p] = 0;
  }
}

static void a_message_is_encoded_for_the_codecs_of_the_members(void **state) {
  static crowd_t crowd;
  uint32_t seed = 5;
  (void) state;
  fixture_init(&crowd.fx);
  open_crowd(&crowd);
  for (int step = 0; step < STEPS; step++) {
    int t = (int) (next_random(&seed) % TOPICS), p = (int) (next_random(&seed) % PEERS);
    uint32_t joins_of_ten = step / (STEPS / 6) % 2 == 0 ? 9 : 1; /* topics fill up, become nearly empty, and again */
    step_membership(&crowd, t, p, next_random(&seed) % 10 < joins_of_ten);
    p = (int) (next_random(&seed) % PEERS);
    int codec = next_random(&seed) % 8 == 0 ? NEWLINE : (int) (next_random(&seed) % 2) * 2;
    assert_int_equal(fluxbp_conn_set_codec(crowd.peers[p]->conn, codec_of(codec)), 0);
    crowd.codecs[p] = codec;
    publish_on(&crowd, t);
    if (step % 100 == 99) check_received(&crowd);
  }
  check_received(&crowd);
  fixture_balances(&crowd.fx);
  fixture_close(&crowd.fx);
}

/* It needs no memory for that. */
static void the_only_member_of_a_topic_changes_its_codec(void **state) {
  static crowd_t crowd;
  (void) state;
  fixture_init(&crowd.fx);
  open_crowd(&crowd);
  step_membership(&crowd, 0, 7, true);
  for (int codec = 0; codec < 2 * CODECS; codec++) {
    assert_int_equal(fluxbp_conn_set_codec(crowd.peers[7]->conn, codec_of(codec % CODECS)), 0);
    crowd.codecs[7] = codec % CODECS;
    publish_on(&crowd, 0);
  }
  check_received(&crowd);
  fixture_close(&crowd.fx);
}

/* The first member with another codec takes memory: without it nothing has changed. */
static void every_allocation_for_another_codec_may_fail(void **state) {
  static crowd_t crowd;
  alloc_hook_t hook;
  (void) state;
  fixture_init(&crowd.fx);
  alloc_hook_init(&hook);
  crowd.fx.pool_options.allocator = alloc_hook_allocator(&hook);
  open_crowd(&crowd);
  for (int p = 0; p < 3; p++) step_membership(&crowd, p % 2, p, true);
  step_membership(&crowd, 0, 1, true);
  step_membership(&crowd, 1, 0, true);
  int err = UV_ENOMEM;
  for (uint64_t nth = 1; err == UV_ENOMEM; nth++) {
    alloc_hook_fail_from(&hook, nth);
    err = fluxbp_conn_set_codec(crowd.peers[0]->conn, codec_of(NEWLINE));
    alloc_hook_heal(&hook);
    crowd.codecs[0] = err == 0 ? NEWLINE : 0;
    publish_on(&crowd, 0);
    publish_on(&crowd, 1);
  }
  assert_int_equal(err, 0);
  assert_true(hook.failures >= 2); /* one for each topic */
  err = UV_ENOMEM;
  assert_int_equal(fluxbp_conn_set_codec(crowd.peers[5]->conn, codec_of(2)), 0);
  crowd.codecs[5] = 2;
  step_membership(&crowd, 2, 4, true);
  for (uint64_t nth = 1; err == UV_ENOMEM; nth++) {
    alloc_hook_fail_from(&hook, nth);
    err = fluxbp_topic_subscribe(crowd.topics[2], crowd.peers[5]->conn);
    alloc_hook_heal(&hook);
    assert_int_equal(fluxbp_topic_has(crowd.topics[2], crowd.peers[5]->conn), err == 1);
    crowd.is_member[2][5] = err == 1;
    publish_on(&crowd, 2);
  }
  assert_int_equal(err, 1);
  check_received(&crowd);
  fixture_close(&crowd.fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_is_encoded_for_the_codecs_of_the_members),
      cmocka_unit_test(the_only_member_of_a_topic_changes_its_codec),
      cmocka_unit_test(every_allocation_for_another_codec_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
