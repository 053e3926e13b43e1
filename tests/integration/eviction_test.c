/* SPDX-License-Identifier: MIT */
/*
 * Verdicts: who is evicted, when by the hub's own clock, what it and the server are told, and what is lost before.
 */
#include "support/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill_to(peer_t *peer, uint64_t queued) {
  while (peer_stats(peer).queued < queued) assert_int_equal(fixture_send(peer, "x", 1), 1);
}

static void stalled_after_five_seconds_and_not_before(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  peer_t healthy;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &healthy, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  size_t sent = peer_refuse(&peer);
  fill_to(&peer, 10);
  assert_int_equal(fixture_publish(&fx, fx.topic, "seen by the healthy", 19), 2);
  fixture_turns(&fx, 2);
  uint64_t begun_ms = fx.now_ms;
  fluxbp_conn_stats_t before = peer_stats(&peer);

  fixture_advance(&fx, 4750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(peer_stats(&peer).oldest_ms, 4750);
  assert_int_equal(peer.told, 0);
  fixture_advance(&fx, 250);
  assert_null(peer.conn);
  assert_string_equal(peer.trace, "VEHX");
  assert_int_equal(peer.close_status, UV_ECONNABORTED);

  const fluxbp_eviction_t *record = &peer.record;
  assert_int_equal(record->conn_id, 1);
  assert_int_equal(record->reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(record->time_ms, begun_ms + 5000);
  assert_int_equal(record->since_progress_ms, 5000);
  assert_int_equal(record->oldest_ms, 5000);
  assert_int_equal(record->backpressured_ms, 0);
  assert_int_equal(record->queued, before.queued);
  assert_int_equal(record->queued_bytes, before.queued_bytes);
  assert_int_equal(record->dropped, 0);
  assert_int_equal(record->last_id, 0);
  if (transport->stream == FLUXBP_STREAM_TCP)
    assert_in_range(record->kernel_bytes, 1, sent);
  else
    assert_int_equal(record->kernel_bytes, 0);

  fluxbp_metrics_t metrics = fixture_metrics(&fx);
  assert_int_equal(metrics.evictions[FLUXBP_EVICT_STALLED], 1);
  assert_int_equal(metrics.discarded, before.queued);
  assert_int_equal(metrics.closed, 1);
  assert_int_equal(peer_state(&healthy), FLUXBP__CONN_OPEN);
  peer_wait_for(&healthy, 19);
  if (transport->stream == FLUXBP_STREAM_TCP) { /* a reset frees the kernel's memory at once */
    peer_wait_for_eof(&peer);
    assert_int_equal(peer.error, ECONNRESET);
  }
  fixture_close(&fx);
}
FIXTURE_ALL(stalled_after_five_seconds_and_not_before)

static void reading_now_and_then_is_not_stalled(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (int i = 0; i < 5; i++) {
    (void) peer_refuse(&peer);
    fixture_advance(&fx, 4500);
    assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
    size_t len = peer.len;
    peer_wait_for(&peer, len + 1);
    fixture_turns(&fx, 3);
  }
  assert_int_equal(fx.evictions, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(reading_now_and_then_is_not_stalled)

static void idle_connection_is_never_stalled(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_send(&peer, "x", 1), 1);
  fixture_advance(&fx, 60000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}

static void the_servers_own_stall_evicts_nobody(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 2); /* the head may be partly written */
  fixture_advance(&fx, 1000);
  fx.now_ms += 10000; /* SIGSTOP, SIGCONT */
  fluxbp__sweep_now(&fx.hub->sweep);
  fixture_turns(&fx, 3);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(peer_stats(&peer).oldest_ms, 1500); /* two sweep intervals of it count */
  fixture_advance(&fx, 3250);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 250);
  assert_null(peer.conn);
  assert_int_equal(peer.record.since_progress_ms, 5000);
  fixture_close(&fx);
}
FIXTURE_ALL(the_servers_own_stall_evicts_nobody)

/* Backpressured, and the kernel takes a little now and then: never stalled, always behind. */
static void slow_is_told_so_and_gets_fin(const fluxbp_transport_t *transport) {
  static const char farewell[] = "{\"evicted\":\"slow\"}\n";
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fx.policy.stall_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 12);
  assert_int_equal(fluxbp_conn_is_backpressured(peer.conn), 1);
  fixture_advance(&fx, 4750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_string_equal(peer.trace, "B");
  fixture_advance(&fx, 250);
  assert_string_equal(peer.trace, "BVEH");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_SLOW);
  assert_int_equal(peer.record.backpressured_ms, 5000);
  assert_int_equal(peer.record.queued, 12);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.discarded, 11); /* all but the head, which is on its way */
  assert_int_equal(stats.queued, 2);     /* and the farewell */
  fixture_balances(&fx);

  size_t len = sizeof farewell - 1;
  peer_wait_for_eof(&peer);
  assert_in_range(peer.len, len + 1, SIZE_MAX);
  assert_memory_equal(peer.data + peer.len - len, farewell, len);
  assert_int_equal(peer.data[peer.len - len - 1], '\n');
  assert_int_equal(peer.error, 0);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_string_equal(peer.trace, "BVEHX");
  assert_int_equal(peer.close_status, UV_ECONNABORTED);
  fixture_close(&fx);
}
FIXTURE_ALL(slow_is_told_so_and_gets_fin)

