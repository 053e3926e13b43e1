/* SPDX-License-Identifier: MIT */
/*
 * permissions: what clients of a running server may do with their tokens, and what becomes of the clients when tokens
 * are exchanged, revoked or over. The public headers, but for the time.
 */
#include "server/session/session_grants.h"
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ALICE "alice-alice-alice"
#define BACKEND "backend-backend-1"
#define ROOT "root-root-root-root"

static const char TOKENS[] = "subscribe " ALICE " name=alice topics=user.alice.>,news\n"
                             "publish " ALICE " topics=chat\n"
                             "publish " BACKEND " name=backend\n"
                             "admin " ROOT " name=root\n";

static struct server_fixture f;

static fluxbp_tokens_t *read_tokens(const char *text) {
  char path[] = "/tmp/fluxbp-permissions-XXXXXX", problem[256] = "";
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

/* The program's own reference goes; the server has one. */
static void start(void) {
  server_fixture_start(&f);
  fluxbp_tokens_free(f.options.tokens);
}

static void a_token_gives_its_topics_alone(void **state) {
  struct peer alice;
  (void) state;
  start();
  peer_connect(&alice, &f, f.lines);
  peer_send(&alice, "SUB news\n");
  peer_expect(&alice, "-ERR SUB takes a token for that: AUTH token first\n");
  peer_send(&alice, "AUTH " ALICE "\n");
  peer_expect(&alice, "+OK AUTH subscribe publish\n");
  peer_send(&alice, "SUB user.alice.mail\nSUB user.bob.mail\n");
  peer_expect(&alice, "+OK SUB user.alice.mail\n");
  peer_expect(&alice, "-ERR this token may not subscribe to 'user.bob.mail'\n");
  peer_send(&alice, "PUB chat hello\nPUB news hello\n");
  peer_expect(&alice, "+OK PUB ");
  peer_expect(&alice, "-ERR this token may not publish on 'news'\n");
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "today", 5), 0);
  peer_expect(&alice, "today\n"); /* the default topic is one of the token's */
  peer_close(&alice);
}

static void the_default_topic_takes_a_permission(void **state) {
  struct peer backend;
  (void) state;
  fluxbp_tokens_free(f.options.tokens);
  f.options.tokens = read_tokens("subscribe " ALICE " topics=chat\n");
  start();
  peer_connect(&backend, &f, f.lines);
  peer_send(&backend, "AUTH " ALICE "\nUNSUB news\n");
  peer_expect(&backend, "+OK AUTH subscribe\n");
  peer_expect(&backend, "-ERR not subscribed to news\n");
  peer_close(&backend);
}

static void requests_are_judged_one_by_one(void **state) {
  struct peer peer;
  (void) state;
  start();
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " ALICE "\r\n"
                   "Content-Length: 1\r\n\r\nx");
  peer_expect(&peer, "HTTP/1.1 200");
  peer_send(&peer, "POST /api/v1/publish?topic=chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
  peer_expect(&peer, "HTTP/1.1 401");
  peer_connect(&peer, &f, f.http);
  peer_send(&peer, "POST /api/v1/publish?topic=news&token=" ALICE " HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Length: 1\r\n\r\nx");
  peer_expect(&peer, "HTTP/1.1 403");
  peer_expect(&peer, "this token may not publish on 'news'");
  peer_close(&peer);
}

