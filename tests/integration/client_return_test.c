/* SPDX-License-Identifier: MIT */
/*
 * Coming back: after which pause, and behind which message; the user sees each message once, and a gap where there is
 * one.
 */
#include "support/client_fixture.h"

#include <stdio.h>

static client_fixture_t fx;

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define EPOCH "0123456789abcdef"

/* Wait for the end of the connection, and let its pause pass. */
static void come_back(void) {
  int accepted = fx.accepted;
  client_expects(&fx, "disconnect(");
  assert_true(fx.last.retry_ms >= 0);
  client_fixture_forget(&fx);
  if (fx.last.retry_ms > 0) client_fixture_advance(&fx, (uint64_t) fx.last.retry_ms - 1);
  assert_int_equal(fx.accepted, accepted);
  client_fixture_advance(&fx, 1);
  for (int i = 0; fx.accepted == accepted && i < 20000; i++) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_int_equal(fx.accepted, accepted + 1);
}

static void pauses_double_until_a_connection_lasts(void **state) {
  static const int64_t pauses[] = {250, 500, 1000, 2000, 2000};
  (void) state;
  client_fixture_open(&fx, "sse", "");
  fx.options.retry_first_ms = 250;
  fx.options.retry_max_ms = 2000;
  client_fixture_connect(&fx);
  for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
    fx.random = (uint64_t) pauses[i]; /* the longest that there can be */
    server_expects(&fx, "\r\n\r\n");
    server_say_text(&fx, SSE_HEAD "data: 1\n\n"); /* that something comes is not enough */
    client_expects(&fx, "message(1)");
    client_fixture_advance(&fx, 4999);
    server_hang_up(&fx, false);
    client_expects(&fx, "disconnect(");
    assert_int_equal(fx.last.retry_ms, pauses[i]);
    come_back();
  }
  fx.random = 251;
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "data: 1\n\n");
  client_expects(&fx, "message(1)");
  client_fixture_advance(&fx, 5000);
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect(");
  assert_int_equal(fx.last.retry_ms, 0); /* of 0 to 250 again */
  client_fixture_close(&fx);
}

static void the_number_of_attempts_may_have_a_limit(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.url = "tcp://127.0.0.1:1";
  fx.options.max_attempts = 3;
  client_fixture_connect(&fx);
  for (int i = 0; i < 3; i++) {
    client_expects(&fx, "disconnect(");
    assert_int_equal(fx.last.retry_ms, i < 2 ? 0 : -1);
    if (i == 2) break;
    client_fixture_forget(&fx);
    client_fixture_advance(&fx, 0);
  }
  client_expects(&fx, "close(ECONNREFUSED)");
  assert_int_equal(fx.disconnects, 3);
  client_fixture_close(&fx);
}

static void servers_may_ask_for_a_pause(void **state) {
  (void) state;
  client_fixture_open(&fx, "sse", "");
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "retry: 1234\n\n");
  client_expects(&fx, "open");
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect(");
  assert_int_equal(fx.last.retry_ms, 1234);
  come_back();
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "retry: 10\n\nevent: closing\ndata: {\"reason\":\"full\",\"retry_ms\":77}\n\n");
  client_expects(&fx, "closing(");
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect(");
  assert_int_equal(fx.last.retry_ms, 77);
  client_fixture_close(&fx);
  client_fixture_open(&fx, "sse", "");
  fx.options.ignores_retry_hints = 1;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "retry: 1234\n\n");
  client_expects(&fx, "open");
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect(");
  assert_int_equal(fx.last.retry_ms, 0);
  client_fixture_close(&fx);
}

static void events_are_resumed_behind_the_last_id(void **state) {
  (void) state;
  client_fixture_open(&fx, "sse", "");
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  assert_null(strstr(fx.received, "Last-Event-ID"));
  server_say_text(&fx, SSE_HEAD "id: " EPOCH ":8\ndata: a\n\nid: " EPOCH ":9\ndata: cut of");
  client_expects(&fx, "message(a)");
  server_hang_up(&fx, false);
  come_back();
  server_expects(&fx, "Last-Event-ID: " EPOCH ":8\r\n");
  server_say_text(&fx, SSE_HEAD "event: resumed\nid: " EPOCH ":8\ndata: {}\n\nid: " EPOCH ":8\ndata: a\n\n" /* again */
                                "id: " EPOCH ":9\ndata: cut off no more\n\n");
  client_expects(&fx, "message(cut off no more)");
  assert_null(strstr(fx.told, "message(a)"));
  fluxbp_client_stats_t stats;
  fluxbp_client_get_stats(fx.client, &stats);
  assert_int_equal(stats.repeats, 1);
  assert_int_equal(stats.messages, 2);
  assert_int_equal(stats.opens, 2);
  client_fixture_close(&fx);
}

