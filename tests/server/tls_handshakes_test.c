/* SPDX-License-Identifier: MIT */
/*
 * Handshakes of TLS: in pieces, cut anywhere, and what is none. Each connection ends with the right status,
 * on_handshake is called once, the figures add up, and other connections aren't touched.
 */
#include "support/tls_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIN, RST };

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void begin(tls_fixture_t *tf) {
  tls_fixture_init(tf);
  tls_fixture_open(tf);
}

/* A client is served, whatever others have done. */
static void expect_service(tls_fixture_t *tf) {
  tls_peer_t *tp = tls_peer_new(tf, FIXTURE_LARGE_BUFFERS);
  tls_peer_wait_for_handshake(tp);
  assert_int_equal(tp->handshake_error, 0);
  tls_peer_write(tp, "ping", 4);
  tls_peer_wait_for_input(tp, 4);
  fluxbp_conn_reset(tp->peer.conn);
  tls_peer_wait_for_close(tp);
}

/* The handshake of a client has failed, and everything is as before. */
static void expect_failure(tls_fixture_t *tf, const tls_peer_t *tp, int err, uint64_t used_bytes) {
  assert_null(tp->peer.conn);
  assert_int_equal(tp->peer.close_status, err);
  assert_int_equal(tp->handshakes, 1);
  assert_int_equal(tp->handshake_error, err);
  assert_true(strlen(tp->problem) > 0);
  assert_int_equal(tls_stats(tf).under_way, 0);
  assert_int_equal(tls_stats(tf).waiting, 0);
  assert_int_equal(fluxbp_pool_used_bytes(tf->fx.pool), used_bytes);
}

static void a_handshake_comes_in_pieces_of_one_byte(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    tls_fixture_t tf;
    begin(&tf);
    tf.version = versions[i];
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    tp->is_silent = true;
    for (int turn = 0; turn < 4000 && tp->handshakes == 0; turn++) {
      tls_peer_pump(tp);
      tls_peer_send(tp, tp->out_length > 0);
      fixture_turns(&tf.fx, 1);
    }
    assert_int_equal(tp->handshakes, 1);
    assert_int_equal(tp->handshake_error, 0);
    assert_int_equal(tls_stats(&tf).handshakes, 1);
    assert_string_equal(fluxbp_tls_version(tp->peer.conn), i == 0 ? "TLSv1.2" : "TLSv1.3");
    tls_fixture_close(&tf);
  }
}

/* Send the first `length` bytes of all that the client has to say, and end. Returns whether there were so many. */
static bool cut_handshake(tls_fixture_t *tf, size_t length, int how) {
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf->fx.pool), failed = tls_stats(tf).failed;
  tls_peer_t *tp = tls_peer_new(tf, FIXTURE_LARGE_BUFFERS);
  size_t sent = 0;
  tp->is_silent = true;
  for (int turn = 0; turn < 20 && sent < length; turn++) {
    tls_peer_pump(tp);
    size_t part = tp->out_length < length - sent ? tp->out_length : length - sent;
    tls_peer_send(tp, part);
    sent += part;
    fixture_turns(&tf->fx, 1);
  }
  fixture_turns(&tf->fx, 2);
  bool is_open = tp->handshakes > 0;
  if (how == FIN)
    assert_int_equal(shutdown(tp->peer.fd, SHUT_WR), 0);
  else
    peer_break(&tp->peer);
  tls_peer_wait_for_close(tp);
  int err = how == FIN ? UV_EOF : UV_ECONNRESET;
  assert_int_equal(tls_stats(tf).failed, failed + (length > 0 && !is_open));
  if (length > 0 && !is_open) expect_failure(tf, tp, err, used_bytes);
  assert_int_equal(tp->peer.close_status, err);
  assert_int_equal(tp->handshakes, length > 0);
  peer_hang_up(&tp->peer);
  return sent == length;
}

static void a_handshake_is_cut_at_every_byte(void **state) {
  (void) state;
  for (int i = 0; i < 4; i++) {
    tls_fixture_t tf;
    size_t length = 0;
    begin(&tf);
    tf.version = versions[i / 2];
    while (length < 5000 && cut_handshake(&tf, length, i % 2)) length++;
    assert_in_range(length, 250, 4999);
    expect_service(&tf);
    tls_fixture_close(&tf);
  }
}

