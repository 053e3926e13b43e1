/* SPDX-License-Identifier: MIT */
/*
 * What OpenSSL sends by itself, to a client that asks for it and reads nothing: new keys, and the refusal of another
 * handshake. And what happens when memory is refused: the connection ends or goes on, and nothing is lost of either.
 */
#include "support/tls_fixture.h"

#include "pool.h"

#include <stdlib.h>
#include <string.h>

enum {
  MESSAGE_BYTES = 3000,
  UPDATES = 60,
  INPUT_BYTES = 40000,
  RECORD_BYTES = 16384,
  BUDGET_BYTES = 300000,
  BLOCK_BYTES = 128
};

/* Publish until something waits. Returns the bytes of messages. */
static size_t refuse(tls_fixture_t *tf, tls_peer_t *tp) {
  char data[MESSAGE_BYTES];
  size_t sent = 0;
  tp->reads_none = true;
  for (int i = 0; !peer_stats(&tp->peer).is_refused; i++) {
    assert_true(i < 5000);
    tls_fill(data, sent, sizeof data);
    assert_int_equal(fixture_publish(&tf->fx, tf->fx.topic, data, sizeof data), 1);
    sent += sizeof data;
    if (i % 6 == 0) fluxbp_hub_flush(tf->fx.hub);
  }
  return sent;
}

