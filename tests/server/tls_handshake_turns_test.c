/* SPDX-License-Identifier: MIT */
/*
 * Turns of TLS handshakes: how many are under way, which one is next, which one is given up for others, and what an
 * iteration takes for them.
 */
#include "support/tls_fixture.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* LATE: iterations in which other processes may take the processor away. */
enum { CLIENTS = 12, LONG_MS = 1000000, LATE = 5 };

static void begin(tls_fixture_t *tf, uint32_t handshakes_max, uint32_t silence_ms) {
  tls_fixture_init(tf);
  tf->options.handshakes_max = handshakes_max;
  tf->options.silence_ms = silence_ms;
  tls_fixture_open(tf);
}

/* A client that has sent its first flight, of which the loop knows, and sends nothing more by itself. */
static tls_peer_t *begin_silent(tls_fixture_t *tf) {
  tls_peer_t *tp = tls_peer_new(tf, FIXTURE_LARGE_BUFFERS);
  tls_peer_pump(tp);
  tp->is_silent = true;
  fixture_turns(&tf->fx, 2);
  return tp;
}

static int unread_bytes(const tls_peer_t *tp) {
  uv_os_fd_t fd;
  int bytes;
  assert_int_equal(uv_fileno(&tp->peer.conn->uv.handle, &fd), 0);
  assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
  return bytes;
}

static bool are_all_told(tls_fixture_t *tf, void *arg) {
  (void) arg;
  for (const peer_t *peer = tf->fx.peers; peer != NULL; peer = peer->next)
    if (((const tls_peer_t *) peer)->handshakes == 0) return false;
  return true;
}

static void others_wait_unread_and_in_order(void **state) {
  (void) state;
  for (unsigned places = 1; places <= 3; places++) {
    tls_fixture_t tf;
    tls_peer_t *tps[CLIENTS];
    begin(&tf, places, LONG_MS);
    for (unsigned i = 0; i < CLIENTS; i++) tps[i] = begin_silent(&tf);
    assert_int_equal(tls_stats(&tf).under_way, places);
    assert_int_equal(tls_stats(&tf).waiting, CLIENTS - places);
    for (unsigned i = 0; i < CLIENTS; i++)
      assert_in_range(unread_bytes(tps[i]), i < places ? 0 : 200, i < places ? 0 : 2000);
    for (unsigned i = 0; i < CLIENTS; i++) tps[i]->is_silent = false;
    tls_run_until(&tf, are_all_told, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) assert_int_equal(tps[i]->handshake_error, 0);
    for (unsigned i = 0; places == 1 && i < CLIENTS; i++) assert_int_equal(tps[i]->order, i + 1);
    assert_int_equal(tls_stats(&tf).handshakes, CLIENTS);
    tls_fixture_close(&tf);
  }
}

/* The oldest ones, and no more than others need. */
static void silent_ones_are_given_up_for_others(void **state) {
  tls_fixture_t tf;
  (void) state;
  begin(&tf, 3, 0);
  tls_peer_t *first = begin_silent(&tf), *second = begin_silent(&tf), *third = begin_silent(&tf);
  tls_turns(&tf, 20);
  assert_int_equal(tls_stats(&tf).under_way, 3);
  tls_peer_t *fourth = begin_silent(&tf);
  peer_wait_for_close(&first->peer);
  assert_int_equal(first->handshakes, 1);
  assert_int_equal(first->handshake_error, UV_ECANCELED);
  assert_int_equal(first->peer.close_status, UV_ECANCELED);
  assert_int_equal(second->handshakes + third->handshakes, 0);
  fourth->is_silent = second->is_silent = false;
  tls_peer_wait_for_handshake(fourth);
  tls_peer_wait_for_handshake(second);
  assert_int_equal(fourth->handshake_error, 0);
  assert_int_equal(second->handshake_error, 0);
  assert_int_equal(third->handshakes, 0);
  assert_int_equal(tls_stats(&tf).given_up, 1);
  assert_int_equal(tls_stats(&tf).failed, 1);
  tls_fixture_close(&tf);
}

static void nobody_is_given_up_too_early(void **state) {
  tls_fixture_t tf;
  (void) state;
  begin(&tf, 1, LONG_MS);
  tls_peer_t *first = begin_silent(&tf), *second = begin_silent(&tf);
  tls_turns(&tf, 50);
  assert_int_equal(first->handshakes + second->handshakes, 0);
  peer_hang_up(&first->peer);
  second->is_silent = false;
  tls_peer_wait_for_handshake(second);
  assert_int_equal(second->handshake_error, 0);
  assert_int_equal(tls_stats(&tf).given_up, 0);
  tls_fixture_close(&tf);
}

