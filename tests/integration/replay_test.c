/* SPDX-License-Identifier: MIT */
/*
 * Resume: who comes back with the id of the last message that it has gets what it missed and then goes on live, exactly
 * once and in order, or a clear answer.
 */
#include "support/fixture.h"

#include "replay.h"
#include "support/replay_fixture.h"
#include "support/socketpair.h"
#include "topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "TOPIC ID\n", and gaps as the newline codec writes them, so that a client sees what it got. */
static ptrdiff_t encode_with_id(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                size_t capacity) {
  (void) codec;
  if (publication->length == 13) return UV_EINVAL; /* what it can't carry */
  int len = snprintf(out, capacity, "%s %" PRIu64 "\n", publication->topic, publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t with_id;

static fluxbp_history_range_t range_of(const fixture_t *fx) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx->hub, &range);
  return range;
}

static void open_with_history(fixture_t *fx, uint32_t messages) {
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  fixture_init(fx);
  fx->options.history_messages = messages;
  fixture_open(fx);
}

/* A peer without subscriptions. */
static void open_peer(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, int small) {
  peer_open(fx, peer, transport, &with_id, small);
  (void) fluxbp_topic_unsubscribe(fx->topic, peer->conn);
}

static int resume(peer_t *peer, fluxbp_topic_t *topic, uint64_t since_id) {
  peer->fx->calls++;
  int result = fluxbp_topic_subscribe_since(topic, peer->conn, range_of(peer->fx).epoch, since_id);
  peer->fx->calls--;
  return result;
}

/* What it has received is "topic FIRST" to "topic LAST". */
static void expect_ids(const peer_t *peer, const char *topic, uint64_t first, uint64_t last) {
  const char *at = peer->data;
  char line[64];
  for (uint64_t id = first; id <= last; id++) {
    int len = snprintf(line, sizeof line, "%s %" PRIu64 "\n", topic, id);
    assert_true((size_t) (peer->data + peer->len - at) >= (size_t) len);
    assert_memory_equal(at, line, (size_t) len);
    at += len;
  }
  assert_ptr_equal(at, peer->data + peer->len);
}

static void gets_what_was_published_since_and_goes_on(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_history(&fx, 1000);
  replay_publish(&fx, fx.topic, 300);
  open_peer(&fx, &peer, transport, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 100), 1);
  assert_int_equal(resume(&peer, fx.topic, 100), 0);
  replay_publish(&fx, fx.topic, 50);
  replay_read_all(&peer);
  replay_publish(&fx, fx.topic, 50);
  replay_read_all(&peer);
  expect_ids(&peer, "topic", 101, 400);
  assert_null(fluxbp__conn_replay(peer.conn));
  assert_int_equal(peer_stats(&peer).accepted, 300);
  assert_int_equal(peer_stats(&peer).last_id, 400);
  fixture_close(&fx);
}
FIXTURE_ALL(gets_what_was_published_since_and_goes_on)

static void who_has_missed_nothing_is_live_at_once(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_history(&fx, 10);
  replay_publish(&fx, fx.topic, 300);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 300), 1);
  assert_null(fluxbp__conn_replay(peer.conn));
  replay_publish(&fx, fx.topic, 2);
  replay_read_all(&peer);
  expect_ids(&peer, "topic", 301, 302);
  fixture_close(&fx);
}

static void wrong_questions_get_clear_answers(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *prices;
  (void) state;
  open_with_history(&fx, 10);
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "prices", 5, &prices), 0);
  replay_publish(&fx, fx.topic, 30);
  assert_int_equal(range_of(&fx).oldest_since_id, 20);
  assert_int_equal(range_of(&fx).newest_id, 30);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 19), UV_ERANGE);
  assert_int_equal(resume(&peer, fx.topic, 0), UV_ERANGE);
  assert_int_equal(resume(&peer, fx.topic, 31), UV_EINVAL);
  assert_int_equal(resume(&peer, prices, 20), UV_EINVAL);
  assert_int_equal(fluxbp_topic_subscribe_since(fx.topic, peer.conn, range_of(&fx).epoch + 1, 25), UV_ENOENT);
  assert_int_equal(fluxbp_topic_has(fx.topic, peer.conn), 0);
  assert_int_equal(resume(&peer, fx.topic, 20), 1);
  replay_read_all(&peer);
  expect_ids(&peer, "topic", 21, 30);
  fixture_close(&fx);
}

