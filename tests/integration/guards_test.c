/* SPDX-License-Identifier: MIT */
/*
 * What stands between a verdict and an eviction: the user who spares, a policy that only reports, the grace of new
 * connections, and a crowd that is slow together.
 */
#include "support/fixture.h"

#include <stdlib.h>
#include <string.h>

static void fill_to(peer_t *peer, uint64_t queued) {
  while (peer_stats(peer).queued < queued) assert_int_equal(fixture_send(peer, "x", 1), 1);
}

/* ---- sparing ---- */

static void who_is_spared_stays_until_the_next_time(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer.is_spared = true;
  (void) peer_refuse(&peer);
  fixture_advance(&fx, 5000);
  assert_string_equal(peer.trace, "V");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(peer.record.since_progress_ms, 5000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(fixture_metrics(&fx).spared, 1);
  assert_int_equal(fx.evictions, 0);

  assert_int_equal(fixture_publish(&fx, fx.topic, "goes on", 7), 1); /* it loses nothing by it */
  fixture_advance(&fx, 4750);
  assert_string_equal(peer.trace, "V");
  peer.is_spared = false;
  fixture_advance(&fx, 250);
  assert_string_equal(peer.trace, "VVEHX");
  assert_int_equal(peer.record.since_progress_ms, 10000);
  fixture_close(&fx);
}
FIXTURE_ALL(who_is_spared_stays_until_the_next_time)

static void lag_is_counted_anew_after_it_was_spared(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.stall_ms = 0;
  fx.policy.slow_ms = 0;
  fx.policy.lag_ms = 1000;
  fx.policy.grace_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer.is_spared = true;
  (void) peer_refuse(&peer);
  assert_int_equal(fixture_send(&peer, "x", 1), 1); /* the head may be partly written */
  fixture_advance(&fx, 6000);
  assert_in_range(peer_times_told(&peer, TOLD_VERDICT), 4, 5); /* each 1000 ms and the sweep after it */
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_LAG);
  fixture_close(&fx);
}

static void overflow_is_not_asked_about(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 4;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer.is_spared = true;
  (void) peer_refuse(&peer);
  fill_to(&peer, 4);
  (void) fixture_send(&peer, "over", 4);
  fixture_turns(&fx, 2);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_OVERFLOW);
  assert_int_equal(peer_times_told(&peer, TOLD_VERDICT), 0);
  fixture_close(&fx);
}

static void reset_when_asked(peer_t *peer, char told) {
  if (told == TOLD_VERDICT) fluxbp_conn_reset(peer->conn);
}

static void close_when_asked(peer_t *peer, char told) {
  if (told == TOLD_VERDICT) fluxbp_conn_close(peer->conn, 60000);
}

static void close_hub_when_asked(peer_t *peer, char told) {
  if (told == TOLD_VERDICT) fluxbp_hub_close(peer->fx->hub, fixture_on_hub_closed);
}

static void may_be_closed_when_asked(void (*hook)(peer_t *, char), bool is_spared, int status) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer.hook = hook;
  peer.is_spared = is_spared;
  size_t sent = peer_refuse(&peer);
  fixture_advance(&fx, 5000);
  assert_int_equal(fx.evictions, 0);
  if (status == 0) { /* politely: it still gets everything */
    assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
    peer_wait_for(&peer, sent);
    peer_hang_up(&peer);
    peer_wait_for_close(&peer);
  }
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, status);
  fixture_close(&fx);
}

static void everything_may_be_closed_when_asked(void **state) {
  (void) state;
  for (int is_spared = 0; is_spared <= 1; is_spared++) {
    may_be_closed_when_asked(reset_when_asked, is_spared, UV_ECANCELED);
    may_be_closed_when_asked(close_when_asked, is_spared, 0);
    may_be_closed_when_asked(close_hub_when_asked, is_spared, UV_ECANCELED);
  }
}

/* ---- shadow ---- */

static fluxbp_eviction_t newest_record(const fixture_t *fx) {
  fluxbp_eviction_t record;
  assert_int_equal(fluxbp_hub_evictions(fx->hub, &record, 1), 1);
  return record;
}

