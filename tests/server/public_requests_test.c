/* SPDX-License-Identifier: MIT */
/*
 * Routes of a program's own on the public headers: looking into a request, answering it at once and later, and the
 * parts of the server that a program leaves out.
 */
#include "support/server_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct server_fixture f;
static size_t requests, closes;
static fluxbp_request_t *waiting;
static char long_type[4096];

static void echo(fluxbp_request_t *request) {
  char text[512], who[32];
  fluxbp_text_t body = fluxbp_request_body(request);
  fluxbp_text_t header = fluxbp_request_header(request, "x-note");
  int length = fluxbp_request_parameter(request, "who", who, sizeof who);
  int bytes = snprintf(text, sizeof text, "%s|%.*s|%d|%s|%.*s|%.*s|%u", fluxbp_request_method(request),
                       (int) fluxbp_request_path(request).length, fluxbp_request_path(request).data, length,
                       length > 0 ? who : "", (int) header.length, header.data != NULL ? header.data : "",
                       (int) body.length, body.data != NULL ? body.data : "", fluxbp_request_roles(request));
  fluxbp_text_t cookie = fluxbp_request_cookie(request, "b");
  if (header.data != NULL) {
    assert_true(fluxbp_text_is(cookie, "2=3"));
    assert_true(fluxbp_text_is(fluxbp_request_cookie(request, "bb"), "1"));
    assert_true(fluxbp_text_is(fluxbp_request_cookie(request, "c"), ""));
    assert_non_null(fluxbp_request_cookie(request, "c").data);
    assert_null(fluxbp_request_cookie(request, "B").data);
    assert_true(fluxbp_text_is(fluxbp_request_cookie(request, "quoted"), "4 5"));
    assert_true(fluxbp_text_is(fluxbp_request_cookie(request, "later"), "6")); /* in another header */
    assert_true(fluxbp_request_header_has(request, "Accept-Encoding", "GZIP"));
    assert_false(fluxbp_request_header_has(request, "Accept-Encoding", "zip"));
  } else {
    assert_null(cookie.data);
  }
  assert_int_equal(fluxbp_request_header_count(request, "X-NOTE"), header.data != NULL);
  assert_int_equal(fluxbp_request_header_count(request, "X-Twice"), header.data != NULL ? 2 : 0);
  assert_int_equal(fluxbp_request_add_header(request, "X-Echo", "yes"), 0);
  assert_int_equal(fluxbp_request_add_header(request, "Cache-Control", "max-age=60"), 0);
  assert_int_equal(fluxbp_request_add_header(request, "X-Bad", "a\r\nSet-Cookie: b"), UV_EINVAL);
  assert_int_equal(fluxbp_request_add_header(request, "", "x"), UV_EINVAL);
  fluxbp_request_answer(request, 200, "text/plain", text, (size_t) bytes);
}

static int on_request(fluxbp_request_t *request) {
  fluxbp_text_t path = fluxbp_request_path(request);
  requests++;
  assert_string_equal(fluxbp_session_protocol(fluxbp_request_session(request)), "http");
  if (fluxbp_text_is(path, "/echo")) {
    echo(request);
  } else if (fluxbp_text_is(path, "/later")) {
    waiting = request;
  } else if (fluxbp_text_is(path, "/refused")) {
    fluxbp_request_refuse(request, 409, "say \"please\"");
  } else if (fluxbp_text_is(path, "/empty")) {
    fluxbp_request_answer(request, 204, NULL, NULL, 0);
  } else if (fluxbp_text_is(path, "/for-another-page")) {
    assert_int_equal(fluxbp_request_add_header(request, "Access-Control-Allow-Origin", "https://b.example"), 0);
    fluxbp_request_answer(request, 200, "text/plain", "body", 4);
  } else if (fluxbp_text_is(path, "/long-type")) {
    fluxbp_request_answer(request, 200, long_type, "body", 4);
  } else if (fluxbp_text_is(path, "/wrong-type")) {
    fluxbp_request_answer(request, 200, "text/plain\r\nSet-Cookie: b", "body", 4);
  } else if (fluxbp_text_is(path, "/close-and-leave")) {
    fluxbp_session_close(fluxbp_request_session(request), FLUXBP_CLOSE_NORMAL, "enough");
    return UV_ENOENT;
  } else if (fluxbp_text_is(path, "/close")) {
    fluxbp_session_close(fluxbp_request_session(request), FLUXBP_CLOSE_NORMAL, "enough");
    fluxbp_request_answer(request, 200, NULL, NULL, 0);
  } else {
    return UV_ENOENT;
  }
  return 0;
}