static void repeats_are_told_when_they_are_wanted(void **state) {
  (void) state;
  client_fixture_open(&fx, "sse", "");
  fx.options.passes_repeats = 1;
  fx.options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "id: x\ndata: a\n\n");
  client_expects(&fx, "message(a)");
  server_hang_up(&fx, false);
  come_back();
  server_expects(&fx, "Last-Event-ID: x\r\n");
  server_say_text(&fx, SSE_HEAD "id: x\ndata: a\n\n");
  client_expects(&fx, "message(a)");
  client_fixture_close(&fx);
}

static void an_empty_id_ends_resuming(void **state) {
  (void) state;
  client_fixture_open(&fx, "sse", "");
  fx.options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD "id: 5\ndata: a\n\nid\ndata: b\n\n");
  client_expects(&fx, "message(b)");
  assert_string_equal(fluxbp_client_position(fx.client), "");
  client_fixture_close(&fx);
}

static void lines_are_resumed_and_what_comes_before_is_thrown_away(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  client_fixture_connect(&fx);
  server_expects(&fx, "IDS\n");
  server_say_text(&fx, "+OK IDS " EPOCH ":7\n" EPOCH ":8 news one\n");
  client_expects(&fx, "message(one)");
  server_hang_up(&fx, false);
  come_back();
  server_expects(&fx, "IDS\nRESUME " EPOCH ":8\n");
  server_say_text(&fx, EPOCH ":11 news live\n+OK IDS " EPOCH ":11\n" EPOCH ":12 news live too\n+OK RESUMED " EPOCH
                             ":8\n" EPOCH ":9 news two\n" EPOCH ":11 news live\n");
  client_expects(&fx, "message(live)#" EPOCH ":11");
  assert_string_equal(fx.told, "connect open resumed(+OK RESUMED " EPOCH ":8) message(two)#" EPOCH
                               ":9@news message(live)#" EPOCH ":11@news ");
  client_fixture_close(&fx);
}

static void lines_that_are_too_old_are_live(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.since = EPOCH ":3";
  client_fixture_connect(&fx);
  server_expects(&fx, "IDS\nRESUME " EPOCH ":3\n");
  server_say_text(&fx, "+OK IDS " EPOCH ":11\n-ERR too old, oldest is " EPOCH ":6\n" EPOCH ":12 news live\n");
  client_expects(&fx, "message(live)");
  assert_non_null(strstr(fx.told, "too_old(-ERR too old, oldest is " EPOCH ":6)>" EPOCH ":6"));
  assert_string_equal(fluxbp_client_position(fx.client), EPOCH ":12");
  client_fixture_close(&fx);
  client_fixture_open(&fx, "tcp", ""); /* a server that doesn't know the command */
  fx.options.since = EPOCH ":3";
  client_fixture_connect(&fx);
  server_expects(&fx, "RESUME " EPOCH ":3\n");
  server_say_text(&fx, "+OK IDS " EPOCH ":11\n-ERR what is that\n" EPOCH ":12 news live\n");
  client_expects(&fx, "message(live)");
  client_fixture_close(&fx);
}

static void a_websocket_is_resumed_by_its_query_and_begins_anew_when_it_is_too_old(void **state) {
  static const char message[] = "{\"id\":\"" EPOCH ":8\",\"topic\":\"news\",\"data\":\"one\"}";
  static const char too_old[] = "\x0f\xaatoo old, oldest is " EPOCH ":20";
  char payload[128];
  size_t length;
  (void) state;
  client_fixture_open(&fx, "ws", "");
  client_fixture_open_websocket(&fx);
  server_say_frame(&fx, 0x81, message, sizeof message - 1);
  client_expects(&fx, "message(one)");
  server_hang_up(&fx, true);
  come_back();
  server_expects(&fx, "GET /ws?format=json&since=" EPOCH ":8 HTTP/1.1\r\n");
  server_accept_websocket(&fx, NULL, "");
  client_expects(&fx, "open");
  server_say_frame(&fx, 0x88, too_old, sizeof too_old - 1);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 8);
  client_expects(&fx, "too_old(too old, oldest is " EPOCH ":20)>" EPOCH ":20");
  server_hang_up(&fx, false);
  come_back();
  server_expects(&fx, "GET /ws?format=json HTTP/1.1\r\n");
  client_fixture_close(&fx);
}

