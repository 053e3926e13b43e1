/* SPDX-License-Identifier: MIT */
/*
 * listener: its limits, one by one. Time is virtual.
 */
#include "support/listener_fixture.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static fixture_t f;

static void whoever_comes_to_a_full_server_may_be_told(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_connections = 2;
  f.takes_refused = true;
  fixture_open(&f);
  for (int i = 0; i < 2; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 2);
  int client = fixture_connect(&f);
  fixture_refuses(&f, 1);
  assert_int_equal(f.refused, 1);
  assert_int_equal(f.reason, FLUXBP_REFUSAL_CONNECTIONS);
  assert_int_equal(fixture_stats(&f).refusals, 1);
  assert_int_equal(fixture_stats(&f).paused, 0);

  assert_int_equal(write(f.taken[0].fd, "full", 4), 4);
  fixture_drop_taken(&f);
  assert_int_equal(client_reads(client), 4);
  assert_int_equal(client_reads(client), 0);
  assert_int_equal(fixture_stats(&f).refusals, 0);
  assert_int_equal(fixture_stats(&f).connections, 2);

  fixture_drop(&f);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 3);
  assert_int_equal(fixture_stats(&f).refused_silently, 0);
  fixture_close(&f);
}

static void whoever_is_refused_and_not_taken_is_reset(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_connections = 1;
  fixture_open(&f);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  int client = fixture_connect(&f);
  assert_int_equal(write(client, "hello", 5), 5);
  fixture_refuses(&f, 1);
  assert_int_equal(f.refused, 1);
  assert_int_equal(client_reads(client), -ECONNRESET);
  client = fixture_connect(&f); /* and without data that wasn't read, which alone would make a reset of a close */
  fixture_refuses(&f, 2);
  assert_int_equal(client_reads(client), -ECONNRESET);
  assert_int_equal(fixture_stats(&f).refused_connections, 2);
  assert_int_equal(fixture_stats(&f).refused_silently, 0);
  assert_int_equal(fixture_stats(&f).refusals, 0);
  fixture_close(&f);
}

static void only_so_many_are_told_at_the_same_time(void **state) {
  enum { CLIENTS = 10, TOLD = 3 };
  (void) state;
  fixture_init(&f);
  f.options.max_connections = 1;
  f.options.max_refusals = TOLD;
  f.takes_refused = true;
  fixture_open(&f);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  for (int i = 0; i < CLIENTS; i++) (void) fixture_connect(&f);
  fixture_refuses(&f, CLIENTS);
  assert_int_equal(f.refused, TOLD);
  assert_int_equal(fixture_stats(&f).refusals, TOLD);
  assert_int_equal(fixture_stats(&f).refused_silently, CLIENTS - TOLD);
  assert_int_equal(client_reads(f.clients[CLIENTS]), -ECONNRESET);

  fixture_drop_taken(&f);
  (void) fixture_connect(&f);
  fixture_refuses(&f, CLIENTS + 1);
  assert_int_equal(f.refused, TOLD + 1);
  fixture_close(&f);
}

static void nobody_is_told_if_nobody_would_tell_or_none_may_be(void **state) {
  (void) state;
  for (int round = 0; round < 2; round++) {
    fixture_init(&f);
    f.options.max_connections = 1;
    if (round == 0)
      f.options.on_refused = NULL;
    else
      f.options.max_refusals = 0;
    fixture_open(&f);
    (void) fixture_connect(&f);
    int client = fixture_connect(&f);
    fixture_accepts(&f, 1);
    fixture_refuses(&f, 1);
    assert_int_equal(f.refused, 0);
    assert_int_equal(fixture_stats(&f).refused_silently, 1);
    assert_int_equal(client_reads(client), -ECONNRESET);
    fixture_close(&f);
  }
}

static void at_its_limit_it_may_wait_instead_and_a_release_makes_room(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_connections = 3;
  f.options.at_limit = FLUXBP_AT_LIMIT_PAUSE;
  fixture_open(&f);
  for (int i = 0; i < 6; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 3);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_LIMIT);
  fixture_drop(&f);
  fixture_accepts(&f, 4);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_LIMIT);

  fluxbp_listener_pause(f.listener);
  fixture_drop(&f);
  fixture_turns(&f, 3);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_HOST); /* there is room now, but not for anybody new */
  fluxbp_listener_resume(f.listener);
  fixture_accepts(&f, 5);
  while (f.count > 0) fixture_drop(&f);
  fixture_accepts(&f, 6);
  assert_int_equal(fixture_stats(&f).paused, 0);
  assert_int_equal(fixture_stats(&f).refused_connections, 0);
  fixture_close(&f);
}

static void release_here(fixture_t *fixture) {
  fixture_drop(fixture);
}

static void a_release_in_the_callback_keeps_it_from_being_full(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_connections = 1;
  f.options.at_limit = FLUXBP_AT_LIMIT_PAUSE;
  f.on_accept = release_here;
  fixture_open(&f);
  for (int i = 0; i < 100; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 100);
  assert_int_equal(fixture_stats(&f).connections, 0);
  fixture_close(&f);
}

