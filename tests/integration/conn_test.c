/* SPDX-License-Identifier: MIT */
/*
 * One connection and the kernel: staging, flushing, being refused, draining, and the bytes that come out at the end.
 */
#include "support/fixture.h"

#include "support/socketpair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MESSAGE_BYTES = 4096 };

static void create_checks_options(void **state) {
  fixture_t fx;
  fluxbp_conn_t *conn = NULL;
  fluxbp_conn_handlers_t handlers = {.size = sizeof handlers.size};
  fluxbp_conn_options_t options;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);

  fluxbp_conn_options_init(&options);
  options.transport = NULL;
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), UV_EINVAL);
  fluxbp_conn_options_init(&options);
  options.handlers = &handlers;
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), UV_EINVAL);
  fluxbp_conn_options_init(&options);
  options.user = &fx;
  options.user_bytes = 1;
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), UV_EINVAL);
  options.user = NULL;
  options.user_bytes = UINT16_MAX + 1;
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), UV_EINVAL);
  assert_null(conn);
  assert_int_equal(fluxbp_hub_connections(fx.hub), 0);
  fixture_close(&fx);
}

static void connection_takes_messages_only_while_open(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer = {.fd = -1};
  int fds[2];
  fixture_init(&fx);
  fixture_open(&fx);
  fx.peers = &peer;
  peer.fx = &fx;
  fluxbp_conn_options_t options = peer_options(&peer, transport, &fluxbp_codec_raw);
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &peer.conn), 0);
  assert_int_equal(fluxbp_conn_id(peer.conn), 1);
  assert_ptr_equal(fluxbp_conn_hub(peer.conn), fx.hub);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_NEW);
  assert_int_equal(fixture_send(&peer, "x", 1), UV_ENOTCONN);
  assert_int_equal(fluxbp_topic_subscribe(fx.topic, peer.conn), 1);
  assert_int_equal(fixture_publish(&fx, fx.topic, "early", 5), 0); /* subscribed, but not started */

  assert_int_equal(socketpair_make(transport, false, fds), 0);
  assert_int_equal(socketpair_open(peer.conn, transport, fds[0]), 0);
  peer.fd = fds[1];
  assert_int_equal(fluxbp_conn_start(peer.conn), 0);
  assert_int_equal(fluxbp_conn_start(peer.conn), UV_EINVAL);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(fixture_send(&peer, "one", 3), 1);
  assert_int_equal(fixture_publish(&fx, fx.topic, "two", 3), 1);
  peer_wait_for(&peer, 6);
  peer_expects(&peer, "onetwo");
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.accepted, 2);
  assert_int_equal(stats.written, 2);
  assert_int_equal(stats.written_bytes, 6);
  assert_int_equal(stats.queued, 0);

  fluxbp_conn_close(peer.conn, 5000);
  assert_int_equal(fixture_send(&peer, "x", 1), UV_ENOTCONN);
  assert_int_equal(fluxbp_topic_subscribe(fx.topic, peer.conn), UV_ENOTCONN);
  assert_int_equal(fixture_publish(&fx, fx.topic, "late", 4), 0);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  fixture_close(&fx);
}
FIXTURE_ALL(connection_takes_messages_only_while_open)

static void user_pointer_can_be_changed(void **state) {
  fixture_t fx;
  peer_t peer;
  int other;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_ptr_equal(fluxbp_conn_user(peer.conn), &peer);
  fluxbp_conn_set_user(peer.conn, &other);
  assert_ptr_equal(fluxbp_conn_user(peer.conn), &other);
  fluxbp_conn_set_user(peer.conn, &peer);
  fixture_close(&fx);
}

typedef struct own_bytes {
  int *closed;
  unsigned char bytes[37];
} own_bytes_t;

static void count_own_close(fluxbp_conn_t *conn, int status) {
  const own_bytes_t *own = fluxbp_conn_user(conn);
  (void) status;
  for (size_t i = 0; i < sizeof own->bytes; i++) assert_int_equal(own->bytes[i], 0x5a);
  ++*own->closed;
}

static bool is_set(fixture_t *fx, void *arg) {
  (void) fx;
  return *(const int *) arg > 0;
}