static fluxbp_conn_t *create_conn(fixture_t *fx, peer_t *peer, int *fd) {
  fluxbp_conn_t *conn;
  int fds[2];
  fluxbp_conn_options_t options = peer_options(peer, FLUXBP_PIPE, &with_id);
  *peer = (peer_t){.fx = fx, .next = fx->peers, .fd = -1};
  fx->peers = peer;
  assert_int_equal(socketpair_make(FLUXBP_PIPE, false, fds), 0);
  assert_int_equal(fluxbp_conn_create(fx->hub, &options, &conn), 0);
  assert_int_equal(socketpair_open(conn, FLUXBP_PIPE, fds[0]), 0);
  *fd = fds[1];
  return conn;
}

/* What is published between subscribing and starting is part of what it misses. */
static void who_is_started_later_misses_nothing(void **state) {
  fixture_t fx;
  peer_t peers[2];
  (void) state;
  open_with_history(&fx, 4);
  replay_publish(&fx, fx.topic, 3);
  for (int i = 0; i < 2; i++) {
    peers[i].conn = create_conn(&fx, &peers[i], &peers[i].fd);
    assert_int_equal(resume(&peers[i], fx.topic, 3 - (uint64_t) i), 1); /* nothing is missing, one is */
  }
  replay_publish(&fx, fx.topic, 6); /* up to 9, of which 6 to 9 are kept */
  for (int i = 0; i < 2; i++) {
    assert_int_equal(fluxbp_conn_start(peers[i].conn), 0);
    replay_publish(&fx, fx.topic, 1);
    replay_read_all(&peers[i]);
  }
  peer_expects(&peers[0], "{\"gap\":{\"from\":4,\"to\":6,\"count\":3}}\ntopic 7\ntopic 8\ntopic 9\ntopic 10\n");
  peer_expects(&peers[1], "{\"gap\":{\"from\":3,\"to\":7,\"count\":5}}\ntopic 8\ntopic 9\ntopic 10\ntopic 11\n");
  fixture_close(&fx);
}

static void without_history_only_who_has_everything_may_resume(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_history(&fx, 0);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  replay_publish(&fx, fx.topic, 5);
  assert_int_equal(resume(&peer, fx.topic, 4), UV_ERANGE);
  assert_int_equal(resume(&peer, fx.topic, 5), 1);
  fixture_close(&fx);
}

/* Two topics with ids in one order: one is live when the other is resumed, and neither loses or doubles a message. */
static void live_topics_stay_in_order_during_a_replay(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *other;
  open_with_history(&fx, 10000);
  assert_int_equal(fluxbp_topic_open(fx.hub, "other", &other), 0);
  for (int i = 0; i < 50; i++) {
    replay_publish(&fx, fx.topic, 1);
    replay_publish(&fx, other, 1);
  }
  open_peer(&fx, &peer, transport, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(other, peer.conn), 1); /* live from 101 on */
  replay_publish(&fx, other, 1);                                 /* 101 */
  replay_publish(&fx, fx.topic, 1);                              /* 102: missed */
  assert_int_equal(resume(&peer, fx.topic, 96), 1);              /* 97, 99, 102 */
  replay_publish(&fx, other, 1);                                 /* 103 */
  replay_publish(&fx, fx.topic, 1);                              /* 104 */
  assert_int_equal(fluxbp_topic_unsubscribe(other, peer.conn), 1);
  replay_publish(&fx, other, 1); /* 105: for nobody */
  assert_int_equal(fluxbp_topic_subscribe(other, peer.conn), 1);
  replay_publish(&fx, other, 1); /* 106 */
  replay_read_all(&peer);
  peer_expects(&peer, "other 101\ntopic 97\ntopic 99\ntopic 102\ntopic 104\nother 106\n");
  fixture_close(&fx);
}
FIXTURE_ALL(live_topics_stay_in_order_during_a_replay)

static void a_second_resume_goes_back_without_doubling_the_first(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *other;
  (void) state;
  open_with_history(&fx, 10000);
  assert_int_equal(fluxbp_topic_open(fx.hub, "other", &other), 0);
  for (int i = 0; i < 2000; i++) {
    replay_publish(&fx, fx.topic, 1);
    replay_publish(&fx, other, 1);
  }
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 1000), 1);
  fixture_turns(&fx, 3);
  assert_non_null(fluxbp__conn_replay(peer.conn));
  uint64_t accepted = peer_stats(&peer).accepted;
  assert_in_range(accepted, 1, 1499);
  assert_int_equal(resume(&peer, other, 0), 1);
  replay_read_all(&peer);
  assert_int_equal(peer_stats(&peer).accepted, 1500 + 2000);

  uint64_t last_topic = 999;
  uint64_t last_other = 0;
  peer.data[peer.len - 1] = '\0';
  for (char *line = strtok(peer.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    uint64_t id = strtoull(strchr(line, ' '), NULL, 10);
    uint64_t *last = *line == 't' ? &last_topic : &last_other;
    assert_int_equal(id, *last + 2);
    *last = id;
  }
  assert_int_equal(last_topic, 3999);
  assert_int_equal(last_other, 4000);
  fixture_close(&fx);
}

