/* SPDX-License-Identifier: MIT */
/*
 * The last message of a connection: it comes however full the ring is, and then the end.
 */
#include "support/fixture.h"

#include "support/alloc_hook.h"

#include <string.h>

static fluxbp_msg_t *make_message(fixture_t *fx, const char *text) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(fx->pool, text, strlen(text), &msg), 0);
  return msg;
}

static void last_message_comes_behind_a_full_ring(const fluxbp_transport_t *transport, fluxbp_overflow_t overflow,
                                                  const char *end) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.slots = 8;
  fx.policy.overflow = overflow;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  for (int i = 1; i <= 20; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
  fluxbp_msg_t *msg = make_message(&fx, "bye");
  assert_int_equal(fluxbp_conn_close_with(peer.conn, msg, 60000), 0);
  assert_int_equal(fluxbp_conn_close_with(peer.conn, msg, 60000), UV_ENOTCONN); /* the last is the last */
  fluxbp_msg_unref(msg);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_balances(&fx);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  assert_memory_equal(peer.data + peer.len - strlen(end), end, strlen(end));
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, 0);
  assert_int_equal(fixture_metrics(&fx).discarded, 0);
  fixture_balances(&fx);
  fixture_close(&fx);
}

static void last_message_comes_behind_a_loss_of_the_newest(const fluxbp_transport_t *transport) {
  last_message_comes_behind_a_full_ring(transport, FLUXBP_OVERFLOW_DROP_NEWEST,
                                        "\n6\n7\n{\"gap\":{\"from\":8,\"to\":20,\"count\":13}}\nbye\n");
}
FIXTURE_ALL(last_message_comes_behind_a_loss_of_the_newest)

static void last_message_costs_none_of_the_oldest(const fluxbp_transport_t *transport) {
  last_message_comes_behind_a_full_ring(transport, FLUXBP_OVERFLOW_DROP_OLDEST, "\n15\n16\n17\n18\n19\n20\nbye\n");
}
FIXTURE_ALL(last_message_costs_none_of_the_oldest)

static void last_message_of_an_idle_connection_is_written(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  fluxbp_msg_t *msg = make_message(&fx, "bye");
  assert_int_equal(fluxbp_conn_close_with(peer.conn, msg, 0), 0);
  fluxbp_msg_unref(msg);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  peer_expects(&peer, "bye\n");
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  fixture_close(&fx);
}
FIXTURE_ALL(last_message_of_an_idle_connection_is_written)

static void without_a_last_message_it_is_closed_all_the_same(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  fluxbp_msg_t *msg = make_message(&fx, "no\nline");
  assert_int_equal(fluxbp_conn_close_with(peer.conn, msg, 1000), UV_EINVAL);
  fluxbp_msg_unref(msg);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  assert_int_equal(peer.len, 0);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  fixture_close(&fx);
}
FIXTURE_ALL(without_a_last_message_it_is_closed_all_the_same)

/* Whichever allocation fails: what it returns is what has become of the message. */
static void it_says_whether_there_was_memory_for_the_last_message(const fluxbp_transport_t *transport) {
  int lost = 0;
  for (uint64_t nth = 1; nth <= 3; nth++) {
    fixture_t fx;
    peer_t peer;
    alloc_hook_t hook;
    alloc_hook_init(&hook);
    fixture_init(&fx);
    fx.pool_options.allocator = alloc_hook_allocator(&hook);
    fixture_open(&fx);
    peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    fluxbp_msg_t *msg = make_message(&fx, "bye");
    fluxbp_pool_trim(fx.pool);
    alloc_hook_fail_once(&hook, nth);
    int err = fluxbp_conn_close_with(peer.conn, msg, 1000);
    alloc_hook_heal(&hook);
    fluxbp_msg_unref(msg);
    peer_wait_for_eof(&peer);
    assert_true(peer.has_eof);
    peer_expects(&peer, err == 0 ? "bye\n" : "");
    lost += err != 0;
    peer_hang_up(&peer);
    peer_wait_for_close(&peer);
    assert_int_equal(fixture_metrics(&fx).discarded, 0);
    fixture_close(&fx);
  }
  assert_int_equal(lost, 2); /* what the polite end takes, and the frame */
}
FIXTURE_PLAIN(it_says_whether_there_was_memory_for_the_last_message)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(last_message_comes_behind_a_loss_of_the_newest),
      FIXTURE_ALL_TESTS(last_message_costs_none_of_the_oldest),
      FIXTURE_ALL_TESTS(last_message_of_an_idle_connection_is_written),
      FIXTURE_ALL_TESTS(without_a_last_message_it_is_closed_all_the_same),
      FIXTURE_PLAIN_TESTS(it_says_whether_there_was_memory_for_the_last_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
