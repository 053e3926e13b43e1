/* SPDX-License-Identifier: MIT */
/*
 * Records of which a part has come: together they take no more than their share of the budget, and each has a deadline.
 */
#include "support/tls_fixture.h"

#include "tls/secured.h"

enum { MESSAGE_BYTES = 16000, PART_BYTES = 10000, SHARE_BYTES = 20000 };

/* Have the client encrypt a message, and send the first bytes of its record. */
static void send_part(tls_peer_t *tp, size_t length) {
  static const char message[MESSAGE_BYTES];
  tp->is_silent = true;
  tls_peer_write(tp, message, sizeof message);
  assert_true(tp->out_length > length);
  tls_peer_send(tp, length);
}

static void send_rest(tls_peer_t *tp) {
  tp->is_silent = false;
  tls_peer_send(tp, tp->out_length);
}

static bool has_input(tls_fixture_t *tf, void *tp) {
  (void) tf;
  return secured_of(((tls_peer_t *) tp)->peer.conn)->input_length > 0;
}

/* So that a deadline of 1 ms has passed. */
static void let_time_pass(tls_fixture_t *tf) {
  uint64_t begun_ms = uv_now(&tf->fx.loop);
  while (uv_now(&tf->fx.loop) - begun_ms < 10) tls_turns(tf, 1);
}

/* Two connections that share SHARE_BYTES, and a part of a record from the first. */
static void begin_with_part(tls_fixture_t *tf, tls_peer_t *first, tls_peer_t *second) {
  tf->options.input_bytes = SHARE_BYTES;
  tls_fixture_open(tf);
  tls_peer_connect(tf, first, FIXTURE_LARGE_BUFFERS);
  tls_peer_connect(tf, second, FIXTURE_LARGE_BUFFERS);
  send_part(first, PART_BYTES);
  tls_run_until(tf, has_input, first);
}

static void expect_room(bool has_deadline) {
  tls_fixture_t tf;
  tls_peer_t first, second;
  tls_fixture_init(&tf);
  if (!has_deadline) tf.options.record_ms = 0;
  begin_with_part(&tf, &first, &second);
  const struct secured *secured = secured_of(first.peer.conn);
  assert_in_range(secured->input_capacity, PART_BYTES, MESSAGE_BYTES + 100); /* no more than the record has */
  assert_int_equal(tf.transport->input_bytes, secured->input_capacity);

  send_part(&second, PART_BYTES);
  tls_peer_wait_for_close(&first);
  assert_int_equal(first.peer.close_status, UV_ENOBUFS);
  assert_int_equal(first.input_length, 0);
  assert_int_equal(tf.transport->input_bytes, secured_of(second.peer.conn)->input_capacity);
  send_rest(&second);
  tls_peer_wait_for_input(&second, MESSAGE_BYTES);
  assert_int_equal(tf.transport->input_bytes, 0);
  tls_fixture_close(&tf);
}

static void unfinished_records_leave_room(void **state) {
  (void) state;
  expect_room(true);
}

static void unfinished_records_leave_room_without_a_deadline(void **state) {
  (void) state;
  expect_room(false);
}

/* A connection that isn't read can't end its record. */
static void one_that_is_not_read_stays(void **state) {
  tls_fixture_t tf;
  tls_peer_t first, second;
  (void) state;
  tls_fixture_init(&tf);
  begin_with_part(&tf, &first, &second);
  assert_int_equal(fluxbp_conn_pause_read(first.peer.conn), 0);
  send_part(&second, PART_BYTES);
  tls_peer_wait_for_close(&second);
  assert_int_equal(second.peer.close_status, UV_ENOBUFS);
  fluxbp_conn_resume_read(first.peer.conn);
  send_rest(&first);
  tls_peer_wait_for_input(&first, MESSAGE_BYTES);
  tls_fixture_close(&tf);
}

/* Of clients that haven't shown who they are. */
static void handshakes_leave_room_for_open_connections(void **state) {
  static const char hello[] = "\x16\x03\x01\x40";
  static char rest[PART_BYTES];
  tls_fixture_t tf;
  tls_peer_t open, first, second, whole;
  (void) state;
  tls_fixture_init(&tf);
  tf.options.input_bytes = 4 * SHARE_BYTES;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &open, FIXTURE_LARGE_BUFFERS);
  send_part(&open, PART_BYTES);
  tls_run_until(&tf, has_input, &open);
  uint64_t open_bytes = tf.transport->input_bytes;
  tls_peer_t *early[] = {&first, &second};
  for (int i = 0; i < 2; i++) {
    tls_peer_open(&tf, early[i], FIXTURE_LARGE_BUFFERS);
    early[i]->is_silent = true;
    tls_peer_send_raw(early[i], hello, 4);
    tls_peer_send_raw(early[i], rest, sizeof rest);
    tls_run_until(&tf, has_input, early[i]);
  }
  tls_peer_wait_for_close(&first); /* the older one */
  assert_int_equal(first.peer.close_status, UV_ENOBUFS);
  assert_non_null(second.peer.conn);
  assert_int_equal(tf.transport->input_bytes, open_bytes);
  tls_peer_connect(&tf, &whole, FIXTURE_LARGE_BUFFERS);
  send_rest(&open);
  tls_peer_wait_for_input(&open, MESSAGE_BYTES);
  assert_int_equal(tf.transport->input_bytes, 0);
  tls_fixture_close(&tf);
}

