/* SPDX-License-Identifier: MIT */
/*
 * on_sent tells what became of one message to one connection: once, from the loop, and before on_close.
 */
#include "support/fixture.h"

#include <string.h>

enum { SMALL_RING = 8, NOT_TOLD = 1 };

typedef struct sent {
  peer_t *peer;
  int times;
  int status;
  bool was_closed; /* when it was told */
} sent_t;

static void on_sent(fluxbp_conn_t *conn, void *arg, int status) {
  sent_t *sent = arg;
  assert_int_equal(sent->peer->fx->calls, 0); /* never inside of a call */
  assert_ptr_equal(fluxbp_conn_user(conn), sent->peer);
  sent->times++;
  sent->status = status;
  sent->was_closed = sent->peer->conn == NULL;
}

static int send_watched(peer_t *peer, sent_t *sent, const char *text, int is_reply) {
  fluxbp_msg_t *msg;
  fluxbp_send_options_t options;
  fluxbp_send_options_init(&options);
  options.is_reply = is_reply;
  options.on_sent = on_sent;
  options.arg = sent;
  *sent = (sent_t){.peer = peer, .status = NOT_TOLD};
  assert_int_equal(fluxbp_msg_create(peer->fx->pool, text, strlen(text), &msg), 0);
  peer->fx->calls++;
  int result = fluxbp_conn_send_with(peer->conn, msg, &options);
  peer->fx->calls--;
  fluxbp_msg_unref(msg);
  return result;
}