static void user_bytes_are_the_connections_own_until_it_has_closed(const fluxbp_transport_t *transport) {
  static const fluxbp_conn_handlers_t handlers = {.size = sizeof handlers, .on_close = count_own_close};
  static const own_bytes_t zeroes;
  fixture_t fx;
  fluxbp_conn_t *conn;
  fluxbp_conn_options_t options;
  int closed = 0;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_conn_options_init(&options);
  options.transport = transport;
  options.handlers = &handlers;
  options.user_bytes = sizeof(own_bytes_t);
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), 0);

  own_bytes_t *own = fluxbp_conn_user(conn);
  assert_int_equal((uintptr_t) own % _Alignof(max_align_t), 0);
  assert_memory_equal(own, &zeroes, sizeof zeroes);
  assert_ptr_equal(fluxbp_conn_of_user(own, sizeof *own), conn);
  own->closed = &closed;
  memset(own->bytes, 0x5a, sizeof own->bytes);
  fluxbp_conn_set_user(conn, &fx);
  assert_ptr_equal(fluxbp_conn_user(conn), own);
  assert_ptr_equal(own->closed, &closed);
  fluxbp_conn_reset(conn);
  fixture_run_until(&fx, is_set, &closed, false);
  assert_int_equal(closed, 1);
  fixture_close(&fx);
}
FIXTURE_ALL(user_bytes_are_the_connections_own_until_it_has_closed)

/* Written from end to end, which a sanitizer watches, while the connection still knows what it is. */
static void user_bytes_of_any_number_lead_back_to_their_connection(const fluxbp_transport_t *transport) {
  static const size_t sizes[] = {1, 7, 8, 9, 15, 16, 17, 24, UINT16_MAX - 1, UINT16_MAX};
  fixture_t fx;
  fixture_init(&fx);
  fixture_open(&fx);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    fluxbp_conn_t *conn;
    fluxbp_conn_options_t options;
    fluxbp_conn_options_init(&options);
    options.transport = transport;
    options.user_bytes = sizes[i];
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), 0);
    void *own = fluxbp_conn_user(conn);
    assert_int_equal((uintptr_t) own % _Alignof(max_align_t), 0);
    memset(own, 0x5a, sizes[i]);
    assert_ptr_equal(fluxbp_conn_of_user(own, sizes[i]), conn);
    assert_ptr_equal(fluxbp_conn_user(conn), own);
    assert_int_equal(fluxbp_conn_id(conn), i + 1);
  }
  fixture_close(&fx);
}
FIXTURE_ALL(user_bytes_of_any_number_lead_back_to_their_connection)

static bool has_given_data(fixture_t *fx, void *arg) {
  const size_t *len = arg;
  return fx->peers->received >= *len;
}

static void data_of_the_peer_arrives(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  size_t len = 5;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(send(peer.fd, "hello", len, 0), len);
  fixture_run_until(&fx, has_given_data, &len, false);
  assert_int_equal(peer.received, len);
  assert_int_equal(fixture_metrics(&fx).received_bytes, len);
  fixture_close(&fx);
}
FIXTURE_ALL(data_of_the_peer_arrives)

static void publishing_makes_no_system_call(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 100; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  assert_int_equal(fixture_metrics(&fx).writes, 0);
  peer_read(&peer);
  assert_int_equal(peer.len, 0);
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.queued, 100);
  assert_int_equal(stats.is_refused, 0);
  fixture_balances(&fx);

  fixture_turns(&fx, 1);
  assert_int_equal(fixture_metrics(&fx).writes, 1);
  assert_int_equal(fixture_metrics(&fx).written, 100);
  assert_int_equal(fixture_metrics(&fx).written_at_once, 100);
  assert_null(peer.conn->pressure); /* idle owns nothing */
  fixture_close(&fx);
}
FIXTURE_ALL(publishing_makes_no_system_call)

static void flush_writes_at_once(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "now", 3), 1);
  fluxbp_hub_flush(fx.hub);
  peer_read(&peer);
  peer_expects(&peer, "now");
  fluxbp_hub_flush(fx.hub);
  assert_int_equal(fixture_metrics(&fx).writes, 1);
  fixture_close(&fx);
}

static void full_ring_is_flushed_before_anything_is_dropped(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  char expected[4096];
  int len = 0;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 16; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  assert_int_equal(fixture_metrics(&fx).writes, 0);
  assert_int_equal(fixture_publish_text(&fx, fx.topic, "16"), 1);
  assert_int_equal(fixture_metrics(&fx).writes, 1);
  for (int i = 17; i < 100; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  assert_int_equal(fixture_metrics(&fx).writes, 6);
  assert_int_equal(fixture_metrics(&fx).dropped, 0);
  assert_int_equal(fixture_metrics(&fx).ring_full_events, 0);
  for (int i = 0; i < 100; i++) len += snprintf(expected + len, sizeof expected - (size_t) len, "%d\n", i);
  peer_wait_for(&peer, (size_t) len);
  peer_expects(&peer, expected);
  fixture_close(&fx);
}
FIXTURE_ALL(full_ring_is_flushed_before_anything_is_dropped)

static void ring_full_by_bytes_is_flushed_too(void **state) {
  fixture_t fx;
  peer_t peer;
  char data[600];
  (void) state;
  memset(data, 'x', sizeof data);
  fixture_init(&fx);
  fx.policy.max_bytes = 1000;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 5; i++) assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 1);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  peer_wait_for(&peer, 5 * sizeof data);
  fixture_close(&fx);
}

