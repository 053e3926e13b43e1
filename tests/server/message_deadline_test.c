/* SPDX-License-Identifier: MIT */
/*
 * message_deadline: a message of a client has to be whole within message_ms of its first byte, in every protocol. The
 * sockets are real; the clock of the deadlines is put forward by the tests.
 */
#include "server/server.h"
#include "server/session/answers.h"
#include "server/session/intake.h"
#include "server/session/session.h"
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define LATE "a message did not come in time: message_ms is the time from its first byte to its last"

enum { MESSAGE_MS = 1000000, PING_MS = 10000000, PIECE_MS = MESSAGE_MS / 8, HANDSHAKE_MS = 500000 };

static struct server_fixture f;

static int setup(void **state) {
  (void) state;
  server_fixture_init(&f);
  f.options.topic = NULL;
  f.options.message_ms = MESSAGE_MS;
  f.options.handshake_ms = HANDSHAKE_MS;
  f.options.ping_ms = PING_MS;
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

/* Have the server read what was sent, put its clock forward, and have it look at the deadlines. */
static void pass(uint64_t ms) {
  struct shard *shard = &f.server->shards.list[0];
  for (int i = 0; i < 10; i++) step_once(&f);
  shard->clock_ms += ms;
  uint64_t ticked_ms = shard->ticked_ms;
  while (shard->ticked_ms == ticked_ms) step_once(&f);
}

static void assert_open(struct peer *peer) {
  for (int i = 0; i < 10; i++) peer_receive(peer);
  assert_false(peer->has_ended);
}

/* Send a byte at a time, with a seventh of the deadline in total to go: the last byte comes too late. */
static void trickle(struct peer *peer, const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    assert_open(peer);
    peer_send_bytes(peer, bytes + i, 1);
    pass(PIECE_MS);
  }
}

static void assert_late(uint64_t count) {
  assert_int_equal(atomic_load(&f.server->late_messages), count);
}

/* Lines. */

static void a_line_that_trickles_in_is_ended(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  trickle(&peer, "PUB news", 8);
  peer_expect(&peer, "-ERR " LATE "\n");
  peer_expect_end(&peer);
  assert_late(1);
  peer_close(&peer);
}

static void each_line_has_the_time_for_itself(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  for (int i = 0; i < 3; i++) {
    peer_send(&peer, "NG\nPI" + (i == 0 ? 3 : 0)); /* the end of one, and the beginning of the next */
    pass(MESSAGE_MS - PIECE_MS);
    assert_open(&peer);
  }
  peer_send(&peer, "NG\n");
  for (int i = 0; i < 3; i++) peer_expect(&peer, "+PONG\n");
  pass(2 * MESSAGE_MS); /* between two messages there is no deadline */
  assert_open(&peer);
  assert_late(0);
  peer_close(&peer);
}

static void a_client_without_a_token_has_the_time_of_the_handshake(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  f.server->listeners[f.lines].free_roles = 0; /* as if subscribing took a token */
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "AUTH abc");
  pass(HANDSHAKE_MS - PIECE_MS);
  assert_open(&peer);
  pass(PIECE_MS);
  peer_expect(&peer, "-ERR no token came in time: AUTH token first\n");
  peer_expect_end(&peer);
  assert_late(0);
  peer_close(&peer);
}

static void zero_switches_it_off(void **state) {
  struct peer peer;
  (void) state;
  f.options.message_ms = 0;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "PI");
  pass(1000 * MESSAGE_MS);
  assert_open(&peer);
  peer_send(&peer, "NG\n");
  peer_expect(&peer, "+PONG\n");
  peer_close(&peer);
}

/* A client whose answer can't be said isn't read, so it can't end its message. */

static fluxbp_session_t *visited;

static void note_session(fluxbp_session_t *session, void *arg) {
  visited = session;
  *(bool *) arg = true;
}