static void what_is_no_tls_is_answered(void **state) {
  static const char *const texts[] = {"G",
                                      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                      "\x16GET",
                                      "SUBSCRIBE news\n",
                                      "\x80\x2e\x01\x03\x01",
                                      "\x17\x03\x03\x01"};
  tls_fixture_t tf;
  (void) state;
  begin(&tf);
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    tls_peer_send_raw(tp, texts[i], strlen(texts[i]));
    peer_wait_for_close(&tp->peer);
    assert_int_equal(tp->peer.error, 0);
    peer_expects(&tp->peer, TLS_FIXTURE_PLAIN_ANSWER);
    tp->fed = tp->peer.len;
    expect_failure(&tf, tp, UV_EPROTO, used_bytes);
    assert_string_equal(tp->problem, "the client does not speak TLS");
  }
  expect_service(&tf);
  tls_fixture_close(&tf);
}

/* With an alert where the record is of a handshake, once OpenSSL has a whole header. */
static void a_record_that_is_too_long_is_refused_at_once(void **state) {
  static const struct {
    const char *bytes;
    size_t length;
    bool is_refused;
  } cases[] = {
      {"\x16\x03\x01\x48\x00\x01", 6, false}, {"\x16\x03\x01\x48\x01", 5, true}, {"\x16\x03\x01\x49", 4, true},
      {"\x16\x03\x01\x48", 4, false},         {"\x16\x03\x01", 3, false},        {"\x16\x03\x01\xff\xff", 5, true},
  };
  tls_fixture_t tf;
  (void) state;
  begin(&tf);
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    tls_peer_send_raw(tp, cases[i].bytes, cases[i].length);
    if (cases[i].is_refused) {
      peer_wait_for_close(&tp->peer);
      expect_failure(&tf, tp, UV_EPROTO, used_bytes);
      if (cases[i].length == 5) assert_int_equal(tp->peer.data[0], SSL3_RT_ALERT);
    } else {
      peer_read_turns(&tp->peer);
      assert_int_equal(tp->handshakes, 0);
      fluxbp_conn_reset(tp->peer.conn);
      peer_wait_for_close(&tp->peer);
    }
    tp->fed = tp->peer.len;
  }
  expect_service(&tf);
  tls_fixture_close(&tf);
}

/* Write the handshake message in the only record of `out` as records of `size` bytes. Returns their length. */
static size_t spread(const tls_peer_t *tp, char *records, size_t size) {
  size_t length = 0;
  for (size_t done = SSL3_RT_HEADER_LENGTH; done < tp->out_length;) {
    size_t part = size < tp->out_length - done ? size : tp->out_length - done;
    const char header[] = {SSL3_RT_HANDSHAKE, 3, 1, (char) (part >> 8), (char) part};
    memcpy(records + length, header, sizeof header);
    memcpy(records + length + sizeof header, tp->out + done, part);
    length += sizeof header + part;
    done += part;
  }
  return length;
}

static void a_hello_is_spread_over_many_records(void **state) {
  static const size_t sizes[] = {1, 3, 100};
  tls_fixture_t tf;
  char records[8192];
  (void) state;
  begin(&tf);
  for (size_t i = 0; i < 3; i++) {
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    tp->is_silent = true;
    tls_peer_pump(tp);
    tls_peer_send_raw(tp, records, spread(tp, records, sizes[i]));
    tp->out_length = 0;
    tp->is_silent = false;
    tls_peer_wait_for_handshake(tp);
    assert_int_equal(tp->handshake_error, 0);
  }
  tls_fixture_close(&tf);
}