static void
evicted_client_that_does_not_take_its_farewell_is_reset_after_a_second(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.slots = 4;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 4);
  (void) fixture_send(&peer, "over", 4);
  fixture_turns(&fx, 2);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_advance(&fx, 750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_advance(&fx, 250);
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_ECONNABORTED);
  fixture_close(&fx);
}
FIXTURE_ALL(evicted_client_that_does_not_take_its_farewell_is_reset_after_a_second)

static void overflow_evicts_and_the_loop_carries_it_out(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  peer_t healthy;
  fixture_init(&fx);
  fx.policy.slots = 8;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &healthy, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  (void) peer_refuse(&peer);
  for (int i = 0; i < 7; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 2);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(fixture_publish(&fx, fx.topic, "over", 4), 2);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DOOMED); /* and nobody was called */
  assert_int_equal(peer.told, 0);
  assert_int_equal(fixture_send(&peer, "x", 1), UV_ENOTCONN);
  assert_int_equal(fixture_publish(&fx, fx.topic, "next", 4), 1);
  assert_int_equal(fluxbp_topic_subscribe(fx.topic, peer.conn), UV_ENOTCONN);
  fluxbp_conn_close(peer.conn, 0); /* it is ending already */
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DOOMED);
  fixture_balances(&fx);
  fixture_turns(&fx, 1);
  assert_string_equal(peer.trace, "EH");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_OVERFLOW);
  assert_int_equal(peer.record.queued, 8);
  assert_int_equal(fluxbp_topic_subscribers(fx.topic), 1);
  peer_wait_for_eof(&peer);
  assert_memory_equal(peer.data + peer.len - 23, "{\"evicted\":\"overflow\"}\n", 23);
  peer_wait_for(&healthy, 7 * 2 + 5 + 5);
  peer_expects(&healthy, "0\n1\n2\n3\n4\n5\n6\nover\nnext\n");
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  fixture_close(&fx);
}
FIXTURE_ALL(overflow_evicts_and_the_loop_carries_it_out)

static void lag_is_off_until_it_is_asked_for(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.stall_ms = 0;
  fx.policy.slow_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 2);
  fixture_advance(&fx, 30000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fx.policy.lag_ms = 31000;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &fx.policy), 0);
  fixture_advance(&fx, 1000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 250);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_LAG);
  assert_int_equal(peer.record.oldest_ms, 31250);
  fixture_close(&fx);
}

/* The lines of a peer behind the bytes of peer_refuse: their numbers and gaps, as text. */
static void read_to_the_end(peer_t *peer, size_t ignored, char *out, size_t capacity, uint64_t queued_in_the_end) {
  for (int i = 0; i < 10000 && (peer_stats(peer).queued > queued_in_the_end || i < 20); i++) {
    peer_read(peer);
    fixture_turns(peer->fx, 1);
  }
  peer_read(peer);
  size_t len = peer->len - ignored;
  assert_in_range(len, 0, capacity - 1);
  memcpy(out, peer->data + ignored, len);
  out[len] = '\0';
}

static void newest_are_dropped_as_one_gap_at_its_place(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  char lines[1024];
  fixture_init(&fx);
  fx.policy.slots = 8;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  size_t ignored = sent + sent / 4096; /* their newlines */
  for (int i = 1; i <= 20; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.queued, 8);
  assert_int_equal(stats.dropped, 13); /* 8 to 20: the head and seven more fit */
  assert_int_equal(fixture_metrics(&fx).dropped_newest, 13);
  assert_int_equal(fixture_metrics(&fx).ring_full_events, 1);
  fixture_balances(&fx);

  read_to_the_end(&peer, ignored, lines, sizeof lines, 0);
  assert_string_equal(lines, "1\n2\n3\n4\n5\n6\n7\n{\"gap\":{\"from\":8,\"to\":20,\"count\":13}}\n");
  assert_int_equal(peer_times_told(&peer, TOLD_GAP), 1);
  assert_int_equal(peer.gap.first_id, 8);
  assert_int_equal(peer.gap.last_id, 20);
  assert_int_equal(peer.gap.count, 13);
  assert_int_equal(fixture_metrics(&fx).gaps, 1);

  assert_int_equal(fixture_publish_text(&fx, fx.topic, "21"), 1);
  peer_forget(&peer);
  read_to_the_end(&peer, 0, lines, sizeof lines, 0);
  assert_string_equal(lines, "21\n");
  fixture_close(&fx);
}
FIXTURE_ALL(newest_are_dropped_as_one_gap_at_its_place)