static bool is_open_with_input(tls_fixture_t *tf, void *tp) {
  return secured_of(((tls_peer_t *) tp)->peer.conn)->phase == SECURED_OPEN && has_input(tf, tp);
}

static void a_record_that_came_with_the_handshake_has_a_deadline(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  tls_fixture_init(&tf);
  tf.options.record_ms = 1;
  tls_fixture_open(&tf);
  tls_peer_open(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  tls_turns(&tf, 1); /* the server has the client's first flight, */
  tp.is_silent = true;
  for (int i = 0; i < 1000 && !tp.is_open; i++) tls_turns(&tf, 1);
  assert_true(tp.is_open);
  tls_peer_write(&tp, "hello", 5); /* and gets the last one with a part of a record */
  tls_peer_send(&tp, tp.out_length - 1);
  tls_run_until(&tf, is_open_with_input, &tp);
  tls_peer_wait_for_close(&tp);
  assert_int_equal(tp.peer.close_status, UV_ETIMEDOUT);
  tls_fixture_close(&tf);
}

static void a_record_has_a_deadline(void **state) {
  tls_fixture_t tf;
  tls_peer_t slow, later, healthy;
  (void) state;
  tls_fixture_init(&tf);
  tf.options.record_ms = 30;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &slow, FIXTURE_LARGE_BUFFERS);
  tls_peer_connect(&tf, &later, FIXTURE_LARGE_BUFFERS);
  tls_peer_connect(&tf, &healthy, FIXTURE_LARGE_BUFFERS);
  tls_peer_write(&healthy, "whole", 5);
  tls_peer_wait_for_input(&healthy, 5);
  send_part(&slow, 3);
  let_time_pass(&tf);
  send_part(&later, 3);
  tls_peer_wait_for_close(&slow);
  tls_peer_wait_for_close(&later);
  assert_int_equal(slow.peer.close_status, UV_ETIMEDOUT);
  assert_int_equal(later.peer.close_status, UV_ETIMEDOUT);
  tls_peer_write(&healthy, "again", 5);
  tls_peer_wait_for_input(&healthy, 10);
  tls_fixture_close(&tf);
}

/* The rest of a record may be in the kernel. */
static void the_time_without_reading_does_not_count(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  tls_fixture_init(&tf);
  tf.options.record_ms = 1;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  send_part(&tp, PART_BYTES);
  fixture_turns(&tf.fx, 1);
  if (!has_input(&tf, &tp)) tls_run_until(&tf, has_input, &tp);
  assert_int_equal(fluxbp_conn_pause_read(tp.peer.conn), 0);
  let_time_pass(&tf);
  assert_non_null(tp.peer.conn);
  assert_true(has_input(&tf, &tp));
  fluxbp_conn_resume_read(tp.peer.conn);
  tls_peer_wait_for_close(&tp);
  assert_int_equal(tp.peer.close_status, UV_ETIMEDOUT);
  tls_fixture_close(&tf);
}

static void records_may_take_their_time_without_a_deadline(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  tls_fixture_init(&tf);
  tf.options.record_ms = 0;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  send_part(&tp, PART_BYTES);
  tls_run_until(&tf, has_input, &tp);
  let_time_pass(&tf);
  send_rest(&tp);
  tls_peer_wait_for_input(&tp, MESSAGE_BYTES);
  tls_fixture_close(&tf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unfinished_records_leave_room),
      cmocka_unit_test(unfinished_records_leave_room_without_a_deadline),
      cmocka_unit_test(one_that_is_not_read_stays),
      cmocka_unit_test(handshakes_leave_room_for_open_connections),
      cmocka_unit_test(a_record_that_came_with_the_handshake_has_a_deadline),
      cmocka_unit_test(a_record_has_a_deadline),
      cmocka_unit_test(the_time_without_reading_does_not_count),
      cmocka_unit_test(records_may_take_their_time_without_a_deadline),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