static void on_close(fluxbp_session_t *session, int code, const char *reason) {
  (void) session;
  (void) code;
  (void) reason;
  closes++;
}

static int setup(void **state) {
  (void) state;
  requests = closes = 0;
  waiting = NULL;
  server_fixture_init(&f);
  f.handlers.on_request = on_request;
  f.handlers.on_close = on_close;
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void answer(void *arg) {
  fluxbp_request_answer(arg, 201, "text/plain", "made", 4);
}

static void answer_elsewhere(void) {
  uv_thread_t thread;
  assert_int_equal(uv_thread_create(&thread, answer, waiting), 0);
  assert_int_equal(uv_thread_join(&thread), 0);
  waiting = NULL;
}

static void ask_for(struct peer *peer, const char *path) {
  char request[256];
  (void) snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  peer_send(peer, request);
}

static void a_request_is_looked_into_and_answered_at_once(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer,
            "POST /echo?a=1&who=a%20b HTTP/1.1\r\nHost: localhost\r\nX-Note: hi\r\nX-Twice: a\r\n"
            "Cookie: bb=1; b=2=3;c=\r\nCookie: quoted=\"4 5\"; later=; later=6\r\nAccept-Encoding: br, gzip\r\n"
            "x-twice: b\r\nContent-Length: 4\r\n\r\nbody");
  peer_expect(&peer, "HTTP/1.1 200 OK\r\n");
  peer_expect(&peer, "nosniff\r\nContent-Security-Policy: default-src 'self'\r\nConnection: keep-alive\r\n");
  peer_expect(&peer, "X-Echo: yes\r\nCache-Control: max-age=60\r\n");
  peer_expect(&peer, "\r\nPOST|/echo|3|a b|hi|body|7");
  ask_for(&peer, "/echo?who=%zz");
  peer_expect(&peer, "\r\nGET|/echo|-22||||7"); /* UV_EINVAL */
  peer_send(&peer, "HEAD /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&peer, "\r\n\r\n");
  ask_for(&peer, "/refused");
  peer_expect(&peer, "HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\n");
  peer_expect(&peer, "{\"error\":\"say \\\"please\\\"\"}");
  ask_for(&peer, "/nothing");
  peer_expect(&peer, "HTTP/1.1 404 ");
  peer_expect(&peer, "}");
  assert_int_equal(peer.received, 0);
  peer_close(&peer);
}

static void a_request_is_answered_later_from_another_thread(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/later");
  ask_for(&peer, "/echo");
  run_until_count(&f, &requests, 1);
  (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_int_equal(requests, 1); /* the next one waits */
  answer_elsewhere();
  peer_expect(&peer, "HTTP/1.1 201 Created\r\n");
  peer_expect(&peer, "\r\n\r\nmade");
  peer_expect(&peer, "GET|/echo");
  ask_for(&peer, "/later");
  run_until_count(&f, &requests, 3);
  fluxbp_request_answer(waiting, 200, "text/plain", "from the loop", 13);
  peer_expect(&peer, "from the loop");
  peer_close(&peer);
}

static void an_answer_comes_when_the_client_has_gone(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/later");
  run_until_count(&f, &requests, 1);
  peer_close(&peer);
  while (fluxbp_server_session_count(f.server) > 0) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  for (int i = 0; i < 10; i++) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  answer_elsewhere();
  (void) uv_run(&f.loop, UV_RUN_NOWAIT);
}

static void an_answer_comes_when_the_server_has_gone(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/later");
  run_until_count(&f, &requests, 1);
  server_fixture_close(&f, 0);
  answer_elsewhere();
  peer_close(&peer);
}

static void a_handler_may_end_the_session_and_answer(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/close");
  peer_expect_end(&peer);
  assert_int_equal(peer.received, 0);
  peer_close(&peer);
}

static void an_answer_may_be_empty(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/empty");
  peer_expect(&peer, "HTTP/1.1 204 No Content\r\nCache-Control: ");
  peer_expect(&peer, "\r\n\r\n");
  peer_close(&peer);
}

static void a_type_is_as_long_as_it_is(void **state) {
  struct peer peer;
  (void) state;
  memset(long_type, 'a', sizeof long_type - 1);
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/long-type");
  peer_expect(&peer, "\r\nContent-Type: aaa");
  peer_expect(&peer, "aaa\r\nContent-Length: 4\r\n");
  peer_expect(&peer, "\r\n\r\nbody");
  peer_close(&peer);
}

static void a_type_brings_no_further_headers(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/wrong-type");
  peer_expect(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n");
  peer_expect(&peer, "\r\n\r\nbody");
  peer_close(&peer);
}

/* A FIN, and no reset. */
static void a_handler_may_end_the_session_and_leave_the_path(void **state) {
  struct peer peer;
  ssize_t length;
  char byte;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/close-and-leave");
  while ((length = recv(peer.fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN) step_once(&f);
  assert_int_equal(length, 0);
  peer_close(&peer);
}

static void a_foreign_origin_does_not_get_to_the_program(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "GET /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 403 ");
  assert_int_equal(requests, 0);
  peer_close(&peer);
}

#define PAGE "Host: localhost\r\nOrigin: https://a.example\r\n"
#define FOR_PAGE                                                                                                       \
  "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\nAccess-Control-Allow-Credentials: true\r\n"       \
  "Access-Control-Expose-Headers: Allow, Retry-After, WWW-Authenticate\r\n\r\n"

static void start_for_pages(struct peer *peer) {
  static const char *const ORIGINS[] = {"https://a.example"};
  f.options.allow_origins = (fluxbp_text_list_t){ORIGINS, 1};
  server_fixture_start(&f);
  peer_connect(peer, &f, f.http);
}

static void a_page_of_another_origin_may_read_the_program_s_answers(void **state) {
  struct peer peer;
  (void) state;
  start_for_pages(&peer);
  peer_send(&peer, "GET /echo HTTP/1.1\r\n" PAGE "\r\n");
  peer_expect(&peer, "X-Echo: yes\r\nCache-Control: max-age=60\r\n" FOR_PAGE "GET|/echo");
  peer_send(&peer, "GET /nothing HTTP/1.1\r\n" PAGE "\r\n");
  peer_expect(&peer, FOR_PAGE "{\"error\"");
  peer_send(&peer, "GET /later HTTP/1.1\r\n" PAGE "\r\n");
  run_until_count(&f, &requests, 3);
  answer_elsewhere();
  peer_expect(&peer, FOR_PAGE "made");
  ask_for(&peer, "/later"); /* without an Origin, on the same connection */
  run_until_count(&f, &requests, 4);
  answer_elsewhere();
  peer_expect(&peer, "Vary: Origin\r\n\r\nmade");
  peer_close(&peer);
}

static bool has_cookie;

static fluxbp_decision_t look_for_cookie(fluxbp_session_t *session, const fluxbp_request_t *request) {
  (void) session;
  has_cookie = fluxbp_request_cookie(request, "login").data != NULL;
  return FLUXBP_REFUSE;
}

static void a_cookie_counts_for_pages_with_a_name(void **state) {
  static const char *const ORIGINS[] = {"https://a.example", "*"};
  static const struct {
    const char *origin;
    bool counts;
  } CASES[] = {{"https://a.example", true}, {"http://localhost", true}, {"https://b.example", false}, {"null", false}};
  struct peer peer;
  char request[512];
  (void) state;
  f.options.allow_origins = (fluxbp_text_list_t){ORIGINS, 2};
  f.handlers.on_connect = look_for_cookie;
  server_fixture_start(&f);
  for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
    (void) snprintf(request, sizeof request,
                    "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                    "Origin: %s\r\nCookie: login=1\r\n\r\n",
                    CASES[i].origin);
    peer_connect(&peer, &f, f.http);
    peer_send(&peer, request);
    peer_expect(&peer, "HTTP/1.1 101 ");
    assert_int_equal(has_cookie, CASES[i].counts);
    peer_close(&peer);
  }
}

static void the_program_may_name_another_page(void **state) {
  struct peer peer;
  (void) state;
  start_for_pages(&peer);
  peer_send(&peer, "GET /for-another-page HTTP/1.1\r\n" PAGE "\r\n");
  peer_expect(&peer, "Access-Control-Allow-Origin: https://b.example\r\nVary: Origin\r\n\r\nbody");
  peer_close(&peer);
}

static void a_preflight_does_not_get_to_the_program(void **state) {
  struct peer peer;
  (void) state;
  start_for_pages(&peer);
  peer_send(&peer, "OPTIONS /echo HTTP/1.1\r\n" PAGE "Access-Control-Request-Method: PUT\r\n"
                   "Access-Control-Request-Headers: x-note\r\n\r\n");
  peer_expect(&peer, "HTTP/1.1 204 ");
  peer_expect(&peer, "\r\nAccess-Control-Allow-Methods: PUT\r\nAccess-Control-Allow-Headers: x-note\r\n");
  peer_expect(&peer, FOR_PAGE);
  assert_int_equal(requests, 0);
  peer_send(&peer, "OPTIONS /echo HTTP/1.1\r\n" PAGE "\r\n");
  peer_expect(&peer, "OPTIONS|/echo");
  assert_int_equal(requests, 1);
  peer_close(&peer);
}

static void parts_that_are_left_out_are_not_there(void **state) {
  static const char *const paths[] = {"/ws", "/sse", "/livez", "/readyz", "/metrics", "/api/v1/stats", "/api/v1/watch"};
  struct peer peer;
  (void) state;
  f.options.parts = 0;
  f.handlers.on_request = NULL;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    ask_for(&peer, paths[i]);
    peer_expect(&peer, "HTTP/1.1 404 ");
    peer_expect(&peer, "\r\n\r\n{");
  }
  peer_close(&peer);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "PING\n");
  peer_expect(&peer, "-ERR unknown command");
  peer_close(&peer);
}

static void parts_that_are_there_answer(void **state) {
  struct peer peer;
  (void) state;
  f.options.parts = FLUXBP_PART_METRICS | FLUXBP_PART_HEALTH;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/metrics");
  peer_expect(&peer, "HTTP/1.1 200 ");
  peer_expect(&peer, "fluxbp_bus_messages_total");
  peer_close(&peer);
  peer_connect(&peer, &f, f.http);
  ask_for(&peer, "/readyz");
  peer_expect(&peer, "\r\n\r\nready\n");
  ask_for(&peer, "/api/v1/stats"); /* the program may answer it instead */
  peer_expect(&peer, "HTTP/1.1 404 ");
  assert_int_equal(requests, 1);
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_request_is_looked_into_and_answered_at_once, setup, teardown),
      cmocka_unit_test_setup_teardown(a_request_is_answered_later_from_another_thread, setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_comes_when_the_client_has_gone, setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_comes_when_the_server_has_gone, setup, teardown),
      cmocka_unit_test_setup_teardown(a_handler_may_end_the_session_and_answer, setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_may_be_empty, setup, teardown),
      cmocka_unit_test_setup_teardown(a_type_is_as_long_as_it_is, setup, teardown),
      cmocka_unit_test_setup_teardown(a_type_brings_no_further_headers, setup, teardown),
      cmocka_unit_test_setup_teardown(a_handler_may_end_the_session_and_leave_the_path, setup, teardown),
      cmocka_unit_test_setup_teardown(a_foreign_origin_does_not_get_to_the_program, setup, teardown),
      cmocka_unit_test_setup_teardown(a_page_of_another_origin_may_read_the_program_s_answers, setup, teardown),
      cmocka_unit_test_setup_teardown(a_cookie_counts_for_pages_with_a_name, setup, teardown),
      cmocka_unit_test_setup_teardown(the_program_may_name_another_page, setup, teardown),
      cmocka_unit_test_setup_teardown(a_preflight_does_not_get_to_the_program, setup, teardown),
      cmocka_unit_test_setup_teardown(parts_that_are_left_out_are_not_there, setup, teardown),
      cmocka_unit_test_setup_teardown(parts_that_are_there_answer, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
