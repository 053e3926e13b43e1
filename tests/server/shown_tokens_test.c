/* SPDX-License-Identifier: MIT */
/*
 * shown_tokens: where clients of a running server may show their tokens: in a cookie, and as the first message of a
 * WebSocket; and what an address is told that shows too many wrong ones.
 */
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ALICE "alice-alice-alice"
#define BACKEND "backend-backend-1"
#define AUTH_ALICE "AUTH " ALICE
#define AUTH_BACKEND "AUTH " BACKEND

static const char TOKENS[] = "subscribe " ALICE " topics=user.alice.>,news\npublish " BACKEND "\n";

static struct server_fixture f;
static fluxbp_deferral_t *deferral;

static fluxbp_tokens_t *read_tokens(const char *text) {
  char path[] = "/tmp/fluxbp-shown-tokens-XXXXXX", problem[256] = "";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(close(fd), 0);
  fluxbp_tokens_t *tokens = fluxbp_tokens_read(path, problem, sizeof problem);
  assert_int_equal(unlink(path), 0);
  assert_string_equal(problem, "");
  return tokens;
}

static int setup(void **state) {
  (void) state;
  deferral = NULL;
  server_fixture_init(&f);
  f.options.topic = "news";
  f.options.tokens = read_tokens(TOKENS);
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void start(void) {
  server_fixture_start(&f);
  fluxbp_tokens_free(f.options.tokens);
}

static void send_command(struct peer *peer, const char *command) {
  peer_send_frame(peer, 1, command, strlen(command));
}

static void expect_text(struct peer *peer, const char *text) {
  peer_expect_frame(peer, 1, text, strlen(text));
}

static void publish(const char *topic, const char *text) {
  assert_int_equal(fluxbp_server_publish(f.server, topic, NULL, text, strlen(text)), 0);
}

/* The first message. */

static void a_websocket_may_show_its_token_first(void **state) {
  struct peer peer;
  (void) state;
  start();
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=user.alice.mail");
  send_command(&peer, "SUB news");
  expect_text(&peer, "-ERR SUB takes a token for that: AUTH token first");
  publish("user.alice.mail", "unheard");
  send_command(&peer, AUTH_BACKEND); /* not for subscribing: the client still waits */
  expect_text(&peer, "+OK AUTH publish");
  send_command(&peer, AUTH_ALICE);
  expect_text(&peer, "+OK AUTH subscribe");
  send_command(&peer, "PING");
  expect_text(&peer, "+PONG");
  publish("user.alice.mail", "heard");
  expect_text(&peer, "heard");
  peer_close(&peer);
}

static void its_request_is_carried_out_with_its_resume(void **state) {
  struct peer peer;
  (void) state;
  start();
  publish("news", "before");
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?since=oldest&topic=news");
  send_command(&peer, AUTH_ALICE);
  expect_text(&peer, "+OK AUTH subscribe");
  peer_expect(&peer, "{\"resumed\":\"");
  peer_expect(&peer, "before");
  peer_close(&peer);
}

static void a_topic_that_its_token_does_not_give_closes_it(void **state) {
  struct peer peer;
  (void) state;
  start();
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=user.bob.mail");
  send_command(&peer, AUTH_ALICE);
  expect_text(&peer, "+OK AUTH subscribe");
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_FORBIDDEN, "this token may not subscribe to 'user.bob.mail'");
  peer_close(&peer);
}

static void without_a_token_in_time_it_is_closed(void **state) {
  struct peer peer;
  (void) state;
  f.options.handshake_ms = 200;
  start();
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws");
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_UNAUTHORIZED, "no token came in time: AUTH token first");
  peer_close(&peer);
}

static void public_topics_take_no_token_but_the_others_of_its_request_do(void **state) {
  static const char *const patterns[] = {"status.>"};
  struct peer at_once, later;
  (void) state;
  f.options.public_topics = (fluxbp_text_list_t){patterns, 1};
  start();
  peer_connect(&at_once, &f, f.http);
  peer_upgrade(&at_once, "/ws?topic=status.all");
  send_command(&at_once, "SUB status.b");
  expect_text(&at_once, "+OK SUB status.b");
  peer_connect(&later, &f, f.http);
  peer_upgrade(&later, "/ws?topic=status.all,user.alice.mail");
  send_command(&later, "SUB status.b");
  expect_text(&later, "-ERR SUB takes a token for that: AUTH token first");
  send_command(&later, AUTH_ALICE);
  expect_text(&later, "+OK AUTH subscribe");
  send_command(&later, "SUB status.b");
  expect_text(&later, "+OK SUB status.b");
  peer_close(&at_once);
  peer_close(&later);
}

static fluxbp_decision_t decide_later(fluxbp_session_t *session, const fluxbp_request_t *request) {
  char name[16];
  assert_non_null(request);
  assert_int_equal(fluxbp_request_parameter(request, "name", name, sizeof name), 3);
  deferral = fluxbp_session_defer(session);
  return FLUXBP_LATER;
}

