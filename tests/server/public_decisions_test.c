/* SPDX-License-Identifier: MIT */
/*
 * Decisions of a program on the public headers: at once and later, from the loop and from another thread, and when
 * nobody waits for them any more.
 */
#include "support/server_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* What a handler says to a question. */
enum plan { SAYS_ALLOW, SAYS_REFUSE, SAYS_LATER };

static struct server_fixture f;
static enum plan connect_plan, subscribe_plan, publish_plan;
static size_t connects, subscribes, publishes, opens, closes;
static char topic_asked[80], key_asked[80], data_asked[80];
static fluxbp_deferral_t *deferral;

static fluxbp_decision_t follow(fluxbp_session_t *session, enum plan plan, const char *reason) {
  if (plan == SAYS_REFUSE) return fluxbp_session_refuse(session, reason);
  if (plan == SAYS_ALLOW) return FLUXBP_ALLOW;
  deferral = fluxbp_session_defer(session);
  assert_non_null(deferral);
  return FLUXBP_LATER;
}

static fluxbp_decision_t on_connect(fluxbp_session_t *session, const fluxbp_request_t *request) {
  char text[16];
  connects++;
  if (request != NULL && fluxbp_request_parameter(request, "name", text, sizeof text) > 0 && strcmp(text, "eve") == 0)
    return fluxbp_session_refuse(session, "not you, eve");
  if (request != NULL && fluxbp_request_parameter(request, "_ticket", text, sizeof text) > 0 && strcmp(text, "7") != 0)
    return fluxbp_session_refuse(session, NULL);
  return follow(session, connect_plan, "members only");
}

static void on_open(fluxbp_session_t *session) {
  (void) session;
  opens++;
}

static fluxbp_decision_t on_subscribe(fluxbp_session_t *session, const char *topic) {
  subscribes++;
  (void) snprintf(topic_asked, sizeof topic_asked, "%s", topic);
  return follow(session, subscribe_plan, "no such room");
}

static fluxbp_decision_t on_publish(fluxbp_session_t *session, const char *topic, const char *key, const void *data,
                                    size_t length) {
  publishes++;
  (void) snprintf(topic_asked, sizeof topic_asked, "%s", topic);
  (void) snprintf(key_asked, sizeof key_asked, "%s", key != NULL ? key : "");
  (void) snprintf(data_asked, sizeof data_asked, "%.*s", (int) length, data != NULL ? (const char *) data : "");
  return follow(session, publish_plan, "read only");
}

static void on_close(fluxbp_session_t *session, int code, const char *reason) {
  (void) session;
  (void) code;
  (void) reason;
  closes++;
}

static int setup(void **state) {
  static const char *const states[] = {"prices"};
  (void) state;
  connect_plan = subscribe_plan = publish_plan = SAYS_ALLOW;
  connects = subscribes = publishes = opens = closes = 0;
  deferral = NULL;
  server_fixture_init(&f);
  f.options.state_topics = (fluxbp_text_list_t){states, 1};
  f.handlers.on_connect = on_connect;
  f.handlers.on_open = on_open;
  f.handlers.on_subscribe = on_subscribe;
  f.handlers.on_publish = on_publish;
  f.handlers.on_close = on_close;
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

/* Decide on another thread, which has ended when this returns. */
struct thread_decision {
  fluxbp_deferral_t *deferral;
  fluxbp_decision_t decision;
  const char *reason;
};

static void decide(void *arg) {
  const struct thread_decision *made = arg;
  fluxbp_deferral_decide(made->deferral, made->decision, made->reason);
}

static void decide_elsewhere(fluxbp_decision_t decision, const char *reason) {
  struct thread_decision made = {deferral, decision, reason};
  uv_thread_t thread;
  assert_int_equal(uv_thread_create(&thread, decide, &made), 0);
  assert_int_equal(uv_thread_join(&thread), 0);
  deferral = NULL;
}

static void a_client_is_refused_at_once(void **state) {
  struct peer lines, socket, events;
  (void) state;
  connect_plan = SAYS_REFUSE;
  server_fixture_start(&f);
  peer_connect(&lines, &f, f.lines);
  peer_expect(&lines, "-ERR members only\n");
  peer_expect_end(&lines);
  peer_connect(&socket, &f, f.http);
  peer_upgrade(&socket, "/ws");
  peer_expect_close_frame(&socket, FLUXBP_CLOSE_POLICY, "members only");
  peer_connect(&events, &f, f.http);
  peer_send(&events, "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&events, "HTTP/1.1 403 ");
  peer_expect(&events, "{\"error\":\"members only\"}");
  peer_close(&lines);
  peer_close(&socket);
  peer_close(&events);
  run_until_count(&f, &closes, 3);
  assert_int_equal(opens, 0);
  assert_int_equal(fluxbp_server_session_count(f.server), 0);
}

static void the_request_can_be_looked_at(void **state) {
  struct peer ann, eve;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&ann, &f, f.http);
  peer_upgrade(&ann, "/ws?name=ann");
  peer_connect(&eve, &f, f.http);
  peer_upgrade(&eve, "/ws?name=eve");
  peer_expect_close_frame(&eve, FLUXBP_CLOSE_POLICY, "not you, eve");
  assert_int_equal(opens, 1);
  peer_close(&ann);
  peer_close(&eve);
}

static void the_request_has_parameters_of_the_program(void **state) {
  struct peer ann, eve;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&ann, &f, f.http);
  peer_upgrade(&ann, "/ws?_ticket=7");
  peer_connect(&eve, &f, f.http);
  peer_upgrade(&eve, "/ws?_ticket=8");
  peer_expect_close_frame(&eve, FLUXBP_CLOSE_POLICY, "not allowed");
  assert_int_equal(opens, 1);
  peer_close(&ann);
  peer_close(&eve);
}

