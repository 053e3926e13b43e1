/* SPDX-License-Identifier: MIT */
/*
 * Every way in which a connection or a hub ends: what is still delivered, what the client sees, what on_close says.
 */
#include "support/fixture.h"

#include "probe.h"
#include "support/socketpair.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void fill_to(peer_t *peer, uint64_t queued) {
  while (peer_stats(peer).queued < queued) assert_int_equal(fixture_send(peer, "x", 1), 1);
}

static void polite_close_delivers_everything_and_then_fin(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  size_t sent = peer_refuse(&peer);
  for (int i = 0; i < 50; i++) assert_int_equal(fixture_send(&peer, "tail", 4), 1);
  fluxbp_conn_close(peer.conn, 5000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  assert_int_equal(fluxbp_topic_subscribers(fx.topic), 0);
  fixture_balances(&fx);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  assert_int_equal(peer.len, sent + 200);
  assert_memory_equal(peer.data + sent + 196, "tail", 4);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
  assert_int_equal(peer.told, 0);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_string_equal(peer.trace, "X");
  assert_int_equal(peer.close_status, 0);
  assert_int_equal(fixture_metrics(&fx).discarded, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(polite_close_delivers_everything_and_then_fin)

/* The kernel of the peer has acknowledged everything, our FIN included; it may take its time for that. */
static bool is_acknowledged(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer->conn->uv.handle.type != UV_TCP || fluxbp__probe_unacked(fluxbp__transport_fd(peer->conn)) == 0;
}

static void close_of_an_idle_connection_says_fin(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fluxbp_conn_close(peer.conn, 5000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  fixture_run_until(&fx, is_acknowledged, &peer, false);
  fixture_advance(&fx, 750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
  fixture_advance(&fx, 250); /* a peer that doesn't answer our FIN isn't waited for */
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, 0);
  assert_int_equal(peer.error, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(close_of_an_idle_connection_says_fin)

/* Our kernel has taken everything, but the peer's hasn't: what the peer has yet to read isn't thrown away after a
 * second. */
static void said_fin_waits_for_what_is_unacknowledged(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  char message[100] = "m"; /* small ones: our kernel takes some more when the window of the peer is closed */
  size_t sent = 0;
  for (; fluxbp__probe_unacked(fluxbp__transport_fd(peer.conn)) < 500; sent += sizeof message) {
    assert_int_equal(fixture_send(&peer, message, sizeof message), 1);
    assert_int_equal(fluxbp_conn_flush(peer.conn), 0);
  }
  assert_int_equal(peer_stats(&peer).queued, 0);
  fluxbp_conn_close(peer.conn, 5000);
  fixture_turns(&fx, 2);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
  assert_true(fluxbp__probe_unacked(fluxbp__transport_fd(peer.conn)) > 1);
  fixture_advance(&fx, 4500);
  assert_non_null(peer.conn);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  assert_int_equal(peer.len, sent);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, 0);
  fixture_close(&fx);
}

static void close_writes_what_is_staged(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "last words", 10), 1);
  fluxbp_conn_close(peer.conn, 0);
  peer_wait_for_close(&peer);
  peer_expects(&peer, "last words\n");
  assert_int_equal(peer.close_status, 0);
  assert_int_equal(fixture_metrics(&fx).discarded, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(close_writes_what_is_staged)

static void passed_deadline_resets(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 10);
  fluxbp_conn_close(peer.conn, 60000);
  fluxbp_conn_close(peer.conn, 2000); /* calling again changes it */
  fixture_advance(&fx, 1750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_advance(&fx, 250);
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_ETIMEDOUT);
  assert_int_equal(fixture_metrics(&fx).discarded, 10);
  peer_wait_for_close(&peer);
  if (transport->stream == FLUXBP_STREAM_TCP) assert_int_equal(peer.error, ECONNRESET);
  assert_string_equal(peer.trace, "X");
  fixture_close(&fx);
}
FIXTURE_ALL(passed_deadline_resets)

static void drain_of_the_hub_lengthens_no_deadline(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 10);
  fluxbp_conn_close(peer.conn, 1000);
  fluxbp_hub_drain(fx.hub, 60000, NULL);
  fixture_advance(&fx, 1000);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, UV_ETIMEDOUT);
  fixture_close(&fx);
}
FIXTURE_ALL(drain_of_the_hub_lengthens_no_deadline)

static void deadline_of_zero_waits_for_nothing(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fluxbp_conn_close(peer.conn, 0);
  fixture_turns(&fx, 3); /* no virtual time passes, and the peer doesn't read; a transport may close a turn later */
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_ETIMEDOUT);
  peer_wait_for_close(&peer);
  fixture_close(&fx);
}
FIXTURE_ALL(deadline_of_zero_waits_for_nothing)

static void close_after_a_loss_tells_the_gap_and_then_fin(const fluxbp_transport_t *transport) {
  static const char gap[] = "{\"gap\":{\"from\":8,\"to\":20,\"count\":13}}\n";
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.slots = 8;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  for (int i = 1; i <= 20; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  fluxbp_conn_close(peer.conn, 60000);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  assert_memory_equal(peer.data + peer.len - (sizeof gap - 1), gap, sizeof gap - 1);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(close_after_a_loss_tells_the_gap_and_then_fin)

static void data_that_comes_while_closing_does_not_cost_the_client_its_messages(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "read me", 7), 1);
  assert_int_equal(send(peer.fd, "noise", 5, 0), 5);
  fluxbp_conn_close(peer.conn, 5000);
  assert_int_equal(send(peer.fd, "noise", 5, 0), 5);
  fixture_turns(&fx, 5);
  assert_int_equal(peer.received, 0); /* it is thrown away */
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  peer_wait_for_close(&peer);
  peer_expects(&peer, "read me\n");
  assert_int_equal(peer.error, 0);
  assert_int_equal(peer.close_status, 0);
  fixture_close(&fx);
}

static void reset_discards_and_says_so(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 5);
  fluxbp_conn_reset(peer.conn);
  fluxbp_conn_reset(peer.conn);
  fluxbp_conn_close(peer.conn, 1000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_CLOSING);
  assert_int_equal(peer.told, 0);
  fixture_balances(&fx);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, UV_ECANCELED);
  assert_string_equal(peer.trace, "X");
  if (transport->stream == FLUXBP_STREAM_TCP) assert_int_equal(peer.error, ECONNRESET);
  assert_int_equal(fixture_metrics(&fx).discarded, 5);
  assert_int_equal(fluxbp_hub_connections(fx.hub), 0);
  fixture_close(&fx);
}
FIXTURE_ALL(reset_discards_and_says_so)