static void an_event_stream_takes_a_permission_for_each_topic(void **state) {
  struct peer right, wrong;
  (void) state;
  start();
  peer_connect(&right, &f, f.http);
  peer_send(&right, "GET /sse?topic=news,user.alice.1&token=" ALICE " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&right, "HTTP/1.1 200");
  peer_connect(&wrong, &f, f.http);
  peer_send(&wrong, "GET /sse?topic=news,orders&token=" ALICE " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&wrong, "HTTP/1.1 403");
  peer_expect(&wrong, "this token may not subscribe to 'orders'");
  peer_close(&right);
  peer_close(&wrong);
}

static void a_websocket_is_closed_with_4403(void **state) {
  struct peer peer;
  (void) state;
  start();
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=orders&token=" ALICE);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_FORBIDDEN, "this token may not subscribe to 'orders'");
  peer_close(&peer);
}

static void public_topics_take_no_token(void **state) {
  static const char *const PUBLIC[] = {"news", "weather.*"};
  struct peer peer;
  (void) state;
  f.options.public_topics = (fluxbp_text_list_t){PUBLIC, 2};
  start();
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "SUB weather.rome\nSUB chat\nPUB news x\n");
  peer_expect(&peer, "+OK SUB weather.rome\n");
  peer_expect(&peer, "-ERR without a token a client may not subscribe to 'chat'\n");
  peer_expect(&peer, "-ERR PUB takes a token for that");
  peer_close(&peer);
}

/* Exchanging the tokens. */

static void a_withdrawn_token_ends_its_clients_and_no_others(void **state) {
  struct peer alice, backend;
  (void) state;
  start();
  peer_connect(&alice, &f, f.lines);
  peer_connect(&backend, &f, f.lines);
  peer_send(&alice, "AUTH " ALICE "\n");
  peer_expect(&alice, "+OK AUTH");
  peer_send(&backend, "AUTH " BACKEND "\n");
  peer_expect(&backend, "+OK AUTH publish\n");
  fluxbp_tokens_t *fewer = read_tokens("subscribe " ROOT "\npublish " BACKEND " topics=chat\n");
  assert_int_equal(fluxbp_server_set_tokens(f.server, fewer), 0);
  fluxbp_tokens_free(fewer);
  peer_expect(&alice, "-ERR the token was withdrawn\n");
  peer_expect_end(&alice);
  peer_send(&backend, "PUB chat x\nPUB news x\n");
  peer_expect(&backend, "+OK PUB ");
  peer_expect(&backend, "-ERR this token may not publish on 'news'\n");
  peer_close(&alice);
  peer_close(&backend);
}

static void a_client_goes_that_has_a_topic_which_its_token_gives_no_more(void **state) {
  struct peer peer;
  (void) state;
  start();
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=user.alice.mail&token=" ALICE);
  while (fluxbp_server_session_count(f.server) == 0) step_once(&f);
  fluxbp_tokens_t *narrower = read_tokens("subscribe " ALICE " topics=news\n");
  assert_int_equal(fluxbp_server_set_tokens(f.server, narrower), 0);
  fluxbp_tokens_free(narrower);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_FORBIDDEN, "the token doesn't give all of the client's topics any more");
  peer_close(&peer);
}

/* Grants with a subject and an end, as signed tokens make them. */

static fluxbp_session_t *visited;

static void note_session(fluxbp_session_t *session, void *arg) {
  (void) arg;
  visited = session;
}

static void note_done(fluxbp_server_t *server, void *arg) {
  (void) server;
  *(bool *) arg = true;
}

/* Give the only client a grant, whose reference is taken over. */
static void give_grant(struct grant *grant) {
  bool is_done = false;
  const char *problem;
  while (fluxbp_server_session_count(f.server) == 0) step_once(&f);
  assert_int_equal(fluxbp_server_each_session(f.server, note_session, note_done, &is_done), 0);
  run_until(&f, &is_done);
  assert_true(session_take_grant(visited, grant, &problem));
}

static struct grant *grant_for(const char *subject, const char *id, uint64_t issued_s, uint64_t expires_s) {
  struct grant *grant = grant_create();
  assert_int_equal(grant_set_text(&grant->subject, subject, strlen(subject)), 0);
  assert_int_equal(grant_set_text(&grant->id, id, strlen(id)), 0);
  grant->issued_s = issued_s;
  grant->expires_s = expires_s;
  grant_allow_all(grant, FLUXBP_ROLE_SUBSCRIBE);
  return grant;
}

static void connect_subscriber(struct peer *peer) {
  fluxbp_tokens_free(f.options.tokens);
  f.options.tokens = NULL;
  start();
  peer_connect(peer, &f, f.http);
  peer_upgrade(peer, "/ws");
}

static void a_client_is_warned_and_closed_when_its_token_expires(void **state) {
  static const char WARNING[] = "{\"token_expires_in\":10}";
  struct peer peer;
  uint64_t far_s = (uint64_t) time(NULL) + 100000; /* so that the shard's own clock has no part in this */
  (void) state;
  connect_subscriber(&peer);
  give_grant(grant_for("alice", "1", 0, far_s));
  struct shard *shard = session_shard(visited);
  session_grants_expire(shard, far_s - 31);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "live", 4), 0);
  peer_expect_frame(&peer, 1, "live", 4);
  session_grants_expire(shard, far_s - 10);
  peer_expect_frame(&peer, 1, WARNING, strlen(WARNING));
  session_grants_expire(shard, far_s);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_UNAUTHORIZED, "the token has expired");
  peer_close(&peer);
}

