/* SPDX-License-Identifier: MIT */
/*
 * policy: who is SLOW, to the millisecond and to the message.
 */
#include "support/policy_fixture.h"

static void slow_falls_when_the_ring_makes_no_new_minimum(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 100, START));
  for (uint64_t ms = 250; ms < 5000; ms += 250)
    assert_int_equal(look(&policy, &clocks, 100 + ms % 3, START + ms), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 100, START + 4999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 100, START + 5000), FLUXBP_EVICT_SLOW);
}

static void slow_is_put_off_by_a_minimum_that_is_a_sixteenth_lower(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 100, START));
  assert_int_equal(look(&policy, &clocks, 90, START + 4000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 160, START + 4100), FLUXBP_EVICT_NONE); /* up again: no new minimum */
  assert_int_equal(look(&policy, &clocks, 90, START + 8999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 90, START + 9000), FLUXBP_EVICT_SLOW);
}

static void slow_is_not_put_off_by_less_than_a_sixteenth(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 100, START));
  assert_int_equal(look(&policy, &clocks, 91, START + 4000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 91, START + 5000), FLUXBP_EVICT_SLOW);
}

static void slow_adds_small_steps_up(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 160, START));
  uint64_t now = START;
  for (uint64_t queued = 160; queued > 40; queued--, now += 490) /* 10 messages in 4.9 s: a healthy drain */
    assert_int_equal(look(&policy, &clocks, queued, now), FLUXBP_EVICT_NONE);
}

static void slow_needs_backpressure(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_int_equal(look(&policy, &clocks, 79, START + 60000), FLUXBP_EVICT_NONE);

  assert_true(cross(&clocks, &policy, 80, START + 60000));
  assert_true(cross(&clocks, &policy, 40, START + 61000));
  assert_int_equal(look(&policy, &clocks, 79, START + 90000), FLUXBP_EVICT_NONE);
  assert_true(cross(&clocks, &policy, 80, START + 90000)); /* a new clock */
  assert_int_equal(look(&policy, &clocks, 80, START + 94999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 80, START + 95000), FLUXBP_EVICT_SLOW);
}

/* A burst crosses the watermark at 80 of 160 and fills the ring; the client drains 10 messages in 4.9 s from there. */
static void slow_looks_for_a_minimum_below_the_top_of_a_burst(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 80, START));
  uint64_t now = START + 100;
  for (uint64_t queued = 155; queued > 40; queued--, now += 490)
    assert_int_equal(look(&policy, &clocks, queued, now), FLUXBP_EVICT_NONE);
}

static void slow_is_not_put_off_by_a_rising_fill(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 80, START));
  for (uint64_t ms = 250; ms < 5000; ms += 250)
    assert_int_equal(look(&policy, &clocks, 80 + ms / 100, START + ms), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 130, START + 5000), FLUXBP_EVICT_SLOW);
}

static void slow_takes_no_notice_of_a_rise_in_the_second_half_of_the_time(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 80, START));
  assert_int_equal(look(&policy, &clocks, 100, START + 2499), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 160, START + 2500), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 91, START + 5000), FLUXBP_EVICT_SLOW);
}

/* From the high watermark the ring fills up, loses the newest until the low one, and so on: a feed at twice its
 * speed. */
static void who_loses_messages_again_and_again_is_slow(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  for (uint64_t now = START; now < START + 5500; now += 2000) {
    assert_true(cross(&clocks, &policy, 80, now));
    assert_int_equal(look(&policy, &clocks, 160, now + 500), FLUXBP_EVICT_NONE);
    fluxbp__clocks_lost(&clocks);
    assert_true(cross(&clocks, &policy, 40, now + 1500));
    assert_int_equal(look(&policy, &clocks, 40, now + 1500), FLUXBP_EVICT_NONE);
  }
  assert_int_equal(look(&policy, &clocks, 70, START + 6499), FLUXBP_EVICT_NONE);
  assert_int_equal(deadline_of(&policy, &clocks, false), START + 6500);
  assert_int_equal(look(&policy, &clocks, 70, START + 6500), FLUXBP_EVICT_SLOW); /* 5 s after it was first at 40 */
}