/* The history has come far, and the replay has lasted for 2^33 messages, when another topic is added to it. */
static void a_replay_may_last_for_ever(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *other;
  (void) state;
  open_with_history(&fx, 10000);
  fx.hub->topics.history.first = fx.hub->topics.history.end = ((uint64_t) 1 << 34) - 1000;
  assert_int_equal(fluxbp_topic_open(fx.hub, "other", &other), 0);
  replay_publish(&fx, other, 1000);
  replay_publish(&fx, fx.topic, 2000);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 1500), 1);
  fixture_turns(&fx, 3);
  assert_non_null(fluxbp__conn_replay(peer.conn));
  fluxbp__conn_replay(peer.conn)->base -= (uint64_t) 1 << 33;

  replay_publish(&fx, other, 3); /* not for it */
  assert_int_equal(fluxbp_topic_subscribe(other, peer.conn), 1);
  replay_publish(&fx, other, 1); /* 3004 */
  replay_read_all(&peer);
  uint64_t last = 1500;
  peer.data[peer.len - 1] = '\0';
  for (char *line = strtok(peer.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    uint64_t id = strtoull(strchr(line, ' '), NULL, 10);
    assert_int_equal(id, last == 3000 ? 3004 : last + 1);
    last = id;
  }
  assert_int_equal(last, 3004);
  fixture_close(&fx);
}

static void a_topic_that_was_destroyed_can_be_resumed(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *topic;
  (void) state;
  open_with_history(&fx, 20);
  assert_int_equal(fluxbp_topic_open(fx.hub, "news", &topic), 0);
  replay_publish(&fx, topic, 5);
  fluxbp_topic_destroy(topic);
  assert_null(fluxbp_topic_find(fx.hub, "news"));
  assert_int_equal(fixture_metrics(&fx).topics, 1);
  assert_int_equal(fluxbp_topic_open(fx.hub, "news", &topic), 0);
  assert_int_equal(fixture_metrics(&fx).topics, 2);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, topic, 2), 1);
  replay_read_all(&peer);
  expect_ids(&peer, "news", 3, 5);
  fluxbp_topic_destroy(topic);
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "news", 5, &topic), UV_EEXIST);
  assert_null(fluxbp_topic_find(fx.hub, "news")); /* not by the attempt */
  replay_publish(&fx, fx.topic, 20);              /* the last of it leaves the history, and it goes */
  assert_int_equal(fx.hub->topics.names.count, 1);
  assert_int_equal(fluxbp_topic_open(fx.hub, "news", &topic), 0);
  assert_int_equal(topic->past.count, 0);
  fixture_close(&fx);
}

/* The history goes on without the slow: what it forgets is announced, at its place. */
static void what_is_forgotten_meanwhile_is_a_gap(const fluxbp_transport_t *transport) {
  enum { KEPT = 1000, PUBLISHED = 20000 };
  fixture_t fx;
  peer_t peer;
  open_with_history(&fx, KEPT);
  replay_publish(&fx, fx.topic, KEPT);
  open_peer(&fx, &peer, transport, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 0), 1);
  while (!peer.conn->is_writing) fixture_turns(&fx, 1);
  replay_publish(&fx, fx.topic, PUBLISHED - KEPT);
  fixture_balances(&fx);
  replay_read_all(&peer);
  fixture_balances(&fx);
  uint64_t next = 1;
  uint64_t lost = 0;
  peer.data[peer.len - 1] = '\0';
  for (char *line = strtok(peer.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    uint64_t from;
    uint64_t to;
    uint64_t count;
    if (sscanf(line, "{\"gap\":{\"from\":%" SCNu64 ",\"to\":%" SCNu64 ",\"count\":%" SCNu64 "}}", &from, &to, &count) ==
        3) {
      assert_int_equal(from, next);
      assert_int_equal(count, to - from + 1);
      lost += count;
      next = to + 1;
    } else {
      assert_int_equal(strtoull(strchr(line, ' '), NULL, 10), next);
      next++;
    }
  }
  assert_int_equal(next, PUBLISHED + 1);
  assert_in_range(lost, PUBLISHED - 3 * KEPT, PUBLISHED - KEPT);
  assert_int_equal(peer_stats(&peer).dropped, lost);
  assert_int_equal(peer.lost, lost);
  fixture_close(&fx);
}
FIXTURE_ALL(what_is_forgotten_meanwhile_is_a_gap)

