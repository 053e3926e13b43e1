/* SPDX-License-Identifier: MIT */
/*
 * policy: ranges, watermarks, and verdicts to the millisecond. The time is an argument, so nothing here waits.
 */
#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static const uint64_t START = 1000000; /* when the kernel refused; any time will do */

static fluxbp_policy_t defaults(void) {
  fluxbp_policy_t set;
  fluxbp_policy_init(&set);
  return set;
}

static fluxbp__policy_t prepared(const fluxbp_policy_t *set) {
  fluxbp__policy_t policy;
  assert_int_equal(fluxbp__policy_prepare(set, &policy), 0);
  return policy;
}

/* A ring of 160 slots: a step of 1/16 is 10 messages. High watermark 80, low 40. Only SLOW and STALLED at 5 s. */
static fluxbp__policy_t of_160_slots(void) {
  fluxbp_policy_t set = defaults();
  set.slots = 160;
  return prepared(&set);
}

static fluxbp__observation_t queue_of(uint64_t queued) {
  return (fluxbp__observation_t){.queued = queued, .queued_bytes = queued};
}

/* Something moves at every look, so that nothing is stalled. */
static fluxbp_evict_reason_t look(const fluxbp__policy_t *policy, fluxbp__clocks_t *clocks, uint64_t queued,
                                  uint64_t now_ms) {
  fluxbp__observation_t seen = queue_of(queued);
  seen.written_bytes = clocks->written_bytes + 1;
  seen.acked_bytes = seen.written_bytes;
  return fluxbp__policy_judge(policy, clocks, &seen, now_ms);
}

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
  set.max_bytes = UINT64_MAX, assert_refused(&set); /* no percentage of it can be computed */

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
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 0, 0), 0);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 50, 0), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 50, 250), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 50, 750), FLUXBP__FILL_FULL / 4 * 3);
  assert_true(fluxbp__limits_fill(&policy.limits, 99, 999) < FLUXBP__FILL_FULL);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 100, 0), FLUXBP__FILL_FULL);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 1, 1000), FLUXBP__FILL_FULL);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 1, 5000), FLUXBP__FILL_FULL); /* an oversize message */
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 300, 0), FLUXBP__FILL_FULL);  /* the limit was made smaller */
}

static void policy_fill_is_right_for_the_largest_numbers(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = FLUXBP_SLOTS_MAX;
  set.max_bytes = (uint64_t) 1 << 56;
  fluxbp__policy_t policy = prepared(&set);
  assert_int_equal(policy.limits.high_bytes, (uint64_t) 1 << 55);
  assert_int_equal(policy.limits.low_bytes, (uint64_t) 1 << 54);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 0, (uint64_t) 1 << 55), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, 0, UINT64_MAX), FLUXBP__FILL_FULL);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, FLUXBP_SLOTS_MAX / 2, 0), FLUXBP__FILL_FULL / 2);
  assert_int_equal(fluxbp__limits_fill(&policy.limits, UINT32_MAX, 0), FLUXBP__FILL_FULL);

  uint32_t last = 0;
  for (uint64_t bytes = 1; bytes <= policy.limits.max_bytes; bytes *= 2) { /* it never goes down */
    uint32_t fill = fluxbp__limits_fill(&policy.limits, 0, bytes);
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
    bool changed = fluxbp__clocks_watermarks(&clocks, &policy, steps[i].queued, steps[i].queued, START + i);
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
  assert_false(fluxbp__clocks_watermarks(&clocks, &policy, 3, 499, START));
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 3, 500, START));
  assert_false(fluxbp__clocks_watermarks(&clocks, &policy, 2, 251, START)); /* few messages, too many bytes */
  assert_false(fluxbp__clocks_watermarks(&clocks, &policy, 41, 250, START));
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 40, 250, START));
  assert_false(clocks.is_backpressured);
}

/* ---- STALLED ---- */