/* The loop hasn't come to read them yet. */
static void a_client_whose_bytes_are_unread_is_not_given_up(void **state) {
  tls_fixture_t tf;
  (void) state;
  begin(&tf, 1, 0);
  tls_peer_t *first = begin_silent(&tf);
  tls_peer_t *second = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
  tls_peer_pump(second);
  fixture_turns(&tf.fx, 1); /* it waits, and the timer is due in the next iteration */
  assert_int_equal(tls_stats(&tf).waiting, 1);
  first->is_silent = false;
  tls_peer_pump(first);
  tls_run_until(&tf, are_all_told, NULL);
  assert_int_equal(first->handshake_error, 0);
  assert_int_equal(second->handshake_error, 0);
  tls_fixture_close(&tf);
}

static uint64_t steps(const tls_fixture_t *tf) {
  fluxbp_tls_stats_t stats = tls_stats(tf);
  return stats.under_way + 2 * stats.handshakes; /* of TLS 1.3 */
}

static void an_iteration_takes_its_share_and_one_step(void **state) {
  tls_fixture_t tf;
  tls_peer_t served;
  tls_peer_t *tps[CLIENTS];
  (void) state;
  tls_fixture_init(&tf);
  tf.options.handshake_us = 1;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &served, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < CLIENTS; i++) tps[i] = malloc(sizeof *tps[i]);
  for (int i = 0; i < CLIENTS; i++) tls_peer_open(&tf, tps[i], FIXTURE_LARGE_BUFFERS);
  size_t sent = 0;
  for (uint64_t before = steps(&tf), now; !are_all_told(&tf, NULL); before = now) {
    assert_true(++sent < 1000);
    assert_int_equal(fixture_send(&served.peer, "m", 1), 1);
    tls_turns(&tf, 1);
    now = steps(&tf);
    assert_in_range(now - before, 0, 1);
    assert_in_range(served.plain_length, sent > LATE ? sent - LATE : 0, sent);
  }
  tls_peer_wait_for(&served, sent);
  for (int i = 0; i < CLIENTS; i++) assert_int_equal(tps[i]->handshake_error, 0);
  assert_true(sent >= (size_t) 2 * CLIENTS);
  tls_fixture_close(&tf);
  for (int i = 0; i < CLIENTS; i++) free(tps[i]);
}

/* FIN and reset are seen when it is their turn, and take no place. */
static void those_that_wait_may_go(void **state) {
  tls_fixture_t tf;
  (void) state;
  begin(&tf, 1, LONG_MS);
  tls_peer_t *first = begin_silent(&tf), *tps[4];
  for (int i = 0; i < 4; i++) tps[i] = begin_silent(&tf);
  peer_hang_up(&tps[0]->peer);
  peer_break(&tps[1]->peer);
  fluxbp_conn_reset(tps[2]->peer.conn);
  tls_turns(&tf, 3);
  assert_int_equal(tls_stats(&tf).waiting, 3);
  first->is_silent = tps[3]->is_silent = false;
  tls_peer_wait_for_handshake(tps[3]);
  assert_int_equal(tps[3]->handshake_error, 0);
  for (int i = 0; i < 3; i++) {
    tls_peer_wait_for_close(tps[i]);
    assert_int_equal(tps[i]->handshakes, i < 2); /* the hello was read, and then the end */
  }
  tls_fixture_close(&tf);
}

/* Reading is paused before the hello, while it waits, and resumed while it waits and behind the handshake. */
static void a_pause_holds_up_messages_and_no_handshake(void **state) {
  (void) state;
  for (int i = 0; i < 3; i++) {
    tls_fixture_t tf;
    begin(&tf, 1, LONG_MS);
    tls_peer_t *first = begin_silent(&tf), *second = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    if (i == 0) assert_int_equal(fluxbp_conn_pause_read(second->peer.conn), 0);
    tls_turns(&tf, 3);
    assert_int_equal(tls_stats(&tf).waiting, 1);
    if (i > 0) assert_int_equal(fluxbp_conn_pause_read(second->peer.conn), 0);
    tls_turns(&tf, 3);
    if (i == 2) fluxbp_conn_resume_read(second->peer.conn);
    tls_turns(&tf, 3);
    first->is_silent = false;
    tls_peer_wait_for_handshake(second);
    assert_int_equal(first->handshake_error + second->handshake_error, 0);
    tls_peer_write(second, "hello", 5);
    tls_turns(&tf, 10);
    assert_int_equal(second->input_length, i == 2 ? 5 : 0);
    fluxbp_conn_resume_read(second->peer.conn);
    tls_peer_wait_for_input(second, 5);
    tls_fixture_close(&tf);
  }
}

static void reset(tls_peer_t *tp) {
  fluxbp_conn_reset(tp->peer.conn);
}

static void close_politely(tls_peer_t *tp) {
  fluxbp_conn_close(tp->peer.conn, 1000);
}

