/* SPDX-License-Identifier: MIT */
/*
 * Clients have what they sent done in turn: a command that takes long ends the turn of its client, and who waits behind
 * it isn't late.
 */
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { COMMANDS = 4 };
static const uint64_t MS_NS = 1000000;

static struct server_fixture f;
static char order[64];
static size_t messages, opens;

static void burn_ms(uint64_t ms) {
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < ms * MS_NS;) {
  }
}

static void on_open(fluxbp_session_t *session) {
  (void) session;
  opens++;
}

/* "NAME MS": burns so many milliseconds. */
static int on_message(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind) {
  const char *text = data;
  (void) session;
  (void) kind;
  assert_true(length >= 3 && messages < sizeof order - 1);
  order[messages++] = text[0];
  uint64_t ms = 0;
  for (size_t i = 2; i < length; i++) ms = ms * 10 + (uint64_t) (text[i] - '0');
  burn_ms(ms);
  return 0;
}

static int setup(void **state) {
  (void) state;
  memset(order, 0, sizeof order);
  messages = opens = 0;
  server_fixture_init(&f);
  f.handlers.on_open = on_open;
  f.handlers.on_message = on_message;
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void begin(struct peer *peer) {
  size_t before = opens;
  peer_connect(peer, &f, f.lines);
  run_until_count(&f, &opens, before + 1);
}

/* Each costs more than a turn can be made to pay for, so all cost the same. */
static void others_come_between_commands_that_take_long(void **state) {
  struct peer a, b;
  (void) state;
  server_fixture_start(&f);
  begin(&a);
  begin(&b);
  peer_send(&a, "a 10\na 10\na 10\na 10\n");
  peer_send(&b, "b 10\nb 10\nb 10\nb 10\n");
  run_until_count(&f, &messages, 2 * COMMANDS);
  assert_string_equal(order, "abababab");
  peer_close(&a);
  peer_close(&b);
}

static void short_commands_are_done_together(void **state) {
  struct peer a;
  (void) state;
  server_fixture_start(&f);
  begin(&a);
  for (int i = 0; i < 40; i++) peer_send(&a, "a 0\n");
  run_until_count(&f, &messages, 40);
  peer_close(&a);
}

/* Its first request has come, but waits for a turn when the time for it is over: the long command is timed so that the
 * deadline is looked at in between. */
static void a_request_that_waits_for_its_turn_is_not_late(void **state) {
  struct peer a, b;
  (void) state;
  f.options.handshake_ms = 190;
  server_fixture_start(&f);
  begin(&a);
  b.has_ended = true;
  while (b.has_ended) { /* on a machine that is slow itself it may be late before */
    peer_connect(&b, &f, f.http);
    for (int i = 0; i < 10; i++) peer_receive(&b);
  }
  peer_send(&a, "a 250\n");
  peer_send(&b, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(&b, "HTTP/1.1 200");
  assert_int_equal(messages, 1);
  peer_close(&a);
  peer_close(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(others_come_between_commands_that_take_long, setup, teardown),
      cmocka_unit_test_setup_teardown(short_commands_are_done_together, setup, teardown),
      cmocka_unit_test_setup_teardown(a_request_that_waits_for_its_turn_is_not_late, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
