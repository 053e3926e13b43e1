/* SPDX-License-Identifier: MIT */
/*
 * Liveness: how far a connection's bytes have come, as the peer's kernel says, and how long nothing has been heard
 * of it.
 */
#include "support/fixture.h"

#include <errno.h>
#include <sys/socket.h>

static fluxbp_liveness_t liveness_of(const peer_t *peer) {
  fluxbp_liveness_t liveness;
  fluxbp_conn_get_liveness(peer->conn, &liveness);
  return liveness;
}

static bool has_acked_all(fixture_t *fx, void *arg) {
  (void) fx;
  fluxbp_liveness_t liveness = liveness_of(arg);
  return liveness.acked_bytes == liveness.accepted_bytes;
}

static void staged_bytes_are_accepted_and_acknowledged_when_they_have_arrived(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(liveness_of(&peer).accepted_bytes + liveness_of(&peer).acked_bytes, 0);
  assert_int_equal(fixture_send(&peer, "ping", 4), 1);
  assert_int_equal(liveness_of(&peer).accepted_bytes, 4);
  assert_int_equal(liveness_of(&peer).acked_bytes, 0);
  fixture_run_until(&fx, has_acked_all, &peer, false); /* its kernel has it; that nobody reads it makes no difference */
  assert_int_equal(liveness_of(&peer).acked_bytes, 4);
  assert_int_equal(liveness_of(&peer).is_known, transport->stream == FLUXBP_STREAM_TCP);
  fixture_close(&fx);
}
FIXTURE_ALL(staged_bytes_are_accepted_and_acknowledged_when_they_have_arrived)

static void a_ping_behind_a_backlog_has_not_arrived(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  assert_int_equal(fixture_send(&peer, "ping", 4), 1);
  uint64_t ping_at = liveness_of(&peer).accepted_bytes;
  assert_int_equal(ping_at, sent + 4);
  assert_true(liveness_of(&peer).acked_bytes < ping_at);
  peer_wait_for(&peer, ping_at);
  fixture_run_until(&fx, has_acked_all, &peer, true);
  assert_int_equal(liveness_of(&peer).acked_bytes, ping_at);
  fixture_close(&fx);
}
FIXTURE_ALL(a_ping_behind_a_backlog_has_not_arrived)

/* The kernel's time is real, whatever the hub's clock says. */
static bool has_been_silent(fixture_t *fx, void *arg) {
  (void) fx;
  return liveness_of(arg).since_heard_ms >= 50;
}

static bool was_just_heard(fixture_t *fx, void *arg) {
  (void) fx;
  return liveness_of(arg).since_heard_ms < 50;
}

static void what_the_peer_sends_is_heard_as_what_it_acknowledges(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fixture_run_until(&fx, has_been_silent, &peer, false);
  assert_int_equal(fixture_send(&peer, "ping", 4), 1);
  fixture_run_until(&fx, was_just_heard, &peer, false); /* by its acknowledgement */
  fixture_run_until(&fx, has_been_silent, &peer, false);
  assert_int_equal(send(peer.fd, "pong", 4, MSG_NOSIGNAL), 4);
  fixture_run_until(&fx, was_just_heard, &peer, false); /* there was nothing to acknowledge */
  fixture_close(&fx);
}

static void where_nobody_knows_it_is_how_long_nothing_has_moved(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  fixture_advance(&fx, 3000);
  assert_int_equal(liveness_of(&peer).since_heard_ms, 0);
  (void) peer_refuse(&peer);
  fixture_advance(&fx, 3000);
  assert_int_equal(liveness_of(&peer).since_heard_ms, 3000);
  assert_false(liveness_of(&peer).is_known);
  fixture_close(&fx);
}

static void liveness_can_be_had_before_the_start(void **state) {
  fixture_t fx;
  fluxbp_conn_t *conn;
  fluxbp_liveness_t liveness;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(fluxbp_conn_create(fx.hub, NULL, &conn), 0);
  fluxbp_conn_get_liveness(conn, &liveness);
  assert_false(liveness.is_known);
  assert_int_equal(liveness.accepted_bytes + liveness.acked_bytes + liveness.since_heard_ms, 0);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(staged_bytes_are_accepted_and_acknowledged_when_they_have_arrived),
      FIXTURE_ALL_TESTS(a_ping_behind_a_backlog_has_not_arrived),
      cmocka_unit_test(what_the_peer_sends_is_heard_as_what_it_acknowledges),
      cmocka_unit_test(where_nobody_knows_it_is_how_long_nothing_has_moved),
      cmocka_unit_test(liveness_can_be_had_before_the_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
