/* SPDX-License-Identifier: MIT */
/*
 * A host with a longer memory than the hub's: it sends what came after an id, then has the hub go on, without a seam.
 */
#include "support/fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HISTORY = 20, LIVE_EACH_TURN = 3 };

static ptrdiff_t encode_id(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                           size_t capacity) {
  (void) codec;
  if (publication->length == 13) return UV_EINVAL; /* what it can't carry */
  int len = snprintf(out, capacity, "%s %" PRIu64 "\n", publication->topic, publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t with_id;

typedef struct memory {
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *msg; /* all that was ever published, from 1 on */
  uint64_t sent;     /* up to this id */
  int full;          /* how often there was no room */
} memory_t;

static void open_memory(memory_t *m, const fluxbp_transport_t *transport, int small) {
  memset(m, 0, sizeof *m);
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_id;
  fixture_init(&m->fx);
  m->fx.options.history_messages = HISTORY;
  fixture_open(&m->fx);
  assert_int_equal(fluxbp_msg_create(m->fx.pool, "m", 1, &m->msg), 0);
  peer_open(&m->fx, &m->peer, transport, &with_id, small);
  (void) fluxbp_topic_unsubscribe(m->fx.topic, m->peer.conn);
}

static void close_memory(memory_t *m) {
  fluxbp_msg_unref(m->msg);
  fixture_close(&m->fx);
}

static void publish(memory_t *m, int times) {
  for (int i = 0; i < times; i++) assert_true(fluxbp_topic_publish(m->fx.topic, m->msg) >= 0);
}

static fluxbp_history_range_t range_of(const memory_t *m) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(m->fx.hub, &range);
  return range;
}

/* As many as there is room for. True: the hub has gone on from there. */
static bool go_on(memory_t *m) {
  fluxbp_history_range_t range = range_of(m);
  while (m->sent < range.oldest_since_id) {
    int result = fluxbp_topic_send_past(m->fx.topic, m->peer.conn, m->msg, m->sent + 1);
    if (result == UV_EAGAIN) {
      m->full++;
      return false;
    }
    assert_int_equal(result, 1);
    m->sent++;
    assert_int_equal(fluxbp_conn_is_backpressured(m->peer.conn), 0);
  }
  assert_int_equal(fluxbp_topic_subscribe_since(m->fx.topic, m->peer.conn, range.epoch, m->sent), 1);
  return true;
}

static bool has_all(fixture_t *fx, void *arg) {
  char last[64];
  memory_t *m = arg;
  (void) fx;
  size_t length = (size_t) snprintf(last, sizeof last, "topic %" PRIu64 "\n", range_of(m).newest_id);
  peer_read(&m->peer);
  return m->peer.len >= length && memcmp(m->peer.data + m->peer.len - length, last, length) == 0;
}

static void past_history_and_live_are_one_sequence(const fluxbp_transport_t *transport) {
  memory_t m;
  char line[64];
  size_t at = 0;
  open_memory(&m, transport, FIXTURE_SMALL_BUFFERS);
  publish(&m, 5000);
  assert_int_equal(fluxbp_topic_subscribe_since(m.fx.topic, m.peer.conn, range_of(&m).epoch, 0), UV_ERANGE);
  while (!go_on(&m)) {
    publish(&m, LIVE_EACH_TURN);
    fixture_turns(&m.fx, 1);
    peer_read(&m.peer);
    fixture_balances(&m.fx);
  }
  assert_true(m.full > 10);
  fixture_run_until(&m.fx, has_all, &m, false);
  publish(&m, 100); /* it is live */
  fixture_run_until(&m.fx, has_all, &m, false);
  for (uint64_t id = 1; id <= range_of(&m).newest_id; id++) {
    size_t length = (size_t) snprintf(line, sizeof line, "topic %" PRIu64 "\n", id);
    assert_true(at + length <= m.peer.len);
    assert_memory_equal(m.peer.data + at, line, length);
    at += length;
  }
  assert_int_equal(at, m.peer.len);
  assert_int_equal(m.peer.lost, 0);
  close_memory(&m);
}
FIXTURE_BOTH(past_history_and_live_are_one_sequence)

static void a_message_that_its_codec_refuses_is_a_gap(void **state) {
  memory_t m;
  fluxbp_msg_t *refused;
  (void) state;
  open_memory(&m, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_msg_create(m.fx.pool, "thirteen byte", 13, &refused), 0);
  assert_int_equal(fluxbp_topic_send_past(m.fx.topic, m.peer.conn, m.msg, 7), 1);
  assert_int_equal(fluxbp_topic_send_past(m.fx.topic, m.peer.conn, refused, 8), 0);
  assert_int_equal(fluxbp_topic_send_past(m.fx.topic, m.peer.conn, m.msg, 9), 1);
  fluxbp_msg_unref(refused);
  fixture_turns(&m.fx, 2);
  peer_read(&m.peer);
  peer_expects(&m.peer, "topic 7\n{\"gap\":{\"from\":8,\"to\":8,\"count\":1}}\ntopic 9\n");
  close_memory(&m);
}

static void wrong_questions_get_clear_answers(void **state) {
  memory_t m;
  fixture_t other;
  fluxbp_topic_t *prices;
  (void) state;
  open_memory(&m, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  fixture_init(&other);
  fixture_open(&other);
  assert_int_equal(fluxbp_topic_open_state(m.fx.hub, "prices", 5, &prices), 0);
  assert_int_equal(fluxbp_topic_send_past(prices, m.peer.conn, m.msg, 1), UV_EINVAL);
  assert_int_equal(fluxbp_topic_send_past(other.topic, m.peer.conn, m.msg, 1), UV_EINVAL);
  fluxbp_conn_close(m.peer.conn, 1000);
  assert_int_equal(fluxbp_topic_send_past(m.fx.topic, m.peer.conn, m.msg, 1), UV_ENOTCONN);
  fixture_close(&other);
  close_memory(&m);
}

static void without_memory_it_may_be_tried_again(void **state) {
  enum { BUDGET = 1 << 20 };
  memory_t m;
  fluxbp_msg_t *filler[BUDGET / 60000];
  int count = 0;
  static const char data[60000];
  (void) state;
  memset(&m, 0, sizeof m);
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_id;
  fixture_init(&m.fx);
  m.fx.pool_options.max_bytes = BUDGET;
  fixture_open(&m.fx);
  assert_int_equal(fluxbp_msg_create(m.fx.pool, data, sizeof data, &m.msg), 0);
  peer_open(&m.fx, &m.peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(m.fx.topic, m.peer.conn);
  while (fluxbp_msg_create(m.fx.pool, data, sizeof data, &filler[count]) == 0) count++;
  assert_int_equal(fluxbp_topic_send_past(m.fx.topic, m.peer.conn, m.msg, 1), UV_ENOBUFS);
  assert_int_equal(peer_stats(&m.peer).accepted, 0);
  while (count > 0) fluxbp_msg_unref(filler[--count]);
  assert_int_equal(fluxbp_topic_send_past(m.fx.topic, m.peer.conn, m.msg, 1), 1);
  peer_wait_for(&m.peer, sizeof data + 1);
  close_memory(&m);
}

/* What it gets has the topics and ids that it should. */
static void expect_text(memory_t *m, const char *text) {
  peer_wait_for(&m->peer, strlen(text));
  assert_int_equal(m->peer.len, strlen(text));
  assert_memory_equal(m->peer.data, text, strlen(text));
}

static void the_newest_few_of_each_topic_come_in_one_order(void **state) {
  memory_t m;
  fluxbp_topic_t *quiet, *silent, *prices;
  uint64_t since, since_quiet;
  (void) state;
  open_memory(&m, FLUXBP_PIPE, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_open(m.fx.hub, "quiet", &quiet), 0);
  assert_int_equal(fluxbp_topic_open(m.fx.hub, "silent", &silent), 0);
  assert_int_equal(fluxbp_topic_open_state(m.fx.hub, "prices", 1, &prices), 0);
  assert_int_equal(fluxbp_topic_since_last(quiet, 3, &since), 0);
  assert_int_equal(since, 0);
  assert_true(fluxbp_topic_publish(quiet, m.msg) >= 0); /* 1, which is forgotten */
  publish(&m, 19);
  assert_true(fluxbp_topic_publish(quiet, m.msg) >= 0); /* 21 */
  publish(&m, 5);
  assert_true(fluxbp_topic_publish(quiet, m.msg) >= 0); /* 27 */
  publish(&m, 3);                                       /* to 30 */

  assert_int_equal(fluxbp_topic_since_last(prices, 3, &since), UV_EINVAL);
  assert_int_equal(fluxbp_topic_since_last(silent, 3, &since), 0);
  assert_int_equal(since, 30);
  assert_int_equal(fluxbp_topic_since_last(quiet, 0, &since), 0);
  assert_int_equal(since, 30);
  assert_int_equal(fluxbp_topic_since_last(quiet, UINT32_MAX, &since_quiet), 2);
  assert_int_equal(since_quiet, 20);
  assert_int_equal(fluxbp_topic_since_last(m.fx.topic, UINT32_MAX, &since), 18);
  assert_int_equal(since, range_of(&m).oldest_since_id);
  assert_int_equal(fluxbp_topic_since_last(m.fx.topic, 4, &since), 4);
  assert_int_equal(since, 25);

  uint64_t messages, bytes, length = fluxbp_msg_length(m.msg);
  fluxbp_topic_measure_past(m.fx.topic, 0, &messages, &bytes);
  assert_int_equal(messages, 18);
  assert_int_equal(bytes, 18 * length);
  fluxbp_topic_measure_past(m.fx.topic, 25, &messages, &bytes);
  assert_int_equal(messages, 5); /* 26 to 30: the other topic's place counts, too */
  assert_int_equal(bytes, 5 * length);
  fluxbp_topic_measure_past(quiet, 25, &messages, &bytes);
  assert_int_equal(messages, 2);
  assert_int_equal(bytes, 2 * length);
  fluxbp_topic_measure_past(m.fx.topic, 30, &messages, &bytes);
  assert_int_equal(messages + bytes, 0);
  fluxbp_topic_measure_past(silent, 0, &messages, &bytes);
  assert_int_equal(messages + bytes, 0);
  fluxbp_topic_measure_past(prices, 0, &messages, &bytes);
  assert_int_equal(messages + bytes, 0);

  uint64_t epoch = range_of(&m).epoch;
  assert_int_equal(fluxbp_topic_subscribe_since(m.fx.topic, m.peer.conn, epoch, since), 1);
  assert_int_equal(fluxbp_topic_subscribe_since(quiet, m.peer.conn, epoch, since_quiet), 1);
  assert_true(fluxbp_conn_is_replaying(m.peer.conn));
  publish(&m, 1);
  expect_text(&m, "quiet 21\ntopic 26\nquiet 27\ntopic 28\ntopic 29\ntopic 30\ntopic 31\n");
  assert_false(fluxbp_conn_is_replaying(m.peer.conn));
  close_memory(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(past_history_and_live_are_one_sequence),
      cmocka_unit_test(a_message_that_its_codec_refuses_is_a_gap),
      cmocka_unit_test(wrong_questions_get_clear_answers),
      cmocka_unit_test(without_memory_it_may_be_tried_again),
      cmocka_unit_test(the_newest_few_of_each_topic_come_in_one_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