static void a_newer_token_of_the_subject_takes_the_place_of_the_older(void **state) {
  struct peer peer;
  uint64_t far_s = (uint64_t) time(NULL) + 100000;
  (void) state;
  connect_subscriber(&peer);
  give_grant(grant_for("alice", "1", 0, far_s));
  give_grant(grant_for("alice", "2", 0, far_s + 100));
  session_grants_expire(session_shard(visited), far_s + 1);
  assert_string_equal(fluxbp_session_subject(visited), "alice");
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "live", 4), 0);
  peer_expect_frame(&peer, 1, "live", 4);
  session_grants_expire(session_shard(visited), far_s + 100);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_UNAUTHORIZED, "the token has expired");
  peer_close(&peer);
}

static void a_revoked_subject_goes_and_another_stays(void **state) {
  struct peer peer;
  uint64_t now_s = (uint64_t) time(NULL);
  (void) state;
  connect_subscriber(&peer);
  give_grant(grant_for("alice", "1", now_s - 10, 0));
  assert_int_equal(fluxbp_server_revoke(f.server, "bob", NULL, 1000), 0);
  assert_int_equal(fluxbp_server_revoke(f.server, NULL, "2", 1000), 0);
  for (int i = 0; i < 10; i++) step_once(&f);
  assert_int_equal(fluxbp_server_session_count(f.server), 1);
  assert_int_equal(fluxbp_server_revoke(f.server, "alice", NULL, 1000), 0);
  peer_expect_close_frame(&peer, FLUXBP_CLOSE_UNAUTHORIZED, "the token was revoked");
  peer_close(&peer);
}

static void a_revocation_needs_one_thing(void **state) {
  char text[GRANT_TEXT_BYTES + 2];
  (void) state;
  start();
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  assert_int_equal(fluxbp_server_revoke(f.server, NULL, NULL, 1), UV_EINVAL);
  assert_int_equal(fluxbp_server_revoke(f.server, "a", "b", 1), UV_EINVAL);
  assert_int_equal(fluxbp_server_revoke(f.server, "", NULL, 1), UV_EINVAL);
  assert_int_equal(fluxbp_server_revoke(f.server, "a", NULL, 0), UV_EINVAL);
  assert_int_equal(fluxbp_server_revoke(f.server, text, NULL, 1), UV_EINVAL);
}

static void an_administrator_revokes_by_a_request(void **state) {
  static const char HEAD[] = "POST /api/v1/revoke HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " ROOT "\r\n";
  char request[512];
  struct peer admin, alice;
  (void) state;
  f.options.public_topics = (fluxbp_text_list_t){(const char *const[]){">"}, 1};
  start();
  peer_connect(&alice, &f, f.http);
  peer_upgrade(&alice, "/ws");
  give_grant(grant_for("alice", "1", 0, 0));
  peer_connect(&admin, &f, f.http);
  (void) snprintf(request, sizeof request, "%sContent-Length: 13\r\n\r\n{\"subject\":1}", HEAD);
  peer_send(&admin, request);
  peer_expect(&admin, "HTTP/1.1 400");
  (void) snprintf(request, sizeof request, "%sContent-Length: 19\r\n\r\n{\"subject\":\"alice\"}", HEAD);
  peer_connect(&admin, &f, f.http);
  peer_send(&admin, request);
  peer_expect(&admin, "HTTP/1.1 200");
  peer_expect(&admin, "{\"revoked\":\"alice\"}");
  peer_expect_close_frame(&alice, FLUXBP_CLOSE_UNAUTHORIZED, "the token was revoked");
  peer_close(&admin);
  peer_close(&alice);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_token_gives_its_topics_alone, setup, teardown),
      cmocka_unit_test_setup_teardown(the_default_topic_takes_a_permission, setup, teardown),
      cmocka_unit_test_setup_teardown(requests_are_judged_one_by_one, setup, teardown),
      cmocka_unit_test_setup_teardown(an_event_stream_takes_a_permission_for_each_topic, setup, teardown),
      cmocka_unit_test_setup_teardown(a_websocket_is_closed_with_4403, setup, teardown),
      cmocka_unit_test_setup_teardown(public_topics_take_no_token, setup, teardown),
      cmocka_unit_test_setup_teardown(a_withdrawn_token_ends_its_clients_and_no_others, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_goes_that_has_a_topic_which_its_token_gives_no_more, setup, teardown),
      cmocka_unit_test_setup_teardown(a_client_is_warned_and_closed_when_its_token_expires, setup, teardown),
      cmocka_unit_test_setup_teardown(a_newer_token_of_the_subject_takes_the_place_of_the_older, setup, teardown),
      cmocka_unit_test_setup_teardown(a_revoked_subject_goes_and_another_stays, setup, teardown),
      cmocka_unit_test_setup_teardown(a_revocation_needs_one_thing, setup, teardown),
      cmocka_unit_test_setup_teardown(an_administrator_revokes_by_a_request, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
