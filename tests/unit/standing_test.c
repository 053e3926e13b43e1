/* SPDX-License-Identifier: MIT */
/*
 * policy: how close a connection is to a verdict, and why it stays when the limit has passed. It has to agree with
 * the judge.
 */
#include "support/policy_fixture.h"

static fluxbp__standing_t standing_of(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                      const fluxbp__observation_t *seen, uint64_t now_ms) {
  return fluxbp__policy_standing(policy, clocks, seen, now_ms);
}

static void assert_is(fluxbp__standing_t standing, fluxbp_evict_reason_t reason, uint64_t used_ms, uint64_t limit_ms,
                      fluxbp_put_off_t put_off) {
  assert_string_equal(fluxbp_evict_reason_name(standing.reason), fluxbp_evict_reason_name(reason));
  assert_int_equal(standing.used_ms, used_ms);
  assert_int_equal(standing.limit_ms, limit_ms);
  assert_string_equal(fluxbp_put_off_name(standing.put_off), fluxbp_put_off_name(put_off));
}

static void nothing_is_near_while_no_clock_runs(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(0);
  assert_is(standing_of(&policy, &clocks, &seen, START + 60000), FLUXBP_EVICT_NONE, 0, 0, FLUXBP_PUT_OFF_NONE);
}

static void the_clock_that_runs_out_first_is_near(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 8000;
  set.lag_ms = 20000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(200);
  assert_is(standing_of(&policy, &clocks, &seen, START + 1000), FLUXBP_EVICT_STALLED, 1000, 8000, FLUXBP_PUT_OFF_NONE);
  assert_true(cross(&clocks, &policy, 200, START + 1000));
  fluxbp__clocks_progress(&clocks, START + 3600, 10);
  assert_is(standing_of(&policy, &clocks, &seen, START + 4000), FLUXBP_EVICT_SLOW, 3000, 5000, FLUXBP_PUT_OFF_NONE);
  seen.oldest_ms = 19500;
  assert_is(standing_of(&policy, &clocks, &seen, START + 4000), FLUXBP_EVICT_LAG, 19500, 20000, FLUXBP_PUT_OFF_NONE);
}

/* 5 s and longer without a new minimum, but it has stopped moving: that is STALLED's, and the row says so. */
static void slow_that_is_left_to_stalled_is_not_near(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 9000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 200, START));
  fluxbp__observation_t seen = queue_of(200);
  assert_is(standing_of(&policy, &clocks, &seen, START + 7000), FLUXBP_EVICT_STALLED, 7000, 9000, FLUXBP_PUT_OFF_NONE);
}

static void the_grace_makes_the_limit_longer(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.grace_ms = 9000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, START, START + 1000, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_is(standing_of(&policy, &clocks, &seen, START + 5999), FLUXBP_EVICT_STALLED, 4999, 8000, FLUXBP_PUT_OFF_NONE);
  assert_is(standing_of(&policy, &clocks, &seen, START + 6000), FLUXBP_EVICT_STALLED, 5000, 8000, FLUXBP_PUT_OFF_GRACE);
  assert_is(standing_of(&policy, &clocks, &seen, START + 9000), FLUXBP_EVICT_STALLED, 8000, 8000, FLUXBP_PUT_OFF_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 8999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 9000), FLUXBP_EVICT_STALLED);
}

static void a_slow_crowd_has_twice_the_limit(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  seen.is_crowd_slow = true;
  assert_is(standing_of(&policy, &clocks, &seen, START + 4000), FLUXBP_EVICT_STALLED, 4000, 10000, FLUXBP_PUT_OFF_NONE);
  assert_is(standing_of(&policy, &clocks, &seen, START + 6000), FLUXBP_EVICT_STALLED, 6000, 10000,
            FLUXBP_PUT_OFF_CROWD);
  assert_is(standing_of(&policy, &clocks, &seen, START + 10000), FLUXBP_EVICT_STALLED, 10000, 10000,
            FLUXBP_PUT_OFF_NONE);
}

static void who_was_spared_is_past_its_limit_and_says_so(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  fluxbp__clocks_spare(&clocks, START + 5250);
  assert_is(standing_of(&policy, &clocks, &seen, START + 7000), FLUXBP_EVICT_STALLED, 7000, 10250,
            FLUXBP_PUT_OFF_SPARED);
  assert_is(standing_of(&policy, &clocks, &seen, START + 10250), FLUXBP_EVICT_STALLED, 10250, 10250,
            FLUXBP_PUT_OFF_NONE);
  fluxbp__clocks_progress(&clocks, START + 11000, 1); /* what was before is forgotten */
  assert_is(standing_of(&policy, &clocks, &seen, START + 12000), FLUXBP_EVICT_STALLED, 1000, 5000, FLUXBP_PUT_OFF_NONE);
}

static void a_shadow_keeps_the_limit_and_lets_it_pass(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.is_shadow = 1;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_is(standing_of(&policy, &clocks, &seen, START + 4000), FLUXBP_EVICT_STALLED, 4000, 5000, FLUXBP_PUT_OFF_NONE);
  fluxbp__clocks_spare(&clocks, START + 5000); /* it was reported */
  assert_is(standing_of(&policy, &clocks, &seen, START + 30000), FLUXBP_EVICT_STALLED, 30000, 5000,
            FLUXBP_PUT_OFF_SHADOW);
}