static void fill_the_ring(void) {
  static char text[60000];
  memset(text, 'x', sizeof text);
  while (answers_have_room(visited)) {
    while (fluxbp_server_publish(f.server, "news", NULL, text, sizeof text) != 0) step_once(&f);
    step_once(&f);
  }
}

static void read_all(struct peer *peer) {
  static char bytes[1 << 20];
  while (intake_is_held(visited)) {
    step_once(&f);
    (void) recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  }
  for (int i = 0; i < 10; i++) step_once(&f);
  while (recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) step_once(&f);
}

static void a_client_that_is_not_read_is_not_blamed(void **state) {
  struct peer peer;
  bool is_there = false;
  (void) state;
  f.options.topic = "news";
  f.options.policy.stall_ms = f.options.policy.slow_ms = 0;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "PI");
  while (fluxbp_server_session_count(f.server) == 0) step_once(&f);
  assert_int_equal(fluxbp_server_each_session(f.server, note_session, NULL, &is_there), 0);
  run_until(&f, &is_there);
  fill_the_ring();
  answers_say(visited, "+OK at last", 11);
  assert_true(intake_is_held(visited));
  for (int i = 0; i < 3; i++) pass(MESSAGE_MS);
  pass(MESSAGE_MS - PIECE_MS);
  assert_false(visited->is_closing);
  read_all(&peer);
  pass(MESSAGE_MS - PIECE_MS); /* from now on it is read */
  assert_open(&peer);
  assert_late(0);
  pass(PIECE_MS);
  peer_expect(&peer, LATE);
  peer_expect_end(&peer);
  peer_close(&peer);
}

/* Frames. */

static void half_a_length_is_ended(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.length);
  peer_send_bytes(&peer, "\0\0", 2);
  pass(MESSAGE_MS - PIECE_MS);
  assert_open(&peer);
  pass(PIECE_MS);
  peer_expect(&peer, LATE);
  peer_expect_end(&peer);
  peer_close(&peer);
}

static void a_frame_that_trickles_in_is_ended(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.length);
  peer_send_bytes(&peer, "\0\0\0\4PING\0", 9); /* and the beginning of the next one */
  peer_expect(&peer, "+PONG");
  pass(PIECE_MS);
  trickle(&peer, "\0\0\4PIN", 6);
  assert_open(&peer);
  pass(PIECE_MS);
  peer_expect(&peer, LATE);
  peer_expect_end(&peer);
  assert_late(1);
  peer_close(&peer);
}

/* WebSockets. */

static void connect_websocket(struct peer *peer) {
  peer_connect(peer, &f, f.http);
  peer_upgrade(peer, "/ws");
}

static void half_a_header_is_ended(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  connect_websocket(&peer);
  peer_send_bytes(&peer, "\x81", 1);
  pass(MESSAGE_MS - PIECE_MS);
  assert_open(&peer);
  pass(PIECE_MS);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_POLICY, LATE);
  assert_late(1);
  peer_close(&peer);
}

static void a_message_in_fragments_that_trickle_in_is_ended(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  connect_websocket(&peer);
  peer_send_bytes(&peer, "\x01\x80\0\0\0\0", 6); /* the first fragment, which is empty */
  for (int i = 0; i < 7; i++) {                  /* whole frames, of which none ends the message */
    pass(PIECE_MS);
    assert_open(&peer);
    peer_send_bytes(&peer, "\x00\x81\0\0\0\0x", 7);
    peer_send_frame(&peer, WEBSOCKET_PING, "", 0);
    peer_expect_frame(&peer, 10, "", 0);
  }
  pass(PIECE_MS);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_POLICY, LATE);
  peer_close(&peer);
}

static void a_control_frame_ends_its_own_time(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  connect_websocket(&peer);
  for (int i = 0; i < 3; i++) {
    peer_send_bytes(&peer, "\x89\x80\0\0", 4);
    pass(MESSAGE_MS - PIECE_MS);
    peer_send_bytes(&peer, "\0\0", 2);
    peer_expect_frame(&peer, 10, "", 0);
  }
  peer_send_frame(&peer, 1, "PING", 4);
  peer_expect_frame(&peer, 1, "+PONG", 5);
  pass(2 * MESSAGE_MS);
  assert_open(&peer);
  assert_late(0);
  peer_close(&peer);
}

