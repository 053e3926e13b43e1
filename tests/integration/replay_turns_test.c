/* SPDX-License-Identifier: MIT */
/*
 * Connections that read from the history have turns: what is live isn't kept waiting by them, and those of one address
 * don't keep those of another one waiting. The slice is so small that an iteration makes one visit.
 */
#include "support/fixture.h"
#include "support/replay_fixture.h"

#include <string.h>

enum { CROWD = 6, PAST = 1000, BATCH = 128, VISITS = (PAST + BATCH - 1) / BATCH, KEYS = 500 };

static uint64_t key_of_name(fluxbp_conn_t *conn) {
  const peer_t *peer = fluxbp_conn_user(conn);
  return (uint64_t) * (const char *) peer->arg;
}

static void open_with_past(fixture_t *fx) {
  fixture_init(fx);
  fx->options.history_messages = 4 * PAST;
  fx->options.slice_us = 1;
  fx->options.input_key = key_of_name;
  fixture_open(fx);
  replay_publish(fx, fx->topic, PAST);
}

/* A peer without subscriptions. */
static void open_peer(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, const char *name) {
  peer_open(fx, peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  peer->arg = (void *) (uintptr_t) name;
  (void) fluxbp_topic_unsubscribe(fx->topic, peer->conn);
  fixture_turns(fx, 2);
}

static void resume_all(peer_t *peers, int count) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(peers[0].fx->hub, &range);
  for (int i = 0; i < count; i++)
    assert_int_equal(fluxbp_topic_subscribe_since(peers[0].fx->topic, peers[i].conn, range.epoch, 0), 1);
}

static uint64_t written_by(const peer_t *peers, int count) {
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) sum += peers[i].conn->written;
  return sum;
}

static void open_crowd(fixture_t *fx, peer_t *peers, const fluxbp_transport_t *transport) {
  for (int i = 0; i < CROWD; i++) open_peer(fx, &peers[i], transport, "m");
}

static void live_messages_do_not_wait_for_replays(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[CROWD], live;
  fluxbp_topic_t *topic;
  open_with_past(&fx);
  open_crowd(&fx, peers, transport);
  open_peer(&fx, &live, transport, "l");
  assert_int_equal(fluxbp_topic_open(fx.hub, "live", &topic), 0);
  assert_int_equal(fluxbp_topic_subscribe(topic, live.conn), 1);
  resume_all(peers, CROWD);
  fixture_turns(&fx, 4); /* their first flush stages nothing */
  int iterations = 0;
  for (uint64_t before = written_by(peers, CROWD), now; before < CROWD * PAST; before = now, iterations++) {
    uint64_t live_before = live.conn->written;
    assert_int_equal(fixture_publish(&fx, topic, "now", 3), 1);
    fixture_turns(&fx, 1);
    now = written_by(peers, CROWD);
    assert_true(now - before <= BATCH);
    assert_int_equal(live.conn->written, live_before + 1);
    assert_true(iterations < 2 * CROWD * VISITS);
  }
  for (int i = 0; i < CROWD; i++) assert_int_equal(peers[i].conn->written, PAST);
  fixture_turns(&fx, CROWD);
  assert_int_equal(written_by(peers, CROWD), CROWD * PAST);
  fixture_close(&fx);
}
FIXTURE_PLAIN(live_messages_do_not_wait_for_replays)

static void keys_alternate_whatever_the_number_of_connections(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[CROWD + 1];
  open_with_past(&fx);
  open_crowd(&fx, peers, transport);
  open_peer(&fx, &peers[CROWD], transport, "b");
  resume_all(peers, CROWD + 1);
  for (int i = 0; peers[CROWD].conn->written < PAST; i++) {
    assert_true(i < 4 * VISITS);
    fixture_turns(&fx, 1);
  }
  assert_true(written_by(peers, CROWD) <= (VISITS + 2) * BATCH);
  for (int i = 0; i < CROWD; i++) replay_read_all(&peers[i]);
  assert_int_equal(written_by(peers, CROWD), CROWD * PAST);
  fixture_close(&fx);
}
FIXTURE_PLAIN(keys_alternate_whatever_the_number_of_connections)

