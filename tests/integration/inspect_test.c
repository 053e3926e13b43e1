/* SPDX-License-Identifier: MIT */
/*
 * What can be asked of connections that can't keep up, without a look at the others: which they are, and what there is
 * against them.
 */
#include "support/fixture.h"

#include <string.h>

enum { CONNS_MAX = 4 };

typedef struct visited {
  fluxbp_conn_t *conns[CONNS_MAX];
  int count;
  int stop_after;                   /* 0: never */
  void (*act)(fluxbp_conn_t *conn); /* may be NULL */
} visited_t;

static int visit(fluxbp_conn_t *conn, void *arg) {
  visited_t *visited = arg;
  assert_in_range(visited->count, 0, CONNS_MAX - 1);
  visited->conns[visited->count++] = conn;
  if (visited->act != NULL) visited->act(conn);
  return visited->count == visited->stop_after ? 7 : 0;
}

static bool has_visited(const visited_t *visited, const fluxbp_conn_t *conn) {
  for (int i = 0; i < visited->count; i++)
    if (visited->conns[i] == conn) return true;
  return false;
}

static void close_soon(fluxbp_conn_t *conn) {
  fluxbp_conn_close(conn, 1000);
}

static bool is_drained(fixture_t *fx, void *arg) {
  (void) fx;
  return peer_stats(arg).queued == 0;
}

static void each_refused_leaves_out_who_keeps_up(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[3];
  visited_t visited = {0};
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 3; i++) peer_open(&fx, &peers[i], transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "x", 1), 3); /* staged, and nobody has been refused */
  assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &visited), 0);
  assert_int_equal(visited.count, 0);

  (void) peer_refuse(&peers[1]);
  assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &visited), 0);
  assert_int_equal(visited.count, 1);
  assert_ptr_equal(visited.conns[0], peers[1].conn);

  fixture_run_until(&fx, is_drained, &peers[1], true);
  visited.count = 0;
  assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &visited), 0);
  assert_int_equal(visited.count, 0);
  fixture_close(&fx);
}
FIXTURE_BOTH(each_refused_leaves_out_who_keeps_up)

static void each_refused_finds_everybody_in_the_middle_of_a_sweep(void **state) {
  fixture_t fx;
  peer_t peers[3];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 3; i++) {
    peer_open(&fx, &peers[i], FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(&peers[i]);
  }
  fluxbp__engine_t *engine = &fx.hub->engine;
  fluxbp__list_take(&engine->unswept, &engine->pressured);
  for (int swept = 0; swept <= 3; swept++) {
    visited_t visited = {0};
    assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &visited), 0);
    assert_int_equal(visited.count, 3);
    for (int i = 0; i < 3; i++) assert_true(has_visited(&visited, peers[i].conn));
    if (swept == 3) break;
    fluxbp__link_t *link = engine->unswept.next;
    fluxbp__link_remove(link);
    fluxbp__list_append(&engine->pressured, link);
  }
  fixture_close(&fx);
}

static void each_refused_stops_when_it_is_told_and_may_close(void **state) {
  fixture_t fx;
  peer_t peers[3];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 3; i++) {
    peer_open(&fx, &peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(&peers[i]);
  }
  visited_t polite = {.act = close_soon, .stop_after = 1};
  assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &polite), 7);
  visited_t all = {.act = fluxbp_conn_reset}; /* the one that closes has something queued still */
  assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &all), 0);
  assert_int_equal(all.count, 3);
  visited_t none = {0}; /* they are gone, though not yet from the hub */
  assert_int_equal(fluxbp_hub_each_refused(fx.hub, visit, &none), 0);
  assert_int_equal(none.count, 0);
  fixture_close(&fx);
}

static void evidence_of_an_idle_connection_is_empty(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fixture_advance(&fx, 3000);
  fluxbp_eviction_t evidence;
  memset(&evidence, 0xff, sizeof evidence);
  fluxbp_conn_get_evidence(peer.conn, &evidence);
  const fluxbp_eviction_t expected = {.conn_id = fluxbp_conn_id(peer.conn), .time_ms = fx.now_ms};
  assert_int_equal(evidence.conn_id, expected.conn_id);
  assert_int_equal(evidence.time_ms, expected.time_ms);
  assert_int_equal(evidence.reason, FLUXBP_EVICT_NONE);
  assert_int_equal(evidence.cause, FLUXBP_CAUSE_UNKNOWN);
  assert_int_equal(evidence.since_progress_ms + evidence.backpressured_ms + evidence.oldest_ms + evidence.queued, 0);
  assert_int_equal(evidence.queued_bytes + evidence.dropped + evidence.kernel_bytes + evidence.last_id, 0);
  assert_int_equal(evidence.is_shadow, 0);
  fixture_close(&fx);
}
FIXTURE_BOTH(evidence_of_an_idle_connection_is_empty)