static void an_address_that_has_its_share_is_refused_and_the_others_are_not(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_per_address = 2;
  fixture_open(&f);
  for (int i = 0; i < 2; i++) (void) fixture_connect_from(&f, "127.0.0.2");
  fixture_accepts(&f, 2);
  int greedy = fixture_connect_from(&f, "127.0.0.2");
  (void) fixture_connect_from(&f, "127.0.0.3");
  fixture_accepts(&f, 3);
  fixture_refuses(&f, 1);
  assert_int_equal(f.refused, 1);
  assert_int_equal(f.reason, FLUXBP_REFUSAL_ADDRESS);
  assert_int_equal(fixture_stats(&f).refused_address, 1);
  assert_int_equal(fixture_stats(&f).refused_connections, 0);
  assert_int_equal(client_reads(greedy), -ECONNRESET);

  fixture_drop(&f); /* that of 127.0.0.3 */
  (void) fixture_connect_from(&f, "127.0.0.2");
  fixture_refuses(&f, 2);
  fixture_drop(&f);
  (void) fixture_connect_from(&f, "127.0.0.2");
  fixture_accepts(&f, 4);
  fixture_close(&f);
}

static void a_refusal_that_was_taken_does_not_count_for_its_address(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_per_address = 1;
  f.takes_refused = true;
  fixture_open(&f);
  for (int i = 0; i < 3; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  fixture_refuses(&f, 2);
  fixture_drop(&f);
  assert_int_equal(fixture_stats(&f).refusals, 2);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 2);
  fixture_drop_taken(&f);
  (void) fixture_connect(&f);
  fixture_refuses(&f, 3);
  fixture_close(&f);
}

static void a_burst_is_accepted_at_once_and_then_the_rate_holds(void **state) {
  enum { BURST = 5, PER_SECOND = 10, CLIENTS = 20 };
  (void) state;
  fixture_init(&f);
  f.options.accepts_per_second = PER_SECOND;
  f.options.accept_burst = BURST;
  fixture_open(&f);
  for (int i = 0; i < CLIENTS; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, BURST);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_RATE);
  fixture_advance(&f, 99);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_RATE);
  fixture_advance(&f, 1);
  fixture_accepts(&f, BURST + 1);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_RATE);
  fixture_advance(&f, 250);
  fixture_accepts(&f, BURST + 3);
  fixture_advance(&f, 50); /* which the bucket has kept */
  fixture_accepts(&f, BURST + 4);
  fixture_advance(&f, 3600000);
  fixture_accepts(&f, 2 * BURST + 4);
  assert_int_equal(fixture_stats(&f).accepted, 2 * BURST + 4);
  fixture_close(&f);
}

static void whoever_is_refused_takes_no_token_from_the_others(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.accepts_per_second = 1;
  f.options.accept_burst = 2;
  f.options.max_per_address = 1;
  fixture_open(&f);
  for (int i = 0; i < 10; i++) (void) fixture_connect_from(&f, "127.0.0.2");
  fixture_refuses(&f, 9);
  (void) fixture_connect_from(&f, "127.0.0.3");
  fixture_accepts(&f, 2);
  fixture_close(&f);
}

static void the_next_token_comes_by_itself(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.accepts_per_second = 200;
  f.options.accept_burst = 1;
  f.options.clock_ms = NULL; /* the loop's: here it is the real timer that counts */
  fixture_open(&f);
  for (int i = 0; i < 4; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 4);
  fixture_close(&f);
}

static void resuming_does_not_lift_a_limit(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.accepts_per_second = 1;
  f.options.accept_burst = 1;
  fixture_open(&f);
  for (int i = 0; i < 2; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  fluxbp_listener_pause(f.listener);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_HOST | FLUXBP_PAUSED_BY_RATE);
  fluxbp_listener_resume(f.listener);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_RATE);
  fluxbp_listener_pause(f.listener);
  fixture_advance(&f, 1000);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_HOST);
  fluxbp_listener_resume(f.listener);
  fixture_accepts(&f, 2);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whoever_comes_to_a_full_server_may_be_told),
      cmocka_unit_test(whoever_is_refused_and_not_taken_is_reset),
      cmocka_unit_test(only_so_many_are_told_at_the_same_time),
      cmocka_unit_test(nobody_is_told_if_nobody_would_tell_or_none_may_be),
      cmocka_unit_test(at_its_limit_it_may_wait_instead_and_a_release_makes_room),
      cmocka_unit_test(a_release_in_the_callback_keeps_it_from_being_full),
      cmocka_unit_test(an_address_that_has_its_share_is_refused_and_the_others_are_not),
      cmocka_unit_test(a_refusal_that_was_taken_does_not_count_for_its_address),
      cmocka_unit_test(a_burst_is_accepted_at_once_and_then_the_rate_holds),
      cmocka_unit_test(whoever_is_refused_takes_no_token_from_the_others),
      cmocka_unit_test(the_next_token_comes_by_itself),
      cmocka_unit_test(resuming_does_not_lift_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
