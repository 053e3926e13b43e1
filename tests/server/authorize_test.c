/* SPDX-License-Identifier: MIT */
/*
 * authorize: clients of a running server about which it asks a backend: what the backend is told, what its answers give
 * in each protocol, and what becomes of clients, answers and the server while a question is under way.
 */
#include "support/http_backend.h"
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

#define ALICE_BODY                                                                                                     \
  "{\"sub\":\"alice\",\"name\":\"Alice\",\"subscribe\":[\"user.${sub}.>\",\"news\"],\"publish\":[\"chat\"]}"
#define HOST "Host: localhost\r\n"
#define BEARER "Authorization: Bearer alice-token\r\n"
#define COOKIE "Cookie: session=17; theme=dark\r\nOrigin: http://localhost\r\n"

static struct server_fixture f;
static struct http_backend backend;

static int setup(void **state) {
  (void) state;
  server_fixture_init(&f);
  http_backend_start(&backend, &f);
  f.options.topic = "news";
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

static const char *alice(void) {
  return http_backend_reply("200 OK", "", ALICE_BODY);
}

static void send_request(struct peer *peer, const char *line, const char *headers, const char *body) {
  char request[4096];
  (void) snprintf(request, sizeof request, "%s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", line, headers,
                  strlen(body), body);
  peer_send(peer, request);
}

static void request(struct peer *peer, const char *line, const char *headers, const char *body) {
  peer_connect(peer, &f, f.http);
  send_request(peer, line, headers, body);
}

/* What is asked. */

static void expect_header(size_t place, const char *line) {
  char text[512];
  (void) snprintf(text, sizeof text, "\r\n%s\r\n", line);
  if (strstr(http_backend_head(&backend, place), text) == NULL)
    fail_msg("'%s' is not in '%s'", line, http_backend_head(&backend, place));
}

static void the_backend_is_told_what_a_client_shows(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  request(&peer, "POST /api/v1/publish?topic=chat", BEARER COOKIE, "x");
  http_backend_expect(&backend, 1);
  assert_int_equal(strncmp(http_backend_head(&backend, 0), "GET /who?is=it HTTP/1.1\r\n", 25), 0);
  expect_header(0, "Authorization: Bearer alice-token");
  expect_header(0, "Cookie: session=17; theme=dark");
  expect_header(0, "Origin: http://localhost");
  expect_header(0, "X-Forwarded-For: 127.0.0.1");
  expect_header(0, "Accept: application/json");
  http_backend_answer(&backend, 0, alice());
  peer_expect(&peer, "HTTP/1.1 200");
  peer_close(&peer);
}

static void a_token_of_the_query_or_a_command_is_shown_as_a_header(void **state) {
  struct peer events, lines;
  (void) state;
  server_fixture_start(&f);
  request(&events, "GET /sse?topic=user.alice.1&token=in%2Fquery", "", "");
  http_backend_expect(&backend, 1);
  expect_header(0, "Authorization: Bearer in/query");
  http_backend_answer(&backend, 0, alice());
  peer_expect(&events, "HTTP/1.1 200");
  peer_connect(&lines, &f, f.lines);
  peer_send(&lines, "AUTH in-command\n");
  http_backend_expect(&backend, 2);
  expect_header(1, "Authorization: Bearer in-command");
  http_backend_answer(&backend, 1, alice());
  peer_expect(&lines, "+OK AUTH subscribe publish\n");
  peer_close(&events);
  peer_close(&lines);
}

static void another_authorization_goes_as_it_is(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  request(&peer, "GET /sse", "Authorization: Basic YTpi\r\n", "");
  http_backend_expect(&backend, 1);
  expect_header(0, "Authorization: Basic YTpi");
  http_backend_answer(&backend, 0, http_backend_reply("401 Unauthorized", "", ""));
  peer_expect(&peer, "HTTP/1.1 401");
  peer_expect(&peer, "these credentials are refused");
  peer_close(&peer);
}

static void a_token_cannot_add_headers(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  request(&peer, "GET /sse?token=a%0d%0aCookie:%20session=1", "", "");
  peer_expect(&peer, "HTTP/1.1 401");
  peer_expect(&peer, "bytes that can't be passed on");
  peer_close(&peer);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "AUTH a b\n");
  peer_expect(&peer, "-ERR the token, or a header of the request, has bytes that can't be passed on\n");
  assert_int_equal(backend.requests, 0);
  peer_close(&peer);
}

