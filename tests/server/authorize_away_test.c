/* SPDX-License-Identifier: MIT */
/*
 * authorize_away: what becomes of clients, of the server and of others while a backend that is asked about clients is
 * slow, wrong or gone; and how few questions it gets.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "support/http_backend.h"
#include "support/server_fixture.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define AWAY "permissions can't be checked now; try again later"
#define PUBLISH "POST /api/v1/publish?topic=chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
#define UPGRADE                                                                                                        \
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                         \
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

static struct server_fixture f;
static struct http_backend backend;

/* A look-up of the name "hangs.example" that ends when the test says so, or after LOOKUP_S: then the test fails. */

#define HANGING_NAME "hangs.example"
#define LOOKUP_S 10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_looking_up, may_end_lookup, has_looked_up;

static int hang(void) {
  struct timespec until;
  (void) clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += LOOKUP_S;
  pthread_mutex_lock(&lock);
  is_looking_up = true;
  while (!may_end_lookup && pthread_cond_timedwait(&changed, &lock, &until) == 0) continue;
  has_looked_up = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return EAI_AGAIN;
}

/* In place of the C library's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (node != NULL && strcmp(node, HANGING_NAME) == 0) return hang();
  *(void **) &next = dlsym(RTLD_NEXT, "getaddrinfo");
  return next(node, service, hints, found);
}

static bool is(const bool *flag) {
  pthread_mutex_lock(&lock);
  bool value = *flag;
  pthread_mutex_unlock(&lock);
  return value;
}

static void end_lookup(void) {
  pthread_mutex_lock(&lock);
  may_end_lookup = true;
  pthread_cond_broadcast(&changed);
  while (is_looking_up && !has_looked_up) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static int setup(void **state) {
  static const char *const patterns[] = {"status.>"};
  (void) state;
  is_looking_up = may_end_lookup = has_looked_up = false;
  server_fixture_init(&f);
  http_backend_start(&backend, &f);
  f.options.topic = NULL;
  f.options.public_topics = (fluxbp_text_list_t){patterns, 1};
  f.options.authorize_url = backend.url;
  f.options.authorize_timeout_ms = 20000; /* longer than any test */
  return 0;
}

static int teardown(void **state) {
  (void) state;
  http_backend_stop(&backend);
  server_fixture_end(&f);
  return 0;
}

static const char *publisher(const char *headers) {
  return http_backend_reply("200 OK", headers, "{\"sub\":\"shop\",\"publish\":[\"chat\"],\"expires_in\":1000}");
}

static void publish(struct peer *peer, const char *token) {
  char request[512];
  (void) snprintf(request, sizeof request, PUBLISH "Authorization: Bearer %s\r\n\r\nx", token);
  peer_connect(peer, &f, f.http);
  peer_send(peer, request);
}

static void expect_status(struct peer *peer, const char *status) {
  char text[64];
  (void) snprintf(text, sizeof text, "HTTP/1.1 %s ", status);
  peer_expect(peer, text);
  peer_close(peer);
}

static void publish_and_expect(const char *token, const char *status) {
  struct peer peer;
  publish(&peer, token);
  expect_status(&peer, status);
}

/* Someone who takes no permission is served now. */
static void expect_others_are_served(void) {
  struct peer peer;
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "SUB status.all\n");
  peer_expect(&peer, "+OK SUB status.all\n");
  assert_int_equal(fluxbp_server_publish(f.server, "status.all", NULL, "fine", 4), 0);
  peer_expect(&peer, "fine\n");
  peer_close(&peer);
}

/* Away. */

static void clients_are_told_to_come_back_in_their_protocol(void **state) {
  struct peer peer;
  (void) state;
  backend.answer = http_backend_reply("500 Internal Server Error", "", "{\"sub\":\"shop\",\"publish\":[\">\"]}");
  server_fixture_start(&f);
  publish(&peer, "token");
  peer_expect(&peer, "HTTP/1.1 503 ");
  peer_expect(&peer, "Retry-After: 1\r\n");
  peer_expect(&peer, AWAY);
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=chat&token=a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 200 "); /* another status would end an EventSource for good */
  peer_expect(&peer, "event: closing\ndata: {\"reason\":\"" AWAY "\"");
  peer_expect_end(&peer);
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=chat&token=a");
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_TRY_LATER, AWAY);
  peer_close(&peer);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "AUTH token\nPING\n");
  peer_expect(&peer, "-ERR " AWAY "\n+PONG\n");
  peer_close(&peer);
}

