/* SPDX-License-Identifier: MIT */
/*
 * Transports that a program brings: streams are exact whatever a transport does, and what a transport keeps, refuses,
 * answers late or not at all changes neither the verdicts nor the accounts.
 */
#include "support/fixture.h"
#include "support/transport_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAM_MESSAGES = 400, MESSAGE_BYTES_MAX = 3000, BURST = 20, SWEEP_MS = 250 };

static void begin(fixture_t *fx) {
  transport_fixture_reset();
  fixture_init(fx);
  fx->policy.grace_ms = 0;
  fixture_open(fx);
}

static void end(fixture_t *fx) {
  fixture_close(fx);
  assert_int_equal(transport_calls.open_now, 0);
}

static bool has_nothing_queued(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer_stats(peer).queued == 0;
}

/* Messages of many sizes, in bursts, to a client that reads a part between them. Returns the length of the stream, of
 * which each byte says its place. */
static size_t publish_stream(fixture_t *fx, peer_t *peer) {
  char data[MESSAGE_BYTES_MAX];
  size_t sent = 0;
  unsigned random = 7;
  for (int i = 0; i < STREAM_MESSAGES; i++) {
    random = random * 1103515245u + 12345u;
    size_t length = i % 5 == 0 ? 1 : random / 65536u % MESSAGE_BYTES_MAX + 1;
    for (size_t j = 0; j < length; j++) data[j] = (char) ((sent + j) % 251);
    assert_int_equal(fixture_publish(fx, fx->topic, data, length), 1);
    sent += length;
    if (i % BURST < BURST - 1) continue;
    fixture_run_until(fx, has_nothing_queued, peer, true);
  }
  return sent;
}

static void expect_stream(const peer_t *peer, size_t length) {
  assert_int_equal(peer->len, length);
  for (size_t i = 0; i < length; i++) assert_int_equal((unsigned char) peer->data[i], i % 251);
}

static void a_stream_is_exact_however_it_is_cut(void **state) {
  static const transport_faults_t faults[] = {
      {0},
      {.take_bytes_max = 777},
      {.again_every = 3},
      {.late_turns = 2},
      {.take_bytes_max = 4000, .again_every = 2, .late_turns = 1},
  };
  const fluxbp_transport_t *transports[] = {transport_pass_through(), transport_keeping(), transport_blind()};
  (void) state;
  for (size_t i = 0; i < 3; i++) {
    for (size_t j = 0; j < sizeof faults / sizeof faults[0]; j++) {
      fixture_t fx;
      peer_t peer;
      begin(&fx);
      transport_faults = faults[j];
      peer_open(&fx, &peer, transports[i], &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
      size_t sent = publish_stream(&fx, &peer);
      assert_true(transport_calls.waits > 0);
      fixture_balances(&fx);
      fluxbp_conn_close(peer.conn, 60000);
      peer_wait_for_eof(&peer);
      peer_hang_up(&peer);
      peer_wait_for_close(&peer);
      expect_stream(&peer, sent);
      assert_int_equal(peer.close_status, 0);
      assert_int_equal(fixture_metrics(&fx).dropped, 0);
      end(&fx);
    }
  }
}

static void what_is_kept_is_not_written_yet(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  begin(&fx);
  peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  size_t kept = transport_keeping()->kept(peer.conn);
  assert_in_range(kept, 1, TRANSPORT_RECORD_BYTES);
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.written_bytes, peer.conn->written_bytes - kept);
  assert_int_equal(stats.queued, 1);
  assert_int_equal(stats.queued_bytes, 4096); /* nothing of the head was taken */
  end(&fx);
}

/* By what moves in the record that is kept, and by nothing else. */
static void a_client_that_reads_a_kept_record_is_not_stalled(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  begin(&fx);
  transport_faults.hides_fd = true;
  peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  for (size_t kept = 10; kept > 0; kept--) {
    transport_faults.kept_bytes = kept;
    fixture_advance(&fx, 4500);
    assert_int_equal(fx.evictions, 0);
  }
  fixture_advance(&fx, 1000);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_STALLED);
  end(&fx);
}