static void note_metrics(peer_t *peer, char told) {
  fluxbp_metrics_t *metrics = peer->arg;
  if (told == TOLD_CLOSED) *metrics = fixture_metrics(peer->fx);
}

static void a_closed_connection_is_counted_when_on_close_is_called(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_metrics_t metrics = {0};
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  peer.hook = note_metrics;
  peer.arg = &metrics;
  fluxbp_conn_reset(peer.conn);
  peer_wait_for_close(&peer);
  assert_int_equal(metrics.opened, 1);
  assert_int_equal(metrics.closed, 1);
  assert_int_equal(metrics.connections, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(a_closed_connection_is_counted_when_on_close_is_called)

static void connection_that_was_never_started_closes_quietly(void **state) {
  fixture_t fx;
  peer_t peers[2];
  (void) state;
  memset(peers, 0, sizeof peers);
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 2; i++) {
    peers[i].fx = &fx;
    peers[i].fd = -1;
    fluxbp_conn_options_t options = peer_options(&peers[i], i == 0 ? FLUXBP_TCP : FLUXBP_PIPE, &fluxbp_codec_raw);
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &peers[i].conn), 0);
    assert_int_equal(fluxbp_topic_subscribe(fx.topic, peers[i].conn), 1);
  }
  fluxbp_conn_close(peers[0].conn, 1000);
  fluxbp_conn_reset(peers[1].conn);
  assert_int_equal(fluxbp_conn_start(peers[0].conn), UV_EINVAL);
  assert_int_equal(fluxbp_topic_subscribers(fx.topic), 0);
  fixture_turns(&fx, 3);
  assert_string_equal(peers[0].trace, "X");
  assert_int_equal(peers[0].close_status, 0);
  assert_int_equal(peers[1].close_status, UV_ECANCELED);
  assert_int_equal(fixture_metrics(&fx).closed, 0);
  fixture_close(&fx);
}

