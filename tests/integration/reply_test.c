/* SPDX-License-Identifier: MIT */
/*
 * Replies have a lane of their own: they are written between messages, no overflow rule drops them, and a full lane
 * holds the peer up.
 */
#include "support/fixture.h"

#include "support/alloc_hook.h"
#include "support/socketpair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SMALL_RING = 8, ROUNDS = 400 };

static int reply(peer_t *peer, const char *text, size_t length) {
  fluxbp_msg_t *msg;
  fluxbp_send_options_t options;
  fluxbp_send_options_init(&options);
  options.is_reply = 1;
  int err = fluxbp_msg_create(peer->fx->pool, text, length, &msg);
  if (err) return err;
  peer->fx->calls++;
  int result = fluxbp_conn_send_with(peer->conn, msg, &options);
  peer->fx->calls--;
  fluxbp_msg_unref(msg);
  return result;
}

static int reply_text(peer_t *peer, const char *text) {
  return reply(peer, text, strlen(text));
}

static void open_refused(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, fluxbp_overflow_t overflow) {
  fixture_init(fx);
  fx->policy.slots = SMALL_RING;
  fx->policy.overflow = overflow;
  fixture_open(fx);
  peer_open(fx, peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
}

static bool ends_with(const peer_t *peer, const char *end) {
  size_t length = strlen(end);
  return peer->len >= length && memcmp(peer->data + peer->len - length, end, length) == 0;
}

static bool has_come(fixture_t *fx, void *arg) {
  return ends_with(fx->arg, arg);
}

static void expect_end(peer_t *peer, const char *end) {
  peer->fx->arg = peer;
  fixture_run_until(peer->fx, has_come, (void *) (uintptr_t) end, true);
}

static void replies_come_before_what_is_queued(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  for (int i = 1; i <= 3; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  assert_int_equal(reply_text(&peer, "first"), 1);
  assert_int_equal(reply_text(&peer, "second"), 1);
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.queued, 1 + 3 + 2); /* the head, too */
  fixture_balances(&fx);
  expect_end(&peer, "\n1\n2\n3\n");
  peer.data[peer.len - 1] = '\0';
  const char *replies = strstr(peer.data, "\nfirst\nsecond\n");
  assert_non_null(replies);
  /* the head comes between, if a transport has refused it without taking a byte */
  bool had_taken = transport == FLUXBP_TCP || transport == FLUXBP_PIPE;
  if (had_taken) assert_string_equal(replies, "\nfirst\nsecond\n1\n2\n3");
  fixture_close(&fx);
}
FIXTURE_ALL(replies_come_before_what_is_queued)

static void a_reply_of_an_idle_connection_is_written(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(reply_text(&peer, "yes"), 1);
  peer_wait_for(&peer, 4);
  peer_expects(&peer, "yes\n");
  assert_null(peer.conn->rare); /* the lane is gone */
  fluxbp_metrics_t metrics = fixture_metrics(&fx);
  assert_int_equal(metrics.written, 1);
  assert_int_equal(metrics.written_at_once, 1);
  fixture_close(&fx);
}
FIXTURE_ALL(a_reply_of_an_idle_connection_is_written)

static void no_overflow_rule_drops_a_reply(const fluxbp_transport_t *transport) {
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_DROP_OLDEST; rule++) {
    fixture_t fx;
    peer_t peer;
    open_refused(&fx, &peer, transport, (fluxbp_overflow_t) rule);
    for (int i = 1; i <= 20; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
    for (int i = 0; i < FLUXBP_REPLIES_MAX; i++) assert_int_equal(reply_text(&peer, "reply"), 1);
    for (int i = 21; i <= 40; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
    assert_true(peer_stats(&peer).dropped > 0);
    fixture_balances(&fx);
    expect_end(&peer, rule == FLUXBP_OVERFLOW_DROP_OLDEST ? "\n39\n40\n" : "\"count\":33}}\n");
    int replies = 0;
    peer.data[peer.len - 1] = '\0';
    for (const char *at = peer.data; (at = strstr(at, "\nreply\n")) != NULL; at++) replies++;
    assert_int_equal(replies, FLUXBP_REPLIES_MAX);
    fixture_close(&fx);
  }
}
FIXTURE_ALL(no_overflow_rule_drops_a_reply)

/* The transport keeps a record that is the whole of a message, so the next message is refused without a byte of it. */
static void replies_come_before_a_ring_whose_gap_has_no_slot(void **state) {
  static char record[TRANSPORT_RECORD_BYTES - 1]; /* and the line's end */
  fixture_t fx;
  peer_t peer;
  (void) state;
  memset(record, 'r', sizeof record);
  fixture_init(&fx);
  fx.policy.slots = SMALL_RING;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport_keeping(), &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  while (!peer_stats(&peer).is_refused) {
    assert_int_equal(fixture_send(&peer, record, sizeof record), 1);
    fluxbp_hub_flush(fx.hub);
  }
  assert_int_equal(peer.conn->head_written, 0);
  for (int i = 1; i <= 20; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
  assert_true(peer_stats(&peer).dropped > 0);
  assert_int_equal(reply_text(&peer, "first"), 1);
  assert_int_equal(reply_text(&peer, "second"), 1);
  expect_end(&peer, "\"count\":13}}\n");
  peer.data[peer.len - 1] = '\0';
  const char *replies = strstr(peer.data, "\nfirst\nsecond\n");
  assert_non_null(replies);
  assert_non_null(strstr(replies, "\n1\n2\n3\n"));
  fixture_close(&fx);
}

static void fill_lane(peer_t *peer) {
  for (int i = 0; i < FLUXBP_REPLIES_MAX; i++) assert_int_equal(reply_text(peer, "reply"), 1);
  assert_int_equal(reply_text(peer, "one too many"), UV_EAGAIN);
}

static bool is_read(fixture_t *fx, void *arg) {
  (void) arg;
  return ((peer_t *) fx->arg)->received > 0;
}

/* Reading goes on, and the user has been told. */
static bool is_held_up_no_more(fixture_t *fx, void *arg) {
  return is_read(fx, arg) && peer_times_told(fx->arg, TOLD_REPLY_ROOM) > 0;
}

static void a_full_lane_holds_the_peer_up(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  fill_lane(&peer);
  assert_int_equal(send(peer.fd, "request", 7, 0), 7);
  fixture_turns(&fx, 20);
  assert_int_equal(peer.received, 0);
  assert_int_equal(peer_times_told(&peer, TOLD_REPLY_ROOM), 0);
  fx.arg = &peer;
  fixture_run_until(&fx, is_held_up_no_more, NULL, true);
  assert_int_equal(peer_times_told(&peer, TOLD_REPLY_ROOM), 1);
  assert_int_equal(reply_text(&peer, "one more"), 1);
  expect_end(&peer, "\none more\n");
  fixture_close(&fx);
}
FIXTURE_ALL(a_full_lane_holds_the_peer_up)

/* Nothing is refused here: the lane fills up within one callback. */
static void a_lane_may_fill_up_without_a_refusal(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.slots = SMALL_RING;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  fill_lane(&peer);
  for (int i = 0; i <= SMALL_RING; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1); /* flushed */
  assert_int_equal(send(peer.fd, "request", 7, 0), 7);
  fx.arg = &peer;
  fixture_run_until(&fx, is_held_up_no_more, NULL, true);
  assert_int_equal(peer_times_told(&peer, TOLD_REPLY_ROOM), 1);
  fixture_turns(&fx, 3);
  assert_null(peer.conn->rare);
  assert_null(peer.conn->pressure);
  fixture_close(&fx);
}
FIXTURE_ALL(a_lane_may_fill_up_without_a_refusal)

static bool has_room(fixture_t *fx, void *arg) {
  (void) arg;
  return peer_times_told(fx->arg, TOLD_REPLY_ROOM) > 0;
}

static void a_pause_of_the_users_outlasts_a_full_lane(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_int_equal(fluxbp_conn_pause_read(peer.conn), 0);
  fill_lane(&peer);
  assert_int_equal(send(peer.fd, "request", 7, 0), 7);
  fx.arg = &peer;
  fixture_run_until(&fx, has_room, NULL, true);
  fixture_turns(&fx, 20);
  assert_int_equal(peer.received, 0);
  fluxbp_conn_resume_read(peer.conn);
  fixture_run_until(&fx, is_read, NULL, true);

  (void) peer_refuse(&peer);
  fill_lane(&peer);
  fluxbp_conn_resume_read(peer.conn);
  assert_true(peer.conn->is_read_paused); /* by the lane, which is full */
  fixture_close(&fx);
}
FIXTURE_ALL(a_pause_of_the_users_outlasts_a_full_lane)

static void flush_when_left(peer_t *peer, char told) {
  if (told == TOLD_LEFT) assert_int_equal(fluxbp_conn_flush(peer->conn), 0);
}

static void a_flush_in_another_callback_hides_no_room(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  for (int i = 0; i < SMALL_RING - 2; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d", i), 1);
  fill_lane(&peer);
  peer.hook = flush_when_left;
  fx.arg = &peer;
  fixture_run_until(&fx, has_room, NULL, true);
  assert_int_equal(peer_times_told(&peer, TOLD_LEFT), 1); /* in the same turn: the flush has released what it had */
  fixture_close(&fx);
}
FIXTURE_ALL(a_flush_in_another_callback_hides_no_room)

static void a_polite_close_writes_the_replies(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  for (int i = 1; i <= 20; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
  fill_lane(&peer);
  fluxbp_conn_close(peer.conn, 60000);
  peer_wait_for_eof(&peer);
  assert_true(peer.has_eof);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, 0);
  assert_int_equal(fixture_metrics(&fx).discarded, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(a_polite_close_writes_the_replies)

/* Two messages in a ring of two, then a reply; nothing is refused. */
static void fill_ring_and_reply(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport) {
  fx->policy.slots = 2;
  fixture_open(fx);
  peer_open(fx, peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 1; i <= 2; i++) assert_int_equal(fixture_publish_text(fx, fx->topic, "%d", i), 1);
  assert_int_equal(reply_text(peer, "reply"), 1);
}

static void replies_come_before_a_full_ring(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fill_ring_and_reply(&fx, &peer, transport);
  peer_wait_for(&peer, 10);
  peer_expects(&peer, "reply\n1\n2\n");
  fixture_close(&fx);
}
FIXTURE_ALL(replies_come_before_a_full_ring)

/* The ring overflows before the flush: what is in it is written then. */
static void replies_come_before_a_ring_that_overflows(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fill_ring_and_reply(&fx, &peer, transport);
  assert_int_equal(fixture_publish_text(&fx, fx.topic, "3"), 1);
  peer_wait_for(&peer, 12);
  peer_expects(&peer, "reply\n1\n2\n3\n");
  fixture_close(&fx);
}
FIXTURE_ALL(replies_come_before_a_ring_that_overflows)

static void replies_come_before_the_last_message(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *last;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish_text(&fx, fx.topic, "1"), 1);
  assert_int_equal(reply_text(&peer, "reply"), 1);
  assert_int_equal(fluxbp_msg_create(fx.pool, "bye", 3, &last), 0);
  assert_int_equal(fluxbp_conn_close_with(peer.conn, last, 60000), 0);
  fluxbp_msg_unref(last);
  peer_wait_for_eof(&peer);
  peer_expects(&peer, "reply\n1\nbye\n");
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  fixture_close(&fx);
}
FIXTURE_ALL(replies_come_before_the_last_message)

/* Whichever allocation fails: without memory for a slot the reply comes behind the ring, but before FIN. */
static void without_memory_for_a_slot_replies_come_later(const fluxbp_transport_t *transport) {
  bool came_later = false;
  for (uint64_t nth = 1; nth <= 3; nth++) {
    fixture_t fx;
    peer_t peer;
    alloc_hook_t hook;
    alloc_hook_init(&hook);
    fixture_init(&fx);
    fx.pool_options.allocator = alloc_hook_allocator(&hook);
    fill_ring_and_reply(&fx, &peer, transport);
    fluxbp_pool_trim(fx.pool);
    alloc_hook_fail_once(&hook, nth);
    fluxbp_conn_close(peer.conn, 60000);
    alloc_hook_heal(&hook);
    peer_wait_for_eof(&peer);
    if (peer.len == 10 && memcmp(peer.data, "1\n2\nreply\n", 10) == 0) came_later = true;
    peer_hang_up(&peer);
    peer_wait_for_close(&peer);
    fixture_close(&fx);
  }
  assert_true(came_later);
}
FIXTURE_ALL(without_memory_for_a_slot_replies_come_later)

/* A transport that takes nothing until it is told to. */
static bool is_shut;
static uv_buf_t awaited;

static int shut_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  return is_shut ? UV_EAGAIN : fluxbp_transport_tcp()->try_write(conn, buffers, count);
}

static int shut_want_writable(fluxbp_conn_t *conn, const uv_buf_t *rest) {
  (void) conn;
  awaited = *rest;
  return 0;
}

/* The transport writes so much of the head by itself, and then takes everything. */
static void expect_after_writing(size_t taken, const char *expected) {
  fluxbp_transport_t transport = *fluxbp_transport_tcp();
  char head[] = "one\n";
  fixture_t fx;
  peer_t peer;
  int fds[2];
  transport.try_write = shut_try_write;
  transport.want_writable = shut_want_writable;
  transport.unwritten = NULL;
  is_shut = true;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(socketpair_make(FLUXBP_TCP, false, fds), 0);
  peer_adopt(&fx, &peer, &transport, &fluxbp_codec_newline, fds);
  assert_int_equal(fixture_publish_text(&fx, fx.topic, "one"), 1);
  assert_int_equal(fixture_publish_text(&fx, fx.topic, "two"), 1);
  fixture_turns(&fx, 1);
  assert_int_equal(awaited.len, strlen(head));
  assert_int_equal(reply_text(&peer, "reply"), 1);
  is_shut = false;
  uv_buf_t written = uv_buf_init(head, (unsigned) taken);
  if (taken > 0) assert_int_equal(uv_try_write(fluxbp_conn_stream(peer.conn), &written, 1), (int) taken);
  fluxbp_transport_writable(peer.conn, (ssize_t) taken);
  fixture_balances(&fx);
  peer_wait_for(&peer, strlen(expected));
  peer_expects(&peer, expected);
  fixture_close(&fx);
}

static void a_reply_comes_behind_a_head_that_is_written_in_parts(void **state) {
  (void) state;
  expect_after_writing(1, "one\nreply\ntwo\n");
  expect_after_writing(4, "one\nreply\ntwo\n");
}

static void a_reply_comes_before_a_head_of_which_nothing_was_taken(void **state) {
  (void) state;
  expect_after_writing(0, "reply\none\ntwo\n");
}

static void replies_are_counted_when_the_connection_is_reset(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  fill_lane(&peer);
  uint64_t queued = peer_stats(&peer).queued;
  fluxbp_conn_reset(peer.conn);
  peer_wait_for_close(&peer);
  assert_int_equal(fixture_metrics(&fx).discarded, queued);
  fixture_balances(&fx);
  fixture_close(&fx);
}
FIXTURE_ALL(replies_are_counted_when_the_connection_is_reset)

/* Whichever allocation fails: what it returns is what becomes of the reply. */
static void without_memory_it_says_so(const fluxbp_transport_t *transport) {
  int refused = 0;
  for (uint64_t nth = 1; nth <= 6; nth++) {
    fixture_t fx;
    peer_t peer;
    alloc_hook_t hook;
    alloc_hook_init(&hook);
    fixture_init(&fx);
    fx.pool_options.allocator = alloc_hook_allocator(&hook);
    fixture_open(&fx);
    peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    int expected = 0;
    fluxbp_pool_trim(fx.pool);
    alloc_hook_fail_once(&hook, nth);
    for (int i = 0; i < FLUXBP_REPLIES_MAX; i++) expected += reply_text(&peer, "r") == 1;
    alloc_hook_heal(&hook);
    refused += expected < FLUXBP_REPLIES_MAX;
    peer_wait_for(&peer, 2 * (size_t) expected);
    fixture_turns(&fx, 5);
    assert_int_equal(peer.len, 2 * (size_t) expected);
    fixture_balances(&fx);
    fixture_close(&fx);
  }
  assert_true(refused >= 4); /* the message, the frame, the block for what is rare, the lane */
}
FIXTURE_ALL(without_memory_it_says_so)

/* Long and short replies between long and short messages, to a client that reads now and then. Each line is whole;
 * replies are complete and in order; messages are in order. */
static void lines_are_never_torn(const fluxbp_transport_t *transport) {
  static char text[200000];
  fixture_t fx;
  peer_t peer;
  unsigned seed = 7;
  int replies = 0;
  fixture_init(&fx);
  fx.policy.slots = SMALL_RING;
  fx.policy.overflow = FLUXBP_OVERFLOW_DROP_OLDEST;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  for (int round = 0; round < ROUNDS; round++) {
    seed = seed * 1103515245U + 12345U;
    bool is_reply = (seed >> 16) % 3 == 0;
    size_t length = (seed >> 18) % 4 == 0 ? (seed >> 8) % sizeof text : (seed >> 8) % 200;
    int head = snprintf(text, sizeof text, "%c %d ", is_reply ? 'r' : 'm', is_reply ? replies : round);
    if (length < (size_t) head) length = (size_t) head;
    memset(text + head, is_reply ? 'R' : 'M', length - (size_t) head);
    if (is_reply)
      replies += reply(&peer, text, length) == 1;
    else
      (void) fixture_publish(&fx, fx.topic, text, length);
    if ((seed >> 20) % 2 == 0) fixture_turns(&fx, 1);
    if ((seed >> 22) % 2 == 0) peer_read(&peer);
  }
  assert_true(replies > 2 * FLUXBP_REPLIES_MAX);
  assert_int_equal(fixture_publish_text(&fx, fx.topic, "m %d end", ROUNDS), 1);
  expect_end(&peer, "end\n");

  int next_reply = 0;
  int last_message = -1;
  peer.data[peer.len - 1] = '\0';
  for (char *line = peer.data, *next; line != NULL; line = next) {
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    if (line[0] == '{') continue; /* a gap */
    int number;
    int head;
    assert_int_equal(sscanf(line + 1, " %d %n", &number, &head), 1);
    if (line[0] == 'r') assert_int_equal(number, next_reply++);
    if (line[0] == 'm') {
      assert_true(number > last_message);
      last_message = number;
    }
    if (strcmp(line + 1 + head, "end") != 0)
      assert_int_equal(strspn(line + 1 + head, line[0] == 'r' ? "R" : "M"), strlen(line + 1 + head));
  }
  assert_int_equal(next_reply, replies);
  fixture_close(&fx);
}
FIXTURE_ALL(lines_are_never_torn)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(replies_come_before_what_is_queued),
      FIXTURE_ALL_TESTS(a_reply_of_an_idle_connection_is_written),
      FIXTURE_ALL_TESTS(no_overflow_rule_drops_a_reply),
      cmocka_unit_test(replies_come_before_a_ring_whose_gap_has_no_slot),
      FIXTURE_ALL_TESTS(a_full_lane_holds_the_peer_up),
      FIXTURE_ALL_TESTS(a_lane_may_fill_up_without_a_refusal),
      FIXTURE_ALL_TESTS(a_pause_of_the_users_outlasts_a_full_lane),
      FIXTURE_ALL_TESTS(a_flush_in_another_callback_hides_no_room),
      FIXTURE_ALL_TESTS(a_polite_close_writes_the_replies),
      FIXTURE_ALL_TESTS(replies_come_before_a_full_ring),
      FIXTURE_ALL_TESTS(replies_come_before_a_ring_that_overflows),
      FIXTURE_ALL_TESTS(replies_come_before_the_last_message),
      FIXTURE_ALL_TESTS(without_memory_for_a_slot_replies_come_later),
      cmocka_unit_test(a_reply_comes_behind_a_head_that_is_written_in_parts),
      cmocka_unit_test(a_reply_comes_before_a_head_of_which_nothing_was_taken),
      FIXTURE_ALL_TESTS(replies_are_counted_when_the_connection_is_reset),
      FIXTURE_ALL_TESTS(without_memory_it_says_so),
      FIXTURE_ALL_TESTS(lines_are_never_torn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