static void words_for_the_past_stand_in_the_query_once(void **state) {
  (void) state;
  client_fixture_open(&fx, "sse", "");
  fx.options.since = "oldest";
  client_fixture_connect(&fx);
  server_expects(&fx, "GET /sse?since=oldest HTTP/1.1\r\n");
  server_say_text(&fx, SSE_HEAD "id: " EPOCH ":8\ndata: a\n\n");
  client_expects(&fx, "message(a)#" EPOCH ":8");
  server_hang_up(&fx, false);
  come_back();
  server_expects(&fx, "GET /sse HTTP/1.1\r\n");
  server_expects(&fx, "Last-Event-ID: " EPOCH ":8\r\n");
  client_fixture_close(&fx);
}

static void gaps_are_told_with_their_numbers(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.greeting = EPOCH ":3 news a\n{\"gap\":{\"from\":4,\"to\":9,\"count\":5}}\n" EPOCH ":10 news b\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(b)");
  assert_string_equal(fx.told,
                      "connect open message(a)#" EPOCH ":3@news gap({\"gap\":{\"from\":4,\"to\":9,\"count\":5}}) "
                      "message(b)#" EPOCH ":10@news ");
  client_fixture_close(&fx);
}

static void the_program_may_give_a_connection_up(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  server_expects(&fx, "IDS\n");
  fx.calls++;
  fluxbp_client_reconnect(fx.client, 1);
  fx.calls--;
  client_expects(&fx, "disconnect(ECANCELED)");
  while (!fx.has_error && !fx.has_eof) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_true(fx.has_error); /* a reset */
  come_back();
  client_expects(&fx, "open");
  client_fixture_close(&fx);
}

static void hook_that_resets(client_fixture_t *fixture, const char *told) {
  if (strncmp(told, "disconnect", 10) == 0) fluxbp_client_reset(fixture->client);
}

static void a_client_may_be_closed_when_it_is_told_of_the_end(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.hook = hook_that_resets;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.peer == NULL) uv_run(&fx.loop, UV_RUN_ONCE);
  server_hang_up(&fx, false);
  client_expects(&fx, "close(ECANCELED)");
  client_fixture_close(&fx);
}

static const fluxbp_client_request_t request = {.size = sizeof request, .path = "/again"};

static void hook_that_asks_again(client_fixture_t *fixture, const char *told) {
  if (strncmp(told, "disconnect", 10) != 0) return;
  assert_int_equal(fluxbp_client_send_request(fixture->client, &request), 0);
  fixture->hook = NULL;
}

static void a_request_that_was_lost_may_be_sent_again(void **state) {
  (void) state;
  client_fixture_open(&fx, "http", "");
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  fx.hook = hook_that_asks_again;
  client_fixture_connect(&fx);
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0);
  server_expects(&fx, "GET /again HTTP/1.1\r\n");
  server_hang_up(&fx, false);
  come_back();
  server_expects(&fx, "GET /again HTTP/1.1\r\n");
  server_say_text(&fx, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  client_expects(&fx, "answer(hi)");
  client_fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pauses_double_until_a_connection_lasts),
      cmocka_unit_test(the_number_of_attempts_may_have_a_limit),
      cmocka_unit_test(servers_may_ask_for_a_pause),
      cmocka_unit_test(events_are_resumed_behind_the_last_id),
      cmocka_unit_test(repeats_are_told_when_they_are_wanted),
      cmocka_unit_test(an_empty_id_ends_resuming),
      cmocka_unit_test(lines_are_resumed_and_what_comes_before_is_thrown_away),
      cmocka_unit_test(lines_that_are_too_old_are_live),
      cmocka_unit_test(a_websocket_is_resumed_by_its_query_and_begins_anew_when_it_is_too_old),
      cmocka_unit_test(words_for_the_past_stand_in_the_query_once),
      cmocka_unit_test(gaps_are_told_with_their_numbers),
      cmocka_unit_test(the_program_may_give_a_connection_up),
      cmocka_unit_test(a_client_may_be_closed_when_it_is_told_of_the_end),
      cmocka_unit_test(a_request_that_was_lost_may_be_sent_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