static void what_is_no_right_answer_gives_nothing(void **state) {
  static const char *const bodies[] = {"",
                                       "no JSON",
                                       "[]",
                                       "{\"publish\":\"chat\"}",
                                       "{\"publish\":[\"a.>.b\"]}",
                                       "{\"publish\":[\"chat\"],\"expires_in\":0}",
                                       "{\"publish\":[\"chat\"],\"expires_in\":\"9\"}",
                                       "{\"publish\":[\"chat\"],\"sub\":7}",
                                       "{\"publish\":[\"chat\"],\"publish\":[\"news\"]}"};
  (void) state;
  server_fixture_start(&f);
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    backend.answer = http_backend_reply("200 OK", "", bodies[i]);
    publish_and_expect("token", "503");
  }
  backend.answer = http_backend_reply("204 No Content", "", "");
  publish_and_expect("token", "503");
  backend.answer = http_backend_reply("302 Found", "Location: /elsewhere\r\n", "");
  publish_and_expect("token", "503");
  assert_int_equal(backend.requests, 11); /* each was asked once, and none opened the circuit */
  backend.answer = publisher("");
  publish_and_expect("token", "200");
}

static void an_answer_that_is_too_long_gives_nothing(void **state) {
  static char body[70000];
  (void) state;
  memset(body, ' ', sizeof body - 1);
  memcpy(body, "{\"publish\":[\"chat\"]}", 20);
  backend.answer = http_backend_reply("200 OK", "", body);
  server_fixture_start(&f);
  publish_and_expect("token", "503");
}

static void a_backend_that_is_silent_is_given_up_in_time(void **state) {
  struct peer peer;
  (void) state;
  f.options.authorize_timeout_ms = 100;
  server_fixture_start(&f);
  publish(&peer, "token");
  http_backend_expect(&backend, 1);
  expect_status(&peer, "503");
}

static void nothing_on_the_loop_waits_for_the_backend(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  publish(&peer, "token");
  http_backend_expect(&backend, 1);
  expect_others_are_served();
  peer_receive(&peer);
  assert_int_equal(peer.received, 0);
  http_backend_answer(&backend, 0, publisher(""));
  expect_status(&peer, "200");
}

static void nothing_waits_for_the_name_of_the_backend_either(void **state) {
  struct peer peer;
  (void) state;
  f.options.authorize_url = "http://" HANGING_NAME "/";
  f.options.authorize_timeout_ms = 300;
  server_fixture_start(&f);
  publish(&peer, "token");
  while (!is(&is_looking_up)) step_once(&f);
  expect_others_are_served();
  expect_status(&peer, "503"); /* in time, though the look-up isn't over */
  publish(&peer, "another");
  for (int i = 0; i < 10; i++) step_once(&f);
  server_fixture_close(&f, 0);
  assert_false(is(&has_looked_up));
  peer_close(&peer);
  end_lookup();
}

static void public_topics_may_be_served_without_the_backend(void **state) {
  struct peer peer;
  (void) state;
  f.options.authorize_when_away = FLUXBP_WHEN_AWAY_PUBLIC;
  backend.answer = http_backend_reply("503 Service Unavailable", "", "");
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=status.a&token=a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "event: position");
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=status.a,chat&token=a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "event: closing");
  peer_close(&peer);
  publish_and_expect("token", "503");
}

static void public_topics_are_closed_as_well_by_default(void **state) {
  struct peer peer;
  (void) state;
  backend.answer = http_backend_reply("503 Service Unavailable", "", "");
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=status.a&token=a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "event: closing");
  peer_close(&peer);
}

/* How few questions. */

static void equal_questions_are_asked_once(void **state) {
  struct peer peers[5];
  (void) state;
  server_fixture_start(&f);
  for (size_t i = 0; i < 5; i++) publish(&peers[i], i < 4 ? "same" : "other");
  http_backend_expect(&backend, 2);
  for (int i = 0; i < 10; i++) step_once(&f);
  http_backend_expect(&backend, 2);
  bool is_same = strstr(http_backend_head(&backend, 0), "Bearer same") != NULL;
  http_backend_answer(&backend, is_same ? 0 : 1, publisher(""));
  http_backend_answer(&backend, is_same ? 1 : 0, http_backend_reply("401 Unauthorized", "", ""));
  for (size_t i = 0; i < 5; i++) expect_status(&peers[i], i < 4 ? "200" : "401");
}

static void an_answer_is_kept_as_long_as_it_says(void **state) {
  (void) state;
  server_fixture_start(&f);
  backend.answer = publisher("Cache-Control: private, max-age=100\r\n");
  for (int i = 0; i < 3; i++) publish_and_expect("kept", "200");
  assert_int_equal(backend.requests, 1);
  backend.answer = publisher("");
  for (int i = 0; i < 2; i++) publish_and_expect("not-kept", "200");
  assert_int_equal(backend.requests, 3);
  backend.answer = http_backend_reply("401 Unauthorized", "Cache-Control: max-age=100\r\n", "");
  for (int i = 0; i < 2; i++) publish_and_expect("refused", "401");
  assert_int_equal(backend.requests, 4);
}