static void a_client_on_lines_is_let_in_later(void **state) {
  struct peer peer;
  (void) state;
  connect_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "PING\n");
  run_until_count(&f, &connects, 1);
  for (int i = 0; i < 20; i++) peer_receive(&peer);
  assert_int_equal(peer.received, 0);
  assert_int_equal(opens, 0);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  peer_expect(&peer, "+PONG\n"); /* what it has sent meanwhile is done then */
  assert_int_equal(opens, 1);
  assert_int_equal(connects, 1);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "hello", 5), 0);
  peer_expect(&peer, "hello\n");
  peer_close(&peer);
}

static void a_client_on_lines_is_refused_later(void **state) {
  struct peer peer;
  (void) state;
  connect_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  run_until_count(&f, &connects, 1);
  decide_elsewhere(FLUXBP_REFUSE, "not today");
  peer_expect(&peer, "-ERR not today\n");
  peer_expect_end(&peer);
  peer_close(&peer);
  run_until_count(&f, &closes, 1);
}

/* Each of its topics is a question, and each decision comes later. */
static void a_websocket_waits_for_all_its_decisions(void **state) {
  struct peer peer;
  (void) state;
  connect_plan = subscribe_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /ws?topic=a,b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
  peer_send_frame(&peer, 1, "PING", 4); /* before it knows */
  run_until_count(&f, &connects, 1);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  run_until_count(&f, &subscribes, 1);
  assert_string_equal(topic_asked, "a");
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  run_until_count(&f, &subscribes, 2);
  assert_string_equal(topic_asked, "b");
  assert_int_equal(opens, 0);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  peer_expect(&peer, "\r\n\r\n");
  peer_expect_frame(&peer, 1, "+PONG", 5);
  assert_int_equal(opens, 1);
  assert_int_equal(connects, 1);
  assert_int_equal(subscribes, 2);
  assert_int_equal(fluxbp_server_publish(f.server, "b", NULL, "hello", 5), 0);
  peer_expect_frame(&peer, 1, "hello", 5);
  peer_close(&peer);
}

