/* SPDX-License-Identifier: MIT */
/*
 * What is read by TLS: streams are exact however they are cut, paused and held, and every end of a client has its
 * status.
 */
#include "support/tls_fixture.h"

#include "support/socketpair.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAM_BYTES = 200000, FLOOD = 3000, HEADER_BYTES = 6 };

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* Have a silent client write a stream of records of all sizes. */
static void write_stream(tls_peer_t *tp) {
  static char data[STREAM_BYTES];
  unsigned random = 11;
  tls_fill(data, 0, sizeof data);
  for (size_t sent = 0, length; sent < sizeof data; sent += length) {
    random = random * 1103515245u + 12345u;
    length = random / 65536u % 3 == 0 ? random / 65536u % 30000 + 1 : random / 65536u % 100 + 1;
    if (length > sizeof data - sent) length = sizeof data - sent;
    tls_peer_write(tp, data + sent, length);
  }
}

/* Also with reads that are shorter than a record. */
static void records_are_cut_anywhere(void **state) {
  static const size_t parts[] = {1000000, 40000, 16000, 777, 31};
  (void) state;
  for (size_t i = 0; i < 20; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    tls_fixture_init(&tf);
    tf.version = versions[i % 2];
    if (i >= 10) tf.fx.options.read_buffer_bytes = 4096;
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
    uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
    tp.is_silent = true;
    write_stream(&tp);
    for (int part = 1; tp.out_length > 0; part++) {
      assert_true(part < 100000);
      size_t length = parts[i / 2 % 5] - (size_t) (part % 7);
      tls_peer_send(&tp, length < tp.out_length ? length : tp.out_length);
      fixture_turns(&tf.fx, 1);
    }
    tls_peer_wait_for_input(&tp, STREAM_BYTES);
    tls_peer_expects_input(&tp, STREAM_BYTES);
    assert_int_equal(fixture_metrics(&tf.fx).received_bytes, STREAM_BYTES);
    assert_int_equal(fluxbp_pool_used_bytes(tf.fx.pool), used_bytes);
    tls_fixture_close(&tf);
  }
}

static void pause_after_data(peer_t *peer, char told) {
  if (told == TOLD_DATA) assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
}

static bool is_whole_or_paused(tls_fixture_t *tf, void *arg) {
  const tls_peer_t *tp = arg;
  (void) tf;
  return tp->input_length == STREAM_BYTES || tp->peer.conn->is_read_paused;
}

/* After each read. Nothing comes while it is paused, and little is kept. */
static void reading_is_paused_and_resumed(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  tls_fixture_init(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
  tp.peer.hook = pause_after_data;
  tp.is_silent = true;
  write_stream(&tp);
  tp.is_silent = false;
  int pauses = 0;
  for (; tp.input_length < STREAM_BYTES; pauses++) {
    tls_run_until(&tf, is_whole_or_paused, &tp);
    size_t length = tp.input_length;
    tls_turns(&tf, 3);
    assert_int_equal(tp.input_length, length);
    assert_in_range(fluxbp_pool_used_bytes(tf.fx.pool), used_bytes, used_bytes + 70000);
    fluxbp_conn_resume_read(tp.peer.conn);
    if (pauses % 3 == 0) { /* before anything was handed over */
      assert_int_equal(fluxbp_conn_pause_read(tp.peer.conn), 0);
      tls_turns(&tf, 1);
      assert_int_equal(tp.input_length, length);
      fluxbp_conn_resume_read(tp.peer.conn);
    }
  }
  assert_true(pauses > 8);
  tls_peer_expects_input(&tp, STREAM_BYTES);
  tls_fixture_close(&tf);
}

/* Its end comes behind it. */
static void what_is_kept_is_read_before_the_end(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  char data[15000];
  (void) state;
  tls_fixture_init(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  tp.peer.hook = pause_after_data;
  tp.is_silent = true;
  for (size_t i = 0; i < 4; i++) {
    tls_fill(data, i * sizeof data, sizeof data);
    tls_peer_write(&tp, data, sizeof data);
  }
  tp.is_silent = false;
  tls_peer_pump(&tp);
  assert_int_equal(shutdown(tp.peer.fd, SHUT_WR), 0);
  for (int i = 0; tp.input_length < 4 * sizeof data; i++) {
    assert_true(i < 100 && tp.peer.conn != NULL);
    tls_turns(&tf, 3);
    fixture_advance(&tf.fx, 500);
    fluxbp_conn_resume_read(tp.peer.conn);
  }
  tls_peer_expects_input(&tp, 4 * sizeof data);
  tls_peer_wait_for_close(&tp);
  assert_int_equal(tp.peer.close_status, UV_EOF);
  assert_true(tp.has_closed);
  tls_fixture_close(&tf);
}

/* Small records, of which each is a message: a turn takes few of them, and others have theirs. */
static void a_flood_of_small_records_is_held(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    tls_fixture_t tf;
    tls_peer_t flood, other;
    tls_fixture_init(&tf);
    tf.version = versions[i];
    tf.fx.options.input_us = 1;
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &flood, FIXTURE_LARGE_BUFFERS);
    tls_peer_connect(&tf, &other, FIXTURE_LARGE_BUFFERS);
    flood.is_silent = true;
    for (size_t place = 0; place < FLOOD; place++) {
      char byte;
      tls_fill(&byte, place, 1);
      tls_peer_write(&flood, &byte, 1);
    }
    flood.is_silent = false;
    tls_peer_pump(&flood);
    tls_turns(&tf, 5);
    tls_peer_write(&other, "hello", 5);
    int turns = 0;
    for (size_t before = flood.input_length; other.input_length < 5; before = flood.input_length) {
      assert_true(turns++ < 1000);
      tls_turns(&tf, 1);
      assert_in_range(flood.input_length - before, 0, 40);
    }
    assert_in_range(flood.input_length, 1, FLOOD - 1);
    tls_peer_wait_for_input(&flood, FLOOD);
    tls_peer_expects_input(&flood, FLOOD);
    assert_int_equal(fluxbp_conn_is_waiting(flood.peer.conn), 0);
    tls_peer_write(&flood, "x", 1); /* it is read again */
    tls_peer_wait_for_input(&flood, FLOOD + 1);
    tls_fixture_close(&tf);
  }
}

