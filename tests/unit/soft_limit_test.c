/* SPDX-License-Identifier: MIT */
/*
 * policy: the soft limit, more than so many bytes for so long without a break.
 */
#include "support/policy_fixture.h"

enum { SOFT_BYTES = 1000, SOFT_MS = 3000 };

static fluxbp_policy_t soft_alone(void) {
  fluxbp_policy_t set = defaults();
  set.stall_ms = set.slow_ms = set.grace_ms = 0;
  set.soft_bytes = SOFT_BYTES;
  set.soft_ms = SOFT_MS;
  return set;
}

static fluxbp__clocks_t refused(void) {
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, START, START, 0, 0);
  return clocks;
}

/* So many bytes wait, in ten messages of which nothing is written. */
static fluxbp__observation_t backlog_of(uint64_t bytes) {
  return (fluxbp__observation_t){.backlog = {.queued = 10, .bytes = bytes, .head_bytes = bytes / 10}};
}

static fluxbp_evict_reason_t judge(const fluxbp__policy_t *policy, fluxbp__clocks_t *clocks, uint64_t bytes,
                                   uint64_t now_ms) {
  fluxbp__observation_t seen = backlog_of(bytes);
  return fluxbp__policy_judge(policy, clocks, &seen, now_ms);
}

static void more_than_the_limit_for_its_time_is_evicted(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, SOFT_BYTES + 1, START + 500), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, 900000, START + 500 + SOFT_MS - 1), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, SOFT_BYTES + 1, START + 500 + SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void as_much_as_the_limit_may_wait_for_ever(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  for (uint64_t ms = 0; ms < 100 * SOFT_MS; ms += 250)
    assert_int_equal(judge(&policy, &clocks, SOFT_BYTES, START + ms), FLUXBP_EVICT_NONE);
}

static void a_backlog_that_falls_to_the_limit_clears_the_clock(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START), FLUXBP_EVICT_NONE);
  (void) cross_bytes(&clocks, &policy, 10, SOFT_BYTES, START + SOFT_MS - 1); /* between two looks */
  (void) cross_bytes(&clocks, &policy, 10, 5000, START + SOFT_MS - 1);
  assert_int_equal(judge(&policy, &clocks, 5000, START + 2 * SOFT_MS - 2), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, 5000, START + 2 * SOFT_MS - 1), FLUXBP_EVICT_SOFT_LIMIT);
}

/* Unlike SLOW and STALLED: what counts is what waits, not whether it moves. */
static void progress_does_not_stop_the_clock(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  for (uint64_t ms = 0; ms < SOFT_MS; ms += 250) {
    fluxbp__clocks_progress(&clocks, START + ms, ms + 1);
    assert_int_equal(judge(&policy, &clocks, 900000 - 250 * ms, START + ms), FLUXBP_EVICT_NONE);
  }
  assert_int_equal(judge(&policy, &clocks, 2000, START + SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void a_partly_written_message_counts_by_its_rest(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  fluxbp__observation_t seen = {.backlog = {.queued = 1, .bytes = 1 << 20, .head_bytes = 1 << 20}};
  seen.backlog.head_written = (1 << 20) - SOFT_BYTES;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + SOFT_MS), FLUXBP_EVICT_NONE);
  seen.backlog.head_written--;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + SOFT_MS), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 2 * SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void without_bytes_or_without_a_time_it_is_off(void **state) {
  (void) state;
  for (int is_without_time = 0; is_without_time < 2; is_without_time++) {
    fluxbp_policy_t set = soft_alone();
    if (is_without_time)
      set.soft_ms = 0;
    else
      set.soft_bytes = 0;
    fluxbp__policy_t policy = prepared(&set);
    fluxbp__clocks_t clocks = refused();
    assert_int_equal(policy.shortest_ms, UINT32_MAX);
    assert_int_equal(judge(&policy, &clocks, 900000, START), FLUXBP_EVICT_NONE);
    assert_int_equal(judge(&policy, &clocks, 900000, START + 1000000), FLUXBP_EVICT_NONE);
  }
}

static void it_is_off_by_default(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  assert_int_equal(set.soft_bytes, 0);
  assert_int_equal(set.soft_ms, 10000);
}

static void a_drained_ring_clears_the_clock(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START), FLUXBP_EVICT_NONE);
  fluxbp__clocks_drained(&clocks, START, START + SOFT_MS - 1, 5000, 5000);
  assert_int_equal(judge(&policy, &clocks, 5000, START + SOFT_MS), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, 5000, START + 2 * SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void grace_and_crowd_put_it_off(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  set.grace_ms = SOFT_MS + 500;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, 5000, START + SOFT_MS + 499), FLUXBP_EVICT_NONE);
  fluxbp__observation_t seen = backlog_of(5000);
  seen.is_crowd_slow = true;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + SOFT_MS + 500), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 2 * SOFT_MS - 1), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 2 * SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void a_spared_connection_has_all_of_the_time_again(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, 5000, START + SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
  fluxbp__clocks_spare(&clocks, START + SOFT_MS);
  assert_int_equal(judge(&policy, &clocks, 5000, START + 2 * SOFT_MS - 1), FLUXBP_EVICT_NONE);
  fluxbp__observation_t seen = backlog_of(5000);
  fluxbp__standing_t standing = fluxbp__policy_standing(&policy, &clocks, &seen, START + 2 * SOFT_MS - 1);
  assert_int_equal(standing.reason, FLUXBP_EVICT_SOFT_LIMIT);
  assert_int_equal(standing.put_off, FLUXBP_PUT_OFF_SPARED);
  assert_int_equal(judge(&policy, &clocks, 5000, START + 2 * SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void evidence_says_how_long_the_clock_has_run(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  set.is_shadow = 1;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START + 1000), FLUXBP_EVICT_NONE);
  fluxbp__observation_t seen = backlog_of(5000);
  fluxbp__standing_t standing = fluxbp__policy_standing(&policy, &clocks, &seen, START + 3000);
  assert_int_equal(standing.reason, FLUXBP_EVICT_SOFT_LIMIT);
  assert_int_equal(standing.used_ms, 2000);
  assert_int_equal(standing.limit_ms, SOFT_MS);
  assert_int_equal(standing.put_off, FLUXBP_PUT_OFF_NONE);
  standing = fluxbp__policy_standing(&policy, &clocks, &seen, START + 1000 + SOFT_MS);
  assert_int_equal(standing.put_off, FLUXBP_PUT_OFF_SHADOW);

  seen = backlog_of(SOFT_BYTES); /* the ring has fallen since the last look */
  standing = fluxbp__policy_standing(&policy, &clocks, &seen, START + 1000 + SOFT_MS);
  assert_int_equal(standing.reason, FLUXBP_EVICT_NONE);
}

static void the_sweeper_comes_when_its_time_is_up(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  set.stall_ms = 2 * SOFT_MS;
  fluxbp__policy_t policy = prepared(&set);
  assert_int_equal(policy.shortest_ms, SOFT_MS);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START + 1000), FLUXBP_EVICT_NONE);
  fluxbp__observation_t seen = backlog_of(5000);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, &seen), START + 1000 + SOFT_MS);
  seen.is_crowd_slow = true;
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, &seen), START + 1000 + 2 * SOFT_MS);
  seen = backlog_of(SOFT_BYTES);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, &seen), START + 2 * SOFT_MS);
}