static void start_of_an_unconnected_stream_fails(void **state) {
  fixture_t fx;
  peer_t peer = {.fx = &fx, .fd = -1};
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_conn_options_t options = peer_options(&peer, FLUXBP_TCP, &fluxbp_codec_raw);
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &peer.conn), 0);
  assert_in_range(-fluxbp_conn_start(peer.conn), 1, 4095);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_NEW);
  fluxbp_conn_reset(peer.conn);
  fixture_turns(&fx, 3);
  assert_null(peer.conn);
  fixture_close(&fx);
}

/* The ways in which a peer breaks off: what was the connection doing then? */
static void break_off(const fluxbp_transport_t *transport, bool is_refused, bool is_draining, bool publishes) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  if (is_refused) (void) peer_refuse(&peer);
  if (is_draining) fluxbp_conn_close(peer.conn, 5000);
  peer_break(&peer);
  if (publishes) {
    (void) fixture_publish(&fx, fx.topic, "x", 1);
    fluxbp_hub_flush(fx.hub);
    assert_int_equal(peer.told, 0);
    fixture_balances(&fx);
  }
  peer_wait_for_close(&peer);
  fixture_turns(&fx, 3);
  assert_string_equal(peer.trace, "X");
  if (!is_draining) assert_in_range(-peer.close_status, 1, 4095);
  assert_int_equal(fx.evictions, 0);
  assert_int_equal(fluxbp_topic_subscribers(fx.topic), 0);
  fixture_close(&fx);
}

static void peer_that_breaks_off_is_closed_once(const fluxbp_transport_t *transport) {
  for (int i = 0; i < 8; i++) break_off(transport, i & 1, i & 2, i & 4);
}
FIXTURE_ALL(peer_that_breaks_off_is_closed_once)

static void reset_of_the_peer_is_told_as_such(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_break(&peer);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, UV_ECONNRESET);
  fixture_close(&fx);
}

static void hub_closes_connections_in_every_state(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t open_idle;
  peer_t dirty;
  peer_t refused;
  peer_t backpressured;
  peer_t doomed;
  peer_t draining;
  peer_t finishing;
  peer_t closing;
  peer_t fresh = {.fx = &fx, .fd = -1};
  fixture_init(&fx);
  fx.policy.slots = 4;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  peer_t *const peers[] = {&open_idle, &dirty, &refused, &backpressured, &doomed, &draining, &finishing, &closing};
  for (size_t i = 0; i < 8; i++) peer_open(&fx, peers[i], transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  fluxbp_conn_options_t options = peer_options(&fresh, transport, &fluxbp_codec_raw);
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &fresh.conn), 0);

  (void) peer_refuse(&refused);
  (void) peer_refuse(&backpressured);
  fill_to(&backpressured, 3);
  (void) peer_refuse(&draining);
  fluxbp_conn_close(draining.conn, 5000);
  fluxbp_conn_close(finishing.conn, 5000);
  (void) peer_refuse(&doomed);
  fill_to(&doomed, 4);
  (void) fixture_send(&doomed, "x", 1);
  fluxbp_conn_reset(closing.conn);
  assert_int_equal(fixture_send(&dirty, "x", 1), 1);

  assert_int_equal(peer_state(&fresh), FLUXBP__CONN_NEW);
  assert_int_equal(peer_state(&open_idle), FLUXBP__CONN_OPEN);
  assert_true(fluxbp__link_is_linked(&dirty.conn->due));
  assert_int_equal(peer_stats(&refused).is_refused, 1);
  assert_int_equal(peer_stats(&backpressured).is_backpressured, 1);
  assert_int_equal(peer_state(&doomed), FLUXBP__CONN_DOOMED);
  assert_int_equal(peer_state(&draining), FLUXBP__CONN_DRAINING);
  assert_int_equal(peer_state(&finishing), FLUXBP__CONN_FINISHING);
  assert_int_equal(peer_state(&closing), FLUXBP__CONN_CLOSING);
  fixture_balances(&fx);
  fixture_close_hub(&fx);
  for (size_t i = 0; i < 8; i++) {
    assert_string_equal(peers[i]->trace, "X");
    assert_int_equal(peers[i]->close_status, UV_ECANCELED);
  }
  assert_string_equal(fresh.trace, "X");
  fixture_close(&fx);
}
FIXTURE_ALL(hub_closes_connections_in_every_state)

