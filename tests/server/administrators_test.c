/* SPDX-License-Identifier: MIT */
/*
 * administrators: by whom something was done, in the log, in the records of evictions and in the statistics; and what
 * clients had no permission for, by role. The public headers alone.
 */
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROOT "root-root-root-root"
#define NAMELESS "nameless-nameless"
#define ALICE "alice-alice-alice"

enum { LOG_BYTES = 4096, REQUEST_BYTES = 512 };

static struct server_fixture f;
static char logged[LOG_BYTES]; /* each event on a line: "event name=text name=text" */

static void append_to_log(const char *text) {
  strncat(logged, text, sizeof logged - 1 - strlen(logged));
}

static void on_log(void *user, fluxbp_log_level_t level, const char *event, const fluxbp_log_field_t *fields,
                   size_t count) {
  (void) user;
  (void) level;
  append_to_log(event);
  for (size_t i = 0; i < count; i++) {
    if (fields[i].text == NULL) continue;
    append_to_log(" ");
    append_to_log(fields[i].name);
    append_to_log("=");
    append_to_log(fields[i].text);
  }
  append_to_log("\n");
}

static int setup(void **state) {
  (void) state;
  server_fixture_init(&f);
  f.options.topic = "news";
  f.options.on_log = on_log;
  logged[0] = '\0';
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void start_with_tokens(const char *text) {
  f.options.tokens = server_fixture_tokens(text);
  server_fixture_start(&f);
  fluxbp_tokens_free(f.options.tokens);
}

static void assert_logged(const char *text) {
  if (strstr(logged, text) == NULL) fail_msg("'%s' is not in the log: %s", text, logged);
}

/* Make a request on a connection of its own. `token` may be NULL. */
static void request(struct peer *peer, const char *token, const char *line, const char *body) {
  char text[REQUEST_BYTES];
  int length = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
                        line, token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
                        token != NULL ? "\r\n" : "", strlen(body), body);
  assert_true(length > 0 && (size_t) length < sizeof text);
  peer_connect(peer, &f, f.http);
  peer_send(peer, text);
}

static void expect_answer(const char *token, const char *line, const char *body, const char *answer) {
  struct peer peer;
  request(&peer, token, line, body);
  peer_expect(&peer, answer);
  peer_close(&peer);
}

static void note_id(fluxbp_session_t *session, void *arg) {
  *(uint64_t *) arg = fluxbp_session_id(session);
}

static void note_done(fluxbp_server_t *server, void *arg) {
  (void) server;
  (void) arg;
}

/* Have the only subscriber evicted. */
static void evict(struct peer *subscriber, const char *token) {
  char line[REQUEST_BYTES], answer[REQUEST_BYTES];
  uint64_t id = 0;
  while (fluxbp_server_session_count(f.server) == 0) step_once(&f);
  assert_int_equal(fluxbp_server_each_session(f.server, note_id, note_done, &id), 0);
  while (id == 0) step_once(&f);
  (void) snprintf(line, sizeof line, "POST /api/v1/connections/%llu/evict", (unsigned long long) id);
  (void) snprintf(answer, sizeof answer, "{\"evicted\":%llu}", (unsigned long long) id);
  expect_answer(token, line, "", answer);
  peer_expect(subscriber, "-ERR closed by an administrator\n"); /* the client isn't told by whom */
  peer_close(subscriber);
}

static void a_change_of_the_policy_names_the_token(void **state) {
  (void) state;
  start_with_tokens("admin " ROOT " name=root\n");
  expect_answer(ROOT, "GET /api/v1/stats", "", "\"policy_change\":null");
  expect_answer(ROOT, "POST /api/v1/policy", "{\"stall_ms\":7000,\"ring_bytes\":\"2M\"}", "\"stall_ms\":7000");
  assert_logged("policy_changed by=root changes={\"stall_ms\":7000,\"ring_bytes\":2097152}\n");
  expect_answer(ROOT, "GET /api/v1/stats", "",
                "\"by\":\"root\",\"changes\":{\"stall_ms\":7000,\"ring_bytes\":2097152}}");
  expect_answer(ROOT, "POST /api/v1/policy", "{\"stall_ms\":8000}", "\"stall_ms\":8000"); /* the next one replaces it */
  expect_answer(ROOT, "GET /api/v1/stats", "", "\"by\":\"root\",\"changes\":{\"stall_ms\":8000}}");
}