static void refused_connection_has_one_message_in_libuvs_queue(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  char data[MESSAGE_BYTES];
  memset(data, 'x', sizeof data);
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  for (int i = 0; i < 20; i++) assert_int_equal(fixture_send(&peer, data, sizeof data), 1);
  sent += 20 * sizeof data;
  uint64_t writes = fixture_metrics(&fx).writes;
  fixture_turns(&fx, 5);
  assert_int_equal(fixture_metrics(&fx).writes, writes); /* there is no use in asking again */

  fluxbp_conn_stats_t stats = peer_stats(&peer);
  size_t in_queue = uv_stream_get_write_queue_size(fluxbp_conn_stream(peer.conn));
  assert_int_equal(stats.is_refused, 1);
  assert_int_equal(stats.queued, 21);
  assert_in_range(in_queue, 1, MESSAGE_BYTES);
  assert_int_equal(fixture_metrics(&fx).refused, 1);
  assert_true(peer.conn->ring.is_head_pinned);
  fixture_balances(&fx);

  peer_wait_for(&peer, sent);
  fixture_turns(&fx, 3);
  assert_int_equal(peer.len, sent);
  stats = peer_stats(&peer);
  assert_int_equal(stats.is_refused, 0);
  assert_int_equal(stats.queued, 0);
  assert_int_equal(stats.queued_bytes, 0);
  assert_int_equal(stats.written_bytes, sent);
  assert_null(peer.conn->pressure);
  fixture_close(&fx);
}
FIXTURE_ALL(refused_connection_has_one_message_in_libuvs_queue)

static bool is_less_queued(fixture_t *fx, void *arg) {
  const uint64_t *queued = arg;
  return peer_stats(fx->peers).queued < *queued;
}

static void write_callback_drains_the_ring(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.options.slice_us = 10000000;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  for (int i = 0; i < 20; i++) assert_int_equal(fixture_send(&peer, "small", 5), 1);
  assert_false(fluxbp__link_is_linked(&peer.conn->due));
  uint64_t queued = peer_stats(&peer).queued;
  uint64_t writes = fixture_metrics(&fx).writes;
  fixture_run_until(&fx, is_less_queued, &queued, true);
  /* one callback: everything went in one write, no turn was needed */
  assert_int_equal(peer_stats(&peer).queued, 0);
  assert_int_equal(fixture_metrics(&fx).writes, writes + 1);
  fixture_close(&fx);
}
FIXTURE_ALL(write_callback_drains_the_ring)

/* Numbers in network order that say where they stand in the stream. */
static void fill_stream(unsigned char *data, size_t len, size_t *position) {
  for (size_t i = 0; i < len; i++, (*position)++) data[i] = (unsigned char) (*position * 2654435761u >> 11);
}

static bool is_drained(fixture_t *fx, void *arg) {
  unsigned char expected[1500];
  size_t *position = arg;
  peer_t *peer = fx->peers;
  unsigned char received[sizeof expected];
  ssize_t len = recv(peer->fd, received, sizeof received, 0);
  if (len > 0) {
    fill_stream(expected, (size_t) len, position);
    assert_memory_equal(received, expected, (size_t) len);
  }
  return len <= 0 && peer_stats(peer).queued == 0;
}

static void partial_writes_keep_the_stream_exact(const fluxbp_transport_t *transport) {
  enum { MESSAGES = 24, LARGEST = 100000 };
  fixture_t fx;
  peer_t peer;
  size_t written = 0;
  size_t read_so_far = 0;
  unsigned char *data = malloc(LARGEST);
  assert_non_null(data);
  fixture_init(&fx);
  fx.policy.max_bytes = 16u << 20;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (size_t i = 0; i < MESSAGES; i++) {
    size_t len = 1 + i * 7919 % LARGEST;
    fill_stream(data, len, &written);
    assert_int_equal(fixture_publish(&fx, fx.topic, data, len), 1);
    if (i % 5 == 0) fixture_turns(&fx, 2);
  }
  fixture_run_until(&fx, is_drained, &read_so_far, false);
  assert_int_equal(read_so_far, written);
  assert_in_range(fixture_metrics(&fx).refusals, 2, 1u << 30);
  free(data);
  fixture_close(&fx);
}
FIXTURE_ALL(partial_writes_keep_the_stream_exact)

static void ring_longer_than_one_writev_is_written_whole(void **state) {
  enum { MESSAGES = 3000 };
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = MESSAGES;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < MESSAGES; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%04d", i), 1);
  fluxbp_hub_flush(fx.hub);
  peer_wait_for(&peer, MESSAGES * 5);
  assert_int_equal(fixture_metrics(&fx).writes, (MESSAGES + FLUXBP__BUFFERS_MAX - 1) / FLUXBP__BUFFERS_MAX);
  for (int i = 0; i < MESSAGES; i++) assert_int_equal(strtol(peer.data + i * 5, NULL, 10), i);
  fixture_close(&fx);
}