/* Nothing that comes meanwhile can drive it out of the history. */
static void a_flush_takes_what_there_is_room_for_at_once(void **state) {
  fixture_t fx;
  peer_t peers[2];
  (void) state;
  open_with_history(&fx, 20);
  replay_publish(&fx, fx.topic, 30);
  for (int i = 0; i < 2; i++) {
    open_peer(&fx, &peers[i], FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(resume(&peers[i], fx.topic, 10), 1);
    if (i == 0) assert_int_equal(fluxbp_conn_flush(peers[i].conn), 0);
  }
  assert_int_equal(peer_stats(&peers[0]).written, 20);
  replay_publish(&fx, fx.topic, 20);
  replay_read_all(&peers[0]);
  expect_ids(&peers[0], "topic", 11, 50);
  assert_int_equal(peers[1].lost, 20);
  fixture_close(&fx);
}

static void what_its_codec_cannot_carry_is_a_gap(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_history(&fx, 100);
  replay_publish(&fx, fx.topic, 2);
  assert_int_equal(fixture_publish(&fx, fx.topic, "thirteen byte", 13), 0);
  replay_publish(&fx, fx.topic, 1);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 0), 1);
  replay_read_all(&peer);
  peer_expects(&peer, "topic 1\ntopic 2\n{\"gap\":{\"from\":3,\"to\":3,\"count\":1}}\ntopic 4\n");
  fixture_close(&fx);
}

static void a_message_too_large_for_the_history_is_a_gap_too(void **state) {
  fixture_t fx;
  peer_t peer;
  char data[200] = {0};
  (void) state;
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  fixture_init(&fx);
  fx.options.history_messages = 100;
  fx.options.history_bytes = 100;
  fixture_open(&fx);
  replay_publish(&fx, fx.topic, 2);
  open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 1), 1);
  assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 1); /* 3: it forgets 2 for nothing */
  replay_publish(&fx, fx.topic, 1);
  replay_read_all(&peer);
  peer_expects(&peer, "{\"gap\":{\"from\":2,\"to\":3,\"count\":2}}\ntopic 4\n");
  assert_int_equal(peer_stats(&peer).dropped, 2);
  assert_int_equal(fixture_metrics(&fx).dropped_newest + fixture_metrics(&fx).dropped_oldest, 0); /* by no rule */
  fixture_close(&fx);
}

static void leaving_in_mid_replay_is_clean(void **state) {
  (void) state;
  for (int way = 0; way < 5; way++) {
    fixture_t fx;
    peer_t peer;
    open_with_history(&fx, 5000);
    replay_publish(&fx, fx.topic, 5000);
    open_peer(&fx, &peer, FLUXBP_PIPE, FIXTURE_SMALL_BUFFERS);
    assert_int_equal(resume(&peer, fx.topic, 0), 1);
    fixture_turns(&fx, 3);
    assert_non_null(fluxbp__conn_replay(peer.conn));
    if (way == 0) assert_int_equal(fluxbp_topic_unsubscribe(fx.topic, peer.conn), 1);
    if (way == 1) fluxbp_topic_destroy(fx.topic);
    if (way == 2) fluxbp_conn_close(peer.conn, 1000);
    if (way == 3) fluxbp_conn_reset(peer.conn);
    if (way == 4) fixture_advance(&fx, 10000); /* stalled */
    if (way < 2) replay_read_all(&peer);
    if (way == 4) assert_null(peer.conn);
    assert_true(fluxbp__list_is_empty(&fx.hub->topics.replays));
    fixture_close(&fx);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(gets_what_was_published_since_and_goes_on),
      cmocka_unit_test(who_has_missed_nothing_is_live_at_once),
      cmocka_unit_test(wrong_questions_get_clear_answers),
      cmocka_unit_test(who_is_started_later_misses_nothing),
      cmocka_unit_test(without_history_only_who_has_everything_may_resume),
      FIXTURE_ALL_TESTS(live_topics_stay_in_order_during_a_replay),
      cmocka_unit_test(a_second_resume_goes_back_without_doubling_the_first),
      cmocka_unit_test(a_replay_may_last_for_ever),
      cmocka_unit_test(a_topic_that_was_destroyed_can_be_resumed),
      FIXTURE_ALL_TESTS(what_is_forgotten_meanwhile_is_a_gap),
      cmocka_unit_test(a_flush_takes_what_there_is_room_for_at_once),
      cmocka_unit_test(what_its_codec_cannot_carry_is_a_gap),
      cmocka_unit_test(a_message_too_large_for_the_history_is_a_gap_too),
      cmocka_unit_test(leaving_in_mid_replay_is_clean),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