static void open_refused(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, fluxbp_overflow_t overflow) {
  fixture_init(fx);
  fx->policy.slots = SMALL_RING;
  fx->policy.overflow = overflow;
  fixture_open(fx);
  peer_open(fx, peer, transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
}

static bool is_told(fixture_t *fx, void *arg) {
  (void) fx;
  return ((const sent_t *) arg)->times > 0;
}

static void what_is_written_is_told(const fluxbp_transport_t *transport) {
  for (int is_reply = 0; is_reply <= 1; is_reply++) {
    fixture_t fx;
    peer_t peer;
    sent_t sent;
    fixture_init(&fx);
    fixture_open(&fx);
    peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(send_watched(&peer, &sent, "hello", is_reply), 1);
    fx.calls++;
    fluxbp_hub_flush(fx.hub); /* it is written now, and told later */
    fx.calls--;
    assert_int_equal(sent.times, 0);
    fixture_run_until(&fx, is_told, &sent, false);
    assert_int_equal(sent.status, 0);
    fixture_turns(&fx, 5);
    assert_int_equal(sent.times, 1);
    fixture_close(&fx);
  }
}
FIXTURE_ALL(what_is_written_is_told)

static void what_waits_is_told_when_it_is_written(const fluxbp_transport_t *transport) {
  for (int is_reply = 0; is_reply <= 1; is_reply++) {
    fixture_t fx;
    peer_t peer;
    sent_t sent;
    open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
    assert_int_equal(send_watched(&peer, &sent, "hello", is_reply), 1);
    fixture_turns(&fx, 10);
    assert_int_equal(sent.times, 0);
    fixture_run_until(&fx, is_told, &sent, true);
    assert_int_equal(sent.status, 0);
    fixture_close(&fx);
  }
}
FIXTURE_ALL(what_waits_is_told_when_it_is_written)

static void what_the_rule_drops_is_told(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  sent_t sent;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_OLDEST);
  assert_int_equal(send_watched(&peer, &sent, "hello", 0), 1);
  for (int i = 0; i < 3 * SMALL_RING; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
  assert_int_equal(sent.times, 0);
  fixture_turns(&fx, 3);
  assert_int_equal(sent.times, 1);
  assert_int_equal(sent.status, UV_ENOBUFS);
  fixture_close(&fx);
}
FIXTURE_ALL(what_the_rule_drops_is_told)

static void what_was_not_queued_is_not_told(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  sent_t sent;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  for (int i = 0; i < SMALL_RING; i++) (void) fixture_publish_text(&fx, fx.topic, "%d", i);
  assert_int_equal(send_watched(&peer, &sent, "hello", 0), 0);
  fixture_turns(&fx, 3);
  assert_int_equal(sent.times, 0);
  for (int i = 0; i < FLUXBP_REPLIES_MAX; i++) (void) send_watched(&peer, &sent, "reply", 1);
  sent_t refused;
  assert_int_equal(send_watched(&peer, &refused, "reply", 1), UV_EAGAIN);
  fluxbp_conn_reset(peer.conn);
  peer_wait_for_close(&peer);
  assert_int_equal(refused.times, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(what_was_not_queued_is_not_told)

static void the_end_of_a_connection_is_told_before_on_close(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  sent_t sent;
  sent_t reply;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_int_equal(send_watched(&peer, &sent, "hello", 0), 1);
  assert_int_equal(send_watched(&peer, &reply, "hello", 1), 1);
  fluxbp_conn_reset(peer.conn);
  assert_int_equal(sent.times + reply.times, 0);
  peer_wait_for_close(&peer);
  assert_int_equal(sent.times, 1);
  assert_int_equal(sent.status, UV_ECANCELED);
  assert_false(sent.was_closed);
  assert_int_equal(reply.times, 1);
  assert_int_equal(reply.status, UV_ECANCELED);
  fixture_close(&fx);
}
FIXTURE_ALL(the_end_of_a_connection_is_told_before_on_close)

static void an_eviction_is_told_as_one(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  sent_t sent;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_int_equal(send_watched(&peer, &sent, "hello", 0), 1);
  fixture_advance(&fx, 11000); /* grace, and the stall */
  assert_int_equal(peer_times_told(&peer, TOLD_EVICTED), 1);
  assert_int_equal(sent.times, 1);
  assert_int_equal(sent.status, UV_ECANCELED);
  fixture_close(&fx);
}
FIXTURE_ALL(an_eviction_is_told_as_one)

static void a_hub_that_closes_tells_it(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  sent_t sent;
  open_refused(&fx, &peer, transport, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_int_equal(send_watched(&peer, &sent, "hello", 0), 1);
  fixture_close_hub(&fx);
  assert_int_equal(sent.times, 1);
  assert_int_equal(sent.status, UV_ECANCELED);
  fixture_close(&fx);
}
FIXTURE_ALL(a_hub_that_closes_tells_it)

/* Sends the next message as soon as one is written. */
static void send_another(fluxbp_conn_t *conn, void *arg, int status) {
  int *times = arg;
  fluxbp_msg_t *msg;
  fluxbp_send_options_t options;
  ++*times;
  if (status != 0) return;
  fluxbp_send_options_init(&options);
  options.on_sent = send_another;
  options.arg = times;
  assert_int_equal(fluxbp_msg_create(fluxbp_hub_pool(fluxbp_conn_hub(conn)), "next", 4, &msg), 0);
  if (fluxbp_conn_send_with(conn, msg, &options) == 1) assert_int_equal(fluxbp_conn_flush(conn), 0);
  fluxbp_msg_unref(msg);
}

static void note_times(peer_t *peer, char told) {
  const int *times = peer->arg;
  if (told == TOLD_CLOSED) peer->fx->arg = (void *) (intptr_t) *times;
}

/* The end of one connection tells what is due, and not what comes of that. */
static void a_chain_of_messages_does_not_keep_the_loop(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  peer_t closing;
  int times = 0;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &closing, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  closing.hook = note_times;
  closing.arg = &times;
  send_another(peer.conn, &times, 0);
  fluxbp_conn_reset(closing.conn);
  peer_wait_for_close(&closing);
  assert_in_range((uintptr_t) fx.arg, 2, 4);
  fixture_close(&fx);
}
FIXTURE_ALL(a_chain_of_messages_does_not_keep_the_loop)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(what_is_written_is_told),
      FIXTURE_ALL_TESTS(what_waits_is_told_when_it_is_written),
      FIXTURE_ALL_TESTS(what_the_rule_drops_is_told),
      FIXTURE_ALL_TESTS(what_was_not_queued_is_not_told),
      FIXTURE_ALL_TESTS(the_end_of_a_connection_is_told_before_on_close),
      FIXTURE_ALL_TESTS(an_eviction_is_told_as_one),
      FIXTURE_ALL_TESTS(a_hub_that_closes_tells_it),
      FIXTURE_ALL_TESTS(a_chain_of_messages_does_not_keep_the_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