static void note_drained(fluxbp_hub_t *hub) {
  fixture_t *fx = fluxbp_hub_user(hub);
  assert_int_equal(fx->calls, 0);
  (*(int *) fx->arg)++;
}

static bool is_drained(fixture_t *fx, void *arg) {
  (void) arg;
  return *(int *) fx->arg > 0;
}

static void drained_hub_stays_and_takes_new_connections(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t reads;
  peer_t stalls;
  peer_t next;
  int drained = 0;
  fixture_init(&fx);
  fx.arg = &drained;
  fixture_open(&fx);
  peer_open(&fx, &reads, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &stalls, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&stalls);
  assert_int_equal(fixture_publish(&fx, fx.topic, "goodbye", 7), 2);
  fx.calls++;
  fluxbp_hub_drain(fx.hub, 2000, note_drained);
  fx.calls--;
  peer_wait_for_eof(&reads);
  peer_expects(&reads, "goodbye");
  peer_hang_up(&reads);
  peer_wait_for_close(&reads);
  assert_int_equal(reads.close_status, 0);
  fixture_advance(&fx, 1750);
  assert_int_equal(drained, 0);
  fixture_advance(&fx, 250);
  fixture_run_until(&fx, is_drained, NULL, false);
  assert_int_equal(stalls.close_status, UV_ETIMEDOUT);
  assert_int_equal(fluxbp_hub_connections(fx.hub), 0);

  peer_open(&fx, &next, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "hello", 5), 1);
  peer_wait_for(&next, 5);
  assert_int_equal(drained, 1);
  fixture_close(&fx);
}
FIXTURE_ALL(drained_hub_stays_and_takes_new_connections)

static void loop_that_runs_to_its_end_still_tells_that_the_hub_is_drained(void **state) {
  fixture_t fx;
  int drained = 0;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.arg = &drained;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_hang_up(&peer);
  fluxbp_hub_drain(fx.hub, 1000, note_drained);
  assert_int_equal(fixture_run(&fx, UV_RUN_DEFAULT), 0);
  assert_int_equal(drained, 1);
  fluxbp_hub_drain(fx.hub, 1000, note_drained); /* nobody is there */
  assert_int_equal(drained, 1);
  assert_int_equal(fixture_run(&fx, UV_RUN_DEFAULT), 0);
  assert_int_equal(drained, 2);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(polite_close_delivers_everything_and_then_fin),
      FIXTURE_ALL_TESTS(close_of_an_idle_connection_says_fin),
      cmocka_unit_test(said_fin_waits_for_what_is_unacknowledged),
      FIXTURE_ALL_TESTS(close_writes_what_is_staged),
      FIXTURE_ALL_TESTS(passed_deadline_resets),
      FIXTURE_ALL_TESTS(drain_of_the_hub_lengthens_no_deadline),
      FIXTURE_ALL_TESTS(deadline_of_zero_waits_for_nothing),
      FIXTURE_ALL_TESTS(close_after_a_loss_tells_the_gap_and_then_fin),
      cmocka_unit_test(data_that_comes_while_closing_does_not_cost_the_client_its_messages),
      FIXTURE_ALL_TESTS(reset_discards_and_says_so),
      FIXTURE_ALL_TESTS(a_closed_connection_is_counted_when_on_close_is_called),
      cmocka_unit_test(connection_that_was_never_started_closes_quietly),
      cmocka_unit_test(start_of_an_unconnected_stream_fails),
      FIXTURE_ALL_TESTS(peer_that_breaks_off_is_closed_once),
      cmocka_unit_test(reset_of_the_peer_is_told_as_such),
      FIXTURE_ALL_TESTS(hub_closes_connections_in_every_state),
      FIXTURE_ALL_TESTS(drained_hub_stays_and_takes_new_connections),
      cmocka_unit_test(loop_that_runs_to_its_end_still_tells_that_the_hub_is_drained),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