static void the_program_may_put_its_decision_off(void **state) {
  struct peer peer;
  (void) state;
  f.handlers.on_connect = decide_later;
  start();
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=news&name=bob");
  assert_null(deferral);
  send_command(&peer, AUTH_ALICE);
  expect_text(&peer, "+OK AUTH subscribe");
  send_command(&peer, "PING"); /* waits for the decision */
  assert_non_null(deferral);
  fluxbp_deferral_decide(deferral, FLUXBP_ALLOW, NULL);
  expect_text(&peer, "+PONG");
  publish("news", "heard");
  expect_text(&peer, "heard");
  peer_close(&peer);
}

static void a_wrong_token_in_the_request_is_refused_at_once(void **state) {
  struct peer peer;
  (void) state;
  start();
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /ws?token=wrong-wrong-wrong-1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 401");
  peer_close(&peer);
}

/* The cookie. */

static void a_cookie_may_hold_the_token(void **state) {
  struct peer peer;
  (void) state;
  f.options.token_cookie = "fluxbp_token";
  start();
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /sse?topic=news HTTP/1.1\r\nHost: localhost\r\nCookie: fluxbp_token=" ALICE "\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 200");
  peer_close(&peer);
}

static void a_cookie_of_a_foreign_page_gives_nothing(void **state) {
  struct peer peer;
  (void) state;
  f.options.token_cookie = "fluxbp_token";
  start();
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nCookie: fluxbp_token=" BACKEND
                   "\r\nContent-Length: 1\r\n\r\nx");
  peer_expect(&peer, "HTTP/1.1 401"); /* without an Origin it may be anybody's */
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nCookie: fluxbp_token=" BACKEND
                   "\r\nOrigin: http://localhost\r\nContent-Length: 1\r\n\r\nx");
  peer_expect(&peer, "HTTP/1.1 200");
  peer_close(&peer);
}

static void the_name_of_a_cookie_is_checked(void **state) {
  fluxbp_server_t *server;
  (void) state;
  f.options.token_cookie = "a b";
  f.options.loop = &f.loop;
  assert_int_equal(fluxbp_server_create(&f.options, &server), UV_EINVAL);
  fluxbp_tokens_free(f.options.tokens);
}

/* Guessing. The PROXY protocol gives the clients addresses that aren't loopback. */

static void connect_from(struct peer *peer, int listener, unsigned char last_byte) {
  unsigned char header[28] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                              0x54, 0x0a, 0x21, 0x11, 0,    12,   192,  0,    2,    0};
  header[19] = last_byte;
  peer_connect(peer, &f, listener);
  peer_send_bytes(peer, header, sizeof header);
}

static void guessing_is_slowed_by_address(void **state) {
  static const char *const proxies[] = {"127.0.0.0/8"};
  struct peer peer;
  (void) state;
  f.options.proxies = (fluxbp_text_list_t){proxies, 1};
  f.options.max_wrong_tokens = 2;
  start();
  connect_from(&peer, f.lines, 1);
  peer_send(&peer, "AUTH wrong-wrong-wrong-1\nAUTH wrong-wrong-wrong-2\n" AUTH_ALICE "\n");
  peer_expect(&peer, "-ERR unknown token\n");
  peer_expect(&peer, "-ERR unknown token\n");
  peer_expect(&peer, "-ERR too many wrong tokens from your address; wait ");
  peer_close(&peer);
  connect_from(&peer, f.http, 1);
  peer_send(&peer, "GET /sse?token=" ALICE " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 429");
  peer_expect(&peer, "Retry-After: ");
  peer_close(&peer);
  connect_from(&peer, f.lines, 2);
  peer_send(&peer, AUTH_ALICE "\n");
  peer_expect(&peer, "+OK AUTH subscribe\n");
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_websocket_may_show_its_token_first, setup, teardown),
      cmocka_unit_test_setup_teardown(its_request_is_carried_out_with_its_resume, setup, teardown),
      cmocka_unit_test_setup_teardown(a_topic_that_its_token_does_not_give_closes_it, setup, teardown),
      cmocka_unit_test_setup_teardown(without_a_token_in_time_it_is_closed, setup, teardown),
      cmocka_unit_test_setup_teardown(public_topics_take_no_token_but_the_others_of_its_request_do, setup, teardown),
      cmocka_unit_test_setup_teardown(the_program_may_put_its_decision_off, setup, teardown),
      cmocka_unit_test_setup_teardown(a_wrong_token_in_the_request_is_refused_at_once, setup, teardown),
      cmocka_unit_test_setup_teardown(a_cookie_may_hold_the_token, setup, teardown),
      cmocka_unit_test_setup_teardown(a_cookie_of_a_foreign_page_gives_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(the_name_of_a_cookie_is_checked, setup, teardown),
      cmocka_unit_test_setup_teardown(guessing_is_slowed_by_address, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
