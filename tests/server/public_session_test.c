/* SPDX-License-Identifier: MIT */
/*
 * A session, as a program on the public headers sees it: how it begins, what can be done with it, and how it ends.
 */
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the handlers have seen. */
struct seen {
  size_t connects, opens, closes, messages;
  bool had_request;
  fluxbp_session_t *session; /* the last that was opened */
  int code;
  char reason[128];
  char message[256];
  size_t length;
  fluxbp_kind_t kind;
  int says; /* what on_message returns */
  void *user_at_close;
};

static struct server_fixture f;
static struct seen seen;

static fluxbp_decision_t on_connect(fluxbp_session_t *session, const fluxbp_request_t *request) {
  (void) session;
  seen.connects++;
  seen.had_request = request != NULL;
  return FLUXBP_ALLOW;
}

static void on_open(fluxbp_session_t *session) {
  seen.opens++;
  seen.session = session;
}

static int on_message(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind) {
  (void) session;
  seen.messages++;
  seen.length = length;
  seen.kind = kind;
  assert_true(length <= sizeof seen.message);
  memcpy(seen.message, data, length);
  return seen.says;
}

static void on_close(fluxbp_session_t *session, int code, const char *reason) {
  seen.closes++;
  seen.code = code;
  seen.user_at_close = fluxbp_session_user(session);
  (void) snprintf(seen.reason, sizeof seen.reason, "%s", reason);
}

static int setup(void **state) {
  (void) state;
  memset(&seen, 0, sizeof seen);
  server_fixture_init(&f);
  f.handlers.on_connect = on_connect;
  f.handlers.on_open = on_open;
  f.handlers.on_message = on_message;
  f.handlers.on_close = on_close;
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

/* A client on lines that has begun. */
static void begin(struct peer *peer) {
  size_t opens = seen.opens;
  peer_connect(peer, &f, f.lines);
  run_until_count(&f, &seen.opens, opens + 1);
}

static void assert_ended(int code, const char *reason) {
  run_until_count(&f, &seen.closes, 1);
  assert_int_equal(seen.code, code);
  assert_string_equal(seen.reason, reason);
}

static void it_begins_and_gets_the_default_topic(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  begin(&peer);
  assert_int_equal(seen.connects, 1);
  assert_false(seen.had_request);
  assert_string_equal(fluxbp_session_protocol(seen.session), "lines");
  assert_ptr_equal(fluxbp_session_server(seen.session), f.server);
  assert_int_equal(fluxbp_session_topic_count(seen.session), 1);
  assert_string_equal(fluxbp_session_topic(seen.session, 0), "news");
  assert_int_equal(fluxbp_server_session_count(f.server), 1);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "hello", 5), 0);
  peer_expect(&peer, "hello\n");
  peer_close(&peer);
  assert_ended(FLUXBP_CLOSE_ABNORMAL, "closed by the peer");
}

static void without_a_default_topic_it_has_none(void **state) {
  struct peer peer;
  (void) state;
  f.options.topic = NULL;
  server_fixture_start(&f);
  begin(&peer);
  assert_int_equal(fluxbp_session_topic_count(seen.session), 0);
  peer_close(&peer);
}

static void it_is_subscribed_and_unsubscribed_by_the_program(void **state) {
  struct peer peer;
  (void) state;
  f.options.max_topics_per_session = 2;
  server_fixture_start(&f);
  begin(&peer);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "room:1"), 0);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "room:1"), 0);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "room:2"), UV_E2BIG);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "no name"), UV_EINVAL);
  assert_int_equal(fluxbp_session_topic_count(seen.session), 2);
  assert_int_equal(fluxbp_session_unsubscribe(seen.session, "news"), 0);
  assert_int_equal(fluxbp_session_unsubscribe(seen.session, "news"), UV_ENOENT);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "not for it", 10), 0);
  assert_int_equal(fluxbp_server_publish(f.server, "room:1", NULL, "for it", 6), 0);
  peer_expect(&peer, "for it\n");
  assert_int_equal(peer.received, 0);
  peer_close(&peer);
}

static void it_publishes_to_all_others(void **state) {
  struct peer sender, other;
  (void) state;
  server_fixture_start(&f);
  begin(&other);
  begin(&sender);
  assert_int_equal(fluxbp_session_publish(seen.session, "news", "from me", 7), 0);
  assert_int_equal(fluxbp_session_publish(seen.session, "no name", "from me", 7), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "to all", 6), 0);
  peer_expect(&other, "from me\nto all\n");
  while (sender.received == 0) peer_receive(&sender);
  assert_string_equal(sender.text, "to all\n");
  fluxbp_session_t *session = seen.session;
  fluxbp_server_close(f.server, 0, NULL);
  assert_int_equal(fluxbp_session_publish(session, "news", "from me", 7), UV_ECANCELED);
  f.server = NULL;
  peer_close(&sender);
  peer_close(&other);
}