static void shadow_reports_once_and_evicts_nobody(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.is_shadow = 1;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  fixture_advance(&fx, 20000);
  assert_int_equal(fx.evictions, 1);
  assert_int_equal(newest_record(&fx).reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(newest_record(&fx).is_shadow, 1);
  assert_int_equal(newest_record(&fx).since_progress_ms, 5000);
  fluxbp_metrics_t metrics = fixture_metrics(&fx);
  assert_int_equal(metrics.shadow_evictions[FLUXBP_EVICT_STALLED], 1);
  assert_int_equal(metrics.evictions[FLUXBP_EVICT_STALLED], 0);
  assert_string_equal(peer.trace, "VH");
  assert_int_equal(peer.record.is_shadow, 1);

  peer_wait_for(&peer, sent);
  fixture_turns(&fx, 3);
  peer_forget(&peer);
  (void) peer_refuse(&peer);
  fixture_advance(&fx, 5000);
  assert_int_equal(fx.evictions, 2); /* it was drained in between: a new case */
  fixture_close(&fx);
}
FIXTURE_ALL(shadow_reports_once_and_evicts_nobody)

static void shadow_of_an_overflow_drops_the_newest(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 8;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fx.policy.is_shadow = 1;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  for (int i = 1; i <= 20; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  assert_int_equal(fx.evictions, 0); /* from the loop, not inside of publish, which the fixture would notice */
  fixture_turns(&fx, 1);
  assert_int_equal(fx.evictions, 1);
  assert_int_equal(newest_record(&fx).reason, FLUXBP_EVICT_OVERFLOW);
  assert_int_equal(newest_record(&fx).is_shadow, 1);
  assert_int_equal(peer_stats(&peer).dropped, 13);
  static const char rest[] = "1\n2\n3\n4\n5\n6\n7\n{\"gap\":{\"from\":8,\"to\":20,\"count\":13}}\n";
  size_t before = sent + sent / 4096; /* with their newlines */
  peer_wait_for(&peer, before + sizeof rest - 1);
  assert_memory_equal(peer.data + before, rest, sizeof rest - 1);
  fixture_close(&fx);
}

/* ---- grace ---- */

static void a_new_connection_has_its_grace(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t old;
  peer_t new;
  fixture_init(&fx);
  fx.policy.stall_ms = 1000;
  fx.policy.grace_ms = 3000;
  fixture_open(&fx);
  peer_open(&fx, &old, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  fixture_advance(&fx, 10000);
  peer_open(&fx, &new, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&old);
  (void) peer_refuse(&new);
  fixture_advance(&fx, 750);
  assert_int_equal(peer_state(&old), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 250);
  assert_null(old.conn);
  fixture_advance(&fx, 1750);
  assert_int_equal(peer_state(&new), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 250);
  assert_null(new.conn);
  assert_int_equal(new.record.since_progress_ms, 3000);
  fixture_close(&fx);
}
FIXTURE_ALL(a_new_connection_has_its_grace)

/* ---- a crowd ---- */

enum { CROWD = 20 };

static void open_crowd(fixture_t *fx, peer_t **crowd) {
  fixture_init(fx);
  fixture_open(fx);
  for (int i = 0; i < CROWD; i++) crowd[i] = peer_new(fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
}

static size_t alive(const fixture_t *fx) {
  return fluxbp_hub_connections(fx->hub);
}

static void a_crowd_that_recovers_in_its_grace_loses_nobody(void **state) {
  fixture_t fx;
  peer_t *crowd[CROWD];
  (void) state;
  open_crowd(&fx, crowd);
  for (int i = 0; i < CROWD; i++) (void) peer_refuse(crowd[i]);
  fixture_advance(&fx, 2000);
  assert_int_equal(fixture_metrics(&fx).is_crowd_slow, 0);
  fixture_advance(&fx, 1000);
  assert_int_equal(fixture_metrics(&fx).is_crowd_slow, 1);
  assert_int_equal(fixture_metrics(&fx).crowd_slow_events, 1);
  fixture_advance(&fx, 6000); /* 9 s in all: the uplink is back */
  assert_int_equal(fx.evictions, 0);
  for (int i = 0; i < CROWD; i++) peer_wait_for(crowd[i], crowd[i]->len + 1);
  fixture_advance(&fx, 500);
  assert_int_equal(fixture_metrics(&fx).is_crowd_slow, 0);
  assert_int_equal(fx.evictions, 0);
  fixture_close(&fx);
}

static void a_crowd_gets_one_grace_and_no_more(void **state) {
  fixture_t fx;
  peer_t *crowd[CROWD];
  (void) state;
  open_crowd(&fx, crowd);
  for (int i = 0; i < CROWD; i++) (void) peer_refuse(crowd[i]);
  fixture_advance(&fx, 9750);
  assert_int_equal(alive(&fx), CROWD);
  fixture_advance(&fx, 250);
  assert_int_equal(alive(&fx), 0);
  assert_int_equal(fx.evictions, CROWD);
  assert_int_equal(fixture_metrics(&fx).is_crowd_slow, 0);
  fixture_close(&fx);
}

static void a_few_that_are_slow_get_no_grace(void **state) {
  fixture_t fx;
  peer_t *crowd[CROWD];
  (void) state;
  open_crowd(&fx, crowd);
  for (int i = 0; i < CROWD - 2; i++) (void) peer_refuse(crowd[i]); /* 90 % exactly */
  fixture_advance(&fx, 5000);
  assert_int_equal(fixture_metrics(&fx).crowd_slow_events, 0);
  assert_int_equal(fx.evictions, CROWD - 2);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(who_is_spared_stays_until_the_next_time),
      cmocka_unit_test(lag_is_counted_anew_after_it_was_spared),
      cmocka_unit_test(overflow_is_not_asked_about),
      cmocka_unit_test(everything_may_be_closed_when_asked),
      FIXTURE_ALL_TESTS(shadow_reports_once_and_evicts_nobody),
      cmocka_unit_test(shadow_of_an_overflow_drops_the_newest),
      FIXTURE_ALL_TESTS(a_new_connection_has_its_grace),
      cmocka_unit_test(a_crowd_that_recovers_in_its_grace_loses_nobody),
      cmocka_unit_test(a_crowd_gets_one_grace_and_no_more),
      cmocka_unit_test(a_few_that_are_slow_get_no_grace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