/* Whatever the numbers are: the judge and the standing say the same, and a limit that has passed has its reason. */
static void it_agrees_with_the_judge(void **state) {
  (void) state;
  uint32_t random = 1;
  int verdicts[FLUXBP_EVICT_REASON_COUNT] = {0};
  int put_offs[FLUXBP_PUT_OFF_COUNT] = {0};
  for (int i = 0; i < 300000; i++) {
    uint32_t draw[12];
    for (int k = 0; k < 12; k++) draw[k] = (random = random * 1664525u + 1013904223u) >> 8;
    fluxbp_policy_t set = defaults();
    set.stall_ms = draw[0] % 3 ? draw[0] % 20000 : 0;
    set.slow_ms = draw[1] % 3 ? draw[1] % 20000 : 0;
    set.lag_ms = draw[2] % 3 ? 0 : draw[2] % 20000;
    set.grace_ms = draw[3] % 30000;
    set.is_shadow = draw[4] % 4 == 0;
    set.soft_bytes = draw[10] % 3 ? 0 : draw[10] % 300;
    set.soft_ms = draw[11] % 20000;
    fluxbp__policy_t policy = prepared(&set);
    fluxbp__clocks_t clocks;
    fluxbp__clocks_start(&clocks, START - draw[5] % 40000, START, 0, 0);
    if (draw[6] % 2) assert_true(cross(&clocks, &policy, 256, START));
    clocks.is_silent = draw[6] % 3 == 0;
    clocks.silent_ms = START;
    clocks.unanswered = 2;
    uint64_t now_ms = START + draw[7] % 60000;
    if (draw[8] % 3 == 0) clocks.spared_ms = START + draw[8] % (now_ms - START + 1);
    fluxbp__observation_t seen = queue_of(draw[6] % 2 ? 256 : draw[9] % 2);
    seen.oldest_ms = draw[9] % 30000;
    seen.is_crowd_slow = draw[4] % 3 == 0;
    seen.unanswered = clocks.is_silent ? 2 : 0;

    fluxbp__standing_t standing = standing_of(&policy, &clocks, &seen, now_ms);
    fluxbp__clocks_t judged = clocks;
    fluxbp_evict_reason_t reason = fluxbp__policy_judge(&policy, &judged, &seen, now_ms);
    verdicts[reason]++;
    put_offs[standing.put_off]++;
    if (reason != FLUXBP_EVICT_NONE) assert_int_equal(standing.reason, reason);
    if (reason != FLUXBP_EVICT_NONE) assert_true(standing.used_ms >= standing.limit_ms);
    if (standing.put_off == FLUXBP_PUT_OFF_SHADOW) assert_true(set.is_shadow);
    if (reason != FLUXBP_EVICT_NONE && !set.is_shadow) assert_int_equal(standing.put_off, FLUXBP_PUT_OFF_NONE);
    bool has_passed = standing.reason != FLUXBP_EVICT_NONE && standing.used_ms > standing.limit_ms;
    if (has_passed && !set.is_shadow) assert_int_equal(reason, standing.reason);
    uint64_t limits_ms[FLUXBP_EVICT_REASON_COUNT] = {[FLUXBP_EVICT_STALLED] = set.stall_ms,
                                                     [FLUXBP_EVICT_SLOW] = set.slow_ms,
                                                     [FLUXBP_EVICT_LAG] = set.lag_ms,
                                                     [FLUXBP_EVICT_SOFT_LIMIT] = set.soft_ms};
    limits_ms[FLUXBP_EVICT_UNREACHABLE] = set.stall_ms > 15000 ? 2 * set.stall_ms : 30000;
    bool is_past = standing.reason != FLUXBP_EVICT_NONE && standing.used_ms > limits_ms[standing.reason];
    assert_true(!is_past || reason != FLUXBP_EVICT_NONE || standing.put_off != FLUXBP_PUT_OFF_NONE);
  }
  assert_true(verdicts[FLUXBP_EVICT_STALLED] > 1000 && verdicts[FLUXBP_EVICT_SLOW] > 1000);
  assert_true(verdicts[FLUXBP_EVICT_LAG] > 1000 && verdicts[FLUXBP_EVICT_UNREACHABLE] > 1000);
  assert_true(verdicts[FLUXBP_EVICT_SOFT_LIMIT] > 1000);
  for (int i = 0; i < FLUXBP_PUT_OFF_COUNT; i++) assert_true(put_offs[i] > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_near_while_no_clock_runs),
      cmocka_unit_test(the_clock_that_runs_out_first_is_near),
      cmocka_unit_test(slow_that_is_left_to_stalled_is_not_near),
      cmocka_unit_test(the_grace_makes_the_limit_longer),
      cmocka_unit_test(a_slow_crowd_has_twice_the_limit),
      cmocka_unit_test(who_was_spared_is_past_its_limit_and_says_so),
      cmocka_unit_test(a_shadow_keeps_the_limit_and_lets_it_pass),
      cmocka_unit_test(it_agrees_with_the_judge),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
