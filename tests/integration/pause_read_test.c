/* SPDX-License-Identifier: MIT */
/*
 * Reading from a peer is paused and resumed: in every state, from callbacks, with a peer that closes or resets
 * meanwhile.
 */
#include "conn_end.h"
#include "support/alloc_hook.h"
#include "support/fixture.h"

#include <string.h>
#include <sys/socket.h>

enum { CROWD = 150, SWEEP_MS = 250 };

static void open_with_peer(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport) {
  fixture_init(fx);
  fixture_open(fx);
  peer_open(fx, peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
}

static void say(const peer_t *peer, const char *text) {
  assert_int_equal(send(peer->fd, text, strlen(text), 0), strlen(text));
}

static bool has_received(fixture_t *fx, void *arg) {
  const peer_t *peer = fx->arg;
  return peer->received >= *(size_t *) arg;
}

static void run_until_received(peer_t *peer, size_t bytes) {
  peer->fx->arg = peer;
  fixture_run_until(peer->fx, has_received, &bytes, false);
}

static void nothing_is_read_until_reading_is_resumed(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_peer(&fx, &peer, transport);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  say(&peer, "one ");
  fixture_advance(&fx, 1000);
  say(&peer, "two");
  fixture_turns(&fx, 20);
  assert_int_equal(peer.received, 0);
  assert_int_equal(fixture_publish(&fx, fx.topic, "news", 4), 1);
  peer_wait_for(&peer, 4);

  fluxbp_conn_resume_read(peer.conn);
  fluxbp_conn_resume_read(peer.conn);
  run_until_received(&peer, 7);
  assert_int_equal(peer.received, 7);
  say(&peer, "three");
  run_until_received(&peer, 12);
  fixture_close(&fx);
}
FIXTURE_ALL(nothing_is_read_until_reading_is_resumed)

static void pause(peer_t *peer, char told) {
  if (told == TOLD_DATA) assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
}

static void pause_and_resume(peer_t *peer, char told) {
  if (told != TOLD_DATA) return;
  assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
  fluxbp_conn_resume_read(peer->conn);
}

static void pause_in_on_data_is_the_end_of_it(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.options.read_buffer_bytes = 4096;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  static char text[4 * 4096];
  assert_int_equal(send(peer.fd, text, sizeof text, 0), sizeof text);
  peer.hook = pause;
  for (size_t reads = 1; reads <= 4; reads++) {
    run_until_received(&peer, reads * 4096);
    fixture_turns(&fx, 20);
    assert_int_equal(peer.received, reads * 4096);
    fluxbp_conn_resume_read(peer.conn);
  }
  peer.hook = pause_and_resume;
  assert_int_equal(send(peer.fd, text, sizeof text, 0), sizeof text);
  run_until_received(&peer, 2 * sizeof text);
  fixture_close(&fx);
}
FIXTURE_PLAIN(pause_in_on_data_is_the_end_of_it)

/* Something that it hasn't read makes the end of a UNIX socket a reset. */
static void break_behind_unread_data(fixture_t *fx, peer_t *peer) {
  assert_int_equal(fixture_send(peer, "unread", 6), 1);
  fixture_turns(fx, 4);
  say(peer, "unread, too");
  peer_break(peer);
}

static void reset_closes_it_at_once(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_peer(&fx, &peer, transport);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  break_behind_unread_data(&fx, &peer);
  fixture_turns(&fx, 4);
  assert_non_null(peer.conn); /* libuv sees nothing of it */
  fixture_advance(&fx, SWEEP_MS);
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_ECONNRESET);
  assert_int_equal(peer.received, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(reset_closes_it_at_once)

static void fin_waits_until_what_came_before_it_is_read(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_peer(&fx, &peer, transport);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  say(&peer, "the last word");
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  fixture_advance(&fx, 5000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fluxbp_conn_resume_read(peer.conn);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.received, 13);
  assert_int_equal(peer.close_status, UV_EOF);
  fixture_close(&fx);
}
FIXTURE_ALL(fin_waits_until_what_came_before_it_is_read)

static int half_closes;

static int keep_open(fluxbp_conn_t *conn) {
  (void) conn;
  half_closes++;
  return 1;
}

static void keep_half_closed(peer_t *peer, fluxbp_conn_handlers_t *handlers) {
  *handlers = *peer->conn->handlers;
  handlers->on_half_close = keep_open;
  peer->conn->handlers = handlers;
  half_closes = 0;
}

static void fin_behind_nothing_is_told_though_reading_is_paused(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_conn_handlers_t handlers;
  open_with_peer(&fx, &peer, transport);
  keep_half_closed(&peer, &handlers);
  peer.hook = pause;
  say(&peer, "the last word");
  run_until_received(&peer, 13);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  fixture_advance(&fx, SWEEP_MS);
  assert_int_equal(half_closes, 1);
  fixture_advance(&fx, 1000);
  assert_int_equal(fixture_send(&peer, "answer", 6), 1);
  peer_wait_for(&peer, 6);
  fluxbp_conn_resume_read(peer.conn);
  fixture_turns(&fx, 20);
  assert_int_equal(half_closes, 1);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  fluxbp_conn_close(peer.conn, 1000);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(fin_behind_nothing_is_told_though_reading_is_paused)

static void reset_behind_a_fin_closes_it_at_once(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_conn_handlers_t handlers;
  open_with_peer(&fx, &peer, transport);
  keep_half_closed(&peer, &handlers);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  assert_int_equal(fixture_send(&peer, "unread", 6), 1);
  fixture_turns(&fx, 4);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  fixture_advance(&fx, SWEEP_MS);
  assert_int_equal(half_closes, 1);
  peer_break(&peer);
  fixture_advance(&fx, SWEEP_MS);
  assert_null(peer.conn);
  assert_true(peer.close_status < 0);
  fixture_close(&fx);
}
FIXTURE_ALL(reset_behind_a_fin_closes_it_at_once)

/* What it had sent would make a reset of the end otherwise, which could destroy what it hasn't read. */
static void close_reads_to_the_end(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_peer(&fx, &peer, transport);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  say(&peer, "not wanted");
  assert_int_equal(fixture_send(&peer, "good-bye", 8), 1);
  fluxbp_conn_close(peer.conn, 1000);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), UV_ENOTCONN);
  peer_wait_for_eof(&peer);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  peer_wait_for_close(&peer);
  peer_expects(&peer, "good-bye");
  assert_int_equal(peer.error, 0);
  assert_int_equal(peer.received, 0);
  assert_int_equal(peer.close_status, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(close_reads_to_the_end)

static void resume_when_evicted(peer_t *peer, char told) {
  if (told == TOLD_EVICTED) fluxbp_conn_resume_read(peer->conn);
}

/* Whether it is resumed before its eviction is carried out, in the callback, or not at all. */
static void farewell_reads_to_the_end(const fluxbp_transport_t *transport) {
  static const char farewell[] = "{\"evicted\":\"slow\"}\n";
  for (int resumed = 0; resumed < 3; resumed++) {
    fixture_t fx;
    peer_t peer;
    fixture_init(&fx);
    fixture_open(&fx);
    peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
    say(&peer, "not wanted");
    fluxbp__conn_evict(peer.conn, FLUXBP_EVICT_SLOW);
    if (resumed == 1) fluxbp_conn_resume_read(peer.conn);
    if (resumed == 2) peer.hook = resume_when_evicted;
    peer_wait_for_eof(&peer);
    assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    peer_wait_for_close(&peer);
    peer_expects(&peer, farewell);
    assert_int_equal(peer.error, 0);
    assert_int_equal(peer.received, 0);
    assert_int_equal(peer.close_status, UV_ECONNABORTED);
    fixture_close(&fx);
  }
}
FIXTURE_ALL(farewell_reads_to_the_end)

static void verdicts_hold_while_reading_is_paused(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.grace_ms = 0;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  (void) peer_refuse(&peer);
  fixture_advance(&fx, 10000);
  assert_null(peer.conn);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_STALLED);
  fixture_close(&fx);
}
FIXTURE_ALL(verdicts_hold_while_reading_is_paused)

static void hub_closes_with_paused_connections(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[3];
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 3; i++) {
    peer_open(&fx, &peers[i], transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_conn_pause_read(peers[i].conn), 0);
    say(&peers[i], "unread");
  }
  fluxbp_conn_reset(peers[0].conn);
  assert_int_equal(fluxbp_conn_pause_read(peers[0].conn), UV_ENOTCONN);
  fluxbp_conn_resume_read(peers[0].conn);
  fixture_close_hub(&fx);
  for (int i = 0; i < 3; i++) assert_int_equal(peers[i].close_status, UV_ECANCELED);
  fixture_close(&fx);
}
FIXTURE_ALL(hub_closes_with_paused_connections)

/* More than one poll() looks at. Each of them takes the next one with it. */
static void break_next(peer_t *peer, char told) {
  if (told == TOLD_CLOSED && peer->arg != NULL) fluxbp_conn_resume_read(((peer_t *) peer->arg)->conn);
}

static void all_of_a_crowd_are_watched(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t *peers[CROWD];
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < CROWD; i++) {
    peers[i] = peer_new(&fx, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_conn_pause_read(peers[i]->conn), 0);
  }
  for (int i = 0; i < CROWD; i += 2) {
    peers[i]->hook = break_next;
    peers[i]->arg = i + 1 < CROWD ? peers[i + 1] : NULL;
    break_behind_unread_data(&fx, peers[i]);
  }
  fixture_advance(&fx, SWEEP_MS);
  for (int i = 0; i < CROWD; i++) assert_int_equal(peers[i]->conn == NULL, i % 2 == 0);
  fixture_close(&fx);
}
FIXTURE_ALL(all_of_a_crowd_are_watched)