static void questions_beyond_the_limit_wait_for_their_turn(void **state) {
  struct peer first, second, third;
  (void) state;
  f.options.authorize_at_once = 1;
  server_fixture_start(&f);
  publish(&first, "first");
  http_backend_expect(&backend, 1);
  publish(&second, "second");
  publish(&third, "third");
  for (int i = 0; i < 10; i++) step_once(&f);
  http_backend_expect(&backend, 1);
  http_backend_answer(&backend, 0, publisher(""));
  expect_status(&first, "200");
  http_backend_expect(&backend, 2);
  http_backend_answer(&backend, 1, publisher(""));
  http_backend_expect(&backend, 3);
  http_backend_answer(&backend, 2, publisher(""));
  expect_status(&second, "200");
  expect_status(&third, "200");
}

static void a_backend_that_is_out_of_order_is_not_asked_for_a_while(void **state) {
  (void) state;
  backend.answer = http_backend_reply("503 Service Unavailable", "", "");
  server_fixture_start(&f);
  for (int i = 0; i < 8; i++) publish_and_expect("token", "503");
  assert_int_equal(backend.requests, 5);
  backend.answer = publisher("");
  size_t tries = 0;
  for (struct peer peer; backend.requests == 5; tries++) { /* after a second one question finds out */
    publish(&peer, "token");
    peer_expect(&peer, "HTTP/1.1 ");
    peer_close(&peer);
  }
  publish_and_expect("token", "200");
}

/* Ends. */

static void a_client_may_go_while_it_is_asked_about(void **state) {
  struct peer gone, stays;
  (void) state;
  server_fixture_start(&f);
  publish(&gone, "token");
  peer_connect(&stays, &f, f.lines);
  peer_send(&stays, "AUTH other\n");
  http_backend_expect(&backend, 2);
  struct linger reset = {.l_onoff = 1};
  assert_int_equal(setsockopt(gone.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  peer_close(&gone);
  peer_close(&stays);
  for (int i = 0; i < 10; i++) step_once(&f);
  http_backend_answer(&backend, 0, publisher(""));
  http_backend_answer(&backend, 1, publisher(""));
  expect_others_are_served();
}

static void a_client_may_be_closed_while_it_is_asked_about(void **state) {
  struct peer peer;
  (void) state;
  f.options.handshake_ms = 100;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=chat");
  peer_send_frame(&peer, 1, "AUTH a", 6);
  http_backend_expect(&backend, 1);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_UNAUTHORIZED, "no token came in time: AUTH token first");
  http_backend_answer(&backend, 0, publisher(""));
  expect_others_are_served();
  peer_close(&peer);
}

static void the_server_may_close_while_questions_are_under_way(void **state) {
  struct peer request, lines, queued;
  (void) state;
  f.options.authorize_at_once = 2;
  server_fixture_start(&f);
  publish(&request, "token");
  peer_connect(&lines, &f, f.lines);
  peer_send(&lines, "AUTH other\n");
  http_backend_expect(&backend, 2);
  publish(&queued, "third");
  for (int i = 0; i < 10; i++) step_once(&f);
  server_fixture_close(&f, 0);
  peer_close(&request);
  peer_close(&lines);
  peer_close(&queued);
}

static void a_stopping_server_answers_those_who_wait(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  publish(&peer, "token");
  http_backend_expect(&backend, 1);
  fluxbp_server_close(f.server, 10000, NULL);
  expect_status(&peer, "503");
  f.server = NULL;
  (void) uv_run(&f.loop, UV_RUN_NOWAIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(clients_are_told_to_come_back_in_their_protocol, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_no_right_answer_gives_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_that_is_too_long_gives_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(a_backend_that_is_silent_is_given_up_in_time, setup, teardown),
      cmocka_unit_test_setup_teardown(nothing_on_the_loop_waits_for_the_backend, setup, teardown),
      cmocka_unit_test_setup_teardown(nothing_waits_for_the_name_of_the_backend_either, setup, teardown),
      cmocka_unit_test_setup_teardown(public_topics_may_be_served_without_the_backend, setup, teardown),
      cmocka_unit_test_setup_teardown(public_topics_are_closed_as_well_by_default, setup, teardown),
      cmocka_unit_test_setup_teardown(equal_questions_are_asked_once, setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_is_kept_as_long_as_it_says, setup, teardown),
      cmocka_unit_test_setup_teardown(questions_beyond_the_limit_wait_for_their_turn, setup, teardown),
      cmocka_unit_test_setup_teardown(a_backend_that_is_out_of_order_is_not_asked_for_a_while, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_may_go_while_it_is_asked_about, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_may_be_closed_while_it_is_asked_about, setup, teardown),
      cmocka_unit_test_setup_teardown(the_server_may_close_while_questions_are_under_way, setup, teardown),
      cmocka_unit_test_setup_teardown(a_stopping_server_answers_those_who_wait, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