static void policy_stalled_falls_at_stall_ms_and_not_one_before(void **state) {
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

static void policy_stalled_falls_on_time_for_a_connection_that_has_sent_before(void **state) {
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

static void policy_one_written_byte_is_progress(void **state) {
  (void) state;
  assert_is_progress(one_byte_was_written);
}

static void policy_one_acknowledged_byte_is_progress(void **state) {
  (void) state;
  assert_is_progress(one_byte_was_acked);
}

static void policy_a_write_between_two_looks_is_progress(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 100, 0);
  fluxbp__clocks_progress(&clocks, START + 3000, 150);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false), START + 8000);

  fluxbp__observation_t seen = queue_of(1);
  seen.written_bytes = 150; /* it was noted when it happened, not when it is looked at */
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 7999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 8000), FLUXBP_EVICT_STALLED);
}

static void policy_has_nothing_against_an_empty_ring(void **state) {
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

/* ---- SLOW ---- */

static void policy_slow_falls_when_the_ring_makes_no_new_minimum(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 100, 100, START));
  for (uint64_t ms = 250; ms < 5000; ms += 250)
    assert_int_equal(look(&policy, &clocks, 100 + ms % 3, START + ms), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 100, START + 4999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 100, START + 5000), FLUXBP_EVICT_SLOW);
}

static void policy_slow_is_put_off_by_a_minimum_that_is_a_sixteenth_lower(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 100, 100, START));
  assert_int_equal(look(&policy, &clocks, 90, START + 4000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 160, START + 4100), FLUXBP_EVICT_NONE); /* up again: no new minimum */
  assert_int_equal(look(&policy, &clocks, 90, START + 8999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 90, START + 9000), FLUXBP_EVICT_SLOW);
}

static void policy_slow_is_not_put_off_by_less_than_a_sixteenth(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 100, 100, START));
  assert_int_equal(look(&policy, &clocks, 91, START + 4000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 91, START + 5000), FLUXBP_EVICT_SLOW);
}

static void policy_slow_adds_small_steps_up(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 160, 160, START));
  uint64_t now = START;
  for (uint64_t queued = 160; queued > 40; queued--, now += 490) /* 10 messages in 4.9 s: a healthy drain */
    assert_int_equal(look(&policy, &clocks, queued, now), FLUXBP_EVICT_NONE);
}

static void policy_slow_needs_backpressure(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_int_equal(look(&policy, &clocks, 79, START + 60000), FLUXBP_EVICT_NONE);

  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 80, 80, START + 60000));
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 40, 40, START + 61000));
  assert_int_equal(look(&policy, &clocks, 79, START + 90000), FLUXBP_EVICT_NONE);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 80, 80, START + 90000)); /* a new clock */
  assert_int_equal(look(&policy, &clocks, 80, START + 94999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 80, START + 95000), FLUXBP_EVICT_SLOW);
}

static void policy_who_has_stopped_moving_is_stalled_and_not_slow(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 160, 160, START));
  assert_int_equal(look(&policy, &clocks, 160, START + 2000), FLUXBP_EVICT_NONE); /* the last that moves */
  fluxbp__observation_t seen = queue_of(160);
  seen.written_bytes = clocks.written_bytes;
  seen.acked_bytes = clocks.acked_bytes;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 6999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 7000), FLUXBP_EVICT_STALLED);
}

/* ---- LAG, switches, deadlines ---- */

static void policy_lag_falls_when_the_oldest_is_older(void **state) {
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

static void policy_of_zeros_evicts_nobody(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 0;
  set.slow_ms = 0;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 256, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  seen.oldest_ms = UINT64_MAX;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + UINT32_MAX), FLUXBP_EVICT_NONE);
  assert_true(fluxbp__policy_deadline(&policy, &clocks, false) == UINT64_MAX);
}

static void policy_switches_are_independent(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 0;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 256, 256, START));
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