/* The first one that is read uses up the share of the iteration. */
static void others_are_not_read_before_their_turn(void **state) {
  enum { CLIENTS = 6 };
  tls_fixture_t tf;
  tls_peer_t tps[CLIENTS];
  (void) state;
  tls_fixture_init(&tf);
  tf.fx.options.input_us = 1;
  tls_fixture_open(&tf);
  for (int i = 0; i < CLIENTS; i++) tls_peer_connect(&tf, &tps[i], FIXTURE_LARGE_BUFFERS);
  tls_turns(&tf, 3);
  for (int i = 0; i < CLIENTS; i++) {
    tls_peer_write(&tps[i], "hello", 5);
    struct pollfd readable = {.fd = fluxbp__transport_fd(tps[i].peer.conn), .events = POLLIN};
    assert_int_equal(poll(&readable, 1, 60000), 1);
  }
  fixture_turns(&tf.fx, 1);
  size_t received = 0, waiting = 0;
  for (int i = 0; i < CLIENTS; i++) {
    received += tps[i].input_length / 5;
    waiting += fluxbp_conn_is_waiting(tps[i].peer.conn) != 0;
  }
  assert_int_equal(received, 1);
  assert_int_equal(waiting, CLIENTS); /* that one, too, since it was read */
  for (int i = 0; i < CLIENTS; i++) tls_peer_wait_for_input(&tps[i], 5);
  tls_fixture_close(&tf);
}

/* How a client ends, and what that is called. */
enum { CLOSE_NOTIFY, FIN, CUT_RECORD, RESET, FLIPPED_BIT, NO_RECORD, LONG_RECORD, ENDS };

static void end_client(tls_peer_t *tp, int how) {
  char data[100] = {0};
  tp->is_silent = true;
  if (how == CLOSE_NOTIFY) (void) SSL_shutdown(tp->ssl);
  if (how == CUT_RECORD || how == FLIPPED_BIT) tls_peer_write(tp, data, sizeof data);
  tls_peer_pump(tp);
  if (how == FLIPPED_BIT) tp->out[20] ^= 4;
  tls_peer_send(tp, how == CUT_RECORD ? 50 : tp->out_length);
  if (how == NO_RECORD) tls_peer_send_raw(tp, "GET / HTTP/1.1\r\n\r\n", 18);
  if (how == LONG_RECORD) tls_peer_send_raw(tp, "\x17\x03\x03\x48\x01", 5);
  if (how == FIN || how == CUT_RECORD) assert_int_equal(shutdown(tp->peer.fd, SHUT_WR), 0);
  if (how == RESET) peer_break(&tp->peer);
  tp->is_silent = false;
}

