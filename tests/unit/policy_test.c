/* SPDX-License-Identifier: MIT */
/*
 * policy: ranges, fill and watermarks. Verdicts are in verdict_test.c.
 */
#include "support/policy_fixture.h"

/* ---- preparing ---- */

static void policy_defaults_are_as_documented(void **state) {
  (void) state;
  fluxbp_policy_t set;
  memset(&set, 0xff, sizeof set);
  fluxbp_policy_init(&set);
  assert_int_equal(set.size, sizeof set);
  assert_int_equal(set.slots, 256);
  assert_int_equal(set.high_percent, 50);
  assert_int_equal(set.low_percent, 25);
  assert_int_equal(set.overflow, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_int_equal(set.max_bytes, 1 << 20);
  assert_int_equal(set.stall_ms, 5000);
  assert_int_equal(set.slow_ms, 5000);
  assert_int_equal(set.lag_ms, 0);
  assert_int_equal(set.grace_ms, 5000);
  assert_int_equal(set.is_shadow, 0);

  fluxbp__policy_t policy = prepared(NULL);
  assert_memory_equal(&policy.set, &set, sizeof set);
  assert_int_equal(policy.limits.slots, 256);
  assert_int_equal(policy.limits.high_slots, 128);
  assert_int_equal(policy.limits.low_slots, 64);
  assert_int_equal(policy.limits.max_bytes, 1 << 20);
  assert_int_equal(policy.limits.high_bytes, 1 << 19);
  assert_int_equal(policy.limits.low_bytes, 1 << 18);
}

static void assert_refused(const fluxbp_policy_t *set) {
  fluxbp__policy_t policy;
  fluxbp__policy_t before;
  memset(&policy, 0x5a, sizeof policy);
  memset(&before, 0x5a, sizeof before);
  assert_int_equal(fluxbp__policy_prepare(set, &policy), UV_EINVAL);
  assert_memory_equal(&policy, &before, sizeof policy);
}

static void policy_takes_each_number_up_to_its_bounds_and_not_beyond(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = 1, assert_refused(&set);
  set.slots = 0, assert_refused(&set);
  set.slots = 2, (void) prepared(&set);
  set.slots = FLUXBP_SLOTS_MAX, (void) prepared(&set);
  set.slots = FLUXBP_SLOTS_MAX + 1, assert_refused(&set);
  set.slots = UINT32_MAX, assert_refused(&set);

  set = defaults();
  set.high_percent = 100, (void) prepared(&set);
  set.high_percent = 101, assert_refused(&set);
  set.high_percent = 26, (void) prepared(&set);
  set.high_percent = 25, assert_refused(&set); /* the low watermark has to be below */
  set.low_percent = 0;
  set.high_percent = 1, (void) prepared(&set);
  set.high_percent = 0, assert_refused(&set);

  set = defaults();
  set.low_percent = 49, (void) prepared(&set);
  set.low_percent = 50, assert_refused(&set);
  set.low_percent = UINT32_MAX, assert_refused(&set);

  set = defaults();
  set.max_bytes = 1, (void) prepared(&set);
  set.max_bytes = 0, assert_refused(&set);
  set.max_bytes = FLUXBP_RING_BYTES_MAX, (void) prepared(&set);
  set.max_bytes = FLUXBP_RING_BYTES_MAX + 1, assert_refused(&set);
  set.max_bytes = UINT64_MAX, assert_refused(&set);

  uint32_t *const times_ms[] = {&set.stall_ms, &set.slow_ms, &set.lag_ms, &set.grace_ms};
  for (size_t i = 0; i < sizeof times_ms / sizeof times_ms[0]; i++) {
    set = defaults();
    *times_ms[i] = 0, (void) prepared(&set);
    *times_ms[i] = FLUXBP_TIME_MS_MAX, (void) prepared(&set);
    *times_ms[i] = FLUXBP_TIME_MS_MAX + 1, assert_refused(&set);
    *times_ms[i] = (uint32_t) 1 << 30, assert_refused(&set);
    *times_ms[i] = UINT32_MAX, assert_refused(&set);
  }

  set = defaults();
  set.overflow = FLUXBP_OVERFLOW_EVICT, (void) prepared(&set);
  set.overflow = (fluxbp_overflow_t) (FLUXBP_OVERFLOW_EVICT + 1), assert_refused(&set);
  set.overflow = (fluxbp_overflow_t) -1, assert_refused(&set);
}

static void policy_high_watermark_is_never_an_empty_ring(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = 2;
  set.max_bytes = 1;
  set.high_percent = 1;
  set.low_percent = 0;
  fluxbp__policy_t policy = prepared(&set);
  assert_int_equal(policy.limits.high_slots, 1);
  assert_int_equal(policy.limits.high_bytes, 1);
  assert_false(fluxbp__limits_is_high(&policy.limits, 0, 0));
  assert_true(fluxbp__limits_is_low(&policy.limits, 0, 0));
}

/* 29 and 20 % of 10 slots are both 2, 70 and 67 % of 3 bytes too. */
static void policy_low_watermark_is_below_the_high_one_in_every_ring(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = 10;
  set.high_percent = 29;
  set.low_percent = 20;
  fluxbp__policy_t policy = prepared(&set);
  assert_int_equal(policy.limits.high_slots, 2);
  assert_int_equal(policy.limits.low_slots, 1);
  for (set.slots = 2; set.slots <= 100; set.slots++) {
    set.max_bytes = set.slots - 1;
    for (set.high_percent = 1; set.high_percent <= 100; set.high_percent++) {
      for (set.low_percent = 0; set.low_percent < set.high_percent; set.low_percent++) {
        policy = prepared(&set);
        for (uint32_t queued = 0; queued <= set.slots; queued++) {
          assert_false(fluxbp__limits_is_high(&policy.limits, queued, 0) &&
                       fluxbp__limits_is_low(&policy.limits, queued, 0));
          assert_false(fluxbp__limits_is_high(&policy.limits, 0, queued) &&
                       fluxbp__limits_is_low(&policy.limits, 0, queued));
        }
      }
    }
  }
}

static void policy_of_a_newer_caller_is_refused(void **state) {
  (void) state;
  struct {
    fluxbp_policy_t known;
    uint64_t unknown;
  } newer;
  memset(&newer, 0, sizeof newer);
  fluxbp_policy_init(&newer.known);
  newer.known.size = sizeof newer;
  fluxbp__policy_t policy;
  assert_int_equal(fluxbp__policy_prepare(&newer.known, &policy), 0);
  assert_int_equal(policy.set.size, sizeof(fluxbp_policy_t));
  newer.unknown = 1;
  assert_int_equal(fluxbp__policy_prepare(&newer.known, &policy), UV_E2BIG);
}

/* ---- fill ---- */

static void policy_fill_is_that_of_slots_or_bytes(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = 100;
  set.max_bytes = 1000;
  fluxbp__policy_t policy = prepared(&set);
  assert_int_equal(fill_of(&policy, 0, 0), 0);
  assert_int_equal(fill_of(&policy, 50, 0), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fill_of(&policy, 50, 250), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fill_of(&policy, 50, 750), FLUXBP__FILL_FULL / 4 * 3);
  assert_true(fill_of(&policy, 99, 999) < FLUXBP__FILL_FULL);
  assert_int_equal(fill_of(&policy, 100, 0), FLUXBP__FILL_FULL);
  assert_int_equal(fill_of(&policy, 1, 1000), FLUXBP__FILL_FULL);
  assert_int_equal(fill_of(&policy, 1, 5000), 5 * FLUXBP__FILL_FULL); /* an oversize message */
  assert_int_equal(fill_of(&policy, 300, 0), 3 * FLUXBP__FILL_FULL);  /* the limit was made smaller */
}

static void policy_fill_is_right_for_the_largest_numbers(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = FLUXBP_SLOTS_MAX;
  set.max_bytes = FLUXBP_RING_BYTES_MAX;
  fluxbp__policy_t policy = prepared(&set);
  assert_int_equal(policy.limits.high_bytes, FLUXBP_RING_BYTES_MAX / 2);
  assert_int_equal(policy.limits.low_bytes, FLUXBP_RING_BYTES_MAX / 4);
  assert_int_equal(fill_of(&policy, 0, FLUXBP_RING_BYTES_MAX / 2), FLUXBP__FILL_FULL / 2);
  assert_true(fill_of(&policy, 0, FLUXBP_RING_BYTES_MAX - 1) < FLUXBP__FILL_FULL);
  assert_int_equal(fill_of(&policy, 0, 3 * FLUXBP_RING_BYTES_MAX), 3 * FLUXBP__FILL_FULL);
  assert_int_equal(fill_of(&policy, FLUXBP_SLOTS_MAX / 2, 0), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fill_of(&policy, FLUXBP_SLOTS_MAX, 0), FLUXBP__FILL_FULL);

  uint64_t last = 0;
  for (uint64_t bytes = 1; bytes <= policy.limits.max_bytes; bytes *= 2) { /* it never goes down */
    uint64_t fill = fill_of(&policy, 0, bytes);
    assert_true(fill >= last);
    last = fill;
  }
  assert_int_equal(last, FLUXBP__FILL_FULL);
}

/* ---- backpressure ---- */

static void policy_backpressure_holds_between_the_watermarks(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_false(clocks.is_backpressured);

  const struct {
    uint64_t queued;
    bool is_backpressured;
  } steps[] = {{41, false}, {79, false}, {80, true},  {160, true}, {79, true}, {41, true},
               {40, false}, {41, false}, {79, false}, {80, true},  {0, false}};
  bool was = false;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    bool changed = cross(&clocks, &policy, steps[i].queued, START + i);
    assert_int_equal(clocks.is_backpressured, steps[i].is_backpressured);
    assert_int_equal(changed, was != steps[i].is_backpressured);
    was = steps[i].is_backpressured;
  }
}