/* The ping waits for the end of the message, and no longer. */
static void a_ping_that_is_overdue_follows_the_message(void **state) {
  struct peer peer;
  (void) state;
  f.options.ping_ms = MESSAGE_MS / 4;
  server_fixture_start(&f);
  connect_websocket(&peer);
  pass(0);
  for (int i = 0; i < 2; i++) { /* each takes half of the time between two pings */
    peer_send_bytes(&peer, "\x81\x84\0\0\0\0PI", 8);
    pass(PIECE_MS);
    peer_send_bytes(&peer, "NG", 2);
    peer_expect_frame(&peer, 1, "+PONG", 5);
  }
  peer_expect_frame(&peer, WEBSOCKET_PING, "", 0);
  peer_send_bytes(&peer, "\x81\x84\0\0\0\0PI", 8); /* a part of a message is an answer to the ping */
  pass(MESSAGE_MS - PIECE_MS);
  assert_open(&peer);
  assert_int_equal(peer.received, 0);
  peer_send_bytes(&peer, "NG", 2);
  peer_expect_frame(&peer, 1, "+PONG", 5);
  peer_expect_frame(&peer, WEBSOCKET_PING, "", 0);
  pass(MESSAGE_MS / 4);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_POLICY, "no answer to a ping");
  assert_late(0);
  peer_close(&peer);
}

/* Requests have handshake_ms. */

static void a_body_that_trickles_in_is_ended(void **state) {
  static const char HEAD[] =
      "POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  for (int requests = 0; requests < 2; requests++) { /* the first of its connection, and a later one */
    peer_connect(&peer, &f, f.http);
    if (requests == 1) peer_send(&peer, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (requests == 1) peer_expect(&peer, "ok\n");
    peer_send(&peer, HEAD);
    for (int i = 0; i < 4; i++) {
      assert_open(&peer);
      peer_send(&peer, "x");
      pass(HANDSHAKE_MS / 4);
    }
    peer_expect(&peer, "HTTP/1.1 408 ");
    peer_expect(&peer, "Connection: close\r\n");
    peer_expect_end(&peer);
    peer_close(&peer);
  }
}

static void late_messages_are_in_the_statistics(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "x");
  pass(MESSAGE_MS);
  peer_expect_end(&peer);
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer,
            "GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "\"late_messages\":1,");
  peer_expect(&peer, "\nfluxbp_gateway_late_messages_total 1\n");
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_line_that_trickles_in_is_ended, setup, teardown),
      cmocka_unit_test_setup_teardown(each_line_has_the_time_for_itself, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_without_a_token_has_the_time_of_the_handshake, setup, teardown),
      cmocka_unit_test_setup_teardown(zero_switches_it_off, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_that_is_not_read_is_not_blamed, setup, teardown),
      cmocka_unit_test_setup_teardown(half_a_length_is_ended, setup, teardown),
      cmocka_unit_test_setup_teardown(a_frame_that_trickles_in_is_ended, setup, teardown),
      cmocka_unit_test_setup_teardown(half_a_header_is_ended, setup, teardown),
      cmocka_unit_test_setup_teardown(a_message_in_fragments_that_trickle_in_is_ended, setup, teardown),
      cmocka_unit_test_setup_teardown(a_control_frame_ends_its_own_time, setup, teardown),
      cmocka_unit_test_setup_teardown(a_ping_that_is_overdue_follows_the_message, setup, teardown),
      cmocka_unit_test_setup_teardown(a_body_that_trickles_in_is_ended, setup, teardown),
      cmocka_unit_test_setup_teardown(late_messages_are_in_the_statistics, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