static void every_end_has_its_status(void **state) {
  static const int statuses[] = {
      [CLOSE_NOTIFY] = UV_EOF,   [FIN] = UV_EOF,          [CUT_RECORD] = UV_ECONNRESET, [RESET] = UV_ECONNRESET,
      [FLIPPED_BIT] = UV_EPROTO, [NO_RECORD] = UV_EPROTO, [LONG_RECORD] = UV_EPROTO};
  static const int alerts[] = {[FLIPPED_BIT] = SSL_AD_BAD_RECORD_MAC, [LONG_RECORD] = SSL_AD_RECORD_OVERFLOW};
  (void) state;
  for (int i = 0; i < 2 * ENDS; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    int how = i / 2;
    tls_fixture_init(&tf);
    tf.version = versions[i % 2];
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
    tls_peer_write(&tp, "before", 6);
    tls_peer_wait_for_input(&tp, 6);
    assert_int_equal(fixture_publish(&tf.fx, tf.fx.topic, "queued", 6), 1);
    fluxbp_hub_flush(tf.fx.hub);
    end_client(&tp, how);
    tls_peer_wait_for_close(&tp);
    assert_int_equal(tp.peer.close_status, statuses[how]);
    assert_int_equal(tp.input_length, 6);
    if (how != RESET) assert_int_equal(tp.plain_length, 6);
    assert_int_equal(tp.has_closed, how == CLOSE_NOTIFY || how == FIN);
    if (how == FLIPPED_BIT || how == LONG_RECORD) assert_int_equal(tp.alert, alerts[how]);
    tls_fixture_close(&tf);
  }
}