static void a_dead_client_is_stalled(void **state) {
  const fluxbp_transport_t *transports[] = {transport_pass_through(), transport_keeping(), transport_blind()};
  (void) state;
  for (size_t i = 0; i < 6; i++) {
    fixture_t fx;
    peer_t peer;
    begin(&fx);
    transport_faults.is_mute = i >= 3;
    peer_open(&fx, &peer, transports[i % 3], &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(&peer);
    fixture_advance(&fx, 4750);
    assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
    fixture_advance(&fx, 500);
    assert_null(peer.conn);
    assert_int_equal(peer.record.reason, FLUXBP_EVICT_STALLED);
    assert_int_equal(transport_calls.resets, 1);
    peer_wait_for_eof(&peer);
    assert_int_equal(peer.error, ECONNRESET);
    end(&fx);
  }
}

/* A message is taken whole while the record is kept: its connection has an empty ring, and FIN isn't said. */
static void a_deadline_does_not_take_kept_bytes_for_written(void **state) {
  fixture_t fx;
  peer_t peer;
  static char message[TRANSPORT_RECORD_BYTES];
  (void) state;
  begin(&fx);
  transport_faults.hides_fd = true;
  peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  while (transport_keeping()->kept(peer.conn) == 0) {
    assert_int_equal(fixture_send(&peer, message, sizeof message), 1);
    assert_int_equal(fluxbp_conn_flush(peer.conn), 0);
  }
  assert_int_equal(peer_stats(&peer).queued, 0);
  fluxbp_conn_close(peer.conn, 1000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
  fixture_advance(&fx, 1000);
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_ETIMEDOUT);
  assert_int_equal(transport_calls.resets, 1);
  end(&fx);
}

/* With a record that is kept, and messages behind it; FIN comes behind all of them. */
static void a_polite_close_writes_what_is_kept(void **state) {
  (void) state;
  for (int has_messages = 0; has_messages < 2; has_messages++) {
    fixture_t fx;
    peer_t peer;
    begin(&fx);
    peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    size_t sent = 0;
    if (has_messages) {
      sent = peer_refuse(&peer);
    } else {
      static char message[TRANSPORT_RECORD_BYTES];
      for (; transport_keeping()->kept(peer.conn) == 0; sent += sizeof message) {
        assert_int_equal(fixture_send(&peer, message, sizeof message), 1);
        assert_int_equal(fluxbp_conn_flush(peer.conn), 0);
      }
    }
    fluxbp_conn_close(peer.conn, 60000);
    assert_int_equal(peer_state(&peer), has_messages ? FLUXBP__CONN_DRAINING : FLUXBP__CONN_FINISHING);
    peer_wait_for_eof(&peer);
    assert_int_equal(peer.len, sent);
    assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
    peer_hang_up(&peer);
    peer_wait_for_close(&peer);
    assert_int_equal(peer.close_status, 0);
    end(&fx);
  }
}

static void a_transport_that_never_answers_is_reset_at_the_deadline(void **state) {
  fixture_t fx;
  peer_t idle;
  peer_t refused;
  (void) state;
  begin(&fx);
  transport_faults.is_mute = true;
  peer_open(&fx, &idle, transport_blind(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &refused, transport_pass_through(), &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&refused);
  fluxbp_conn_close(idle.conn, 1000);
  fluxbp_conn_close(refused.conn, 1000);
  fixture_advance(&fx, 1000);
  assert_null(idle.conn);
  assert_null(refused.conn);
  assert_int_equal(refused.close_status, UV_ETIMEDOUT);
  end(&fx);
}

static void shutdown_may_be_answered_at_once(void **state) {
  (void) state;
  for (int peer_is_first = 0; peer_is_first < 2; peer_is_first++) {
    fixture_t fx;
    peer_t peer;
    begin(&fx);
    transport_faults.is_answering_at_once = true;
    peer_open(&fx, &peer, transport_pass_through(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fixture_send(&peer, "good-bye", 8), 1);
    if (peer_is_first) {
      assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    } else {
      fluxbp_conn_close(peer.conn, 5000);
      assert_int_equal(peer_state(&peer), FLUXBP__CONN_FINISHING);
      peer_wait_for(&peer, 8);
      assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    }
    peer_wait_for_close(&peer);
    peer_expects(&peer, "good-bye");
    assert_int_equal(peer.close_status, peer_is_first ? UV_EOF : 0);
    assert_string_equal(peer.trace, "X");
    end(&fx);
  }
}

static int half_closes;

static int keep_open(fluxbp_conn_t *conn) {
  (void) conn;
  half_closes++;
  return 1;
}

static bool was_told_half_close(fixture_t *fx, void *arg) {
  (void) fx;
  (void) arg;
  return half_closes > 0;
}

static void the_end_of_the_peer_is_told_once_and_answered_at_once(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_conn_handlers_t handlers;
  (void) state;
  begin(&fx);
  half_closes = 0;
  transport_faults.says_eof_twice = true;
  transport_faults.is_answering_at_once = true;
  peer_open(&fx, &peer, transport_pass_through(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  handlers = *peer.conn->handlers;
  handlers.on_half_close = keep_open;
  peer.conn->handlers = &handlers;
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  fixture_run_until(&fx, was_told_half_close, NULL, false);
  fixture_turns(&fx, 3);
  assert_int_equal(half_closes, 1);
  fluxbp_conn_close(peer.conn, 1000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_CLOSING);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, 0);
  end(&fx);
}

/* What each entry may fail with, and what the connection is closed with then. */
static void errors_end_the_connection(void **state) {
  int *const errors[] = {&transport_faults.try_write_error, &transport_faults.want_writable_error,
                         &transport_faults.shutdown_error, &transport_faults.read_start_error};
  (void) state;
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    fixture_t fx;
    peer_t peer;
    begin(&fx);
    peer_open(&fx, &peer, transport_pass_through(), &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    if (errors[i] == &transport_faults.read_start_error) assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
    *errors[i] = UV_EPROTO;
    transport_faults.again_every = 1;
    if (errors[i] == &transport_faults.shutdown_error)
      fluxbp_conn_close(peer.conn, 5000);
    else if (errors[i] == &transport_faults.read_start_error)
      fluxbp_conn_resume_read(peer.conn);
    else
      assert_int_equal(fixture_send(&peer, "x", 1), 1);
    peer_wait_for_close(&peer);
    assert_int_equal(peer.close_status, UV_EPROTO);
    assert_string_equal(peer.trace, "X");
    fixture_balances(&fx);
    end(&fx);
  }
}

static void a_transport_that_can_not_begin_fails_the_start(void **state) {
  (void) state;
  for (int i = 0; i < 2; i++) {
    fixture_t fx;
    peer_t peer = {.fx = &fx, .fd = -1};
    begin(&fx);
    *(i == 0 ? &transport_faults.open_error : &transport_faults.read_start_error) = UV_EPROTO;
    peer_t other;
    transport_faults_t faults = transport_faults;
    memset(&transport_faults, 0, sizeof transport_faults);
    peer_open(&fx, &other, transport_pass_through(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
    transport_faults = faults;
    fluxbp_conn_options_t options = peer_options(&peer, transport_pass_through(), &fluxbp_codec_raw);
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &peer.conn), 0);
    int fd = dup(other.fd);
    assert_int_equal(uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(peer.conn), fd), 0);
    assert_int_equal(fluxbp_conn_start(peer.conn), UV_EPROTO);
    fluxbp_conn_close(peer.conn, 0);
    fixture_turns(&fx, 3);
    assert_null(peer.conn);
    assert_int_equal(transport_calls.open_now, 1);
    end(&fx);
  }
}

static void pause_at_the_first_piece(peer_t *peer, char told) {
  if (told == TOLD_DATA && peer->received == TRANSPORT_PIECE_BYTES)
    assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
}

static bool has_received(fixture_t *fx, void *arg) {
  const peer_t *peer = fx->arg;
  return peer->received >= *(size_t *) arg;
}

/* The transport has read what comes behind a pause. It comes from the loop when reading goes on, and before FIN. */
static void what_was_read_before_a_pause_comes_after_it(void **state) {
  static char text[5 * TRANSPORT_PIECE_BYTES + 3];
  size_t piece = TRANSPORT_PIECE_BYTES;
  fixture_t fx;
  peer_t peer;
  (void) state;
  begin(&fx);
  peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fx.arg = &peer;
  peer.hook = pause_at_the_first_piece;
  assert_int_equal(send(peer.fd, text, sizeof text, 0), sizeof text);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  fixture_run_until(&fx, has_received, &piece, false);
  fixture_advance(&fx, 4 * SWEEP_MS);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(peer.received, TRANSPORT_PIECE_BYTES);

  fx.calls++;
  fluxbp_conn_resume_read(peer.conn);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  fx.calls--;
  fixture_turns(&fx, 4);
  assert_int_equal(peer.received, TRANSPORT_PIECE_BYTES);
  assert_int_equal(transport_calls.delivers, 0);

  fx.calls++;
  fluxbp_conn_resume_read(peer.conn);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  fluxbp_conn_resume_read(peer.conn);
  fx.calls--;
  peer_wait_for_close(&peer);
  assert_int_equal(peer.received, sizeof text);
  assert_int_equal(transport_calls.delivers, 1);
  assert_int_equal(peer.close_status, UV_EOF);
  end(&fx);
}

static void reset_at_the_third_piece(peer_t *peer, char told) {
  if (told == TOLD_DATA && peer->received == 3 * (size_t) TRANSPORT_PIECE_BYTES) fluxbp_conn_reset(peer->conn);
}

static void a_connection_may_be_reset_while_the_transport_hands_over(void **state) {
  static char text[5 * TRANSPORT_PIECE_BYTES];
  (void) state;
  for (int is_paused_before = 0; is_paused_before < 2; is_paused_before++) {
    fixture_t fx;
    peer_t peer;
    size_t piece = TRANSPORT_PIECE_BYTES;
    begin(&fx);
    peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
    fx.arg = &peer;
    peer.hook = is_paused_before ? pause_at_the_first_piece : reset_at_the_third_piece;
    assert_int_equal(send(peer.fd, text, sizeof text, 0), sizeof text);
    fixture_run_until(&fx, has_received, &piece, false);
    peer.hook = reset_at_the_third_piece;
    if (is_paused_before) fluxbp_conn_resume_read(peer.conn);
    peer_wait_for_close(&peer);
    assert_int_equal(peer.received, 3 * TRANSPORT_PIECE_BYTES);
    assert_int_equal(peer.close_status, UV_ECANCELED);
    end(&fx);
  }
}

static void resume_and_reset_the_other(peer_t *peer, char told) {
  peer_t *other = peer->arg;
  if (told != TOLD_DATA) return;
  fluxbp_conn_resume_read(other->conn);
  fluxbp_conn_reset(other->conn);
}

/* Its memory goes in the same iteration of the loop. */
static void a_connection_may_be_reset_before_the_transport_hands_over(void **state) {
  static char text[5 * TRANSPORT_PIECE_BYTES];
  size_t piece = TRANSPORT_PIECE_BYTES;
  fixture_t fx;
  peer_t peer;
  peer_t other;
  (void) state;
  begin(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &other, transport_keeping(), &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fx.arg = &other;
  other.hook = pause_at_the_first_piece;
  assert_int_equal(send(other.fd, text, sizeof text, 0), sizeof text);
  fixture_run_until(&fx, has_received, &piece, false);
  peer.arg = &other;
  peer.hook = resume_and_reset_the_other;
  assert_int_equal(send(peer.fd, "x", 1, 0), 1);
  peer_wait_for_close(&other);
  assert_int_equal(other.received, TRANSPORT_PIECE_BYTES);
  assert_int_equal(transport_calls.delivers, 0);
  end(&fx);
}

/* While a record of the transport's own, or the rest of a message, is under way, and with the answer to `close` later.
 * */
static void the_end_may_come_while_the_transport_writes(void **state) {
  const fluxbp_transport_t *transports[] = {transport_pass_through(), transport_keeping(), transport_blind()};
  (void) state;
  for (int i = 0; i < 12; i++) {
    fixture_t fx;
    peer_t peer;
    begin(&fx);
    transport_faults.late_turns = i >= 6 ? 3 : 0;
    transport_faults.answers_after_close = i >= 6;
    peer_open(&fx, &peer, transports[i % 3], &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(&peer);
    for (int j = 0; j < 3; j++) assert_int_equal(fixture_send(&peer, "x", 1), 1);
    if (i % 2 == 0) {
      fluxbp_conn_reset(peer.conn);
      fixture_balances(&fx);
      peer_read(&peer); /* the kernel has room before `close` is answered */
      peer_wait_for_close(&peer);
      assert_int_equal(peer.close_status, UV_ECANCELED);
      assert_true(fixture_metrics(&fx).discarded >= 3);
    }
    end(&fx); /* or the hub is closed */
    assert_string_equal(peer.trace, "X");
  }
}

static void too_many_transports_are_refused(void **state) {
  static fluxbp_transport_t transports[FLUXBP_TRANSPORTS_MAX - 1];
  fixture_t fx;
  (void) state;
  begin(&fx);
  for (int i = 0; i < FLUXBP_TRANSPORTS_MAX - 1; i++) {
    fluxbp_conn_options_t options;
    fluxbp_conn_t *conn;
    fluxbp_conn_options_init(&options);
    transports[i] = *transport_pass_through();
    options.transport = &transports[i];
    int expected = i < FLUXBP_TRANSPORTS_MAX - 2 ? 0 : UV_E2BIG; /* two are built in */
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), expected);
    if (expected != 0) continue;
    assert_ptr_equal(fluxbp_transport_of(conn), &transports[i]);
    assert_ptr_equal(fluxbp_conn_of_stream(fluxbp_conn_stream(conn)), conn);
  }
  end(&fx);
}

static void incomplete_tables_are_refused(void **state) {
  fixture_t fx;
  (void) state;
  begin(&fx);
  for (int i = 0; i < 9; i++) {
    fluxbp_transport_t table = *transport_pass_through();
    fluxbp_conn_options_t options;
    fluxbp_conn_t *conn;
    fluxbp_conn_options_init(&options);
    options.transport = &table;
    if (i == 0) table.try_write = NULL;
    if (i == 1) table.want_writable = NULL;
    if (i == 2) table.read_start = NULL;
    if (i == 3) table.read_stop = NULL;
    if (i == 4) table.shutdown = NULL;
    if (i == 5) table.close = NULL;
    if (i == 6) table.data_bytes = FLUXBP_TRANSPORT_BYTES_MAX + 1;
    if (i == 7) table.size = 0;
    if (i == 8) options.transport = NULL;
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), UV_EINVAL);
  }
  end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_is_exact_however_it_is_cut),
      cmocka_unit_test(what_is_kept_is_not_written_yet),
      cmocka_unit_test(a_client_that_reads_a_kept_record_is_not_stalled),
      cmocka_unit_test(a_dead_client_is_stalled),
      cmocka_unit_test(a_deadline_does_not_take_kept_bytes_for_written),
      cmocka_unit_test(a_polite_close_writes_what_is_kept),
      cmocka_unit_test(a_transport_that_never_answers_is_reset_at_the_deadline),
      cmocka_unit_test(shutdown_may_be_answered_at_once),
      cmocka_unit_test(the_end_of_the_peer_is_told_once_and_answered_at_once),
      cmocka_unit_test(errors_end_the_connection),
      cmocka_unit_test(a_transport_that_can_not_begin_fails_the_start),
      cmocka_unit_test(what_was_read_before_a_pause_comes_after_it),
      cmocka_unit_test(a_connection_may_be_reset_while_the_transport_hands_over),
      cmocka_unit_test(a_connection_may_be_reset_before_the_transport_hands_over),
      cmocka_unit_test(the_end_may_come_while_the_transport_writes),
      cmocka_unit_test(too_many_transports_are_refused),
      cmocka_unit_test(incomplete_tables_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
