/* SPDX-License-Identifier: MIT */
/*
 * policy: verdicts to the millisecond. The time is an argument, so nothing here waits. SLOW is in slow_test.c.
 */
#include "support/policy_fixture.h"

/* ---- STALLED ---- */

static void stalled_falls_at_stall_ms_and_not_one_before(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 4999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_STALLED);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 9000), FLUXBP_EVICT_STALLED);
}

static void stalled_falls_on_time_for_a_connection_that_has_sent_before(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 70000, 70000);
  fluxbp__observation_t seen = queue_of(1);
  seen.written_bytes = 70000;
  seen.acked_bytes = 70000; /* long ago: that they are seen now is no progress */
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 250), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_STALLED);
}

/* `moved` after 4 s: the clock starts anew from there. */
static void assert_is_progress(void (*moved)(fluxbp__observation_t *seen)) {
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  moved(&seen);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 4000), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 8999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 9000), FLUXBP_EVICT_STALLED);
}

static void one_byte_was_written(fluxbp__observation_t *seen) {
  seen->written_bytes++;
}

static void one_byte_was_acked(fluxbp__observation_t *seen) {
  seen->acked_bytes++;
}

static void one_written_byte_is_progress(void **state) {
  (void) state;
  assert_is_progress(one_byte_was_written);
}

static void one_acknowledged_byte_is_progress(void **state) {
  (void) state;
  assert_is_progress(one_byte_was_acked);
}

static void a_write_between_two_looks_is_progress(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 100, 0);
  fluxbp__clocks_progress(&clocks, START + 3000, 150);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 8000);

  fluxbp__observation_t seen = queue_of(1);
  seen.written_bytes = 150; /* it was noted when it happened, not when it is looked at */
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 7999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 8000), FLUXBP_EVICT_STALLED);
}

static void has_nothing_against_an_empty_ring(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.lag_ms = 1;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  clocks.is_backpressured = true;
  fluxbp__observation_t seen = queue_of(0);
  seen.oldest_ms = 99999;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 99999), FLUXBP_EVICT_NONE);
}

/* ---- LAG, switches, deadlines ---- */

static void lag_falls_when_the_oldest_is_older(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.lag_ms = 300;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  seen.oldest_ms = 300;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  seen.oldest_ms = 301;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_LAG);
}

static void of_zeros_evicts_nobody(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 0;
  set.slow_ms = 0;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  seen.oldest_ms = UINT64_MAX;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + UINT32_MAX), FLUXBP_EVICT_NONE);
  assert_true(deadline_of(&policy, &clocks, false) == UINT64_MAX);
}

static void switches_are_independent(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 0;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 4999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_SLOW);

  set = defaults();
  set.slow_ms = 0;
  set.stall_ms = 7000;
  policy = prepared(&set);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 6999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 7000), FLUXBP_EVICT_STALLED);
}

static void names_the_stall_when_several_reasons_fit(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.lag_ms = 1;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  seen.oldest_ms = 5000;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_STALLED);
}

static void deadline_is_when_the_first_clock_runs_out(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slow_ms = 3000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 5000);
  assert_true(cross(&clocks, &policy, 256, START + 1000));
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 5000); /* it stands still: STALLED's case */
  fluxbp__clocks_progress(&clocks, START + 3000, 0);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 4000);
  assert_true(cross(&clocks, &policy, 0, START + 3500));
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 8000);

  set.stall_ms = 0;
  policy = prepared(&set);
  assert_true(deadline_of(&policy, &clocks, false) == UINT64_MAX);
  assert_true(cross(&clocks, &policy, 256, START + 2000));
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 5000);
}

/* One that lies behind would have the sweeper come back at once, again and again. */
static void deadline_lies_ahead_as_long_as_nothing_is_decided(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 60000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  for (uint64_t now = START; fluxbp__policy_judge(&policy, &clocks, &seen, now) == FLUXBP_EVICT_NONE; now += 250)
    assert_true(deadline_of(&policy, &clocks, false) > now);
}

static void times_may_be_as_long_as_a_policy_takes_them(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = FLUXBP_TIME_MS_MAX;
  set.slow_ms = FLUXBP_TIME_MS_MAX;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + FLUXBP_TIME_MS_MAX - 1), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + FLUXBP_TIME_MS_MAX), FLUXBP_EVICT_STALLED);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + FLUXBP_TIME_MS_MAX);
}

/* ---- grace, sparing, a slow crowd ---- */

static void nothing_falls_before_the_grace_is_over(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 1000;
  set.slow_ms = 1000;
  set.lag_ms = 500;
  set.grace_ms = 3000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, START, START + 100, 0, 0);
  assert_true(cross(&clocks, &policy, 256, START + 100));
  fluxbp__observation_t seen = queue_of(256);
  seen.oldest_ms = 2899;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 2999), FLUXBP_EVICT_NONE);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 3000);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 3000), FLUXBP_EVICT_STALLED);
}

static void the_grace_is_for_each_reason(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 0;
  set.slow_ms = 1000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, START, START, 0, 0);
  assert_true(cross(&clocks, &policy, 256, START));
  assert_int_equal(look(&policy, &clocks, 256, START + 4999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 256, START + 5000), FLUXBP_EVICT_SLOW);

  set.slow_ms = 0;
  set.lag_ms = 1000;
  policy = prepared(&set);
  fluxbp__observation_t seen = queue_of(1);
  seen.oldest_ms = 4999;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 4999), FLUXBP_EVICT_NONE);
  seen.oldest_ms = 5001;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5001), FLUXBP_EVICT_LAG);
}