/* As the answers to commands that a client sends meanwhile. */
static void what_is_sent_to_one_does_not_give_it_more_turns(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[CROWD];
  open_with_past(&fx);
  open_crowd(&fx, peers, transport);
  resume_all(peers, CROWD);
  for (int i = 0; i < VISITS; i++) {
    uint64_t before = written_by(peers, CROWD);
    for (int k = 0; k < CROWD; k++) assert_int_equal(fixture_send(&peers[k], "pong", 4), 1);
    fixture_turns(&fx, 1);
    assert_true(written_by(peers, CROWD) - before <= BATCH + 2 * CROWD);
  }
  for (int i = 0; i < CROWD; i++) replay_read_all(&peers[i]);
  assert_int_equal(written_by(peers, CROWD), CROWD * (PAST + VISITS));
  fixture_close(&fx);
}
FIXTURE_PLAIN(what_is_sent_to_one_does_not_give_it_more_turns)

static void a_flush_of_the_program_takes_a_batch_at_once(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[2];
  open_with_past(&fx);
  for (int i = 0; i < 2; i++) open_peer(&fx, &peers[i], transport, "m");
  resume_all(peers, 2);
  assert_int_equal(fluxbp_conn_flush(peers[1].conn), 0);
  assert_in_range(peers[1].conn->written, BATCH - 1, BATCH);
  assert_int_equal(peers[0].conn->written, 0);
  for (int i = 0; i < 2; i++) replay_read_all(&peers[i]);
  assert_int_equal(written_by(peers, 2), 2 * PAST);
  fixture_close(&fx);
}
FIXTURE_PLAIN(a_flush_of_the_program_takes_a_batch_at_once)

static void a_state_topic_and_the_history_share_the_room(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *state;
  open_with_past(&fx);
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "state", KEYS, &state), 0);
  for (uint64_t key = 0; key < KEYS; key++) assert_true(fluxbp_topic_publish_bytes_keyed(state, key, "v", 1) >= 0);
  open_peer(&fx, &peer, transport, "m");
  assert_int_equal(fluxbp_topic_subscribe(state, peer.conn), 1);
  resume_all(&peer, 1);
  replay_read_all(&peer);
  assert_int_equal(peer.conn->written, PAST + KEYS);
  fixture_close(&fx);
}
FIXTURE_PLAIN(a_state_topic_and_the_history_share_the_room)

static void one_may_go_while_it_waits(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[CROWD];
  open_with_past(&fx);
  open_crowd(&fx, peers, transport);
  resume_all(peers, CROWD);
  fixture_turns(&fx, 2);
  fluxbp_conn_reset(peers[0].conn);
  assert_int_equal(fluxbp_topic_unsubscribe(fx.topic, peers[1].conn), 1);
  peer_break(&peers[2]);
  for (int i = 3; i < CROWD - 1; i++) replay_read_all(&peers[i]);
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx.hub, &range);
  assert_int_equal(fluxbp_topic_subscribe_since(fx.topic, peers[1].conn, range.epoch, 0), 1); /* and it comes back */
  fixture_turns(&fx, 2);
  fixture_close(&fx); /* while some wait */
}
FIXTURE_ALL(one_may_go_while_it_waits)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_PLAIN_TESTS(live_messages_do_not_wait_for_replays),
      FIXTURE_PLAIN_TESTS(keys_alternate_whatever_the_number_of_connections),
      FIXTURE_PLAIN_TESTS(what_is_sent_to_one_does_not_give_it_more_turns),
      FIXTURE_PLAIN_TESTS(a_flush_of_the_program_takes_a_batch_at_once),
      FIXTURE_PLAIN_TESTS(a_state_topic_and_the_history_share_the_room),
      FIXTURE_ALL_TESTS(one_may_go_while_it_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
