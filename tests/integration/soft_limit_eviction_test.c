/* SPDX-License-Identifier: MIT */
/*
 * The soft limit with real sockets and the virtual clock: who is evicted for it and how that is told, who stays, what
 * on_verdict, a shadow policy and a policy that changes at run time do.
 */
#include "support/fixture.h"

#include <string.h>

enum { SOFT_BYTES = 32768, SOFT_MS = 3000, PIECE_BYTES = 8192 };

static char payload[PIECE_BYTES];

/* Only the soft limit judges. */
static void open_with_soft_limit(fixture_t *fx) {
  fixture_init(fx);
  fx->policy.stall_ms = 0;
  fx->policy.slow_ms = 0;
  fx->policy.grace_ms = 0;
  fx->policy.soft_bytes = SOFT_BYTES;
  fx->policy.soft_ms = SOFT_MS;
  fixture_open(fx);
}

/* Send until more waits than the limit, and the kernel takes nothing of it. */
static void rise_above(peer_t *peer) {
  do {
    while (peer_stats(peer).queued_bytes <= SOFT_BYTES) {
      assert_int_equal(fixture_send(peer, payload, PIECE_BYTES), 1);
      if (!peer_stats(peer).is_refused) fixture_turns(peer->fx, 1);
    }
    fixture_turns(peer->fx, 5);
  } while (peer_stats(peer).queued_bytes <= SOFT_BYTES);
}

/* A client that doesn't read, with more in its ring than it may have for long. */
static void peer_open_above(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport) {
  peer_open(fx, peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  rise_above(peer);
  fixture_advance(fx, 250); /* a look starts its clock */
}

static void above_for_its_time_is_told_so_and_gets_fin(const fluxbp_transport_t *transport) {
  static const char farewell[] = "{\"evicted\":\"soft_limit\"}\n";
  fixture_t fx;
  peer_t peer;
  open_with_soft_limit(&fx);
  peer_open_above(&fx, &peer, transport);
  assert_int_equal(fluxbp_conn_is_backpressured(peer.conn), 0); /* it is far from its watermark */

  fluxbp_eviction_t evidence;
  fixture_advance(&fx, 1000);
  fluxbp_conn_get_evidence(peer.conn, &evidence);
  assert_int_equal(evidence.nearest, FLUXBP_EVICT_SOFT_LIMIT);
  assert_int_equal(evidence.used_ms, 1000);
  assert_int_equal(evidence.limit_ms, SOFT_MS);
  assert_int_equal(evidence.put_off, FLUXBP_PUT_OFF_NONE);

  fixture_advance(&fx, SOFT_MS - 1000 - 1);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 1);
  assert_string_equal(peer.trace, "VEH");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_SOFT_LIMIT);
  assert_int_equal(peer.record.used_ms, SOFT_MS);
  assert_in_range(peer.record.queued_bytes, SOFT_BYTES + 1, SOFT_BYTES + 2 * PIECE_BYTES);
  assert_int_equal(fixture_metrics(&fx).evictions[FLUXBP_EVICT_SOFT_LIMIT], 1);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_balances(&fx);

  peer_wait_for_eof(&peer);
  assert_in_range(peer.len, sizeof farewell, SIZE_MAX);
  assert_memory_equal(peer.data + peer.len - (sizeof farewell - 1), farewell, sizeof farewell - 1);
  assert_int_equal(peer.error, 0);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, UV_ECONNABORTED);
  fixture_close(&fx);
}
FIXTURE_ALL(above_for_its_time_is_told_so_and_gets_fin)

static bool is_within(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer_stats(peer).queued_bytes <= SOFT_BYTES;
}

/* Again and again it is above the limit for nearly all of the time, and is down at the limit for a moment between two
 * sweeps. */
static void a_moment_below_the_limit_begins_the_time_anew(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_soft_limit(&fx);
  peer_open_above(&fx, &peer, transport);
  for (int i = 0; i < 10; i++) {
    fixture_advance(&fx, SOFT_MS - 500);
    fixture_run_until(&fx, is_within, &peer, true);
    rise_above(&peer);
    fixture_advance(&fx, 250);
    assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  }
  fixture_advance(&fx, SOFT_MS);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_SOFT_LIMIT);
  fixture_close(&fx);
}
FIXTURE_ALL(a_moment_below_the_limit_begins_the_time_anew)

/* What the kernel holds for the client is not counted. */
static void as_much_as_the_limit_stays(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_soft_limit(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  while (peer_stats(&peer).queued_bytes < SOFT_BYTES - PIECE_BYTES)
    assert_int_equal(fixture_send(&peer, payload, PIECE_BYTES), 1);
  fixture_turns(&fx, 1);
  uint64_t rest = SOFT_BYTES - peer_stats(&peer).queued_bytes;
  if (rest > 0) assert_int_equal(fixture_send(&peer, payload, rest), 1);
  assert_int_equal(peer_stats(&peer).queued_bytes, SOFT_BYTES);
  fixture_advance(&fx, 10 * SOFT_MS);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}
FIXTURE_ALL(as_much_as_the_limit_stays)

static void on_verdict_may_spare_it(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_soft_limit(&fx);
  peer_open_above(&fx, &peer, transport);
  peer.is_spared = true;
  fixture_advance(&fx, 2 * SOFT_MS);
  assert_string_equal(peer.trace, "VV");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_SOFT_LIMIT);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  peer.is_spared = false;
  fixture_advance(&fx, SOFT_MS);
  assert_string_equal(peer.trace, "VVVEH");
  fixture_close(&fx);
}
FIXTURE_ALL(on_verdict_may_spare_it)

static void shadow_only_reports_it(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_soft_limit(&fx);
  peer_open_above(&fx, &peer, FLUXBP_TCP);
  fx.policy.is_shadow = 1;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &fx.policy), 0);
  fixture_advance(&fx, 3 * SOFT_MS);
  assert_string_equal(peer.trace, "VH");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_SOFT_LIMIT);
  assert_int_equal(peer.record.is_shadow, 1);
  fluxbp_metrics_t metrics = fixture_metrics(&fx);
  assert_int_equal(metrics.shadow_evictions[FLUXBP_EVICT_SOFT_LIMIT], 1);
  assert_int_equal(metrics.evictions[FLUXBP_EVICT_SOFT_LIMIT], 0);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}

static void a_limit_that_is_set_later_holds_for_a_backlog_that_is_there(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_soft_limit(&fx);
  fx.policy.soft_bytes = 0;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &fx.policy), 0);
  peer_open_above(&fx, &peer, FLUXBP_TCP);
  fixture_advance(&fx, 3 * SOFT_MS);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fx.policy.soft_bytes = SOFT_BYTES;
  assert_int_equal(fluxbp_conn_set_policy(peer.conn, &fx.policy), 0);
  fixture_advance(&fx, 250);
  fixture_advance(&fx, SOFT_MS - 1);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 1);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_SOFT_LIMIT);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(above_for_its_time_is_told_so_and_gets_fin),
      FIXTURE_ALL_TESTS(a_moment_below_the_limit_begins_the_time_anew),
      FIXTURE_ALL_TESTS(as_much_as_the_limit_stays),
      FIXTURE_ALL_TESTS(on_verdict_may_spare_it),
      cmocka_unit_test(shadow_only_reports_it),
      cmocka_unit_test(a_limit_that_is_set_later_holds_for_a_backlog_that_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