static void spared_clocks_begin_anew_and_evidence_stays(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slow_ms = 0;
  set.lag_ms = 6000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_STALLED);
  fluxbp__clocks_spare(&clocks, START + 5000);
  assert_int_equal(clocks.progress_ms, START);
  seen.oldest_ms = 9999;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 9999), FLUXBP_EVICT_NONE);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 10000);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 10000), FLUXBP_EVICT_STALLED);
}

static void a_slow_crowd_has_twice_the_time(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.lag_ms = 3000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  seen.is_crowd_slow = true;
  seen.oldest_ms = 6000;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 6000), FLUXBP_EVICT_NONE);
  seen.oldest_ms = 6001;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 6001), FLUXBP_EVICT_LAG);
  seen.oldest_ms = 0;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 9999), FLUXBP_EVICT_NONE);
  assert_int_equal(deadline_of(&policy, &clocks, true), START + 10000);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 10000), FLUXBP_EVICT_STALLED);
}

static void halfway_is_half_of_either_time(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_false(is_halfway(&policy, &clocks, START + 2499));
  assert_true(is_halfway(&policy, &clocks, START + 2500));
  fluxbp__clocks_progress(&clocks, START + 10000, 1);
  assert_false(is_halfway(&policy, &clocks, START + 10000));
  assert_true(cross(&clocks, &policy, 160, START + 10000));
  fluxbp__clocks_progress(&clocks, START + 12400, 2);
  assert_false(is_halfway(&policy, &clocks, START + 12499));
  assert_true(is_halfway(&policy, &clocks, START + 12500));
}

static void a_crowd_is_more_than_ninety_percent_of_at_least_twenty(void **state) {
  (void) state;
  const struct {
    uint64_t open;
    uint64_t halfway;
    bool is_slow;
  } cases[] = {{19, 19, false}, {20, 18, false}, {20, 19, true}, {1000, 900, false}, {1000, 901, true}, {0, 0, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fluxbp__crowd_t crowd = {0};
    assert_int_equal(fluxbp__crowd_note(&crowd, cases[i].open, cases[i].halfway, 5000, START), cases[i].is_slow);
    assert_int_equal(crowd.is_slow, cases[i].is_slow);
    assert_int_equal(fluxbp__crowd_has_grace(&crowd, START), cases[i].is_slow);
  }
}

static void a_crowd_gets_one_grace_until_it_has_been_well_again(void **state) {
  (void) state;
  fluxbp__crowd_t crowd = {0};
  assert_true(fluxbp__crowd_note(&crowd, 20, 20, 5000, START));
  assert_true(fluxbp__crowd_has_grace(&crowd, START + 7499)); /* half of 5 s, and 5 s more */
  assert_false(fluxbp__crowd_has_grace(&crowd, START + 7500));
  assert_false(fluxbp__crowd_note(&crowd, 20, 20, 5000, START + 7500)); /* still slow: no second one */
  assert_false(fluxbp__crowd_has_grace(&crowd, START + 7500));
  assert_false(fluxbp__crowd_note(&crowd, 20, 0, 5000, START + 8000));
  assert_true(fluxbp__crowd_note(&crowd, 20, 20, 5000, START + 20000));
  assert_true(fluxbp__crowd_has_grace(&crowd, START + 20000));
}

/* A sweep may take several iterations; what moved since it began has a later time than the sweep. */
static void a_look_with_the_time_of_before_the_last_progress_is_no_verdict(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 160, START + 100));
  fluxbp__clocks_progress(&clocks, START + 100, 10);
  fluxbp__observation_t seen = queue_of(160);
  seen.written_bytes = 10;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_false(is_halfway(&policy, &clocks, START));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stalled_falls_at_stall_ms_and_not_one_before),
      cmocka_unit_test(stalled_falls_on_time_for_a_connection_that_has_sent_before),
      cmocka_unit_test(one_written_byte_is_progress),
      cmocka_unit_test(one_acknowledged_byte_is_progress),
      cmocka_unit_test(a_write_between_two_looks_is_progress),
      cmocka_unit_test(has_nothing_against_an_empty_ring),
      cmocka_unit_test(lag_falls_when_the_oldest_is_older),
      cmocka_unit_test(of_zeros_evicts_nobody),
      cmocka_unit_test(switches_are_independent),
      cmocka_unit_test(names_the_stall_when_several_reasons_fit),
      cmocka_unit_test(deadline_is_when_the_first_clock_runs_out),
      cmocka_unit_test(deadline_lies_ahead_as_long_as_nothing_is_decided),
      cmocka_unit_test(times_may_be_as_long_as_a_policy_takes_them),
      cmocka_unit_test(nothing_falls_before_the_grace_is_over),
      cmocka_unit_test(the_grace_is_for_each_reason),
      cmocka_unit_test(spared_clocks_begin_anew_and_evidence_stays),
      cmocka_unit_test(a_slow_crowd_has_twice_the_time),
      cmocka_unit_test(halfway_is_half_of_either_time),
      cmocka_unit_test(a_crowd_is_more_than_ninety_percent_of_at_least_twenty),
      cmocka_unit_test(a_crowd_gets_one_grace_until_it_has_been_well_again),
      cmocka_unit_test(a_look_with_the_time_of_before_the_last_progress_is_no_verdict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