static void codec_can_change_in_the_middle_of_a_stream(const fluxbp_transport_t *transport) {
  static const char expected[] = "one\n\0\0\0\3twothree\n";
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "one", 3), 1);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &fluxbp_codec_length32), 0);
  assert_int_equal(fixture_publish(&fx, fx.topic, "two", 3), 1);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &fluxbp_codec_newline), 0);
  assert_int_equal(fixture_send(&peer, "three", 5), 1);
  peer_wait_for(&peer, sizeof expected - 1);
  assert_int_equal(peer.len, sizeof expected - 1);
  assert_memory_equal(peer.data, expected, peer.len);

  /* the newline codec refuses what would be two messages, and nobody gets it */
  assert_int_equal(fixture_publish(&fx, fx.topic, "a\nb", 3), UV_EINVAL);
  assert_int_equal(fixture_metrics(&fx).accepted, 3);
  fixture_close(&fx);
}
FIXTURE_ALL(codec_can_change_in_the_middle_of_a_stream)

static void too_many_codecs_are_refused(void **state) {
  static fluxbp_codec_t codecs[FLUXBP_CODECS_MAX];
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < FLUXBP_CODECS_MAX; i++) codecs[i].size = sizeof codecs[i];
  for (int i = 0; i < FLUXBP_CODECS_MAX - 1; i++) assert_int_equal(fluxbp_conn_set_codec(peer.conn, &codecs[i]), 0);
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &codecs[FLUXBP_CODECS_MAX - 1]), UV_E2BIG);
  assert_int_equal(fixture_publish(&fx, fx.topic, "works", 5), 1);
  peer_wait_for(&peer, 5);
  fixture_close(&fx);
}

static void policy_of_a_connection_goes_before_the_hubs(void **state) {
  fixture_t fx;
  peer_t own;
  peer_t other;
  fluxbp_policy_t policy;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &own, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &other, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  fluxbp_policy_init(&policy);
  policy.slots = 1;
  assert_int_equal(fluxbp_conn_set_policy(own.conn, &policy), UV_EINVAL);
  policy.slots = 4;
  assert_int_equal(fluxbp_conn_set_policy(own.conn, &policy), 0);
  (void) peer_refuse(&own);
  (void) peer_refuse(&other);
  for (int i = 0; i < 10; i++) (void) fixture_publish(&fx, fx.topic, "x", 1);
  assert_int_equal(peer_stats(&own).dropped, 7);
  assert_int_equal(peer_stats(&other).dropped, 0);

  policy.slots = 8; /* takes effect when the ring is below its low watermark */
  assert_int_equal(fluxbp_conn_set_policy(own.conn, &policy), 0);
  assert_int_equal(fluxbp_conn_set_policy(own.conn, NULL), 0);
  assert_ptr_equal(own.conn->policy, &fx.hub->engine.policy);
  fixture_balances(&fx);

  policy.slots = 12;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &policy), 0);
  for (int i = 0; i < 10; i++) (void) fixture_publish(&fx, fx.topic, "x", 1);
  assert_int_equal(peer_stats(&other).dropped, 9); /* one in flight and ten queued: one more fits */
  policy.high_percent = 0;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &policy), UV_EINVAL);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(create_checks_options),
      FIXTURE_ALL_TESTS(connection_takes_messages_only_while_open),
      cmocka_unit_test(user_pointer_can_be_changed),
      FIXTURE_ALL_TESTS(user_bytes_are_the_connections_own_until_it_has_closed),
      FIXTURE_ALL_TESTS(user_bytes_of_any_number_lead_back_to_their_connection),
      FIXTURE_ALL_TESTS(data_of_the_peer_arrives),
      FIXTURE_ALL_TESTS(publishing_makes_no_system_call),
      cmocka_unit_test(flush_writes_at_once),
      FIXTURE_ALL_TESTS(full_ring_is_flushed_before_anything_is_dropped),
      cmocka_unit_test(ring_full_by_bytes_is_flushed_too),
      FIXTURE_ALL_TESTS(refused_connection_has_one_message_in_libuvs_queue),
      FIXTURE_ALL_TESTS(write_callback_drains_the_ring),
      FIXTURE_ALL_TESTS(partial_writes_keep_the_stream_exact),
      cmocka_unit_test(ring_longer_than_one_writev_is_written_whole),
      FIXTURE_ALL_TESTS(codec_can_change_in_the_middle_of_a_stream),
      cmocka_unit_test(too_many_codecs_are_refused),
      cmocka_unit_test(policy_of_a_connection_goes_before_the_hubs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