static void policy_names_the_stall_when_several_reasons_fit(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.lag_ms = 1;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 256, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  seen.oldest_ms = 5000;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_STALLED);
}

static void policy_deadline_is_when_the_first_clock_runs_out(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slow_ms = 3000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false), START + 5000);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 256, 256, START + 1000));
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false),
                   START + 5000); /* it stands still: STALLED's case */
  fluxbp__clocks_progress(&clocks, START + 3000, 0);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false), START + 4000);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 0, 0, START + 3500));
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false), START + 8000);

  set.stall_ms = 0;
  policy = prepared(&set);
  assert_true(fluxbp__policy_deadline(&policy, &clocks, false) == UINT64_MAX);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 256, 256, START + 2000));
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false), START + 5000);
}

/* One that lies behind would have the sweeper come back at once, again and again. */
static void policy_deadline_lies_ahead_as_long_as_nothing_is_decided(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = 60000;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, 256, 256, START));
  fluxbp__observation_t seen = queue_of(256);
  for (uint64_t now = START; fluxbp__policy_judge(&policy, &clocks, &seen, now) == FLUXBP_EVICT_NONE; now += 250)
    assert_true(fluxbp__policy_deadline(&policy, &clocks, false) > now);
}

static void policy_times_may_be_as_long_as_their_type(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.stall_ms = UINT32_MAX;
  set.slow_ms = UINT32_MAX;
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  fluxbp__observation_t seen = queue_of(1);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + UINT32_MAX - 1), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + UINT32_MAX), FLUXBP_EVICT_STALLED);
  assert_int_equal(fluxbp__policy_deadline(&policy, &clocks, false), START + UINT32_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(policy_defaults_are_as_documented),
      cmocka_unit_test(policy_takes_each_number_up_to_its_bounds_and_not_beyond),
      cmocka_unit_test(policy_high_watermark_is_never_an_empty_ring),
      cmocka_unit_test(policy_of_a_newer_caller_is_refused),
      cmocka_unit_test(policy_fill_is_that_of_slots_or_bytes),
      cmocka_unit_test(policy_fill_is_right_for_the_largest_numbers),
      cmocka_unit_test(policy_backpressure_holds_between_the_watermarks),
      cmocka_unit_test(policy_backpressure_begins_by_bytes_and_ends_by_both),
      cmocka_unit_test(policy_stalled_falls_at_stall_ms_and_not_one_before),
      cmocka_unit_test(policy_stalled_falls_on_time_for_a_connection_that_has_sent_before),
      cmocka_unit_test(policy_one_written_byte_is_progress),
      cmocka_unit_test(policy_one_acknowledged_byte_is_progress),
      cmocka_unit_test(policy_a_write_between_two_looks_is_progress),
      cmocka_unit_test(policy_has_nothing_against_an_empty_ring),
      cmocka_unit_test(policy_slow_falls_when_the_ring_makes_no_new_minimum),
      cmocka_unit_test(policy_slow_is_put_off_by_a_minimum_that_is_a_sixteenth_lower),
      cmocka_unit_test(policy_slow_is_not_put_off_by_less_than_a_sixteenth),
      cmocka_unit_test(policy_slow_adds_small_steps_up),
      cmocka_unit_test(policy_slow_needs_backpressure),
      cmocka_unit_test(policy_who_has_stopped_moving_is_stalled_and_not_slow),
      cmocka_unit_test(policy_lag_falls_when_the_oldest_is_older),
      cmocka_unit_test(policy_of_zeros_evicts_nobody),
      cmocka_unit_test(policy_switches_are_independent),
      cmocka_unit_test(policy_names_the_stall_when_several_reasons_fit),
      cmocka_unit_test(policy_deadline_is_when_the_first_clock_runs_out),
      cmocka_unit_test(policy_deadline_lies_ahead_as_long_as_nothing_is_decided),
      cmocka_unit_test(policy_times_may_be_as_long_as_their_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