static void send_much(tls_peer_t *tp) {
  char data[50000];
  tls_fill(data, 0, sizeof data);
  if (tp->handshake_error == 0) assert_int_equal(fluxbp_conn_send_bytes(tp->peer.conn, data, sizeof data), 1);
  fluxbp_conn_close(tp->peer.conn, 1000);
}

static void the_program_may_end_a_connection_in_its_handler(void **state) {
  static void (*const handlers[])(tls_peer_t *) = {reset, close_politely, send_much};
  tls_fixture_t tf;
  (void) state;
  begin(&tf, 1, LONG_MS);
  for (int i = 0; i < 12; i++) {
    tls_peer_t *tp = tls_peer_new(&tf, i % 2 ? FIXTURE_LARGE_BUFFERS : FIXTURE_SMALL_BUFFERS);
    bool is_right = i / 6;
    tp->on_handshake = handlers[i % 3];
    tp->answer = 1;
    if (!is_right) tls_peer_send_raw(tp, "GET / HTTP/1.1\r\n\r\n", 18);
    if (!is_right) tp->is_silent = true;
    tls_peer_wait_for_handshake(tp);
    tls_turns(&tf, 1000); /* it reads everything, and answers close_notify with FIN */
    if (i % 3 == 2 && is_right) tls_peer_expects_stream(tp, 50000);
    if (i % 3 > 0) assert_true(tp->peer.has_eof);
    peer_hang_up(&tp->peer);
    tls_peer_wait_for_close(tp);
    assert_int_equal(tp->peer.close_status, i % 3 == 0 ? UV_ECANCELED : 0);
    assert_int_equal(tp->handshake_error, is_right ? 0 : UV_EPROTO);
  }
  tls_fixture_close(&tf);
}

static void refuse(tls_peer_t *tp) {
  char data[4096] = {0};
  for (int i = 0; i < 100; i++) {
    assert_int_equal(fixture_send(&tp->peer, data, sizeof data), 1);
    fluxbp_hub_flush(tp->peer.fx->hub);
  }
  assert_true(peer_stats(&tp->peer).is_refused);
}

/* Connections of all phases, in the middle of everything. */
static void the_hub_is_closed_in_every_phase(void **state) {
  enum { PLAIN, UNREAD, CUT, UNDER_WAY, WAITING, OPEN, REFUSED, CLOSING, FAILED, PHASES };
  tls_fixture_t tf;
  tls_peer_t *tps[PHASES];
  (void) state;
  begin(&tf, 1, LONG_MS);
  for (int i = 0; i < PHASES; i++) tps[i] = tls_peer_new(&tf, FIXTURE_SMALL_BUFFERS);
  fluxbp_tls_begin_plain(tps[PLAIN]->peer.conn);
  for (int i = 0; i < PHASES; i++) tps[i]->is_silent = i < OPEN;
  tps[FAILED]->answer = 1;
  tps[FAILED]->is_silent = true;
  tls_peer_send_raw(tps[FAILED], "GET", 3);
  for (int i = OPEN; i < PHASES; i++) tls_peer_wait_for_handshake(tps[i]);
  tls_turns(&tf, 3);
  tls_peer_send(tps[CUT], 7);
  fixture_turns(&tf.fx, 2);
  tls_peer_send(tps[UNDER_WAY], tps[UNDER_WAY]->out_length);
  fixture_turns(&tf.fx, 2);
  tls_peer_send(tps[WAITING], tps[WAITING]->out_length);
  fixture_turns(&tf.fx, 2);
  refuse(tps[REFUSED]);
  refuse(tps[CLOSING]);
  fluxbp_conn_close(tps[CLOSING]->peer.conn, 10000);
  tls_peer_send_raw(tps[PLAIN], "plain", 5);
  fixture_turns(&tf.fx, 2);
  assert_int_equal(tps[PLAIN]->input_length, 5);
  assert_int_equal(tls_stats(&tf).under_way, 1);
  assert_int_equal(tls_stats(&tf).waiting, 1);
  for (int i = 0; i < PHASES; i++) assert_non_null(tps[i]->peer.conn);
  tls_fixture_close(&tf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(others_wait_unread_and_in_order),
      cmocka_unit_test(silent_ones_are_given_up_for_others),
      cmocka_unit_test(nobody_is_given_up_too_early),
      cmocka_unit_test(a_client_whose_bytes_are_unread_is_not_given_up),
      cmocka_unit_test(an_iteration_takes_its_share_and_one_step),
      cmocka_unit_test(those_that_wait_may_go),
      cmocka_unit_test(a_pause_holds_up_messages_and_no_handshake),
      cmocka_unit_test(the_program_may_end_a_connection_in_its_handler),
      cmocka_unit_test(the_hub_is_closed_in_every_phase),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
