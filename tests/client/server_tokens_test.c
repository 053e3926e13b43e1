/* SPDX-License-Identifier: MIT */
/*
 * server_tokens: a client of libfluxbp-client whose token is over, at a server of libfluxbp-server. The client doesn't
 * come back with the same token, and does with another one. Both by their public headers.
 */
#include "fluxbp/client.h"
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ALICE "alice-alice-alice"
#define NEWER "alice-alice-newer"

static struct server_fixture f;

/* The client, and what it was told. */
static struct {
  fluxbp_client_t *client; /* NULL: it has ended */
  bool has_ended;
  size_t opens, disconnects, messages;
  int code, status;
  int64_t retry_ms;
  const char *next_token; /* given in on_disconnect; or NULL */
} told;

static void on_open(fluxbp_client_t *client) {
  (void) client;
  told.opens++;
}

static void on_message(fluxbp_client_t *client, const fluxbp_client_event_t *message) {
  (void) client;
  (void) message;
  told.messages++;
}

static void on_disconnect(fluxbp_client_t *client, const fluxbp_client_disconnect_t *disconnect) {
  told.disconnects++;
  told.code = disconnect->code;
  told.status = disconnect->status;
  told.retry_ms = disconnect->retry_ms;
  if (told.next_token != NULL) assert_int_equal(fluxbp_client_set_token(client, told.next_token), 0);
  told.next_token = NULL;
}

static void on_close(fluxbp_client_t *client, int status) {
  (void) client;
  (void) status;
  told.client = NULL;
  told.has_ended = true;
}

static const fluxbp_client_handlers_t handlers = {.size = sizeof handlers,
                                                  .on_open = on_open,
                                                  .on_message = on_message,
                                                  .on_disconnect = on_disconnect,
                                                  .on_close = on_close};

static int setup(void **state) {
  (void) state;
  memset(&told, 0, sizeof told);
  server_fixture_init(&f);
  f.options.topic = NULL;
  f.options.tokens = server_fixture_tokens("subscribe " ALICE " topics=news\nsubscribe " NEWER " topics=news,sport\n");
  server_fixture_start(&f);
  fluxbp_tokens_free(f.options.tokens);
  return 0;
}

static int teardown(void **state) {
  (void) state;
  if (told.client != NULL) fluxbp_client_reset(told.client);
  server_fixture_end(&f);
  return 0;
}

static void connect_client(const char *scheme, const char *topics, const char *token) {
  char text[FLUXBP_ADDRESS_TEXT_BYTES], url[FLUXBP_ADDRESS_TEXT_BYTES + 16];
  fluxbp_client_options_t options;
  fluxbp_server_address(f.server, f.http, text);
  (void) snprintf(url, sizeof url, "%s://%s", scheme, text);
  fluxbp_client_options_init(&options);
  options.url = url;
  options.topics = topics;
  options.token = token;
  options.handlers = &handlers;
  options.retry_first_ms = options.retry_max_ms = 1;
  assert_int_equal(fluxbp_client_create(&f.loop, &options, &told.client), 0);
  assert_int_equal(fluxbp_client_connect(told.client), 0);
}

static void withdraw_alice(void) {
  fluxbp_tokens_t *fewer = server_fixture_tokens("subscribe " NEWER " topics=news,sport\n");
  assert_int_equal(fluxbp_server_set_tokens(f.server, fewer), 0);
  fluxbp_tokens_free(fewer);
}

static void expect_news(void) {
  size_t messages = told.messages;
  while (fluxbp_server_session_count(f.server) == 0) step_once(&f);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "today", 5), 0);
  run_until_count(&f, &told.messages, messages + 1);
}

static void a_withdrawn_token_ends_the_client(void **state) {
  (void) state;
  connect_client("ws", "news", ALICE);
  expect_news();
  withdraw_alice();
  run_until(&f, &told.has_ended);
  assert_int_equal(told.code, FLUXBP_CLOSE_UNAUTHORIZED);
  assert_int_equal(told.retry_ms, -1);
  assert_int_equal(told.disconnects, 1);
}

static void another_token_brings_the_client_back(void **state) {
  (void) state;
  connect_client("ws", "news", ALICE);
  expect_news();
  told.next_token = NEWER;
  withdraw_alice();
  run_until_count(&f, &told.opens, 2);
  assert_int_equal(told.code, FLUXBP_CLOSE_UNAUTHORIZED);
  expect_news();
}

static void a_token_that_was_given_before_brings_the_client_back(void **state) {
  (void) state;
  connect_client("ws", "news", ALICE);
  expect_news();
  assert_int_equal(fluxbp_client_set_token(told.client, "no\nheader"), UV_EINVAL);
  assert_int_equal(fluxbp_client_set_token(told.client, NEWER), 0);
  withdraw_alice();
  run_until_count(&f, &told.opens, 2);
  assert_true(told.retry_ms >= 0);
  expect_news();
}

static void a_topic_that_the_token_does_not_give_ends_the_client(void **state) {
  (void) state;
  connect_client("ws", "sport", ALICE);
  run_until(&f, &told.has_ended);
  assert_int_equal(told.code, FLUXBP_CLOSE_FORBIDDEN);
  assert_int_equal(told.disconnects, 1);
}

/* The stream ends, and the server refuses the next request by its status. */
static void events_are_refused_by_a_status(void **state) {
  (void) state;
  connect_client("sse", "news", ALICE);
  expect_news();
  withdraw_alice();
  run_until_count(&f, &told.disconnects, 1);
  told.next_token = NEWER;
  run_until_count(&f, &told.disconnects, 2);
  assert_int_equal(told.status, 401);
  assert_int_equal(told.retry_ms, -1);
  run_until_count(&f, &told.opens, 2);
  expect_news();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_withdrawn_token_ends_the_client, setup, teardown),
      cmocka_unit_test_setup_teardown(another_token_brings_the_client_back, setup, teardown),
      cmocka_unit_test_setup_teardown(a_token_that_was_given_before_brings_the_client_back, setup, teardown),
      cmocka_unit_test_setup_teardown(a_topic_that_the_token_does_not_give_ends_the_client, setup, teardown),
      cmocka_unit_test_setup_teardown(events_are_refused_by_a_status, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
