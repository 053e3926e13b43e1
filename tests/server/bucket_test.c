/* SPDX-License-Identifier: MIT */
/*
 * bucket: what a rate lets through, by a clock of the test.
 */
#include "server/quotas/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define MS_NS ((uint64_t) 1000 * 1000)
#define SECOND_NS (1000 * MS_NS)

static uint64_t full_ns, now_ns;

static bool take(uint64_t cost_ns) {
  if (bucket_wait_ns(full_ns, BUCKET_NS, now_ns) > 0) return false;
  full_ns = bucket_paid(full_ns, cost_ns, now_ns);
  return true;
}

/* @return how many are let through until `end_ns`, by a client that tries each millisecond for as long as it may */
static unsigned take_until(uint64_t end_ns, uint64_t cost_ns) {
  unsigned count = 0;
  for (; now_ns < end_ns; now_ns += MS_NS)
    while (take(cost_ns)) count++;
  return count;
}

static int begin(void **state) {
  (void) state;
  full_ns = 0;
  now_ns = 1000 * SECOND_NS;
  return 0;
}

static void a_quiet_client_may_do_at_once_what_it_may_do_in_ten_seconds(void **state) {
  (void) state;
  assert_int_equal(take_until(now_ns + MS_NS, SECOND_NS / 100), 1001); /* the last one leaves a debt */
  assert_int_equal(bucket_wait_ns(full_ns, BUCKET_NS, now_ns), SECOND_NS / 100 - MS_NS);
}

static void then_it_has_its_rate(void **state) {
  (void) state;
  (void) take_until(now_ns + MS_NS, SECOND_NS / 100);
  assert_int_equal(take_until(now_ns + 30 * SECOND_NS, SECOND_NS / 100), 3000);
  assert_int_equal(take_until(now_ns + 30 * SECOND_NS, SECOND_NS / 100), 3000);
}

static void a_pause_fills_the_bucket_and_no_more_than_that(void **state) {
  (void) state;
  (void) take_until(now_ns + MS_NS, SECOND_NS);
  now_ns += 3 * SECOND_NS;
  assert_int_equal(take_until(now_ns + MS_NS, SECOND_NS), 3);
  now_ns += 3600 * SECOND_NS;
  assert_int_equal(take_until(now_ns + MS_NS, SECOND_NS), 11);
}

static void a_debt_is_paid_off_by_time(void **state) {
  (void) state;
  assert_true(take(60 * SECOND_NS));
  assert_int_equal(bucket_wait_ns(full_ns, BUCKET_NS, now_ns), 50 * SECOND_NS);
  now_ns += 50 * SECOND_NS - 1;
  assert_false(take(1));
  now_ns++;
  assert_true(take(1));
}

static void a_clock_that_stands_still_or_goes_back_brings_nothing(void **state) {
  (void) state;
  (void) take_until(now_ns + MS_NS, SECOND_NS);
  assert_false(take(SECOND_NS));
  now_ns -= 5 * SECOND_NS;
  assert_false(take(SECOND_NS));
  assert_true(bucket_wait_ns(full_ns, BUCKET_NS, now_ns) > 5 * SECOND_NS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(a_quiet_client_may_do_at_once_what_it_may_do_in_ten_seconds, begin),
      cmocka_unit_test_setup(then_it_has_its_rate, begin),
      cmocka_unit_test_setup(a_pause_fills_the_bucket_and_no_more_than_that, begin),
      cmocka_unit_test_setup(a_debt_is_paid_off_by_time, begin),
      cmocka_unit_test_setup(a_clock_that_stands_still_or_goes_back_brings_nothing, begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
