/* SPDX-License-Identifier: MIT */
/*
 * policy: who is UNREACHABLE, by what stays unanswered. Times of being heard are by another clock than the policy's.
 */
#include "support/policy_fixture.h"

/* By the clock of heard_ms, when the first look is. */
#define HEARD ((uint64_t) 77000)

static fluxbp__policy_t without_the_other_verdicts(void) {
  fluxbp_policy_t set = defaults();
  set.stall_ms = 0;
  set.slow_ms = 0;
  return prepared(&set);
}

/* Nothing is queued: everything was taken by the kernel. */
static fluxbp__observation_t unanswered(uint32_t times) {
  return (fluxbp__observation_t){.written_bytes = 100, .acked_bytes = 60, .unanswered = times, .heard_ms = HEARD};
}

static void start(fluxbp__clocks_t *clocks) {
  fluxbp__clocks_start(clocks, 0, START, 100, 60);
}

static fluxbp_evict_reason_t judge(fluxbp__clocks_t *clocks, const fluxbp__observation_t *seen, uint64_t now_ms) {
  fluxbp__policy_t policy = without_the_other_verdicts();
  return fluxbp__policy_judge(&policy, clocks, seen, now_ms);
}

static void unreachable_falls_thirty_seconds_after_it_was_first_seen(void **state) {
  (void) state;
  fluxbp__policy_t policy = without_the_other_verdicts();
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(1);
  assert_int_equal(judge(&clocks, &seen, START + 60000), FLUXBP_EVICT_NONE);
  assert_true(fluxbp__policy_deadline(&policy, &clocks, &seen) == UINT64_MAX);
  seen = unanswered(2);
  assert_int_equal(judge(&clocks, &seen, START + 60250), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, &seen), START + 90250);
  seen = unanswered(7);
  assert_int_equal(judge(&clocks, &seen, START + 90249), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&clocks, &seen, START + 90250), FLUXBP_EVICT_UNREACHABLE);
}

/* Probes are sent every 120 s in the end, and each is answered. */
static void silence_alone_proves_nothing(void **state) {
  (void) state;
  fluxbp__clocks_t clocks;
  start(&clocks);
  for (uint64_t ms = 0; ms <= 600000; ms += 250) {
    fluxbp__observation_t seen = unanswered(ms % 120000 < 500); /* one is on its way now and then */
    assert_int_equal(judge(&clocks, &seen, START + ms), FLUXBP_EVICT_NONE);
  }
}

static void stall_limit_of_more_than_fifteen_seconds_counts_twice(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 20000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(2);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 39999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 40000), FLUXBP_EVICT_UNREACHABLE);
}

/* `answer` comes after 20 s: the clock has begun anew there, or stands still. */
static void assert_answer_clears(void (*answer)(fluxbp__observation_t *seen), bool is_unanswering_again) {
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(4);
  assert_int_equal(judge(&clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&clocks, &seen, START + 19000), FLUXBP_EVICT_NONE);
  answer(&seen);
  assert_int_equal(judge(&clocks, &seen, START + 20000), FLUXBP_EVICT_NONE);
  assert_int_equal(clocks.is_silent, is_unanswering_again);
  assert_int_equal(judge(&clocks, &seen, START + 49999), FLUXBP_EVICT_NONE);
  assert_int_equal(judge(&clocks, &seen, START + 50000),
                   is_unanswering_again ? FLUXBP_EVICT_UNREACHABLE : FLUXBP_EVICT_NONE);
}

static void a_byte_was_acked(fluxbp__observation_t *seen) {
  seen->acked_bytes++;
}

static void it_was_heard(fluxbp__observation_t *seen) {
  seen->heard_ms += 500;
}

static void fewer_are_unanswered(fluxbp__observation_t *seen) {
  seen->unanswered = 2;
}

static void none_is_unanswered(fluxbp__observation_t *seen) {
  seen->unanswered = 0;
}