static void a_client_that_sends_no_more_is_served(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  char data[30000];
  (void) state;
  tls_fixture_init(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  tp.stays_half_closed = true;
  assert_int_equal(SSL_shutdown(tp.ssl), 0);
  tls_turns(&tf, 3);
  assert_int_equal(shutdown(tp.peer.fd, SHUT_WR), 0);
  for (size_t i = 0; i < 5; i++) {
    tls_fill(data, i * sizeof data, sizeof data);
    assert_int_equal(fixture_publish(&tf.fx, tf.fx.topic, data, sizeof data), 1);
    tls_peer_wait_for(&tp, (i + 1) * sizeof data);
  }
  tls_peer_expects_stream(&tp, 5 * sizeof data);
  fluxbp_conn_close(tp.peer.conn, 1000);
  tls_peer_wait_for_close(&tp);
  assert_int_equal(tp.peer.close_status, 0);
  assert_true(tp.has_closed);
  tls_fixture_close(&tf);
}

static void reset_at_data(peer_t *peer, char told) {
  if (told == TOLD_DATA) fluxbp_conn_reset(peer->conn);
}

static void close_at_data(peer_t *peer, char told) {
  if (told == TOLD_DATA && peer->conn->state == FLUXBP__CONN_OPEN) fluxbp_conn_close(peer->conn, 60000);
}

/* In the middle of what was read and kept. */
static void the_program_closes_in_its_handler(void **state) {
  static const size_t parts[] = {300000, 30000, 5000, 13};
  (void) state;
  for (size_t i = 0; i < 16; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    bool is_reset = i % 2;
    tls_fixture_init(&tf);
    tf.fx.options.input_us = i / 8 ? 1 : 1000;
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
    tp.peer.hook = is_reset ? reset_at_data : close_at_data;
    tp.is_silent = true;
    write_stream(&tp);
    for (int j = 0; j < 1000 && tp.out_length > 0 && tp.peer.conn != NULL; j++) {
      size_t part = parts[i / 2 % 4];
      tls_peer_send(&tp, part < tp.out_length ? part : tp.out_length);
      fixture_turns(&tf.fx, 1);
    }
    tls_turns(&tf, 3);
    if (!is_reset) assert_true(tp.has_closed && tp.peer.has_eof);
    peer_hang_up(&tp.peer);
    tls_peer_wait_for_close(&tp);
    assert_int_equal(tp.peer.close_status, is_reset ? UV_ECANCELED : 0);
    tls_fixture_close(&tf);
  }
}

/* The program has read the beginning, and hands over the socket with it. */
static void a_socket_is_adopted_with_what_was_read(void **state) {
  static const size_t lengths[] = {1, 4, 5, 6, 100, 1000};
  (void) state;
  for (size_t i = 0; i < 12; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    char hello[2000];
    tls_fixture_init(&tf);
    tf.fx.options.input_us = i < 6 ? 1 : 1000;
    tls_fixture_open(&tf);
    tls_peer_prepare(&tf, &tp, FIXTURE_LARGE_BUFFERS);
    tls_peer_pump(&tp);
    assert_int_equal(recv(tp.server_fd, hello, sizeof hello, MSG_PEEK) > 100, 1);
    ssize_t length = recv(tp.server_fd, hello, lengths[i % 6], 0);
    fluxbp_conn_options_t options = tls_peer_options(&tf, &tp);
    assert_int_equal(fluxbp_conn_adopt(tf.fx.hub, tp.server_fd, hello, (size_t) length, &options, &tp.peer.conn), 0);
    tls_peer_wait_for_handshake(&tp);
    assert_int_equal(tp.handshake_error, 0);
    tls_peer_write(&tp, "hello", 5);
    tls_peer_wait_for_input(&tp, 5);
    tls_fixture_close(&tf);
  }
}

/* A header of so many bytes stands before TLS. */
static void take_header(peer_t *peer, char told) {
  tls_peer_t *tp = (tls_peer_t *) peer;
  if (told != TOLD_DATA || tp->input_length < HEADER_BYTES) return;
  assert_memory_equal(tp->input, "PROXY\n", HEADER_BYTES);
  peer->hook = NULL;
  size_t rest = tp->input_length - HEADER_BYTES;
  assert_int_equal(fluxbp_tls_secure(peer->conn, tp->input + HEADER_BYTES, rest), 0);
  assert_int_equal(fluxbp_tls_secure(peer->conn, NULL, 0), UV_EINVAL);
  tp->input_length = 0;
  if (peer->arg != NULL) assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
}

/* In pieces, with so small a share of the iteration that the connection waits for its turn, and paused. */
static void tls_begins_behind_a_header(void **state) {
  static const size_t parts[] = {1, 5, 6, 7, 50, 100000};
  (void) state;
  for (size_t i = 0; i < 24; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    tls_fixture_init(&tf);
    tf.fx.options.input_us = i / 6 % 2 ? 1 : 1000;
    tls_fixture_open(&tf);
    tls_peer_open(&tf, &tp, FIXTURE_LARGE_BUFFERS);
    fluxbp_tls_begin_plain(tp.peer.conn);
    tp.peer.hook = take_header;
    tp.peer.arg = i / 6 == 3 ? &tp : NULL;
    tp.is_silent = true;
    tls_peer_pump(&tp);
    tp.out = realloc(tp.out, tp.out_length + HEADER_BYTES);
    memmove(tp.out + HEADER_BYTES, tp.out, tp.out_length);
    memcpy(tp.out, "PROXY\n", HEADER_BYTES);
    tp.out_length += HEADER_BYTES;
    for (int j = 0; tp.out_length > 0; j++) {
      assert_true(j < 1000);
      tls_peer_send(&tp, parts[i % 6] < tp.out_length ? parts[i % 6] : tp.out_length);
      fixture_turns(&tf.fx, i < 12 ? 1 : 4);
    }
    tp.is_silent = false;
    fluxbp_conn_resume_read(tp.peer.conn);
    tls_peer_wait_for_handshake(&tp);
    assert_int_equal(tp.handshake_error, 0);
    tls_peer_write(&tp, "hello", 5);
    tls_peer_wait_for_input(&tp, 5);
    assert_memory_equal(tp.input, "hello", 5);
    tls_fixture_close(&tf);
  }
}

/* In both directions, and to its end. */
static void a_connection_without_tls_is_plain(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  tls_fixture_init(&tf);
  tls_fixture_open(&tf);
  tls_peer_open(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  fluxbp_tls_begin_plain(tp.peer.conn);
  tls_peer_send_raw(&tp, "hello", 5);
  fixture_turns(&tf.fx, 3);
  assert_int_equal(tp.input_length, 5);
  size_t sent = peer_refuse(&tp.peer);
  assert_int_equal(fluxbp_tls_transport_table(tf.transport)->kept(tp.peer.conn), 0);
  peer_wait_for(&tp.peer, sent);
  fluxbp_conn_close(tp.peer.conn, 1000);
  peer_wait_for_eof(&tp.peer);
  assert_int_equal(tp.peer.len, sent);
  peer_hang_up(&tp.peer);
  peer_wait_for_close(&tp.peer);
  assert_int_equal(tp.peer.close_status, 0);
  tp.fed = tp.peer.len;
  tls_fixture_close(&tf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(records_are_cut_anywhere),
      cmocka_unit_test(reading_is_paused_and_resumed),
      cmocka_unit_test(what_is_kept_is_read_before_the_end),
      cmocka_unit_test(a_flood_of_small_records_is_held),
      cmocka_unit_test(others_are_not_read_before_their_turn),
      cmocka_unit_test(every_end_has_its_status),
      cmocka_unit_test(a_client_that_sends_no_more_is_served),
      cmocka_unit_test(the_program_closes_in_its_handler),
      cmocka_unit_test(a_socket_is_adopted_with_what_was_read),
      cmocka_unit_test(tls_begins_behind_a_header),
      cmocka_unit_test(a_connection_without_tls_is_plain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