static void half_of_its_time_counts_as_slow_in_a_crowd(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  fluxbp__observation_t seen = backlog_of(5000);
  assert_int_equal(judge(&policy, &clocks, 5000, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_halfway_ms(&policy, &clocks, &seen, START + SOFT_MS / 2 - 1), 0);
  assert_int_equal(fluxbp__policy_halfway_ms(&policy, &clocks, &seen, START + SOFT_MS / 2), SOFT_MS);
}

static void of_several_verdicts_it_is_the_last(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  set.lag_ms = SOFT_MS - 1;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  fluxbp__observation_t seen = backlog_of(5000);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  seen.oldest_ms = SOFT_MS;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + SOFT_MS), FLUXBP_EVICT_LAG);
  seen.oldest_ms = 0; /* of which nothing is written */
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

static void another_limit_holds_from_the_next_look(void **state) {
  (void) state;
  fluxbp_policy_t set = soft_alone();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks = refused();
  assert_int_equal(judge(&policy, &clocks, 5000, START), FLUXBP_EVICT_NONE);
  set.soft_bytes = 5000;
  fluxbp__policy_t wider = prepared(&set);
  assert_int_equal(judge(&wider, &clocks, 5000, START + SOFT_MS), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&policy, &clocks, 5000, START + SOFT_MS), FLUXBP_EVICT_NONE); /* it begins anew */
  assert_int_equal(judge(&policy, &clocks, 5000, START + 2 * SOFT_MS), FLUXBP_EVICT_SOFT_LIMIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(more_than_the_limit_for_its_time_is_evicted),
      cmocka_unit_test(as_much_as_the_limit_may_wait_for_ever),
      cmocka_unit_test(a_backlog_that_falls_to_the_limit_clears_the_clock),
      cmocka_unit_test(progress_does_not_stop_the_clock),
      cmocka_unit_test(a_partly_written_message_counts_by_its_rest),
      cmocka_unit_test(without_bytes_or_without_a_time_it_is_off),
      cmocka_unit_test(it_is_off_by_default),
      cmocka_unit_test(a_drained_ring_clears_the_clock),
      cmocka_unit_test(grace_and_crowd_put_it_off),
      cmocka_unit_test(a_spared_connection_has_all_of_the_time_again),
      cmocka_unit_test(evidence_says_how_long_the_clock_has_run),
      cmocka_unit_test(the_sweeper_comes_when_its_time_is_up),
      cmocka_unit_test(half_of_its_time_counts_as_slow_in_a_crowd),
      cmocka_unit_test(of_several_verdicts_it_is_the_last),
      cmocka_unit_test(another_limit_holds_from_the_next_look),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