static void nothing_is_asked_about_a_client_that_shows_nothing(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  request(&peer, "GET /sse", "", "");
  peer_expect(&peer, "HTTP/1.1 401");
  peer_close(&peer);
  request(&peer, "GET /livez", BEARER, "");
  peer_expect(&peer, "HTTP/1.1 200");
  peer_close(&peer);
  request(&peer, "POST /api/v1/publish?topic=chat", "Cookie: session=17\r\n", "x"); /* it may be anybody's */
  peer_expect(&peer, "HTTP/1.1 401");
  assert_int_equal(backend.requests, 0);
  peer_close(&peer);
}

/* What the answers give. */

static void cookies_give_their_topics_and_no_others(void **state) {
  struct peer peer;
  (void) state;
  backend.answer = alice();
  server_fixture_start(&f);
  request(&peer, "GET /sse?topic=user.alice.1,news", COOKIE, "");
  peer_expect(&peer, "HTTP/1.1 200");
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "today", 5), 0);
  peer_expect(&peer, "data: today\n");
  peer_close(&peer);
  request(&peer, "GET /sse?topic=user.bob.1", COOKIE, "");
  peer_expect(&peer, "HTTP/1.1 403");
  peer_expect(&peer, "this token may not subscribe to 'user.bob.1'");
  peer_close(&peer);
  request(&peer, "GET /api/v1/stats", COOKIE, "");
  peer_expect(&peer, "HTTP/1.1 403");
  peer_close(&peer);
}

static void a_websocket_is_served_by_its_cookie(void **state) {
  struct peer peer;
  (void) state;
  backend.answer = alice();
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /ws?topic=user.alice.1 HTTP/1.1\r\n" HOST COOKIE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 101 ");
  peer_expect(&peer, "\r\n\r\n");
  assert_int_equal(fluxbp_server_publish(f.server, "user.alice.1", NULL, "live", 4), 0);
  peer_expect_frame(&peer, 1, "live", 4);
  peer_close(&peer);
}

static void a_websocket_shows_its_token_by_its_first_message(void **state) {
  static const char AUTH[] = "AUTH alice-token", ANSWER[] = "+OK AUTH subscribe publish", PING[] = "PING";
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=user.alice.1");
  peer_send_frame(&peer, 1, AUTH, strlen(AUTH));
  peer_send_frame(&peer, 1, PING, strlen(PING)); /* waits */
  http_backend_expect(&backend, 1);
  http_backend_answer(&backend, 0, alice());
  peer_expect_frame(&peer, 1, ANSWER, strlen(ANSWER));
  peer_expect_frame(&peer, 1, "+PONG", 5);
  assert_int_equal(fluxbp_server_publish(f.server, "user.alice.1", NULL, "live", 4), 0);
  peer_expect_frame(&peer, 1, "live", 4);
  peer_close(&peer);
}

static void a_refused_cookie_leaves_a_websocket_its_first_message(void **state) {
  static const char AUTH[] = "AUTH alice-token", ANSWER[] = "+OK AUTH subscribe publish";
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /ws?topic=news HTTP/1.1\r\n" HOST COOKIE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
  http_backend_expect(&backend, 1);
  http_backend_answer(&backend, 0, http_backend_reply("403 Forbidden", "", ""));
  peer_expect(&peer, "HTTP/1.1 101 ");
  peer_expect(&peer, "\r\n\r\n");
  peer_send_frame(&peer, 1, AUTH, strlen(AUTH));
  http_backend_expect(&backend, 2);
  http_backend_answer(&backend, 1, alice());
  peer_expect_frame(&peer, 1, ANSWER, strlen(ANSWER));
  peer_close(&peer);
}

static void a_refused_token_gives_nothing(void **state) {
  struct peer peer;
  (void) state;
  backend.answer = http_backend_reply("403 Forbidden", "", "{\"sub\":\"alice\",\"admin\":true}");
  server_fixture_start(&f);
  request(&peer, "GET /sse", BEARER, "");
  peer_expect(&peer, "HTTP/1.1 401");
  peer_expect(&peer, "unknown token");
  peer_close(&peer);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "AUTH wrong-wrong-wrong\nSUB news\n");
  peer_expect(&peer, "-ERR unknown token\n-ERR SUB takes a token for that");
  peer_close(&peer);
}