static void ask_for_keys(tls_peer_t *tp) {
  assert_int_equal(SSL_key_update(tp->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
  assert_int_equal(SSL_do_handshake(tp->ssl), 1);
}

/* Each with a message behind it. */
static void keys_are_renewed(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  char data[100];
  (void) state;
  tls_fixture_init(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  for (size_t i = 0; i < UPDATES; i++) {
    ask_for_keys(&tp);
    tls_fill(data, i * sizeof data, sizeof data);
    tls_peer_write(&tp, data, sizeof data);
    assert_int_equal(fixture_publish(&tf.fx, tf.fx.topic, data, sizeof data), 1);
    tls_turns(&tf, i % 3 == 0);
  }
  tls_peer_wait_for(&tp, UPDATES * sizeof data);
  tls_peer_wait_for_input(&tp, UPDATES * sizeof data);
  tls_peer_expects_stream(&tp, UPDATES * sizeof data);
  tls_peer_expects_input(&tp, UPDATES * sizeof data);
  tls_fixture_close(&tf);
}

static size_t kept_bytes(const tls_fixture_t *tf, const tls_peer_t *tp) {
  return fluxbp_tls_transport_table(tf->transport)->kept(tp->peer.conn);
}

/* The client asks again and again, and isn't read any more when one answer is kept. */
static void answers_to_a_client_that_reads_nothing_do_not_pile_up(void **state) {
  (void) state;
  for (int i = 0; i < 3; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    char data[MESSAGE_BYTES];
    tls_fixture_init(&tf);
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
    size_t sent = refuse(&tf, &tp), kept = kept_bytes(&tf, &tp);
    uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
    for (size_t j = 0; j < UPDATES; j++) {
      ask_for_keys(&tp);
      tls_fill(data, j * sizeof data, sizeof data);
      tls_peer_write(&tp, data, sizeof data);
      tls_turns(&tf, 2);
    }
    assert_true(tp.input_length < UPDATES * sizeof data);
    assert_in_range(kept_bytes(&tf, &tp), 1, kept); /* the answer has no bytes of messages */
    assert_in_range(fluxbp_pool_used_bytes(tf.fx.pool), used_bytes, used_bytes + 36000);
    if (i == 1) { /* pausing and resuming changes nothing */
      assert_int_equal(fluxbp_conn_pause_read(tp.peer.conn), 0);
      tls_turns(&tf, 2);
      fluxbp_conn_resume_read(tp.peer.conn);
      size_t length = tp.input_length;
      tls_turns(&tf, 3);
      assert_int_equal(tp.input_length, length);
    }
    if (i == 2) fluxbp_conn_close(tp.peer.conn, 60000);
    tp.reads_none = false;
    tls_peer_wait_for(&tp, sent);
    tls_peer_expects_stream(&tp, sent);
    if (i < 2) {
      tls_peer_wait_for_input(&tp, UPDATES * sizeof data);
      tls_peer_expects_input(&tp, UPDATES * sizeof data);
      fluxbp_conn_close(tp.peer.conn, 60000);
    }
    tls_peer_wait_for_close_notify(&tp);
    assert_true(tp.has_closed);
    peer_hang_up(&tp.peer);
    tls_peer_wait_for_close(&tp);
    assert_int_equal(tp.peer.close_status, 0);
    tls_fixture_close(&tf);
  }
}

/* With an alert, in its place behind what was kept. The client ends the connection then. */
static void renegotiation_is_refused(void **state) {
  (void) state;
  for (int i = 0; i < 2; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    bool is_refused = i == 1;
    tls_fixture_init(&tf);
    tf.version = TLS1_2_VERSION;
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
    size_t sent = is_refused ? refuse(&tf, &tp) : 0;
    assert_int_equal(SSL_renegotiate(tp.ssl), 1);
    (void) SSL_do_handshake(tp.ssl);
    tls_turns(&tf, 3);
    uint64_t written = is_refused ? peer_stats(&tp.peer).written_bytes : 0;
    tp.reads_none = false;
    tls_peer_wait_for_close(&tp);
    assert_int_equal(tp.alert, SSL_AD_NO_RENEGOTIATION);
    assert_int_equal(tp.peer.close_status, UV_EPROTO); /* by the client's alert */
    assert_in_range(tp.plain_length, written, sent);
    tls_peer_expects_stream(&tp, tp.plain_length);
    tls_fixture_close(&tf);
  }
}

/* Everything that takes memory: a hello in parts, input in parts, a refused record, and an answer to it. Returns
 * whether all of it was done. */
static bool run(tls_fixture_t *tf, tls_peer_t *tp) {
  static const size_t parts[] = {100, 1000, 20000};
  char data[INPUT_BYTES];
  tls_fill(data, 0, sizeof data);
  tp->is_silent = true;
  for (int i = 0; i < 100 && tp->peer.conn != NULL && tp->handshakes == 0; i++) {
    tls_peer_pump(tp);
    tls_peer_send(tp, tp->out_length < 100 ? tp->out_length : 100);
    fixture_turns(&tf->fx, 1);
  }
  if (tp->peer.conn == NULL || tp->handshake_error != 0) return false;
  tls_peer_pump(tp);
  tls_peer_write(tp, data, sizeof data);
  for (int i = 0; tp->out_length > 0 && tp->peer.conn != NULL; i++) {
    assert_true(i < 1000);
    tls_peer_send(tp, parts[i % 3] < tp->out_length ? parts[i % 3] : tp->out_length);
    fixture_turns(&tf->fx, 2);
  }
  tp->reads_none = true;
  for (int i = 0; i < 200 && tp->peer.conn != NULL && !peer_stats(&tp->peer).is_refused; i++) {
    (void) fluxbp_topic_publish_bytes(tf->fx.topic, data, RECORD_BYTES);
    if (peer_state(&tp->peer) != FLUXBP__CONN_OPEN) break;
    fixture_turns(&tf->fx, 1);
  }
  if (tp->peer.conn != NULL) ask_for_keys(tp);
  tp->is_silent = false;
  tls_turns(tf, 3);
  if (tp->peer.conn == NULL || peer_state(&tp->peer) != FLUXBP__CONN_OPEN) return false;
  assert_true(peer_stats(&tp->peer).is_refused);
  tp->reads_none = false;
  tls_peer_wait_for_input(tp, INPUT_BYTES);
  tls_peer_expects_input(tp, INPUT_BYTES);
  fluxbp_conn_close(tp->peer.conn, 5000);
  tls_peer_wait_for_close_notify(tp);
  return tp->peer.conn != NULL;
}

static bool is_out_of_memory(const tls_peer_t *tp) {
  if (tp->peer.record.reason == FLUXBP_EVICT_BUDGET) return true;
  return tp->peer.close_status == UV_ENOMEM || tp->peer.close_status == UV_ENOBUFS;
}

static void the_allocator_may_refuse_anything(void **state) {
  uint64_t nth = 0, failures = 1, ends = 0;
  (void) state;
  while (failures > 0) {
    tls_fixture_t tf;
    tls_peer_t tp;
    tls_fixture_init(&tf);
    tls_fixture_open(&tf);
    tls_peer_open(&tf, &tp, FIXTURE_SMALL_BUFFERS);
    alloc_hook_fail_once(&tf.hook, ++nth);
    bool is_whole = run(&tf, &tp);
    failures = tf.hook.failures;
    alloc_hook_heal(&tf.hook);
    tls_turns(&tf, 5);
    peer_hang_up(&tp.peer);
    tls_peer_wait_for_close(&tp);
    if (!is_whole) assert_true(is_out_of_memory(&tp));
    if (!is_whole) ends++;
    assert_int_equal(tp.handshakes, 1);
    tls_fixture_close(&tf);
  }
  assert_in_range(ends, 4, nth - 1);
}

/* The budget has no room for a record: BUDGET. None for what a client sends: its connection fails. */
static void the_budget_may_be_used_up(void **state) {
  (void) state;
  for (int i = 0; i < 3; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    char data[RECORD_BYTES] = {0};
    static void *blocks[BUDGET_BYTES / BLOCK_BYTES];
    size_t count = 0;
    fluxbp_msg_t *message;
    tls_fixture_init(&tf);
    tf.fx.pool_options.max_bytes = BUDGET_BYTES;
    tls_fixture_open(&tf);
    if (i == 0)
      tls_peer_open(&tf, &tp, FIXTURE_SMALL_BUFFERS);
    else
      tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
    assert_int_equal(fluxbp_msg_create(tf.fx.pool, data, sizeof data, &message), 0);
    while (fluxbp_transport_alloc(tp.peer.conn, BLOCK_BYTES, &blocks[count]) == 0) count++;
    if (i == 0) {
      tls_peer_send_raw(&tp, "\x16\x03\x01\x02", 4);
      fixture_turns(&tf.fx, 3);
      assert_int_equal(tp.handshake_error, UV_ENOBUFS);
    } else if (i == 1) {
      tp.is_silent = true;
      tls_peer_write(&tp, data, sizeof data);
      tls_peer_send(&tp, tp.out_length - 1);
      fixture_turns(&tf.fx, 3);
      assert_int_equal(tp.peer.close_status, UV_ENOBUFS);
    } else {
      tp.reads_none = true;
      for (int j = 0; j < 100 && tp.peer.conn != NULL; j++) {
        if (peer_state(&tp.peer) == FLUXBP__CONN_OPEN) (void) fluxbp_topic_publish(tf.fx.topic, message);
        fixture_turns(&tf.fx, 1);
      }
      assert_int_equal(tp.peer.record.reason, FLUXBP_EVICT_BUDGET);
    }
    assert_null(tp.peer.conn);
    while (count > 0) fluxbp__pool_free(tf.fx.pool, FLUXBP__CONTROL, blocks[--count], BLOCK_BYTES);
    fluxbp_msg_unref(message);
    tls_fixture_close(&tf);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_are_renewed),
      cmocka_unit_test(answers_to_a_client_that_reads_nothing_do_not_pile_up),
      cmocka_unit_test(renegotiation_is_refused),
      cmocka_unit_test(the_allocator_may_refuse_anything),
      cmocka_unit_test(the_budget_may_be_used_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