/* OpenSSL would take a ClientHello of 128 KiB. */
static void a_handshake_that_is_too_long_is_given_up(void **state) {
  enum { RECORD = 16384 };
  static const char header[] = {SSL3_RT_HANDSHAKE, 3, 1, RECORD >> 8, 0};
  static const char hello[] = {1, 1, (char) 0x86, (char) 0xa0, 3, 3};
  tls_fixture_t tf;
  char record[RECORD] = {0};
  (void) state;
  begin(&tf);
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
  tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(tp->handshakes, 0);
    tls_peer_send_raw(tp, header, sizeof header);
    memcpy(record, hello, i == 0 ? sizeof hello : 0);
    memset(record, 0, i == 1 ? sizeof hello : 0);
    tls_peer_send_raw(tp, record, sizeof record);
    fixture_turns(&tf.fx, 5);
  }
  peer_wait_for_close(&tp->peer);
  expect_failure(&tf, tp, UV_EPROTO, used_bytes);
  assert_string_equal(tp->problem, "the handshake is too long");
  tls_fixture_close(&tf);
}

static void an_old_version_is_refused_with_an_alert(void **state) {
  tls_fixture_t tf;
  (void) state;
  begin(&tf);
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
  tf.version = TLS1_1_VERSION;
  SSL_CTX_set_security_level(tf.client_context, 0);
  tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
  tls_peer_wait_for_close(tp);
  expect_failure(&tf, tp, UV_EPROTO, used_bytes);
  assert_string_equal(tp->problem, "unsupported protocol");
  assert_int_equal(tp->alert, SSL_AD_PROTOCOL_VERSION);
  tls_fixture_close(&tf);
}

/* After what was right, as far as it goes. */
static void garbage_in_the_middle_ends_the_handshake(void **state) {
  static const char *const garbage[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x03\xff\xff", "\x17\x03\x03\x00\x01x",
                                        "\x16\x03\x03\x00\x04\x01\x02\x03\x04", "\x18\x03\x03\x00\x01x"};
  (void) state;
  for (size_t i = 0; i < 10; i++) {
    static const size_t lengths[] = {18, 5, 6, 9, 6};
    tls_fixture_t tf;
    begin(&tf);
    tf.version = versions[i % 2];
    uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    tls_peer_pump(tp);
    fixture_turns(&tf.fx, 3);
    assert_int_equal(tls_stats(&tf).under_way, 1);
    tp->is_silent = true;
    tls_peer_send_raw(tp, garbage[i / 2], lengths[i / 2]);
    peer_wait_for_close(&tp->peer);
    expect_failure(&tf, tp, UV_EPROTO, used_bytes);
    tls_fixture_close(&tf);
  }
}

/* The program closes it, politely: the client has the alert, and all that it has sent is read. */
static void a_failed_handshake_may_be_closed_by_the_program(void **state) {
  tls_fixture_t tf;
  char text[50000];
  (void) state;
  begin(&tf);
  memset(text, 'x', sizeof text);
  tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
  tp->answer = 1;
  tls_peer_send_raw(tp, text, sizeof text);
  tls_peer_wait_for_handshake(tp);
  assert_non_null(tp->peer.conn);
  fluxbp_conn_close(tp->peer.conn, 5000);
  peer_wait_for_eof(&tp->peer);
  tls_peer_send_raw(tp, text, sizeof text);
  peer_expects(&tp->peer, TLS_FIXTURE_PLAIN_ANSWER);
  tp->fed = tp->peer.len;
  peer_hang_up(&tp->peer);
  peer_wait_for_close(&tp->peer);
  assert_int_equal(tp->peer.close_status, 0);
  assert_int_equal(tls_stats(&tf).failed, 1);
  tls_fixture_close(&tf);
}

static void close_politely(tls_peer_t *tp) {
  fluxbp_conn_close(tp->peer.conn, 60000);
}

/* Its client has gone: nothing is waited for. */
static void a_cut_handshake_may_be_closed_by_the_program(void **state) {
  tls_fixture_t tf;
  (void) state;
  begin(&tf);
  for (int i = 0; i < 4; i++) {
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
    tp->answer = 1;
    tp->on_handshake = close_politely;
    tp->is_silent = true;
    tls_peer_pump(tp);
    tls_peer_send(tp, i < 2 ? 10 : tp->out_length);
    fixture_turns(&tf.fx, 3);
    if (i % 2 == RST)
      peer_break(&tp->peer);
    else
      assert_int_equal(shutdown(tp->peer.fd, SHUT_WR), 0);
    tls_peer_wait_for_close(tp);
    assert_int_equal(tp->handshakes, 1);
    assert_int_equal(tp->handshake_error, i % 2 == RST ? UV_ECONNRESET : UV_EOF);
  }
  tls_fixture_close(&tf);
}