static void an_administrator_may_administer(void **state) {
  struct peer peer;
  (void) state;
  backend.answer = http_backend_reply("200 OK", "", "{\"admin\":true}");
  server_fixture_start(&f);
  request(&peer, "GET /api/v1/stats", BEARER, "");
  peer_expect(&peer, "HTTP/1.1 200");
  peer_expect(&peer, "\"authorizer\":{\"questions\":1,");
  peer_close(&peer);
}

static int answer_roles(fluxbp_request_t *own) {
  const fluxbp_session_t *session = fluxbp_request_session(own);
  const char *subject = fluxbp_session_subject(session);
  char text[64];
  int length = snprintf(text, sizeof text, "%s %d %d", subject != NULL ? subject : "nobody",
                        fluxbp_request_may(own, FLUXBP_ROLE_PUBLISH, "chat"),
                        fluxbp_request_may(own, FLUXBP_ROLE_PUBLISH, "news"));
  fluxbp_request_answer(own, 200, "text/plain", text, (size_t) length);
  return 0;
}

static void a_route_of_the_program_knows_the_client(void **state) {
  struct peer peer;
  (void) state;
  f.handlers.on_request = answer_roles;
  server_fixture_start(&f);
  request(&peer, "GET /mine", "", "");
  peer_expect(&peer, "nobody 0 0");
  send_request(&peer, "GET /mine", COOKIE, "");
  http_backend_expect(&backend, 1);
  http_backend_answer(&backend, 0, alice());
  peer_expect(&peer, "alice 1 0");
  send_request(&peer, "GET /mine", "", ""); /* the next request may be somebody else's */
  peer_expect(&peer, "nobody 0 0");
  peer_close(&peer);
}

/* A body isn't taken before the answer. */
static void a_request_with_a_body_waits_behind_its_head(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=chat HTTP/1.1\r\n" HOST BEARER "Expect: 100-continue\r\n"
                   "Content-Length: 5\r\n\r\n");
  http_backend_expect(&backend, 1);
  peer_receive(&peer);
  assert_int_equal(peer.received, 0);
  http_backend_answer(&backend, 0, alice());
  peer_expect(&peer, "HTTP/1.1 100 Continue\r\n\r\n");
  peer_send(&peer, "hel");
  for (int i = 0; i < 5; i++) step_once(&f);
  peer_send(&peer, "lo");
  peer_expect(&peer, "HTTP/1.1 200");
  assert_int_equal(backend.requests, 1);
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=chat HTTP/1.1\r\n" HOST BEARER "Content-Length: 5\r\n\r\nhe");
  http_backend_expect(&backend, 2);
  http_backend_answer(&backend, 1, http_backend_reply("401 Unauthorized", "", ""));
  peer_expect(&peer, "HTTP/1.1 401");
  peer_expect_end(&peer);
  peer_close(&peer);
}

static void what_comes_while_a_request_waits_is_done_behind_it(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=chat HTTP/1.1\r\n" HOST BEARER "Content-Length: 5\r\n\r\nhe");
  http_backend_expect(&backend, 1);
  peer_send(&peer, "llo");
  send_request(&peer, "GET /livez", "", "");
  for (int i = 0; i < 5; i++) step_once(&f);
  http_backend_answer(&backend, 0, alice());
  peer_expect(&peer, "{\"id\":\"");
  peer_expect(&peer, "ok\n");
  assert_int_equal(backend.requests, 1);
  peer_close(&peer);
}

static fluxbp_deferral_t *deferral;

static fluxbp_decision_t decide_later(fluxbp_session_t *session, const fluxbp_request_t *request) {
  assert_non_null(request);
  assert_string_equal(fluxbp_session_subject(session), "alice");
  deferral = fluxbp_session_defer(session);
  return FLUXBP_LATER;
}