static void paused_connection_keeps_the_loop_alive(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_with_peer(&fx, &peer, transport);
  fixture_turns(&fx, 4);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  fixture_turns(&fx, 4);
  assert_true(uv_loop_alive(&fx.loop));
  fixture_advance(&fx, 1000);
  assert_true(uv_loop_alive(&fx.loop));
  fixture_close(&fx);
}
FIXTURE_ALL(paused_connection_keeps_the_loop_alive)

static void without_memory_reading_goes_on(void **state) {
  fixture_t fx;
  peer_t peer;
  alloc_hook_t hook;
  (void) state;
  alloc_hook_init(&hook);
  fixture_init(&fx);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  alloc_hook_fail_once(&hook, 1);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), UV_ENOMEM);
  say(&peer, "one");
  run_until_received(&peer, 3);
  uint64_t blocks = hook.live_blocks;
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  fluxbp_conn_resume_read(peer.conn);
  assert_int_equal(hook.live_blocks, blocks); /* one that isn't paused owns nothing for it */
  fixture_close(&fx);
}

static void one_that_was_not_started_can_not_be_paused(void **state) {
  fixture_t fx;
  peer_t peer = {0};
  fluxbp_conn_t *conn;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_conn_options_t options = peer_options(&peer, FLUXBP_TCP, &fluxbp_codec_raw);
  options.handlers = NULL;
  assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), 0);
  assert_int_equal(fluxbp_conn_pause_read(conn), UV_ENOTCONN);
  fluxbp_conn_resume_read(conn);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(nothing_is_read_until_reading_is_resumed),
      FIXTURE_PLAIN_TESTS(pause_in_on_data_is_the_end_of_it),
      FIXTURE_ALL_TESTS(reset_closes_it_at_once),
      FIXTURE_ALL_TESTS(fin_waits_until_what_came_before_it_is_read),
      FIXTURE_ALL_TESTS(fin_behind_nothing_is_told_though_reading_is_paused),
      FIXTURE_ALL_TESTS(reset_behind_a_fin_closes_it_at_once),
      FIXTURE_ALL_TESTS(close_reads_to_the_end),
      FIXTURE_ALL_TESTS(farewell_reads_to_the_end),
      FIXTURE_ALL_TESTS(verdicts_hold_while_reading_is_paused),
      FIXTURE_ALL_TESTS(hub_closes_with_paused_connections),
      FIXTURE_ALL_TESTS(all_of_a_crowd_are_watched),
      FIXTURE_ALL_TESTS(paused_connection_keeps_the_loop_alive),
      cmocka_unit_test(without_memory_reading_goes_on),
      cmocka_unit_test(one_that_was_not_started_can_not_be_paused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
