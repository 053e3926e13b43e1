/* SPDX-License-Identifier: MIT */
/*
 * The load client's histogram: how exact it is, and what it writes.
 */
#include "common/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram histogram, other; /* too large for a stack */

static int clear(void **state) {
  (void) state;
  memset(&histogram, 0, sizeof histogram);
  memset(&other, 0, sizeof other);
  return 0;
}

static void each_value_is_known_to_within_a_128th(void **state) {
  (void) state;
  for (uint64_t value = 1; value < HISTOGRAM_MAX_NS / 3; value = value + value / 7 + 1) {
    clear(state);
    histogram_record(&histogram, value);
    histogram_record(&histogram, HISTOGRAM_MAX_NS); /* so that nothing is capped to the largest */
    uint64_t found = histogram_percentile(&histogram, 50);
    assert_true(found >= value);
    assert_true(found - value <= value / 128);
  }
}

static void every_counter_has_its_own_values(void **state) {
  (void) state;
  uint64_t index = 0;
  for (uint64_t value = 0; value < UINT64_C(1) << 20; value++) {
    uint64_t next = histogram_index(value);
    assert_true(next == index || next == index + 1);
    index = next;
  }
  assert_int_equal(histogram_index(HISTOGRAM_MAX_NS), HISTOGRAM_COUNTERS - 1);
}

static void percentiles_are_ranks(void **state) {
  (void) state;
  for (uint64_t value = 1; value <= 200; value++) histogram_record(&histogram, value);
  assert_int_equal(histogram_percentile(&histogram, 0), 1);
  assert_int_equal(histogram_percentile(&histogram, 50), 100);
  assert_int_equal(histogram_percentile(&histogram, 99), 198);
  assert_int_equal(histogram_percentile(&histogram, 99.9), 200);
  assert_int_equal(histogram_percentile(&histogram, 100), 200);
  assert_int_equal(histogram.min_ns, 1);
  assert_int_equal(histogram.max_ns, 200);
}

static void an_empty_one_says_0(void **state) {
  (void) state;
  assert_int_equal(histogram_percentile(&histogram, 99), 0);
  assert_true(histogram_mean_ns(&histogram) < 1);
}

static void what_is_too_large_counts_as_the_largest(void **state) {
  (void) state;
  histogram_record(&histogram, UINT64_MAX);
  assert_int_equal(histogram.count, 1);
  assert_int_equal(histogram_percentile(&histogram, 50), HISTOGRAM_MAX_NS);
}

static void adding_is_as_if_recorded_in_one(void **state) {
  (void) state;
  for (uint64_t value = 1; value <= 100; value++) histogram_record(value % 2 ? &histogram : &other, value * 1000);
  histogram_add(&histogram, &other);
  assert_int_equal(histogram.count, 100);
  assert_int_equal(histogram.min_ns, 1000);
  assert_int_equal(histogram.max_ns, 100000);
  assert_int_equal((uint64_t) histogram_mean_ns(&histogram), 50500);
  uint64_t median = histogram_percentile(&histogram, 50);
  assert_true(median >= 50000 && median <= 50000 + 50000 / 128);
}

static void the_last_second_is_what_was_recorded_since(void **state) {
  (void) state;
  for (int i = 0; i < 1000; i++) histogram_record(&histogram, 100);
  other = histogram;
  for (int i = 0; i < 10; i++) histogram_record(&histogram, 200);
  assert_int_equal(histogram_percentile(&histogram, 50), 100);
  assert_int_equal(histogram_percentile_since(&histogram, &other, 50), 200);
  other = histogram;
  assert_int_equal(histogram_percentile_since(&histogram, &other, 50), 0);
}

/* The lines of a .hgrm file begin with value, percentile and count; percentiles and counts rise up to all. */
static void the_percentile_file_rises_to_everything(void **state) {
  (void) state;
  for (uint64_t value = 1; value <= 10000; value++) histogram_record(&histogram, value * 1000);
  char *text = NULL, line[200];
  size_t length, lines = 0;
  FILE *file = open_memstream(&text, &length);
  histogram_write_hgrm(&histogram, file);
  fclose(file);
  file = fmemopen(text, length, "r");
  double value, percentile, last_percentile = -1, last_value = 0;
  unsigned long count = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, " %lf %lf %lu", &value, &percentile, &count) != 3) continue;
    assert_true(percentile > last_percentile && value >= last_value);
    last_percentile = percentile;
    last_value = value;
    lines++;
  }
  fclose(file);
  assert_true(lines > 30);
  assert_int_equal(count, 10000);
  assert_true(last_percentile >= 1 && last_percentile <= 1);
  assert_true(last_value > 9.9 && last_value < 10.1); /* milliseconds */
  assert_non_null(strstr(text, "#[Mean    ="));
  assert_non_null(strstr(text, "Total count    =        10000]"));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(each_value_is_known_to_within_a_128th, clear),
      cmocka_unit_test_setup(every_counter_has_its_own_values, clear),
      cmocka_unit_test_setup(percentiles_are_ranks, clear),
      cmocka_unit_test_setup(an_empty_one_says_0, clear),
      cmocka_unit_test_setup(what_is_too_large_counts_as_the_largest, clear),
      cmocka_unit_test_setup(adding_is_as_if_recorded_in_one, clear),
      cmocka_unit_test_setup(the_last_second_is_what_was_recorded_since, clear),
      cmocka_unit_test_setup(the_percentile_file_rises_to_everything, clear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