static void the_program_decides_behind_the_backend(void **state) {
  struct peer peer;
  (void) state;
  deferral = NULL;
  f.handlers.on_connect = decide_later;
  backend.answer = alice();
  server_fixture_start(&f);
  request(&peer, "GET /sse?topic=news", BEARER, "");
  while (deferral == NULL) step_once(&f);
  fluxbp_deferral_decide(deferral, FLUXBP_ALLOW, NULL);
  peer_expect(&peer, "HTTP/1.1 200");
  assert_int_equal(backend.requests, 1); /* the request that ran again was not asked about again */
  peer_close(&peer);
}

/* Static tokens, guesses, ends. */

static fluxbp_tokens_t *read_tokens(const char *text) {
  char path[] = "/tmp/fluxbp-authorize-XXXXXX", why[256] = "";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(close(fd), 0);
  fluxbp_tokens_t *tokens = fluxbp_tokens_read(path, why, sizeof why);
  assert_int_equal(unlink(path), 0);
  assert_string_equal(why, "");
  return tokens;
}

static void tokens_of_the_server_come_first(void **state) {
  struct peer peer;
  (void) state;
  f.options.tokens = read_tokens("publish shop-shop-shop-shop topics=chat\n");
  server_fixture_start(&f);
  fluxbp_tokens_free(f.options.tokens);
  request(&peer, "POST /api/v1/publish?topic=chat", "Authorization: Bearer shop-shop-shop-shop\r\n", "x");
  peer_expect(&peer, "HTTP/1.1 200");
  assert_int_equal(backend.requests, 0);
  peer_close(&peer);
}

/* The PROXY protocol gives a client an address that isn't loopback. */
static void connect_from(struct peer *peer, int listener, unsigned char last_byte) {
  unsigned char header[28] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                              0x54, 0x0a, 0x21, 0x11, 0,    12,   192,  0,    2,    0};
  header[19] = last_byte;
  peer_connect(peer, &f, listener);
  peer_send_bytes(peer, header, sizeof header);
}

static void a_refusal_counts_as_a_wrong_token_and_silence_does_not(void **state) {
  static const char *const proxies[] = {"127.0.0.0/8"};
  struct peer peer;
  (void) state;
  f.options.proxies = (fluxbp_text_list_t){proxies, 1};
  f.options.max_wrong_tokens = 2;
  backend.answer = http_backend_reply("500 Internal Server Error", "", "");
  server_fixture_start(&f);
  connect_from(&peer, f.lines, 1);
  peer_send(&peer, "AUTH a\nAUTH b\nAUTH c\n");
  for (int i = 0; i < 3; i++) peer_expect(&peer, "-ERR permissions can't be checked now; try again later\n");
  expect_header(0, "X-Forwarded-For: 192.0.2.1");
  backend.answer = http_backend_reply("401 Unauthorized", "", "");
  peer_send(&peer, "AUTH a\nAUTH b\nAUTH c\n");
  peer_expect(&peer, "-ERR unknown token\n");
  peer_expect(&peer, "-ERR unknown token\n");
  peer_expect(&peer, "-ERR too many wrong tokens from your address; wait ");
  assert_int_equal(backend.requests, 5);
  peer_close(&peer);
  connect_from(&peer, f.http, 1);
  send_request(&peer, "GET /sse", BEARER, "");
  peer_expect(&peer, "HTTP/1.1 429");
  assert_int_equal(backend.requests, 5);
  peer_close(&peer);
}

static void rights_end_when_the_answer_says(void **state) {
  static const char WARNING[] = "{\"token_expires_in\":", RENEW[] = "AUTH another", OK[] = "+OK AUTH subscribe";
  struct peer stays, goes;
  (void) state;
  backend.answer = http_backend_reply("200 OK", "", "{\"sub\":\"a\",\"subscribe\":[\"news\"],\"expires_in\":2}");
  server_fixture_start(&f);
  peer_connect(&stays, &f, f.http);
  peer_upgrade(&stays, "/ws?token=one");
  peer_expect(&stays, WARNING);
  peer_connect(&goes, &f, f.http);
  peer_upgrade(&goes, "/ws?token=one");
  backend.answer = http_backend_reply("200 OK", "", "{\"sub\":\"a\",\"subscribe\":[\"news\"]}");
  peer_send_frame(&stays, 1, RENEW, strlen(RENEW));
  peer_expect(&stays, OK);
  peer_expect(&goes, "the token has expired");
  peer_expect_end(&goes);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "live", 4), 0);
  peer_expect(&stays, "live");
  peer_close(&stays);
  peer_close(&goes);
}