static void policy_backpressure_begins_by_bytes_and_ends_by_both(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = 160;
  set.max_bytes = 1000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_false(cross_bytes(&clocks, &policy, 3, 499, START));
  assert_true(cross_bytes(&clocks, &policy, 3, 500, START));
  assert_false(cross_bytes(&clocks, &policy, 2, 251, START)); /* few messages, too many bytes */
  assert_false(cross_bytes(&clocks, &policy, 41, 250, START));
  assert_true(cross_bytes(&clocks, &policy, 40, 250, START));
  assert_false(clocks.is_backpressured);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(policy_defaults_are_as_documented),
      cmocka_unit_test(policy_takes_each_number_up_to_its_bounds_and_not_beyond),
      cmocka_unit_test(policy_high_watermark_is_never_an_empty_ring),
      cmocka_unit_test(policy_low_watermark_is_below_the_high_one_in_every_ring),
      cmocka_unit_test(policy_of_a_newer_caller_is_refused),
      cmocka_unit_test(policy_fill_is_that_of_slots_or_bytes),
      cmocka_unit_test(policy_fill_is_right_for_the_largest_numbers),
      cmocka_unit_test(policy_backpressure_holds_between_the_watermarks),
      cmocka_unit_test(policy_backpressure_begins_by_bytes_and_ends_by_both),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