static void it_is_subscribed_to_a_pattern(void **state) {
  struct peer peer;
  (void) state;
  f.options.topic = NULL;
  server_fixture_start(&f);
  begin(&peer);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "orders.*x"), UV_EINVAL);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "$watch.>"), UV_EINVAL);
  assert_int_equal(fluxbp_session_subscribe(seen.session, "orders.>"), 0);
  assert_string_equal(fluxbp_session_topic(seen.session, 0), "orders.>");
  assert_int_equal(fluxbp_server_publish(f.server, "orders.7.paid", NULL, "paid", 4), 0);
  peer_expect(&peer, "paid\n");
  assert_int_equal(fluxbp_session_unsubscribe(seen.session, "orders.>"), 0);
  assert_int_equal(fluxbp_server_publish(f.server, "orders.7.sent", NULL, "sent", 4), 0);
  peer_send(&peer, "PING\n");
  peer_expect(&peer, "+PONG\n");
  assert_int_equal(peer.received, 0);
  peer_close(&peer);
}

static void it_has_a_name_a_pointer_and_an_address(void **state) {
  struct peer peer;
  char address[FLUXBP_ADDRESS_TEXT_BYTES];
  char long_name[FLUXBP_SESSION_NAME_BYTES + 2];
  static int kept;
  (void) state;
  server_fixture_start(&f);
  begin(&peer);
  assert_null(fluxbp_session_name(seen.session));
  assert_null(fluxbp_session_user(seen.session));
  peer_send(&peer, "NAME ann\n");
  peer_expect(&peer, "+OK NAME\n");
  assert_string_equal(fluxbp_session_name(seen.session), "ann");
  memset(long_name, 'x', sizeof long_name);
  assert_int_equal(fluxbp_session_set_name(seen.session, long_name, sizeof long_name), 0);
  assert_int_equal(strlen(fluxbp_session_name(seen.session)), FLUXBP_SESSION_NAME_BYTES);
  assert_int_equal(fluxbp_session_set_name(seen.session, "", 0), 0);
  assert_null(fluxbp_session_name(seen.session));
  assert_int_equal(fluxbp_session_set_user(seen.session, &kept), 0);
  assert_ptr_equal(fluxbp_session_user(seen.session), &kept);
  fluxbp_session_address(seen.session, address);
  assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
  assert_int_equal(fluxbp_session_roles(seen.session), FLUXBP_ROLE_ALL);
  assert_true(fluxbp_session_id(seen.session) > 0);
  peer_close(&peer);
  run_until_count(&f, &seen.closes, 1);
  assert_ptr_equal(seen.user_at_close, &kept);
}

