/* SPDX-License-Identifier: MIT */
/*
 * histogram: any time finds its bucket, quantiles are at most a quarter too large and never too small, parts add up.
 */
#include "histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANGE_BITS = 26 };

static void empty_histogram_says_zero(void **state) {
  fluxbp_histogram_t histogram = {0};
  (void) state;
  assert_int_equal(fluxbp_histogram_count(&histogram), 0);
  assert_int_equal(fluxbp_histogram_max(&histogram), 0);
  assert_int_equal(fluxbp_histogram_quantile(&histogram, 0.5), 0);
  fluxbp_histogram_record_many(&histogram, 7, 0); /* not even a maximum */
  assert_int_equal(fluxbp_histogram_max(&histogram), 0);
}

static void one_time_is_every_quantile(void **state) {
  const uint64_t times_us[] = {0, 1, 2, 3, 4, 7, 8, 9, 1000, 66999999, 67108863, 67108864, UINT64_MAX};
  const double quantiles[] = {-1, 0, 1e-9, 0.5, 0.999, 1, 2, strtod("nan", NULL)};
  (void) state;
  for (size_t i = 0; i < sizeof times_us / sizeof times_us[0]; i++) {
    fluxbp_histogram_t histogram = {0};
    fluxbp_histogram_record(&histogram, times_us[i]);
    assert_int_equal(fluxbp_histogram_count(&histogram), 1);
    assert_int_equal(fluxbp_histogram_max(&histogram), times_us[i]);
    for (size_t k = 0; k < sizeof quantiles / sizeof quantiles[0]; k++)
      assert_int_equal(fluxbp_histogram_quantile(&histogram, quantiles[k]), times_us[i]);
  }
}

/* Every edge of a bucket: the time before it is another bucket's, and no bucket is skipped or out of the array. */
static void buckets_follow_each_other_without_a_hole(void **state) {
  size_t bucket = 0;
  (void) state;
  assert_int_equal(fluxbp__histogram_bucket(0), 0);
  for (uint64_t time_us = 1; time_us < (uint64_t) 1 << RANGE_BITS;) {
    assert_int_equal(fluxbp__histogram_bucket(time_us), ++bucket);
    assert_int_equal(fluxbp__histogram_bucket(time_us - 1), bucket - 1);
    uint64_t width = 1; /* a quarter of the power of two that it lies above */
    while (width * 8 <= time_us) width *= 2;
    time_us += width;
  }
  assert_int_equal(bucket, FLUXBP_HISTOGRAM_BUCKETS - 2);
  assert_int_equal(fluxbp__histogram_bucket((uint64_t) 1 << RANGE_BITS), FLUXBP_HISTOGRAM_BUCKETS - 1);
  assert_int_equal(fluxbp__histogram_bucket(UINT64_MAX), FLUXBP_HISTOGRAM_BUCKETS - 1);
}

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *) a;
  uint64_t right = *(const uint64_t *) b;
  return (left > right) - (left < right);
}

/* Small numbers as often as large ones; the same in every run. */
static uint64_t next_time(uint64_t *random) {
  *random = *random * 6364136223846793005u + 1442695040888963407u;
  uint64_t bits = (*random >> 32) % RANGE_BITS;
  return (*random >> 8) & (((uint64_t) 1 << bits) - 1);
}

static void quantiles_are_never_too_small_and_at_most_a_quarter_too_large(void **state) {
  enum { TIMES = 5000 };
  static uint64_t sorted_us[TIMES];
  fluxbp_histogram_t histogram = {0};
  uint64_t random = 1;
  (void) state;
  for (int i = 0; i < TIMES; i++) {
    sorted_us[i] = next_time(&random);
    fluxbp_histogram_record(&histogram, sorted_us[i]);
  }
  qsort(sorted_us, TIMES, sizeof sorted_us[0], compare);
  assert_int_equal(fluxbp_histogram_max(&histogram), sorted_us[TIMES - 1]);
  uint64_t before_us = 0;
  for (int rank = 1; rank <= TIMES; rank++) {
    uint64_t exact_us = sorted_us[rank - 1];
    uint64_t found_us = fluxbp_histogram_quantile(&histogram, (double) rank / TIMES);
    assert_in_range(found_us, exact_us, exact_us + exact_us / 4);
    assert_true(found_us >= before_us && found_us <= sorted_us[TIMES - 1]);
    before_us = found_us;
  }
}

static void quantile_counts_from_the_shortest(void **state) {
  fluxbp_histogram_t histogram = {0};
  (void) state;
  fluxbp_histogram_record_many(&histogram, 1, 98);
  fluxbp_histogram_record_many(&histogram, 5, 2);
  assert_int_equal(fluxbp_histogram_quantile(&histogram, 0.98), 1);
  assert_int_equal(fluxbp_histogram_quantile(&histogram, 0.981), 5);
}

static void parts_add_up_to_the_whole(void **state) {
  fluxbp_histogram_t parts[3] = {{0}};
  fluxbp_histogram_t whole = {0};
  fluxbp_histogram_t sum = {0};
  uint64_t random = 7;
  (void) state;
  for (int i = 0; i < 1000; i++) {
    uint64_t time_us = next_time(&random);
    fluxbp_histogram_record_many(&parts[i % 3], time_us, 2);
    fluxbp_histogram_record(&whole, time_us);
    fluxbp_histogram_record(&whole, time_us);
  }
  for (int i = 0; i < 3; i++) fluxbp_histogram_add(&sum, &parts[i]);
  assert_memory_equal(&sum, &whole, sizeof sum);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(empty_histogram_says_zero),
      cmocka_unit_test(one_time_is_every_quantile),
      cmocka_unit_test(buckets_follow_each_other_without_a_hole),
      cmocka_unit_test(quantiles_are_never_too_small_and_at_most_a_quarter_too_large),
      cmocka_unit_test(quantile_counts_from_the_shortest),
      cmocka_unit_test(parts_add_up_to_the_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