static void a_refused_change_of_the_policy_is_nobodys(void **state) {
  (void) state;
  server_fixture_start(&f);
  expect_answer(NULL, "POST /api/v1/policy", "{\"low\":99}", "HTTP/1.1 400");
  expect_answer(NULL, "GET /api/v1/stats", "", "\"policy_change\":null");
  assert_null(strstr(logged, "policy_changed"));
}

static void an_eviction_names_the_token(void **state) {
  struct peer subscriber;
  (void) state;
  start_with_tokens("admin " ROOT " name=root\nadmin " NAMELESS "\n");
  peer_connect(&subscriber, &f, f.lines);
  evict(&subscriber, ROOT);
  assert_logged("reason=admin cause=unknown by=root\n");
  expect_answer(ROOT, "GET /api/v1/evictions", "", "\"reason\":\"admin\",\"by\":\"root\"");
  while (fluxbp_server_session_count(f.server) > 0) step_once(&f);
  peer_connect(&subscriber, &f, f.lines);
  evict(&subscriber, NAMELESS);
  assert_logged("by=a token\n");
}

static void without_a_token_it_is_loopback(void **state) {
  struct peer subscriber;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&subscriber, &f, f.lines);
  evict(&subscriber, NULL);
  assert_logged("by=loopback\n");
  expect_answer(NULL, "GET /api/v1/evictions", "", "\"by\":\"loopback\"");
}

/* A token that gives another right has not given this one. */
static void a_token_without_the_right_is_not_named(void **state) {
  (void) state;
  start_with_tokens("publish " ALICE " name=alice\n");
  expect_answer(ALICE, "POST /api/v1/policy", "{\"stall_ms\":7000}", "HTTP/1.1 200");
  assert_logged("policy_changed by=loopback ");
}

static void a_revocation_names_the_token(void **state) {
  (void) state;
  start_with_tokens("admin " ROOT " name=root\n");
  expect_answer(ROOT, "POST /api/v1/revoke", "{\"subject\":\"bob\"}", "{\"revoked\":\"bob\"}");
  assert_logged("revoke subject=bob by=root result=done\n");
}

static void what_is_not_allowed_is_counted_by_role(void **state) {
  struct peer peer;
  (void) state;
  start_with_tokens("subscribe " ALICE " name=alice topics=news\npublish " NAMELESS "\nadmin " ROOT "\n");
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "SUB news\nPUB news x\nPUB news x\nAUTH " ALICE "\nSUB sport\n");
  peer_expect(&peer, "-ERR this token may not subscribe to 'sport'\n");
  expect_answer(ALICE, "GET /api/v1/policy", "", "HTTP/1.1 403");
  expect_answer(ALICE, "GET /api/v1/policy", "", "HTTP/1.1 403");
  expect_answer(NULL, "GET /api/v1/policy", "", "HTTP/1.1 401");
  expect_answer(ROOT, "GET /api/v1/stats", "", "\"not_allowed\":{\"subscribe\":2,\"publish\":2,\"admin\":3}");
  expect_answer(ROOT, "GET /metrics", "",
                "# TYPE fluxbp_gateway_not_allowed_total counter\n"
                "fluxbp_gateway_not_allowed_total{role=\"subscribe\"} 2\n"
                "fluxbp_gateway_not_allowed_total{role=\"publish\"} 2\n"
                "fluxbp_gateway_not_allowed_total{role=\"admin\"} 3\n");
  assert_logged("holder=alice role=admin");
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_change_of_the_policy_names_the_token, setup, teardown),
      cmocka_unit_test_setup_teardown(a_refused_change_of_the_policy_is_nobodys, setup, teardown),
      cmocka_unit_test_setup_teardown(an_eviction_names_the_token, setup, teardown),
      cmocka_unit_test_setup_teardown(without_a_token_it_is_loopback, setup, teardown),
      cmocka_unit_test_setup_teardown(a_token_without_the_right_is_not_named, setup, teardown),
      cmocka_unit_test_setup_teardown(a_revocation_names_the_token, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_not_allowed_is_counted_by_role, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