static void any_answer_clears_what_was_unanswered(void **state) {
  (void) state;
  assert_answer_clears(a_byte_was_acked, true);
  assert_answer_clears(it_was_heard, true);
  assert_answer_clears(fewer_are_unanswered, true);
  assert_answer_clears(none_is_unanswered, false);
}

/* The kernel tells the time since it heard something, in steps of some milliseconds. */
static void the_same_moment_seen_twice_is_no_answer(void **state) {
  (void) state;
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(2);
  for (uint64_t ms = 0; ms < 30000; ms += 250) {
    seen.heard_ms = HEARD + ms % 17;
    assert_int_equal(judge(&clocks, &seen, START + ms), FLUXBP_EVICT_NONE);
  }
  assert_int_equal(judge(&clocks, &seen, START + 30000), FLUXBP_EVICT_UNREACHABLE);
}

/* What the kernel takes says nothing about the peer, and a drained ring neither. */
static void what_is_written_is_no_answer(void **state) {
  (void) state;
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(3);
  assert_int_equal(judge(&clocks, &seen, START), FLUXBP_EVICT_NONE);
  for (uint64_t ms = 250; ms < 30000; ms += 250) {
    seen.written_bytes += 10;
    fluxbp__clocks_drained(&clocks, 0, START + ms, seen.written_bytes, seen.acked_bytes);
    assert_int_equal(judge(&clocks, &seen, START + ms), FLUXBP_EVICT_NONE);
  }
  assert_int_equal(judge(&clocks, &seen, START + 30000), FLUXBP_EVICT_UNREACHABLE);
}

static void nothing_queued_and_nothing_unanswered_is_no_deadline(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(0);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 60000), FLUXBP_EVICT_NONE);
  assert_true(fluxbp__policy_deadline(&policy, &clocks, &seen) == UINT64_MAX);
  assert_int_equal(fluxbp__policy_halfway_ms(&policy, &clocks, &seen, START + 60000), 0);
}

static void stalled_comes_first_for_who_is_refused(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(5);
  seen.backlog.queued = 1;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_STALLED);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 30000), FLUXBP_EVICT_STALLED);
}

static void grace_crowd_and_sparing_put_it_off(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.grace_ms = 50000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, START, START, 100, 60);
  fluxbp__observation_t seen = unanswered(2);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 49999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 50000), FLUXBP_EVICT_UNREACHABLE);
  seen.is_crowd_slow = true;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 59999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 60000), FLUXBP_EVICT_UNREACHABLE);
  seen.is_crowd_slow = false;
  fluxbp__clocks_spare(&clocks, START + 60000);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 89999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 90000), FLUXBP_EVICT_UNREACHABLE);
}

static void halfway_is_fifteen_seconds_and_has_its_own_limit(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  start(&clocks);
  fluxbp__observation_t seen = unanswered(2);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_halfway_ms(&policy, &clocks, &seen, START + 14999), 0);
  assert_int_equal(fluxbp__policy_halfway_ms(&policy, &clocks, &seen, START + 15000), 30000);
  seen.backlog.queued = 1;
  assert_int_equal(fluxbp__policy_halfway_ms(&policy, &clocks, &seen, START + 15000), 5000); /* to STALLED, before */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unreachable_falls_thirty_seconds_after_it_was_first_seen),
      cmocka_unit_test(silence_alone_proves_nothing),
      cmocka_unit_test(stall_limit_of_more_than_fifteen_seconds_counts_twice),
      cmocka_unit_test(any_answer_clears_what_was_unanswered),
      cmocka_unit_test(the_same_moment_seen_twice_is_no_answer),
      cmocka_unit_test(what_is_written_is_no_answer),
      cmocka_unit_test(nothing_queued_and_nothing_unanswered_is_no_deadline),
      cmocka_unit_test(stalled_comes_first_for_who_is_refused),
      cmocka_unit_test(grace_crowd_and_sparing_put_it_off),
      cmocka_unit_test(halfway_is_fifteen_seconds_and_has_its_own_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
