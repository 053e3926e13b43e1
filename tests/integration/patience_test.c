/* SPDX-License-Identifier: MIT */
/*
 * For how long each connection may hold the publisher up without progress: its own bucket of patience, whatever others
 * have used. What holding is, from the high watermark to the low one, is in hub_test.c.
 */
#include "support/patient_fixture.h"

#include "support/socketpair.h"

#include <stdlib.h>

static bool is_drained(fixture_t *fx, void *arg) {
  peer_t *peer = arg;
  (void) fx;
  peer_read(peer);
  fluxbp_conn_stats_t stats = peer_stats(peer);
  return stats.queued == 0 && !stats.is_refused && peer->conn->pressure == NULL;
}

/* The client reads everything. */
static void drain(peer_t *peer) {
  fixture_run_until(peer->fx, is_drained, peer, false);
}

/* The client stops to read, and its ring comes to the high watermark. */
static void stall(peer_t *peer) {
  (void) peer_refuse(peer);
  patient_fill(peer, PATIENT_HIGH);
}

static bool is_writable(const fixture_t *fx) {
  return fluxbp_hub_is_writable(fx->hub) != 0;
}

static peer_t *new_peer(fixture_t *fx, const fluxbp_transport_t *transport) {
  return peer_new(fx, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
}

static void a_pause_is_waited_for_whatever_others_have_used(const fluxbp_transport_t *transport) {
  enum { STALLED = 8 };
  fixture_t fx;
  peer_t *stalled[STALLED];
  patient_open(&fx, 5000);
  peer_t *healthy = new_peer(&fx, transport);
  for (int i = 0; i < STALLED; i++) stalled[i] = new_peer(&fx, transport);
  for (int i = 0; i < STALLED; i++) { /* one after the other */
    stall(stalled[i]);
    fixture_advance(&fx, 5000);
    assert_true(is_writable(&fx));
  }
  for (int pause = 0; pause < 20; pause++) {
    stall(healthy);
    fixture_advance(&fx, 900);
    assert_false(is_writable(&fx));
    drain(healthy);
    fixture_turns(&fx, 2);
    assert_true(is_writable(&fx));
  }
  assert_int_equal(fx.evictions, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(a_pause_is_waited_for_whatever_others_have_used)

static void a_drained_ring_does_not_fill_the_bucket(const fluxbp_transport_t *transport) {
  fixture_t fx;
  patient_open(&fx, 5000);
  peer_t *peer = new_peer(&fx, transport);
  stall(peer);
  fixture_advance(&fx, 4750);
  assert_false(is_writable(&fx));
  drain(peer);
  assert_true(is_writable(&fx));
  assert_non_null(peer->conn->rare);
  stall(peer);
  assert_null(peer->conn->rare); /* it is in the pressure block again */
  assert_false(is_writable(&fx));
  fixture_advance(&fx, 250);
  assert_true(is_writable(&fx));
  fixture_close(&fx);
}
FIXTURE_ALL(a_drained_ring_does_not_fill_the_bucket)

static void the_bucket_fills_up_one_for_one(const fluxbp_transport_t *transport) {
  fixture_t fx;
  patient_open(&fx, 4000);
  peer_t *peer = new_peer(&fx, transport);
  stall(peer);
  fixture_advance(&fx, 3000);
  drain(peer);
  fixture_advance(&fx, 1000); /* 2 of the 3 s are missing yet */
  stall(peer);
  fixture_advance(&fx, 1750);
  assert_false(is_writable(&fx));
  fixture_advance(&fx, 250);
  assert_true(is_writable(&fx));

  drain(peer);
  fixture_advance(&fx, 3750);
  assert_non_null(peer->conn->rare);
  fixture_advance(&fx, 500);
  assert_null(peer->conn->rare); /* full: nothing is kept for it */
  stall(peer);
  fixture_advance(&fx, 3750);
  assert_false(is_writable(&fx));
  fixture_close(&fx);
}
FIXTURE_ALL(the_bucket_fills_up_one_for_one)

/* Connections that stop at different times, and stay since nothing evicts them. */
static void each_stalled_connection_holds_the_hub_once(void **state) {
  enum { STALLED = 10, PATIENCE_MS = 1000 };
  fixture_t fx;
  peer_t *stalled[STALLED];
  uint64_t held_ms = 0;
  (void) state;
  patient_init(&fx, PATIENCE_MS);
  fx.policy.overflow = FLUXBP_OVERFLOW_DROP_OLDEST;
  fixture_open(&fx);
  for (int i = 0; i < STALLED; i++) {
    stalled[i] = new_peer(&fx, FLUXBP_PIPE);
    stall(stalled[i]);
    for (; !is_writable(&fx); held_ms += 250) fixture_advance(&fx, 250);
  }
  assert_int_equal(held_ms, STALLED * PATIENCE_MS);
  for (int i = 0; i < 600; i++) { /* in minutes, none of them holds it again */
    for (int peer = 0; peer < STALLED; peer++) (void) fixture_send(stalled[peer], "x", 1);
    assert_true(is_writable(&fx));
    fixture_advance(&fx, 250);
  }
  fixture_close(&fx);
}

static void connections_that_hold_together_do_so_at_the_same_time(void **state) {
  enum { STALLED = 10 };
  fixture_t fx;
  (void) state;
  patient_open(&fx, 1000);
  for (int i = 0; i < STALLED; i++) stall(new_peer(&fx, FLUXBP_PIPE));
  fixture_advance(&fx, 1000);
  assert_true(is_writable(&fx));
  assert_int_equal(fx.writables, 1);
  fixture_close(&fx);
}

static void overflow_by_sending(peer_t *peer) {
  peer->fx->calls++; /* nothing is told inside of the calls */
  while (peer_state(peer) == FLUXBP__CONN_OPEN) (void) fixture_send(peer, "x", 1);
  peer->fx->calls--;
  fixture_turns(peer->fx, 2);
}

static void a_full_ring_without_patience_is_slow(const fluxbp_transport_t *transport) {
  fixture_t fx;
  patient_init(&fx, 5000);
  fx.policy.stall_ms = 4000; /* less than the patience: the size of the bucket */
  fixture_open(&fx);
  peer_t *peer = new_peer(&fx, transport);
  stall(peer);
  fixture_advance(&fx, 3000);
  drain(peer);
  stall(peer);
  fixture_advance(&fx, 750);
  assert_false(is_writable(&fx));
  fixture_advance(&fx, 250);
  assert_true(is_writable(&fx));
  overflow_by_sending(peer);
  assert_int_equal(peer->record.reason, FLUXBP_EVICT_SLOW);
  fixture_close(&fx);
}
FIXTURE_ALL(a_full_ring_without_patience_is_slow)

static void a_full_ring_that_has_not_moved_for_the_stall_limit_is_stalled(const fluxbp_transport_t *transport) {
  fixture_t fx;
  patient_init(&fx, 5000);
  fx.policy.stall_ms = 1000;
  fx.policy.grace_ms = 60000; /* the sweep's verdict would come later */
  fixture_open(&fx);
  peer_t *peer = new_peer(&fx, transport);
  stall(peer);
  fixture_advance(&fx, 1000);
  assert_true(is_writable(&fx));
  overflow_by_sending(peer);
  assert_int_equal(peer->record.reason, FLUXBP_EVICT_STALLED);
  fixture_close(&fx);
}
FIXTURE_ALL(a_full_ring_that_has_not_moved_for_the_stall_limit_is_stalled)

static void a_publisher_that_does_not_wait_overflows_a_patient_ring(void **state) {
  fixture_t fx;
  (void) state;
  patient_open(&fx, 5000);
  peer_t *peer = new_peer(&fx, FLUXBP_PIPE);
  stall(peer);
  overflow_by_sending(peer);
  assert_int_equal(peer->record.reason, FLUXBP_EVICT_OVERFLOW);
  fixture_close(&fx);
}

static void a_shadow_policy_reports_the_same_reason(void **state) {
  fixture_t fx;
  (void) state;
  patient_init(&fx, 1000);
  fx.policy.is_shadow = 1;
  fixture_open(&fx);
  peer_t *peer = new_peer(&fx, FLUXBP_PIPE);
  stall(peer);
  fixture_advance(&fx, 1000);
  assert_true(is_writable(&fx));
  for (int i = 0; i < 20; i++) (void) fixture_send(peer, "x", 1);
  fixture_turns(&fx, 2);
  assert_int_equal(fx.evictions, 1);
  assert_int_equal(peer->record.reason, FLUXBP_EVICT_SLOW);
  assert_int_equal(peer->record.is_shadow, 1);
  assert_int_equal(peer_state(peer), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}

static void a_connection_that_moves_again_is_waited_for_again(const fluxbp_transport_t *transport) {
  enum { SLOTS = 512, FILL = 500, BYTES = 512 }; /* more than the kernel takes at a time */
  static const char data[BYTES];
  fixture_t fx;
  patient_init(&fx, 1000);
  fx.policy.slots = SLOTS;
  fixture_open(&fx);
  peer_t *peer = new_peer(&fx, transport);
  (void) peer_refuse(peer);
  while (peer_stats(peer).queued < FILL) assert_int_equal(fixture_send(peer, data, sizeof data), 1);
  assert_false(is_writable(&fx));
  fixture_advance(&fx, 1000);
  assert_true(is_writable(&fx));
  fixture_advance(&fx, 10000);
  assert_true(is_writable(&fx));

  uint64_t written = peer_stats(peer).written;
  for (int i = 0; peer_stats(peer).written == written; i++) {
    assert_true(i < 1000);
    peer_read(peer);
    fixture_turns(&fx, 1);
  }
  assert_in_range(peer_stats(peer).queued, SLOTS / 2, FILL); /* still above the high watermark */
  fixture_advance(&fx, 250);
  assert_false(is_writable(&fx));
  fixture_close(&fx);
}
FIXTURE_ALL(a_connection_that_moves_again_is_waited_for_again)

static void the_sweep_comes_when_the_bucket_is_empty(void **state) {
  fixture_t fx;
  (void) state;
  patient_open(&fx, 4100);
  peer_t *peer = new_peer(&fx, FLUXBP_PIPE);
  stall(peer);
  fixture_advance(&fx, 3750);
  fx.hub->engine.alarm.due_ms = UINT64_MAX; /* as if the timer had fired */
  fixture_advance(&fx, 250);
  assert_false(is_writable(&fx));
  assert_int_equal(fx.hub->engine.alarm.due_ms, fx.now_ms + 100);
  drain(peer);
  fx.hub->engine.alarm.due_ms = UINT64_MAX;
  stall(peer); /* and when it was nearly empty from the beginning */
  assert_int_equal(fx.hub->engine.alarm.due_ms, fx.now_ms + 100);
  fixture_close(&fx);
}

static void a_policy_sets_the_size_of_the_bucket_at_any_time(void **state) {
  fixture_t fx;
  (void) state;
  patient_open(&fx, 5000);
  peer_t *peer = new_peer(&fx, FLUXBP_PIPE);
  stall(peer);
  fixture_advance(&fx, 3000);
  assert_false(is_writable(&fx));
  fluxbp_policy_t policy = fx.policy;
  policy.stall_ms = 3000;
  policy.grace_ms = 60000; /* the connection stays */
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &policy), 0);
  fixture_advance(&fx, 250);
  assert_true(is_writable(&fx));
  fixture_close(&fx);
}

static void a_connection_that_waits_for_its_flush_holds_without_patience(void **state) {
  fixture_t fx;
  (void) state;
  patient_open(&fx, 1000);
  peer_t *peer = new_peer(&fx, FLUXBP_PIPE);
  stall(peer);
  fixture_advance(&fx, 1000);
  drain(peer);
  assert_true(is_writable(&fx));
  patient_fill(peer, PATIENT_HIGH); /* the kernel would take it */
  assert_false(is_writable(&fx));
  fixture_turns(&fx, 2);
  assert_true(is_writable(&fx));
  fixture_close(&fx);
}

static void what_is_kept_goes_with_the_connection(void **state) {
  enum { PEERS = 3 };
  fixture_t fx;
  peer_t *peers[PEERS];
  (void) state;
  patient_open(&fx, 5000);
  for (int i = 0; i < PEERS; i++) {
    peers[i] = new_peer(&fx, FLUXBP_PIPE);
    stall(peers[i]);
  }
  fixture_advance(&fx, 4000);
  for (int i = 0; i < PEERS; i++) {
    drain(peers[i]);
    assert_non_null(peers[i]->conn->rare);
  }
  fluxbp_conn_reset(peers[0]->conn);
  fluxbp_conn_close(peers[1]->conn, 1000);
  fixture_advance(&fx, 6000);
  assert_null(peers[2]->conn->rare);
  fixture_close(&fx);
}

/* No memory for a block of that size. */
static void *alloc_nothing_rare(size_t size, void *arg) {
  const bool *is_failing = arg;
  return *is_failing && size == sizeof(fluxbp__rare_t) ? NULL : malloc(size);
}

static void free_block(void *memory, size_t size, void *arg) {
  (void) size;
  (void) arg;
  free(memory);
}

static void without_memory_to_keep_it_the_bucket_is_empty(void **state) {
  fixture_t fx;
  bool is_failing = false;
  (void) state;
  patient_init(&fx, 5000);
  fx.pool_options.allocator = (fluxbp_allocator_t){alloc_nothing_rare, free_block, &is_failing};
  fixture_open(&fx);
  peer_t *peer = new_peer(&fx, FLUXBP_PIPE);
  stall(peer);
  fixture_advance(&fx, 3000);
  is_failing = true;
  drain(peer);
  is_failing = false;
  assert_null(peer->conn->rare);
  stall(peer);
  assert_true(is_writable(&fx)); /* the connection isn't waited for, */
  drain(peer);
  fixture_advance(&fx, 1000);
  stall(peer); /* and after a while it is again */
  assert_false(is_writable(&fx));
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(a_pause_is_waited_for_whatever_others_have_used),
      FIXTURE_ALL_TESTS(a_drained_ring_does_not_fill_the_bucket),
      FIXTURE_ALL_TESTS(the_bucket_fills_up_one_for_one),
      cmocka_unit_test(each_stalled_connection_holds_the_hub_once),
      cmocka_unit_test(connections_that_hold_together_do_so_at_the_same_time),
      FIXTURE_ALL_TESTS(a_full_ring_without_patience_is_slow),
      FIXTURE_ALL_TESTS(a_full_ring_that_has_not_moved_for_the_stall_limit_is_stalled),
      cmocka_unit_test(a_publisher_that_does_not_wait_overflows_a_patient_ring),
      cmocka_unit_test(a_shadow_policy_reports_the_same_reason),
      FIXTURE_ALL_TESTS(a_connection_that_moves_again_is_waited_for_again),
      cmocka_unit_test(the_sweep_comes_when_the_bucket_is_empty),
      cmocka_unit_test(a_policy_sets_the_size_of_the_bucket_at_any_time),
      cmocka_unit_test(a_connection_that_waits_for_its_flush_holds_without_patience),
      cmocka_unit_test(what_is_kept_goes_with_the_connection),
      cmocka_unit_test(without_memory_to_keep_it_the_bucket_is_empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
