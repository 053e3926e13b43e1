/* SPDX-License-Identifier: MIT */
/*
 * token bucket: a full one at first, exactly the rate afterwards, and never more than the burst at once.
 */
#include "token_bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Take what there is; how many those were. */
static uint64_t take_all(fluxbp__token_bucket_t *bucket, uint64_t now_ms) {
  uint64_t taken = 0;
  while (fluxbp__token_bucket_wait_ms(bucket, now_ms) == 0) {
    fluxbp__token_bucket_take(bucket);
    taken++;
  }
  return taken;
}

static void token_bucket_is_full_at_first(void **state) {
  (void) state;
  fluxbp__token_bucket_t bucket;
  fluxbp__token_bucket_init(&bucket, 10, 7, 5000);
  assert_int_equal(take_all(&bucket, 5000), 7);
}

static void token_bucket_tells_when_the_next_token_is_due(void **state) {
  (void) state;
  fluxbp__token_bucket_t bucket;
  fluxbp__token_bucket_init(&bucket, 10, 1, 5000);
  assert_int_equal(take_all(&bucket, 5000), 1);
  assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, 5000), 100);
  assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, 5099), 1);
  assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, 5100), 0);
}

static void token_bucket_wait_is_as_long_as_it_has_to_be_for_any_rate(void **state) {
  static const uint32_t RATES[] = {1, 2, 3, 7, 64, 999, 1000, 1001, 1000000, UINT32_MAX};
  (void) state;
  for (size_t i = 0; i < sizeof RATES / sizeof *RATES; i++) {
    fluxbp__token_bucket_t bucket;
    fluxbp__token_bucket_init(&bucket, RATES[i], 1, 0);
    fluxbp__token_bucket_take(&bucket);
    uint64_t wait_ms = fluxbp__token_bucket_wait_ms(&bucket, 0);
    assert_in_range(wait_ms, 1, 1000);
    if (wait_ms > 1) assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, wait_ms - 1), 1);
    assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, wait_ms), 0);
  }
}

static void token_bucket_gives_exactly_its_rate_however_often_it_is_asked(void **state) {
  enum { SECONDS = 100, PER_SECOND = 333, BURST = 10 };
  (void) state;
  fluxbp__token_bucket_t bucket;
  fluxbp__token_bucket_init(&bucket, PER_SECOND, BURST, 0);
  uint64_t taken = 0;
  for (uint64_t now_ms = 0; now_ms <= SECONDS * 1000; now_ms++) taken += take_all(&bucket, now_ms);
  assert_int_equal(taken, BURST + SECONDS * PER_SECOND);
}

static void token_bucket_saves_up_no_more_than_its_burst(void **state) {
  (void) state;
  fluxbp__token_bucket_t bucket;
  fluxbp__token_bucket_init(&bucket, 100, 5, 0);
  assert_int_equal(take_all(&bucket, 0), 5);
  assert_int_equal(take_all(&bucket, 30), 3);
  assert_int_equal(take_all(&bucket, 3600000), 5);
  uint64_t wraps = (uint64_t) 1 << 62; /* that many ms times the rate is a multiple of 2^64 */
  assert_int_equal(take_all(&bucket, 3600000 + wraps), 5);
  assert_int_equal(take_all(&bucket, UINT64_MAX), 5);
}

static void token_bucket_gets_nothing_from_a_clock_that_goes_backwards(void **state) {
  (void) state;
  fluxbp__token_bucket_t bucket;
  fluxbp__token_bucket_init(&bucket, 10, 1, 5000);
  assert_int_equal(take_all(&bucket, 5000), 1);
  assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, 1000), 100);
  assert_int_equal(fluxbp__token_bucket_wait_ms(&bucket, 5050), 50); /* and no time counts twice */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(token_bucket_is_full_at_first),
      cmocka_unit_test(token_bucket_tells_when_the_next_token_is_due),
      cmocka_unit_test(token_bucket_wait_is_as_long_as_it_has_to_be_for_any_rate),
      cmocka_unit_test(token_bucket_gives_exactly_its_rate_however_often_it_is_asked),
      cmocka_unit_test(token_bucket_saves_up_no_more_than_its_burst),
      cmocka_unit_test(token_bucket_gets_nothing_from_a_clock_that_goes_backwards),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
