/* SPDX-License-Identifier: MIT */
/*
 * How long a client waits, and after what it doesn't come back.
 */
#include "client/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_bound_doubles_up_to_the_longest_pause(void **state) {
  static const uint64_t bounds[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
  (void) state;
  for (uint32_t failures = 0; failures < sizeof bounds / sizeof bounds[0]; failures++) {
    assert_int_equal(fluxbp__backoff_ms(250, 30000, failures, 0, 0), 0); /* full jitter: from 0 on */
    assert_int_equal(fluxbp__backoff_ms(250, 30000, failures, 0, bounds[failures]), bounds[failures]);
    assert_int_equal(fluxbp__backoff_ms(250, 30000, failures, 0, bounds[failures] + 1), 0);
  }
  assert_int_equal(fluxbp__backoff_ms(250, 30000, UINT32_MAX, 0, 30000), 30000);
  assert_int_equal(fluxbp__backoff_ms(250, UINT32_MAX, UINT32_MAX, 0, UINT32_MAX), UINT32_MAX);
  assert_int_equal(fluxbp__backoff_ms(500, 100, 0, 0, 101), 0); /* the longest pause wins */
}

static void pauses_of_many_clients_are_spread_evenly(void **state) {
  uint64_t random = 1;
  int counts[4] = {0};
  (void) state;
  for (int i = 0; i < 40000; i++) {
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    counts[fluxbp__backoff_ms(250, 30000, 2, 0, random >> 11) * 4 / 1001]++;
  }
  for (int i = 0; i < 4; i++) assert_in_range(counts[i], 9500, 10500);
}

static void what_the_server_asks_for_comes_first_up_to_an_hour(void **state) {
  (void) state;
  assert_int_equal(fluxbp__backoff_ms(250, 30000, 0, 5000, 17), 5017);
  assert_int_equal(fluxbp__backoff_ms(250, 30000, 0, UINT64_MAX, 17), FLUXBP__HINT_MAX_MS + 17);
}

static void some_refusals_are_final(void **state) {
  static const int final_statuses[] = {200, 204, 301, 302, 307, 400, 401, 403, 404, 405, 426};
  static const int passing_statuses[] = {0, 408, 425, 429, 500, 502, 503, 504};
  static const int final_codes[] = {1000, 1002, 1003, 1007, 1009, 1010, 4000, 4401, 4403};
  static const int passing_codes[] = {0, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 3000, 4008, 4010, 4011};
  (void) state;
  for (size_t i = 0; i < sizeof final_statuses / sizeof(int); i++)
    assert_true(fluxbp__backoff_is_final_status(final_statuses[i]));
  for (size_t i = 0; i < sizeof passing_statuses / sizeof(int); i++)
    assert_false(fluxbp__backoff_is_final_status(passing_statuses[i]));
  for (size_t i = 0; i < sizeof final_codes / sizeof(int); i++)
    assert_true(fluxbp__backoff_is_final_code(final_codes[i]));
  for (size_t i = 0; i < sizeof passing_codes / sizeof(int); i++)
    assert_false(fluxbp__backoff_is_final_code(passing_codes[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bound_doubles_up_to_the_longest_pause),
      cmocka_unit_test(pauses_of_many_clients_are_spread_evenly),
      cmocka_unit_test(what_the_server_asks_for_comes_first_up_to_an_hour),
      cmocka_unit_test(some_refusals_are_final),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