static void a_stream_of_events_is_refused_a_topic_later(void **state) {
  struct peer peer;
  (void) state;
  subscribe_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=secret HTTP/1.1\r\nHost: localhost\r\n\r\n");
  run_until_count(&f, &subscribes, 1);
  decide_elsewhere(FLUXBP_REFUSE, NULL);
  peer_expect(&peer, "HTTP/1.1 403 ");
  peer_expect(&peer, "{\"error\":\"not allowed\"}");
  peer_send(&peer, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"); /* the connection goes on */
  peer_expect(&peer, "HTTP/1.1 200 ");
  peer_close(&peer);
}

static void a_subscription_is_decided_at_once_or_later(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  subscribe_plan = SAYS_REFUSE;
  peer_send(&peer, "SUB a\n");
  peer_expect(&peer, "-ERR no such room\n");
  subscribe_plan = SAYS_LATER;
  peer_send(&peer, "SUB b\nPING\n");
  run_until_count(&f, &subscribes, 2);
  assert_int_equal(peer.received, 0);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  peer_expect(&peer, "+OK SUB b\n+PONG\n"); /* in order */
  peer_send(&peer, "SUB c\n");
  run_until_count(&f, &subscribes, 3);
  decide_elsewhere(FLUXBP_REFUSE, "full");
  peer_expect(&peer, "-ERR full\n");
  assert_int_equal(subscribes, 3);
  peer_close(&peer);
}

static void publishing_is_decided_at_once_or_later(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  publish_plan = SAYS_REFUSE;
  peer_send(&peer, "PUB news hello\n");
  peer_expect(&peer, "-ERR read only\n");
  assert_string_equal(data_asked, "hello");
  publish_plan = SAYS_LATER;
  peer_send(&peer, "SET prices ABC 12\nPING\n");
  run_until_count(&f, &publishes, 2);
  assert_string_equal(topic_asked, "prices");
  assert_string_equal(key_asked, "ABC");
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  peer_expect(&peer, "+OK SET ");
  peer_expect(&peer, "+PONG\n");
  peer_send(&peer, "UNSET prices ABC\n");
  run_until_count(&f, &publishes, 3);
  assert_string_equal(data_asked, "");
  decide_elsewhere(FLUXBP_REFUSE, "keep it");
  peer_expect(&peer, "-ERR keep it\n");
  peer_send(&peer, "PUB news \n"); /* wrong by itself: the program isn't asked */
  peer_expect(&peer, "-ERR ");
  assert_int_equal(publishes, 3);
  peer_close(&peer);
}

static void publishing_by_http_is_decided_message_by_message(void **state) {
  static const char body[] = "{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"b\",\"data\":\"2\"}\n";
  char request[512];
  struct peer peer;
  (void) state;
  publish_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  (void) snprintf(request, sizeof request,
                  "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  sizeof body - 1, body);
  peer_send(&peer, request);
  run_until_count(&f, &publishes, 1);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  run_until_count(&f, &publishes, 2);
  assert_string_equal(topic_asked, "b");
  decide_elsewhere(FLUXBP_REFUSE, "only a");
  peer_expect(&peer, "HTTP/1.1 403 ");
  peer_expect(&peer, "{\"error\":\"only a\",\"line\":2,\"published\":1}");
  publish_plan = SAYS_ALLOW;
  peer_send(&peer, request);
  peer_expect(&peer, "{\"published\":2,");
  assert_int_equal(publishes, 4);
  peer_close(&peer);
}

/* Publish until there is no room that the loop could make: a client that doesn't read holds all others up. */
static void fill_up(void) {
  static char message[32768];
  memset(message, 'x', sizeof message);
  for (int refused = 0; refused < 20;) {
    bool is_taken = fluxbp_server_publish(f.server, "news", NULL, message, sizeof message) == 0;
    refused = is_taken ? 0 : refused + 1;
    if (!is_taken) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  }
}

static void a_message_that_waits_for_room_is_asked_about_once(void **state) {
  struct peer stuck, sender;
  (void) state;
  f.options.topic = NULL;
  f.options.patience_ms = 60000;
  f.options.policy.stall_ms = f.options.policy.slow_ms = 0;
  server_fixture_start(&f);
  peer_connect(&stuck, &f, f.lines);
  peer_connect(&sender, &f, f.length);
  run_until_count(&f, &opens, 2);
  peer_send(&stuck, "SUB news\n");
  peer_expect(&stuck, "+OK SUB news\n");
  fill_up();
  peer_send_bytes(&sender, "\0\0\0\x0bPUB other x", 15);
  run_until_count(&f, &publishes, 1);
  for (int i = 0; i < 50; i++) step_once(&f);
  assert_int_equal(publishes, 1); /* it was tried again, and the program was not asked again */
  peer_close(&stuck);
  peer_expect(&sender, "+OK PUB ");
  assert_int_equal(publishes, 1);
  peer_close(&sender);
}

static void a_decision_comes_when_the_client_has_gone(void **state) {
  struct peer lines, events;
  (void) state;
  f.options.handshake_ms = 100; /* a client that sends no more has so long to read an answer */
  connect_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&lines, &f, f.lines);
  run_until_count(&f, &connects, 1);
  fluxbp_deferral_t *first = deferral;
  peer_connect(&events, &f, f.http);
  peer_send(&events, "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
  run_until_count(&f, &connects, 2);
  peer_close(&lines);
  peer_close(&events);
  run_until_count(&f, &closes, 2);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  fluxbp_deferral_decide(first, FLUXBP_REFUSE, "too late");
  (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_int_equal(opens, 0);
}

static void a_decision_comes_when_the_server_has_gone(void **state) {
  struct peer peer;
  (void) state;
  subscribe_plan = SAYS_LATER;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "SUB a\n");
  run_until_count(&f, &subscribes, 1);
  server_fixture_close(&f, 0);
  decide_elsewhere(FLUXBP_ALLOW, NULL);
  peer_close(&peer);
}

static fluxbp_session_t *asked;

static fluxbp_decision_t note_and_defer(fluxbp_session_t *session, const char *topic) {
  (void) topic;
  asked = session;
  return follow(session, SAYS_LATER, NULL);
}

/* The decision is made before the session is gone. */
static void a_decision_comes_when_the_session_has_been_closed(void **state) {
  struct peer peer;
  (void) state;
  asked = NULL;
  f.handlers.on_subscribe = note_and_defer;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (asked == NULL) step_once(&f);
  fluxbp_session_close(asked, 4200, "no more");
  fluxbp_deferral_decide(deferral, FLUXBP_ALLOW, NULL);
  peer_expect_end(&peer);
  peer_close(&peer);
}

static fluxbp_decision_t close_it(fluxbp_session_t *session, const char *topic) {
  (void) topic;
  fluxbp_session_close(session, 4200, "asked too much");
  return FLUXBP_ALLOW;
}

static void a_handler_may_end_the_session(void **state) {
  struct peer peer;
  (void) state;
  f.handlers.on_subscribe = close_it;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  peer_send_frame(&peer, 1, "SUB a", 5);
  peer_expect_close_frame(&peer, 4200, "asked too much");
  peer_close(&peer);
}

static fluxbp_decision_t close_publisher(fluxbp_session_t *session, const char *topic, const char *key,
                                         const void *data, size_t length) {
  (void) topic;
  (void) key;
  (void) data;
  (void) length;
  fluxbp_session_close(session, 4200, "said too much");
  return FLUXBP_REFUSE;
}

/* By a FIN, and no reset. */
static void a_handler_may_end_the_session_of_a_request(void **state) {
  struct peer peer;
  ssize_t length;
  char byte;
  (void) state;
  f.handlers.on_publish = close_publisher;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
  while ((length = recv(peer.fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN) step_once(&f);
  assert_int_equal(length, 0);
  peer_close(&peer);
}

static fluxbp_decision_t change_ones_mind(fluxbp_session_t *session, const char *topic) {
  (void) topic;
  deferral = fluxbp_session_defer(session);
  return FLUXBP_ALLOW;
}

static void a_deferral_that_is_not_needed_changes_nothing(void **state) {
  struct peer peer;
  (void) state;
  f.handlers.on_subscribe = change_ones_mind;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "SUB a\n");
  peer_expect(&peer, "+OK SUB a\n");
  decide_elsewhere(FLUXBP_REFUSE, "no");
  peer_send(&peer, "PING\n");
  peer_expect(&peer, "+PONG\n");
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_client_is_refused_at_once, setup, teardown),
      cmocka_unit_test_setup_teardown(the_request_can_be_looked_at, setup, teardown),
      cmocka_unit_test_setup_teardown(the_request_has_parameters_of_the_program, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_on_lines_is_let_in_later, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_on_lines_is_refused_later, setup, teardown),
      cmocka_unit_test_setup_teardown(a_websocket_waits_for_all_its_decisions, setup, teardown),
      cmocka_unit_test_setup_teardown(a_stream_of_events_is_refused_a_topic_later, setup, teardown),
      cmocka_unit_test_setup_teardown(a_subscription_is_decided_at_once_or_later, setup, teardown),
      cmocka_unit_test_setup_teardown(publishing_is_decided_at_once_or_later, setup, teardown),
      cmocka_unit_test_setup_teardown(publishing_by_http_is_decided_message_by_message, setup, teardown),
      cmocka_unit_test_setup_teardown(a_message_that_waits_for_room_is_asked_about_once, setup, teardown),
      cmocka_unit_test_setup_teardown(a_decision_comes_when_the_client_has_gone, setup, teardown),
      cmocka_unit_test_setup_teardown(a_decision_comes_when_the_server_has_gone, setup, teardown),
      cmocka_unit_test_setup_teardown(a_decision_comes_when_the_session_has_been_closed, setup, teardown),
      cmocka_unit_test_setup_teardown(a_handler_may_end_the_session, setup, teardown),
      cmocka_unit_test_setup_teardown(a_handler_may_end_the_session_of_a_request, setup, teardown),
      cmocka_unit_test_setup_teardown(a_deferral_that_is_not_needed_changes_nothing, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