static void who_drains_after_a_loss_is_as_before(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 80, START));
  fluxbp__clocks_lost(&clocks);
  assert_true(cross(&clocks, &policy, 40, START + 1000));
  assert_int_equal(look(&policy, &clocks, 40, START + 1000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 30, START + 5000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 20, START + 9000), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 9, START + 13000), FLUXBP_EVICT_NONE); /* as good as drained */
  assert_int_equal(look(&policy, &clocks, 79, START + 90000), FLUXBP_EVICT_NONE);
  assert_true(cross(&clocks, &policy, 80, START + 90000)); /* a new clock */
  assert_int_equal(look(&policy, &clocks, 80, START + 94999), FLUXBP_EVICT_NONE);
  assert_int_equal(look(&policy, &clocks, 80, START + 95000), FLUXBP_EVICT_SLOW);
}

static void who_has_stopped_moving_is_stalled_and_not_slow(void **state) {
  (void) state;
  fluxbp__policy_t policy = of_160_slots();
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(cross(&clocks, &policy, 160, START));
  assert_int_equal(look(&policy, &clocks, 160, START + 2000), FLUXBP_EVICT_NONE); /* the last that moves */
  fluxbp__observation_t seen = queue_of(160);
  seen.written_bytes = clocks.written_bytes;
  seen.acked_bytes = clocks.acked_bytes;
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 5000), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 6999), FLUXBP_EVICT_NONE);
  assert_int_equal(fluxbp__policy_judge(&policy, &clocks, &seen, START + 7000), FLUXBP_EVICT_STALLED);
}

/* ---- inside of a message ---- */

static fluxbp_evict_reason_t look_at_backlog(const fluxbp__policy_t *policy, fluxbp__clocks_t *clocks,
                                             const fluxbp__backlog_t *backlog, uint64_t now_ms) {
  fluxbp__observation_t seen = {.backlog = *backlog};
  seen.written_bytes = clocks->written_bytes + 1;
  seen.acked_bytes = seen.written_bytes;
  return fluxbp__policy_judge(policy, clocks, &seen, now_ms);
}

/* 6 MB in a ring for 1 MiB, at `bytes_per_s`; when it goes, UINT64_MAX: it doesn't. */
static uint64_t slow_at_ms(uint64_t bytes_per_s) {
  fluxbp_policy_t set = defaults();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__backlog_t backlog = {.queued = 1, .bytes = 6000000, .head_bytes = 6000000};
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, &backlog, START));
  for (uint64_t ms = 250; ms * bytes_per_s / 1000 < backlog.bytes; ms += 250) {
    backlog.head_written = ms * bytes_per_s / 1000;
    if (look_at_backlog(&policy, &clocks, &backlog, START + ms) == FLUXBP_EVICT_SLOW) return ms;
  }
  return UINT64_MAX;
}

static void a_message_larger_than_the_ring_is_drained_as_it_is_written(void **state) {
  (void) state;
  assert_true(slow_at_ms(500000) == UINT64_MAX);
  assert_true(slow_at_ms(14000) == UINT64_MAX); /* 65536 bytes, a sixteenth of the ring, in 4.75 s */
  assert_int_equal(slow_at_ms(13000), 5000);
}

/* So many messages of a byte behind one of 1 MiB, which is written within 20 s; when it goes. */
static uint64_t slow_behind_at_ms(uint64_t queued, uint64_t bytes_per_s) {
  fluxbp_policy_t set = defaults();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__backlog_t backlog = {.queued = queued, .bytes = (1u << 20) + queued - 1, .head_bytes = 1u << 20};
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, &backlog, START));
  for (uint64_t ms = 250; ms * bytes_per_s / 1000 < backlog.head_bytes; ms += 250) {
    backlog.head_written = ms * bytes_per_s / 1000;
    if (look_at_backlog(&policy, &clocks, &backlog, START + ms) == FLUXBP_EVICT_SLOW) return ms;
  }
  return UINT64_MAX;
}

