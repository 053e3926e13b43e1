/* SPDX-License-Identifier: MIT */
/*
 * The peer says that it sends no more, and still reads.
 */
#include "support/fixture.h"

#include <string.h>
#include <sys/socket.h>

static void answer_the_last_word(peer_t *peer, char told) {
  if (told != TOLD_DATA) return;
  char answer[4096];
  memset(answer, 'a', sizeof answer);
  for (int i = 0; i < 20; i++) assert_int_equal(fixture_send(peer, answer, sizeof answer), 1);
}

static void answer_arrives_though_the_peer_has_said_fin(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer.hook = answer_the_last_word;
  assert_int_equal(send(peer.fd, "question", 8, 0), 8);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.len, 20 * 4096);
  assert_true(peer.has_eof);
  assert_string_equal(peer.trace, "DX");
  assert_int_equal(peer.close_status, UV_EOF);
  fixture_close(&fx);
}
FIXTURE_ALL(answer_arrives_though_the_peer_has_said_fin)

static void peer_that_says_fin_and_does_not_read_is_given_a_second(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  peer_wait_for_state(&peer, FLUXBP__CONN_DRAINING);
  assert_int_equal(fluxbp_topic_subscribers(fx.topic), 0);
  fixture_advance(&fx, 750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_advance(&fx, 250);
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_EOF);
  fixture_close(&fx);
}
FIXTURE_ALL(peer_that_says_fin_and_does_not_read_is_given_a_second)

static int half_closes;

static int keep_open(fluxbp_conn_t *conn) {
  (void) conn;
  half_closes++;
  return 1;
}

static int reset_it(fluxbp_conn_t *conn) {
  fluxbp_conn_reset(conn);
  return 0;
}

/* With the handlers that it has, and this one. */
static void set_on_half_close(peer_t *peer, fluxbp_conn_handlers_t *handlers, int (*on_half_close)(fluxbp_conn_t *)) {
  *handlers = *peer->conn->handlers;
  handlers->on_half_close = on_half_close;
  peer->conn->handlers = handlers;
  half_closes = 0;
}

static bool was_told(fixture_t *fx, void *arg) {
  (void) fx;
  (void) arg;
  return half_closes > 0;
}

/* The answer takes longer than a second. */
static void it_stays_open_if_its_user_says_so(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_conn_handlers_t handlers;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  set_on_half_close(&peer, &handlers, keep_open);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  fixture_run_until(&fx, was_told, NULL, false);
  fixture_advance(&fx, 5000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(fixture_publish(&fx, fx.topic, "news ", 5), 1);
  assert_int_equal(fixture_send(&peer, "answer", 6), 1);
  fluxbp_conn_close(peer.conn, 1000);
  peer_wait_for_close(&peer);
  peer_expects(&peer, "news answer");
  assert_true(peer.has_eof);
  assert_int_equal(half_closes, 1);
  assert_string_equal(peer.trace, "X");
  assert_int_equal(peer.close_status, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(it_stays_open_if_its_user_says_so)

static void it_may_be_reset_when_that_is_told(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fluxbp_conn_handlers_t handlers;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  set_on_half_close(&peer, &handlers, reset_it);
  assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.close_status, UV_ECANCELED);
  fixture_close(&fx);
}
FIXTURE_ALL(it_may_be_reset_when_that_is_told)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(answer_arrives_though_the_peer_has_said_fin),
      FIXTURE_ALL_TESTS(peer_that_says_fin_and_does_not_read_is_given_a_second),
      FIXTURE_ALL_TESTS(it_stays_open_if_its_user_says_so),
      FIXTURE_ALL_TESTS(it_may_be_reset_when_that_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