static void oldest_are_dropped_and_the_newest_arrive(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  char lines[1024];
  fixture_init(&fx);
  fx.policy.slots = 8;
  fx.policy.overflow = FLUXBP_OVERFLOW_DROP_OLDEST;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  size_t ignored = sent + sent / 4096;
  for (int i = 1; i <= 20; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  fixture_balances(&fx);
  assert_int_equal(peer_stats(&peer).dropped, 14);
  assert_int_equal(fixture_metrics(&fx).dropped_oldest, 14);
  assert_int_equal(fixture_metrics(&fx).dropped_newest, 0);

  read_to_the_end(&peer, ignored, lines, sizeof lines, 0);
  assert_string_equal(lines, "{\"gap\":{\"from\":1,\"to\":14,\"count\":14}}\n15\n16\n17\n18\n19\n20\n");
  assert_int_equal(peer_times_told(&peer, TOLD_GAP), 1);
  assert_int_equal(peer.lost, 14);
  assert_int_equal(peer_stats(&peer).last_id, 20);
  fixture_close(&fx);
}
FIXTURE_ALL(oldest_are_dropped_and_the_newest_arrive)

static void codec_without_words_for_a_gap_reports_it_to_the_server(void **state) {
  fixture_t fx;
  peer_t peer;
  char lines[1024];
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 4;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  for (int i = 1; i <= 9; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  read_to_the_end(&peer, sent, lines, sizeof lines, 0);
  assert_string_equal(lines, "123");
  assert_int_equal(peer.gap.first_id, 4);
  assert_int_equal(peer.gap.last_id, 9);
  assert_int_equal(peer.lost, 6);
  assert_null(peer.conn->pressure);
  fixture_close(&fx);
}

/* Whatever the order of publishing and reading: numbers and gaps together are complete, in order, without overlap. */
static void numbers_and_gaps_are_complete(const fluxbp_transport_t *transport, fluxbp_overflow_t rule) {
  enum { MESSAGES = 5000 };
  fixture_t fx;
  peer_t peer;
  char padding[301];
  uint32_t seed = 7;
  memset(padding, 'p', 300);
  padding[300] = '\0';
  fixture_init(&fx);
  fx.policy.slots = 32;
  fx.policy.overflow = rule;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  for (int i = 1; i <= MESSAGES; i++) {
    seed = seed * 1664525u + 1013904223u;
    char text[400];
    int len = snprintf(text, sizeof text, "%d %.*s", i, (int) (seed >> 8) % 300, padding);
    assert_int_equal(fixture_publish(&fx, fx.topic, text, (size_t) len), 1);
    if (seed >> 16 & 1) fixture_turns(&fx, 1);
    if (seed % 97 == 0) peer_read(&peer);
    if (i % 250 == 0) fixture_balances(&fx);
  }
  for (int i = 0; i < 10000 && (peer_stats(&peer).queued > 0 || i < 20); i++) {
    peer_read(&peer);
    fixture_turns(&fx, 1);
  }
  peer_read(&peer);
  assert_int_equal(peer_stats(&peer).queued, 0);
  peer.data[peer.len - 1] = '\0';
  unsigned long expected = 1;
  uint64_t lost = 0;
  for (char *line = strtok(peer.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    unsigned long from;
    unsigned long to;
    unsigned long count;
    if (sscanf(line, "{\"gap\":{\"from\":%lu,\"to\":%lu,\"count\":%lu}}", &from, &to, &count) == 3) {
      assert_int_equal(from, expected);
      assert_int_equal(count, to - from + 1);
      lost += count;
      expected = to + 1;
    } else {
      assert_int_equal(strtoul(line, NULL, 10), expected);
      expected++;
    }
  }
  assert_int_equal(expected, MESSAGES + 1);
  assert_in_range(lost, 1, MESSAGES);
  assert_int_equal(lost, peer.lost);
  assert_int_equal(lost, peer_stats(&peer).dropped);
  fixture_close(&fx);
}

static void dropping_the_newest_is_complete(const fluxbp_transport_t *transport) {
  numbers_and_gaps_are_complete(transport, FLUXBP_OVERFLOW_DROP_NEWEST);
}
FIXTURE_ALL(dropping_the_newest_is_complete)

static void dropping_the_oldest_is_complete(const fluxbp_transport_t *transport) {
  numbers_and_gaps_are_complete(transport, FLUXBP_OVERFLOW_DROP_OLDEST);
}
FIXTURE_ALL(dropping_the_oldest_is_complete)

static void the_last_256_records_are_kept(void **state) {
  enum { EVICTIONS = 300 };
  static fluxbp_eviction_t records[EVICTIONS];
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 2;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  assert_int_equal(fluxbp_hub_evictions(fx.hub, records, EVICTIONS), 0);
  for (int i = 1; i <= EVICTIONS; i++) {
    peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(peer);
    for (int k = 0; k < 2; k++) (void) fixture_send(peer, "x", 1);
    fixture_turns(&fx, 1);
    peer_hang_up(peer);
    fixture_turns(&fx, 3);
    assert_int_equal(fx.evictions, i);
    if (i == 3) assert_int_equal(fluxbp_hub_evictions(fx.hub, records, EVICTIONS), 3);
  }
  assert_int_equal(fluxbp_hub_evictions(fx.hub, records, 1), 1);
  assert_int_equal(records[0].conn_id, EVICTIONS);
  assert_int_equal(fluxbp_hub_evictions(fx.hub, records, EVICTIONS), FLUXBP_EVICTIONS_KEPT);
  for (int i = 0; i < FLUXBP_EVICTIONS_KEPT; i++) {
    assert_int_equal(records[i].conn_id, EVICTIONS - i);
    assert_int_equal(records[i].reason, FLUXBP_EVICT_OVERFLOW);
  }
  fixture_close(&fx);
}

static void policy_can_be_changed_while_it_judges(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t own;
  peer_t other;
  fluxbp_policy_t policy;
  fixture_init(&fx);
  fx.policy.grace_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &own, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &other, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  fluxbp_policy_init(&policy);
  policy.stall_ms = 10000;
  policy.grace_ms = 0;
  assert_int_equal(fluxbp_conn_set_policy(own.conn, &policy), 0);
  (void) peer_refuse(&own);
  (void) peer_refuse(&other);
  fixture_advance(&fx, 2000);
  fx.policy.stall_ms = 2000;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &fx.policy), 0);
  fixture_advance(&fx, 250);
  assert_null(other.conn);
  assert_int_equal(other.record.reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(peer_state(&own), FLUXBP__CONN_OPEN);
  policy.stall_ms = 3000;
  assert_int_equal(fluxbp_conn_set_policy(own.conn, &policy), 0);
  fixture_advance(&fx, 500);
  assert_int_equal(peer_state(&own), FLUXBP__CONN_OPEN);
  assert_int_equal(fluxbp_conn_set_policy(own.conn, NULL), 0);
  fixture_advance(&fx, 250);
  assert_null(own.conn);
  fixture_close(&fx);
}
FIXTURE_ALL(policy_can_be_changed_while_it_judges)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(stalled_after_five_seconds_and_not_before),
      FIXTURE_ALL_TESTS(reading_now_and_then_is_not_stalled),
      cmocka_unit_test(idle_connection_is_never_stalled),
      FIXTURE_ALL_TESTS(the_servers_own_stall_evicts_nobody),
      FIXTURE_ALL_TESTS(slow_is_told_so_and_gets_fin),
      FIXTURE_ALL_TESTS(evicted_client_that_does_not_take_its_farewell_is_reset_after_a_second),
      FIXTURE_ALL_TESTS(overflow_evicts_and_the_loop_carries_it_out),
      cmocka_unit_test(lag_is_off_until_it_is_asked_for),
      FIXTURE_ALL_TESTS(newest_are_dropped_as_one_gap_at_its_place),
      FIXTURE_ALL_TESTS(oldest_are_dropped_and_the_newest_arrive),
      cmocka_unit_test(codec_without_words_for_a_gap_reports_it_to_the_server),
      FIXTURE_ALL_TESTS(dropping_the_newest_is_complete),
      FIXTURE_ALL_TESTS(dropping_the_oldest_is_complete),
      cmocka_unit_test(the_last_256_records_are_kept),
      FIXTURE_ALL_TESTS(policy_can_be_changed_while_it_judges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