static void a_revoked_subject_goes_and_its_kept_answer_with_it(void **state) {
  struct peer peer;
  (void) state;
  backend.answer =
      http_backend_reply("200 OK", "Cache-Control: max-age=100\r\n", "{\"sub\":\"alice\",\"subscribe\":[\"news\"]}");
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?token=one");
  while (fluxbp_server_session_count(f.server) == 0) step_once(&f);
  assert_int_equal(fluxbp_server_revoke(f.server, "alice", NULL, 1000), 0);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_UNAUTHORIZED, "the token was revoked");
  peer_close(&peer);
  assert_int_equal(backend.requests, 1);
  backend.answer = http_backend_reply("403 Forbidden", "", "");
  request(&peer, "GET /sse?token=one", "", "");
  peer_expect(&peer, "HTTP/1.1 401");
  assert_int_equal(backend.requests, 2);
  peer_close(&peer);
}

/* A request runs again when its answer is there. */
static void a_request_that_waits_is_counted_once_by_the_rates(void **state) {
  enum { REQUESTS = 8 }; /* of ten at once */
  struct peer peer, admin;
  (void) state;
  f.options.command_rate.per_client = 1;
  server_fixture_start(&f);
  backend.answer = http_backend_reply("200 OK", "", "{\"admin\":true}");
  peer_connect(&peer, &f, f.http);
  for (int i = 0; i < REQUESTS; i++) {
    char line[64];
    (void) snprintf(line, sizeof line, "GET /api/v1/evictions?token=%d", i);
    send_request(&peer, line, "", "");
    http_backend_expect(&backend, (size_t) i + 1);
    peer_expect(&peer, "HTTP/1.1 200");
  }
  request(&admin, "GET /metrics?token=admin", "", "");
  peer_expect(&admin, "fluxbp_gateway_limited_total{limit=\"commands_per_client\"} 0\n");
  peer_close(&admin);
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_backend_is_told_what_a_client_shows, setup, teardown),
      cmocka_unit_test_setup_teardown(a_token_of_the_query_or_a_command_is_shown_as_a_header, setup, teardown),
      cmocka_unit_test_setup_teardown(another_authorization_goes_as_it_is, setup, teardown),
      cmocka_unit_test_setup_teardown(a_token_cannot_add_headers, setup, teardown),
      cmocka_unit_test_setup_teardown(nothing_is_asked_about_a_client_that_shows_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(cookies_give_their_topics_and_no_others, setup, teardown),
      cmocka_unit_test_setup_teardown(a_websocket_is_served_by_its_cookie, setup, teardown),
      cmocka_unit_test_setup_teardown(a_websocket_shows_its_token_by_its_first_message, setup, teardown),
      cmocka_unit_test_setup_teardown(a_refused_cookie_leaves_a_websocket_its_first_message, setup, teardown),
      cmocka_unit_test_setup_teardown(a_refused_token_gives_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(an_administrator_may_administer, setup, teardown),
      cmocka_unit_test_setup_teardown(a_route_of_the_program_knows_the_client, setup, teardown),
      cmocka_unit_test_setup_teardown(a_request_with_a_body_waits_behind_its_head, setup, teardown),
      cmocka_unit_test_setup_teardown(what_comes_while_a_request_waits_is_done_behind_it, setup, teardown),
      cmocka_unit_test_setup_teardown(the_program_decides_behind_the_backend, setup, teardown),
      cmocka_unit_test_setup_teardown(tokens_of_the_server_come_first, setup, teardown),
      cmocka_unit_test_setup_teardown(a_refusal_counts_as_a_wrong_token_and_silence_does_not, setup, teardown),
      cmocka_unit_test_setup_teardown(rights_end_when_the_answer_says, setup, teardown),
      cmocka_unit_test_setup_teardown(a_request_that_waits_is_counted_once_by_the_rates, setup, teardown),
      cmocka_unit_test_setup_teardown(a_revoked_subject_goes_and_its_kept_answer_with_it, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