static void small_messages_behind_a_large_one_do_not_hide_its_progress(void **state) {
  (void) state;
  for (uint64_t queued = 1; queued <= 256; queued++) assert_true(slow_behind_at_ms(queued, 50000) == UINT64_MAX);
  assert_int_equal(slow_behind_at_ms(200, 13000), 5000);
}

static void a_partly_written_head_counts_by_its_fraction_of_a_slot(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  set.slots = 4;
  set.max_bytes = FLUXBP_RING_BYTES_MAX; /* only the slots count */
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__backlog_t backlog = {.queued = 4, .bytes = 400, .head_bytes = 100};
  assert_int_equal(fluxbp__backlog_fill(&policy.limits, &backlog), FLUXBP__FILL_FULL);
  backlog.head_written = 50;
  assert_int_equal(fluxbp__backlog_fill(&policy.limits, &backlog), FLUXBP__FILL_FULL / 8 * 7);

  fluxbp__clocks_t clocks; /* a message takes 16 s: a quarter of it is a sixteenth of the ring */
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  backlog.head_written = 0;
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, &backlog, START));
  for (uint64_t ms = 250; ms < 16000; ms += 250) {
    backlog.head_written = ms / 160;
    assert_int_equal(look_at_backlog(&policy, &clocks, &backlog, START + ms), FLUXBP_EVICT_NONE);
  }
}

static void what_was_written_before_the_watermark_is_no_new_minimum(void **state) {
  (void) state;
  fluxbp_policy_t set = defaults();
  fluxbp__policy_t policy = prepared(&set);
  fluxbp__backlog_t backlog = {.queued = 1, .bytes = 900000, .head_bytes = 900000, .head_written = 300000};
  fluxbp__clocks_t clocks;
  fluxbp__clocks_start(&clocks, 0, START, 0, 0);
  assert_true(fluxbp__clocks_watermarks(&clocks, &policy, &backlog, START));
  for (uint64_t ms = 250; ms < 5000; ms += 250)
    assert_int_equal(look_at_backlog(&policy, &clocks, &backlog, START + ms), FLUXBP_EVICT_NONE);
  assert_int_equal(look_at_backlog(&policy, &clocks, &backlog, START + 5000), FLUXBP_EVICT_SLOW);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_larger_than_the_ring_is_drained_as_it_is_written),
      cmocka_unit_test(small_messages_behind_a_large_one_do_not_hide_its_progress),
      cmocka_unit_test(a_partly_written_head_counts_by_its_fraction_of_a_slot),
      cmocka_unit_test(what_was_written_before_the_watermark_is_no_new_minimum),
      cmocka_unit_test(slow_falls_when_the_ring_makes_no_new_minimum),
      cmocka_unit_test(slow_is_put_off_by_a_minimum_that_is_a_sixteenth_lower),
      cmocka_unit_test(slow_is_not_put_off_by_less_than_a_sixteenth),
      cmocka_unit_test(slow_adds_small_steps_up),
      cmocka_unit_test(slow_needs_backpressure),
      cmocka_unit_test(slow_looks_for_a_minimum_below_the_top_of_a_burst),
      cmocka_unit_test(slow_is_not_put_off_by_a_rising_fill),
      cmocka_unit_test(slow_takes_no_notice_of_a_rise_in_the_second_half_of_the_time),
      cmocka_unit_test(who_loses_messages_again_and_again_is_slow),
      cmocka_unit_test(who_drains_after_a_loss_is_as_before),
      cmocka_unit_test(who_has_stopped_moving_is_stalled_and_not_slow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