static void evidence_can_be_had_before_the_start(void **state) {
  fixture_t fx;
  fluxbp_conn_t *conn;
  fluxbp_eviction_t evidence;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(fluxbp_conn_create(fx.hub, NULL, &conn), 0);
  fluxbp_conn_get_evidence(conn, &evidence);
  assert_int_equal(evidence.conn_id, fluxbp_conn_id(conn));
  assert_int_equal(evidence.kernel_bytes, 0);
  fixture_close(&fx);
}

/* The client's kernel has said that it takes no more: from then on nothing moves. */
static bool is_window_closed(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  fluxbp__sample_t sample;
  (void) fx;
  fluxbp__probe_sample(fluxbp__transport_fd(peer->conn), &sample);
  return sample.window == 0 && sample.unacked_packets == 0;
}

static void evidence_grows_until_it_is_the_eviction_record(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (int i = 0; i < 3; i++) assert_int_equal(fixture_publish(&fx, fx.topic, "x", 1), 1);
  fixture_turns(&fx, 1);
  (void) peer_refuse(&peer);
  while (!fluxbp_conn_is_backpressured(peer.conn)) (void) fixture_send(&peer, "x", 1);

  fluxbp_eviction_t evidence;
  fluxbp_conn_get_evidence(peer.conn, &evidence);
  assert_in_range(evidence.since_progress_ms, 0, 250);
  assert_int_equal(evidence.cause, FLUXBP_CAUSE_UNKNOWN);
  fixture_run_until(&fx, is_window_closed, &peer, false);
  fixture_advance(&fx, 4000);
  fluxbp_conn_get_evidence(peer.conn, &evidence);
  assert_int_equal(evidence.reason, FLUXBP_EVICT_NONE);
  assert_int_equal(evidence.cause, FLUXBP_CAUSE_NOT_READING);
  assert_in_range(evidence.since_progress_ms, 3500, 4250);
  assert_in_range(evidence.backpressured_ms, 3500, 4250);
  assert_in_range(evidence.oldest_ms, 3500, 4250);
  assert_int_equal(evidence.nearest, FLUXBP_EVICT_STALLED);
  assert_int_equal(evidence.used_ms, evidence.since_progress_ms);
  assert_int_equal(evidence.limit_ms, 5000);
  assert_int_equal(evidence.put_off, FLUXBP_PUT_OFF_NONE);
  assert_true(evidence.kernel_bytes > 0);
  assert_int_equal(evidence.queued, peer_stats(&peer).queued);
  assert_int_equal(evidence.queued_bytes, peer_stats(&peer).queued_bytes);
  assert_int_equal(evidence.last_id, 3);

  fixture_advance(&fx, 1500);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(peer.record.cause, evidence.cause);
  assert_int_equal(peer.record.nearest, peer.record.reason);
  assert_in_range(peer.record.used_ms, 5000, 5250);
  assert_int_equal(peer.record.limit_ms, 5000);
  assert_int_equal(peer.record.queued, evidence.queued);
  assert_int_equal(peer.record.queued_bytes, evidence.queued_bytes);
  assert_int_equal(peer.record.kernel_bytes, evidence.kernel_bytes);
  assert_int_equal(peer.record.last_id, evidence.last_id);
  assert_true(peer.record.since_progress_ms > evidence.since_progress_ms);
  fixture_close(&fx);
}

static void evidence_says_why_a_row_past_its_limit_stays(void **state) {
  fixture_t fx;
  peer_t spared;
  peer_t shadowed;
  fluxbp_eviction_t evidence;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &spared, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &shadowed, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  fluxbp_policy_t shadow = fx.policy;
  shadow.is_shadow = 1;
  assert_int_equal(fluxbp_conn_set_policy(shadowed.conn, &shadow), 0);
  spared.is_spared = true;
  (void) peer_refuse(&spared);
  (void) peer_refuse(&shadowed);
  fixture_advance(&fx, 8000);
  fluxbp_conn_get_evidence(spared.conn, &evidence);
  assert_int_equal(evidence.nearest, FLUXBP_EVICT_STALLED);
  assert_int_equal(evidence.put_off, FLUXBP_PUT_OFF_SPARED);
  assert_int_equal(evidence.used_ms, 8000);
  assert_int_equal(evidence.limit_ms, 10000);
  fluxbp_conn_get_evidence(shadowed.conn, &evidence);
  assert_int_equal(evidence.put_off, FLUXBP_PUT_OFF_SHADOW);
  assert_int_equal(evidence.used_ms, 8000);
  assert_int_equal(evidence.limit_ms, 5000);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(each_refused_leaves_out_who_keeps_up),
      cmocka_unit_test(each_refused_finds_everybody_in_the_middle_of_a_sweep),
      cmocka_unit_test(each_refused_stops_when_it_is_told_and_may_close),
      FIXTURE_TESTS(evidence_of_an_idle_connection_is_empty),
      cmocka_unit_test(evidence_can_be_had_before_the_start),
      cmocka_unit_test(evidence_grows_until_it_is_the_eviction_record),
      cmocka_unit_test(evidence_says_why_a_row_past_its_limit_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
