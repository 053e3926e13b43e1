/* SPDX-License-Identifier: MIT */
/*
 * Publishing and sending bytes in one call: what arrives, what is refused, and that no message is left.
 */
#include "support/hub_bus_fixture.h"

#include "support/socketpair.h"

#include <string.h>

static void bytes_are_published_and_sent_in_one_call(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  char text[] = "to all";
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_publish_bytes(fx.topic, text, 6), 1);
  memset(text, 'x', sizeof text); /* the bytes were copied */
  assert_int_equal(fluxbp_conn_send_bytes(peer.conn, "to one", 6), 1);
  peer_wait_for(&peer, 14);
  peer_expects(&peer, "to all\nto one\n");
  fixture_close(&fx);
}
FIXTURE_BOTH(bytes_are_published_and_sent_in_one_call)

static void bytes_with_a_key_are_for_state_topics(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *prices;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "prices", 1, &prices), 0);
  assert_int_equal(fluxbp_topic_publish_bytes(prices, "1.00", 4), UV_EINVAL);
  assert_int_equal(fluxbp_topic_publish_bytes_keyed(prices, 7, "1.00", 4), 0);
  assert_int_equal(fluxbp_topic_publish_bytes_keyed(prices, 7, "2.00", 4), 0);
  assert_int_equal(fluxbp_topic_publish_bytes_keyed(prices, 8, "9.00", 4), UV_ENOSPC);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(prices, peer.conn), 1);
  peer_wait_for(&peer, 5);
  peer_expects(&peer, "2.00\n");
  fixture_close(&fx);
}

/* Nothing is left of what was refused: fixture_close destroys the pool. */
static void refused_bytes_leave_nothing(void **state) {
  fixture_t fx;
  peer_t peer;
  static char large[64 * 1024];
  (void) state;
  fixture_init(&fx);
  fx.pool_options.max_bytes = 32 * 1024;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_publish_bytes(fx.topic, "x", 0), UV_EINVAL);
  assert_int_equal(fluxbp_topic_publish_bytes(fx.topic, NULL, 1), UV_EINVAL);
  assert_int_equal(fluxbp_conn_send_bytes(peer.conn, "x", 0), UV_EINVAL);
  assert_int_equal(fluxbp_topic_publish_bytes(fx.topic, large, sizeof large), UV_ENOBUFS);
  assert_int_equal(fluxbp_conn_send_bytes(peer.conn, large, sizeof large), UV_ENOBUFS);
  fluxbp_conn_close(peer.conn, 1000);
  assert_int_equal(fluxbp_conn_send_bytes(peer.conn, "late", 4), UV_ENOTCONN);
  assert_int_equal(fixture_metrics(&fx).published, 0);
  fixture_close(&fx);
}

static void bytes_on_a_bus_reach_each_hub(void **state) {
  buses_t b;
  peer_t peers[2];
  uint64_t id;
  (void) state;
  init(&b, 16, 100);
  open_hubs(&b);
  for (int i = 0; i < 2; i++) peer_open(&b.fx[i], &peers[i], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_publish_bytes(b.fx[0].topic, "x", 1), UV_EPERM);
  assert_int_equal(fluxbp_bus_publish_bytes(b.bus, b.topic, "by number", 9, NULL), 0);
  assert_int_equal(fluxbp_bus_publish_bytes_to(b.bus, "topic", "by name", 7, &id), 0);
  assert_int_equal(id, 101);
  for (int i = 0; i < 2; i++) {
    peer_wait_for(&peers[i], 18);
    peer_expects(&peers[i], "by number\nby name\n");
  }
  assert_int_equal(fluxbp_bus_publish_bytes(b.bus, b.topic + 1, "x", 1, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_bytes(b.bus, b.topic, "x", 0, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_bytes(NULL, b.topic, "x", 1, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_bytes_to(b.bus, "", "x", 1, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_bytes_to(NULL, "topic", "x", 1, NULL), UV_EINVAL);
  fluxbp_bus_close(b.bus);
  assert_int_equal(fluxbp_bus_publish_bytes(b.bus, b.topic, "late", 4, NULL), UV_ECANCELED);
  assert_int_equal(fluxbp_bus_publish_bytes_to(b.bus, "topic", "late", 4, NULL), UV_ECANCELED);
  close_hubs(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(bytes_are_published_and_sent_in_one_call),
      cmocka_unit_test(bytes_with_a_key_are_for_state_topics),
      cmocka_unit_test(refused_bytes_leave_nothing),
      cmocka_unit_test(bytes_on_a_bus_reach_each_hub),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