static void it_is_sent_to_as_its_protocol_shows_messages(void **state) {
  struct peer lines, frames, socket, json, events;
  (void) state;
  server_fixture_start(&f);
  begin(&lines);
  assert_int_equal(fluxbp_session_send(seen.session, "to you", 6), 0);
  peer_expect(&lines, "to you\n");
  assert_int_equal(fluxbp_session_send(seen.session, "", 0), UV_EINVAL);
  assert_int_equal(fluxbp_session_send(seen.session, "two\nlines", 9), UV_EINVAL);

  peer_connect(&frames, &f, f.length);
  run_until_count(&f, &seen.opens, 2);
  assert_int_equal(fluxbp_session_send(seen.session, "to you", 6), 0);
  peer_expect(&frames, "to you");

  peer_connect(&socket, &f, f.http);
  peer_upgrade(&socket, "/ws");
  assert_true(seen.had_request);
  assert_int_equal(fluxbp_session_send(seen.session, "to you", 6), 0);
  peer_expect_frame(&socket, 1, "to you", 6);
  assert_int_equal(fluxbp_session_send(seen.session, "\xff", 1), 0);
  peer_expect_frame(&socket, 2, "\xff", 1);

  peer_connect(&json, &f, f.http);
  peer_upgrade(&json, "/ws?format=json");
  assert_int_equal(fluxbp_session_send(seen.session, "to you", 6), 0);
  peer_expect(&json, "\"data\":\"to you\"}");

  peer_connect(&events, &f, f.http);
  peer_send(&events, "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
  run_until_count(&f, &seen.opens, 5);
  assert_string_equal(fluxbp_session_protocol(seen.session), "sse");
  assert_int_equal(fluxbp_session_send(seen.session, "to you", 6), 0);
  peer_expect(&events, "data: to you\n\n");

  char long_text[8192];
  memset(long_text, 'x', sizeof long_text);
  assert_int_equal(fluxbp_session_send(seen.session, long_text, sizeof long_text), 0);
  peer_expect(&events, "xxx\n\n");
  peer_close(&lines);
  peer_close(&frames);
  peer_close(&socket);
  peer_close(&json);
  peer_close(&events);
}

static void it_is_sent_to_compressed_if_its_client_agreed_on_that(void **state) {
  static const char request[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
  static const char blocks[] = "\x4a\x4c\x1c\x05\xa3\x60\x14\x0c\x77\x00\x00";
  char text[1000];
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, request);
  peer_expect(&peer, "Sec-WebSocket-Extensions: permessage-deflate;");
  peer_expect(&peer, "\r\n\r\n");
  memset(text, 'a', sizeof text);
  assert_int_equal(fluxbp_session_send(seen.session, text, sizeof text), 0);
  peer_expect_frame(&peer, 0x41, blocks, sizeof blocks - 1);
  assert_int_equal(fluxbp_session_send(seen.session, text, 100), 0); /* shorter than compress_bytes */
  peer_expect_frame(&peer, 1, text, 100);
  peer_close(&peer);
}

static void the_program_closes_it_with_a_code_and_a_reason(void **state) {
  struct peer peer;
  char reason[] = "thrown out";
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  fluxbp_session_close(seen.session, 4100, reason);
  memset(reason, '-', sizeof reason - 1); /* it was copied */
  fluxbp_session_close(seen.session, 4101, "again");
  assert_int_equal(fluxbp_session_send(seen.session, "x", 1), UV_ENOTCONN);
  peer_expect_close_frame(&peer, 4100, "thrown out");
  peer_close(&peer);
  assert_ended(4100, "thrown out");
}

static void the_program_closes_it_without_a_reason(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  fluxbp_session_close(seen.session, 4100, NULL);
  peer_expect_close_frame(&peer, 4100, "");
  peer_close(&peer);
  assert_ended(4100, "");
}

static void a_client_closes_with_a_code(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  peer_send_frame(&peer, 8, "\x0f\xa1", 2); /* 4001 */
  peer_expect_end(&peer);
  peer_close(&peer);
  assert_ended(4001, "closed by the client");
}

static void a_client_says_quit(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  begin(&peer);
  peer_send(&peer, "QUIT\n");
  peer_expect(&peer, "+OK QUIT\n");
  peer_expect_end(&peer);
  peer_close(&peer);
  assert_ended(FLUXBP_CLOSE_NORMAL, "QUIT");
}

static void a_client_that_breaks_the_rules_is_closed(void **state) {
  struct peer peer;
  (void) state;
  f.handlers.on_message = NULL;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  peer_send_frame(&peer, 2, "binary", 6);
  peer_expect_end(&peer);
  peer_close(&peer);
  assert_ended(FLUXBP_CLOSE_UNSUPPORTED, "commands are text; send no binary messages");
}

static void an_evicted_client_has_the_verdict_as_its_reason(void **state) {
  struct peer peer;
  static char message[32768];
  (void) state;
  memset(message, 'x', sizeof message);
  f.options.policy.slots = 4;
  f.options.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  server_fixture_start(&f);
  begin(&peer);
  while (seen.closes == 0) {
    (void) fluxbp_server_publish(f.server, "news", NULL, message, sizeof message);
    (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  }
  assert_ended(FLUXBP_CLOSE_SLOW, "overflow");
  peer_close(&peer);
}

static void a_closing_server_tells_its_clients(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  fluxbp_server_close(f.server, 1000, NULL);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_SHUTTING_DOWN, "shutting down");
  peer_close(&peer);
  f.server = NULL;
  assert_ended(FLUXBP_CLOSE_SHUTTING_DOWN, "shutting down");
}

static void messages_of_its_own_come_to_the_program(void **state) {
  struct peer lines, frames, socket;
  static const char frame[] = "\0\0\0\4\1\2\3\4";
  (void) state;
  server_fixture_start(&f);
  begin(&lines);
  peer_send(&lines, "/join lobby\r\nPING\n");
  peer_expect(&lines, "+PONG\n"); /* commands are still ours */
  assert_int_equal(seen.messages, 1);
  assert_int_equal(seen.kind, FLUXBP_KIND_TEXT);
  assert_int_equal(seen.length, 11);
  assert_memory_equal(seen.message, "/join lobby", 11);

  peer_connect(&frames, &f, f.length);
  peer_send_bytes(&frames, frame, sizeof frame - 1);
  run_until_count(&f, &seen.messages, 2);
  assert_int_equal(seen.kind, FLUXBP_KIND_BINARY);
  assert_memory_equal(seen.message, "\1\2\3\4", 4);

  peer_connect(&socket, &f, f.http);
  peer_upgrade(&socket, "/ws");
  peer_send_frame(&socket, 1, "hello \n", 7); /* as it is, with its blanks */
  run_until_count(&f, &seen.messages, 3);
  assert_int_equal(seen.kind, FLUXBP_KIND_TEXT);
  assert_int_equal(seen.length, 7);
  peer_send_frame(&socket, 2, "PING", 4); /* binary is no command */
  run_until_count(&f, &seen.messages, 4);
  assert_int_equal(seen.kind, FLUXBP_KIND_BINARY);
  peer_close(&lines);
  peer_close(&frames);
  peer_close(&socket);
}

static void a_message_for_which_there_is_no_room_comes_again(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  begin(&peer);
  seen.says = UV_EAGAIN;
  peer_send(&peer, "first\nsecond\n");
  run_until_count(&f, &seen.messages, 3);
  assert_memory_equal(seen.message, "first", 5);
  seen.says = 0;
  size_t messages = seen.messages;
  run_until_count(&f, &seen.messages, messages + 2);
  assert_memory_equal(seen.message, "second", 6);
  peer_close(&peer);
}

static void without_commands_everything_is_a_message(void **state) {
  struct peer peer;
  (void) state;
  f.options.parts = FLUXBP_PART_ALL & ~FLUXBP_PART_COMMANDS;
  server_fixture_start(&f);
  begin(&peer);
  peer_send(&peer, "SUB other\n");
  run_until_count(&f, &seen.messages, 1);
  assert_memory_equal(seen.message, "SUB other", 9);
  assert_int_equal(fluxbp_session_topic_count(seen.session), 1);
  peer_close(&peer);
}

/* Visiting. */

struct visits {
  size_t sessions;
  bool is_done;
};

static void visit(fluxbp_session_t *session, void *arg) {
  struct visits *visits = arg;
  visits->sessions++;
  (void) fluxbp_session_send(session, "hello, all", 10);
}

static void on_visited(fluxbp_server_t *server, void *arg) {
  struct visits *visits = arg;
  assert_ptr_equal(server, f.server);
  visits->is_done = true;
}

static void all_of_them_can_be_visited(void **state) {
  struct peer one, other;
  struct visits visits = {0};
  (void) state;
  server_fixture_start(&f);
  begin(&one);
  begin(&other);
  assert_int_equal(fluxbp_server_each_session(f.server, visit, on_visited, &visits), 0);
  assert_int_equal(visits.sessions, 0); /* not inside of the call */
  run_until(&f, &visits.is_done);
  assert_int_equal(visits.sessions, 2);
  peer_expect(&one, "hello, all\n");
  peer_expect(&other, "hello, all\n");
  peer_close(&one);
  peer_close(&other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(it_begins_and_gets_the_default_topic, setup, teardown),
      cmocka_unit_test_setup_teardown(without_a_default_topic_it_has_none, setup, teardown),
      cmocka_unit_test_setup_teardown(it_is_subscribed_and_unsubscribed_by_the_program, setup, teardown),
      cmocka_unit_test_setup_teardown(it_publishes_to_all_others, setup, teardown),
      cmocka_unit_test_setup_teardown(it_is_subscribed_to_a_pattern, setup, teardown),
      cmocka_unit_test_setup_teardown(it_has_a_name_a_pointer_and_an_address, setup, teardown),
      cmocka_unit_test_setup_teardown(it_is_sent_to_as_its_protocol_shows_messages, setup, teardown),
      cmocka_unit_test_setup_teardown(it_is_sent_to_compressed_if_its_client_agreed_on_that, setup, teardown),
      cmocka_unit_test_setup_teardown(the_program_closes_it_with_a_code_and_a_reason, setup, teardown),
      cmocka_unit_test_setup_teardown(the_program_closes_it_without_a_reason, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_closes_with_a_code, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_says_quit, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_that_breaks_the_rules_is_closed, setup, teardown),
      cmocka_unit_test_setup_teardown(an_evicted_client_has_the_verdict_as_its_reason, setup, teardown),
      cmocka_unit_test_setup_teardown(a_closing_server_tells_its_clients, setup, teardown),
      cmocka_unit_test_setup_teardown(messages_of_its_own_come_to_the_program, setup, teardown),
      cmocka_unit_test_setup_teardown(a_message_for_which_there_is_no_room_comes_again, setup, teardown),
      cmocka_unit_test_setup_teardown(without_commands_everything_is_a_message, setup, teardown),
      cmocka_unit_test_setup_teardown(all_of_them_can_be_visited, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