static void what_is_queued_comes_behind_the_handshake(void **state) {
  char data[40000];
  (void) state;
  for (int i = 0; i < 3; i++) {
    tls_fixture_t tf;
    begin(&tf);
    tls_peer_t *tp = tls_peer_new(&tf, FIXTURE_SMALL_BUFFERS);
    tls_fill(data, 0, sizeof data);
    assert_int_equal(fixture_publish(&tf.fx, tf.fx.topic, data, sizeof data), 1);
    fixture_turns(&tf.fx, 3);
    assert_true(peer_stats(&tp->peer).is_refused);
    tp->on_handshake = i > 0 ? close_politely : NULL;
    tp->answer = 1;
    if (i == 2) tls_peer_send_raw(tp, "GET", 3);
    if (i < 2) tls_peer_wait_for(tp, sizeof data);
    if (i < 2) tls_peer_expects_stream(tp, sizeof data);
    if (i == 1) tls_peer_wait_for_close_notify(tp);
    assert_int_equal(tp->has_closed, i == 1);
    if (i == 2) peer_wait_for_close(&tp->peer); /* it can't be sent, so nothing is waited for */
    if (i == 2) assert_int_equal(tp->peer.close_status, UV_EPROTO);
    tp->fed = tp->peer.len;
    tls_fixture_close(&tf);
  }
}

/* Before its first byte, before its end, and while it waits. Nothing goes on behind the FIN. */
static void a_connection_is_closed_during_its_handshake(void **state) {
  (void) state;
  for (int i = 0; i < 3; i++) {
    tls_fixture_t tf;
    tls_fixture_init(&tf);
    tf.options.handshakes_max = 1;
    tls_fixture_open(&tf);
    tls_peer_t *first = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS), *tp = first;
    first->is_silent = i < 2;
    if (i > 0) {
      tls_peer_pump(first);
      tls_peer_send(first, first->out_length);
      fixture_turns(&tf.fx, 3);
    }
    if (i == 2) {
      tp = tls_peer_new(&tf, FIXTURE_LARGE_BUFFERS);
      first->is_silent = true;
      tls_turns(&tf, 3);
      assert_int_equal(tls_stats(&tf).waiting, 1);
    }
    fluxbp_conn_close(tp->peer.conn, 60000);
    tp->is_silent = false;
    tls_turns(&tf, 5);
    assert_true(tp->peer.has_eof);
    assert_int_equal(tls_stats(&tf).under_way, i == 2);
    assert_int_equal(tls_stats(&tf).waiting, 0);
    peer_hang_up(&tp->peer);
    tls_peer_wait_for_close(tp);
    assert_int_equal(tp->peer.close_status, 0);
    assert_int_equal(tp->handshakes, 0);
    tls_fixture_close(&tf);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_handshake_comes_in_pieces_of_one_byte),
      cmocka_unit_test(a_handshake_is_cut_at_every_byte),
      cmocka_unit_test(what_is_no_tls_is_answered),
      cmocka_unit_test(a_record_that_is_too_long_is_refused_at_once),
      cmocka_unit_test(a_hello_is_spread_over_many_records),
      cmocka_unit_test(a_handshake_that_is_too_long_is_given_up),
      cmocka_unit_test(an_old_version_is_refused_with_an_alert),
      cmocka_unit_test(garbage_in_the_middle_ends_the_handshake),
      cmocka_unit_test(a_failed_handshake_may_be_closed_by_the_program),
      cmocka_unit_test(a_cut_handshake_may_be_closed_by_the_program),
      cmocka_unit_test(what_is_queued_comes_behind_the_handshake),
      cmocka_unit_test(a_connection_is_closed_during_its_handshake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
