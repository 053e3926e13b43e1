/* SPDX-License-Identifier: MIT */
/*
 * Publishing and sending messages that were written in place, and before they are committed.
 */
#include "support/fixture.h"
#include "support/socketpair.h"

#include <stdio.h>
#include <string.h>

static void what_is_written_in_place_reaches_the_subscribers(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *msg;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_msg_alloc(fx.pool, 4096, &msg), 0);
  int length = snprintf(fluxbp_msg_buffer(msg), 4096, "{\"n\":%d}", 42);
  assert_int_equal(fluxbp_msg_commit(&msg, (size_t) length), 0);
  assert_int_equal(fluxbp_topic_publish(fx.topic, msg), 1);
  assert_int_equal(fluxbp_conn_send(peer.conn, msg), 1);
  fluxbp_msg_unref(msg);
  peer_wait_for(&peer, 18);
  peer_expects(&peer, "{\"n\":42}\n{\"n\":42}\n");
  fixture_close(&fx);
}
FIXTURE_ALL(what_is_written_in_place_reaches_the_subscribers)

static void an_uncommitted_message_is_refused_everywhere(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *msg;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(fluxbp_msg_alloc(fx.pool, 10, &msg), 0);
  assert_int_equal(fluxbp_topic_publish(fx.topic, msg), UV_EINVAL); /* without a member, too */
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_publish(fx.topic, msg), UV_EINVAL);
  assert_int_equal(fluxbp_topic_send_past(fx.topic, peer.conn, msg, 1), UV_EINVAL);
  assert_int_equal(fluxbp_conn_send(peer.conn, msg), UV_EINVAL);
  assert_int_equal(fluxbp_conn_close_with(peer.conn, msg, 1000), UV_EINVAL);
  assert_int_equal(fixture_metrics(&fx).published, 0);
  fluxbp_msg_unref(msg);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(what_is_written_in_place_reaches_the_subscribers),
      cmocka_unit_test(an_uncommitted_message_is_refused_everywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
