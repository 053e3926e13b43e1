/* SPDX-License-Identifier: MIT */
/*
 * The bucket of patience: what empties it, what fills it, and when it is empty.
 */
#include "patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE_MS = 4000, START_MS = 100000, SWEEP_MS = 250 };

/* A connection that holds the publisher up, as the sweep sees it. */
typedef struct holder {
  fluxbp__patience_t patience;
  uint64_t now_ms;
  uint64_t progress_ms;
  bool is_holding;
} holder_t;

static void begin(holder_t *holder) {
  *holder = (holder_t){.now_ms = START_MS, .progress_ms = START_MS, .is_holding = true};
  fluxbp__patience_start(&holder->patience, 0, SIZE_MS, START_MS);
  assert_true(fluxbp__patience_hold(&holder->patience, SIZE_MS, START_MS));
}

static void be_silent(holder_t *holder, uint64_t ms) {
  for (; ms > 0; ms -= SWEEP_MS) {
    holder->now_ms += SWEEP_MS;
    fluxbp__patience_count(&holder->patience, holder->is_holding, holder->progress_ms, SIZE_MS, holder->now_ms);
  }
}

static void move(holder_t *holder) {
  holder->progress_ms = holder->now_ms;
}

static uint64_t left_ms(const holder_t *holder) {
  return fluxbp__patience_left_ms(&holder->patience, holder->progress_ms, SIZE_MS, holder->now_ms);
}

static void silence_empties_it(void **state) {
  holder_t holder;
  (void) state;
  begin(&holder);
  assert_int_equal(left_ms(&holder), SIZE_MS);
  be_silent(&holder, 3750);
  assert_int_equal(left_ms(&holder), 250);
  assert_false(holder.patience.is_out);
  be_silent(&holder, 250);
  assert_int_equal(left_ms(&holder), 0);
  assert_true(holder.patience.is_out);
}

static void silence_before_the_connection_held_is_not_counted(void **state) {
  holder_t holder;
  (void) state;
  begin(&holder);
  holder.is_holding = false;
  be_silent(&holder, 3000);
  holder.is_holding = fluxbp__patience_hold(&holder.patience, SIZE_MS, holder.now_ms);
  be_silent(&holder, 1000);
  assert_int_equal(left_ms(&holder), 3000);
}

static void time_without_silence_fills_it_one_for_one(void **state) {
  holder_t holder;
  (void) state;
  begin(&holder);
  be_silent(&holder, 3000);
  move(&holder);
  for (int i = 0; i < 4; i++) { /* holding, and moving all the time */
    be_silent(&holder, SWEEP_MS);
    move(&holder);
  }
  assert_int_equal(left_ms(&holder), 2000);
  holder.is_holding = false;
  be_silent(&holder, 1500);
  move(&holder);
  assert_int_equal(left_ms(&holder), 3500);
  be_silent(&holder, 10000);
  move(&holder);
  assert_int_equal(left_ms(&holder), SIZE_MS);
}

static void short_silences_that_end_in_progress_are_free(void **state) {
  holder_t holder;
  (void) state;
  begin(&holder);
  for (int i = 0; i < 100; i++) {
    be_silent(&holder, SIZE_MS / 2);
    move(&holder);
  }
  assert_int_equal(left_ms(&holder), SIZE_MS);
  be_silent(&holder, SIZE_MS / 2 + SWEEP_MS); /* a longer one counts from its beginning */
  move(&holder);
  assert_int_equal(left_ms(&holder), SIZE_MS / 2 - SWEEP_MS);
}

static void an_empty_one_fills_only_when_something_has_moved(void **state) {
  holder_t holder;
  (void) state;
  begin(&holder);
  be_silent(&holder, SIZE_MS);
  holder.is_holding = false;
  be_silent(&holder, 60000);
  assert_false(fluxbp__patience_hold(&holder.patience, SIZE_MS, holder.now_ms));
  be_silent(&holder, SWEEP_MS);
  move(&holder);
  be_silent(&holder, 1000);
  assert_true(fluxbp__patience_hold(&holder.patience, SIZE_MS, holder.now_ms));
  assert_int_equal(left_ms(&holder), 1000);
}

static void no_more_than_its_size_is_missing(void **state) {
  fluxbp__patience_t patience;
  (void) state;
  fluxbp__patience_start(&patience, UINT64_MAX, SIZE_MS, START_MS);
  assert_int_equal(patience.full_ms, START_MS + SIZE_MS);
  assert_int_equal(fluxbp__patience_left_ms(&patience, START_MS, SIZE_MS, START_MS), 0);
  assert_false(fluxbp__patience_hold(&patience, SIZE_MS, START_MS));
  fluxbp__patience_start(&patience, START_MS + SIZE_MS, SIZE_MS, START_MS);
  fluxbp__patience_count(&patience, false, START_MS, 1000, START_MS); /* the policy has become stricter */
  assert_int_equal(patience.full_ms, START_MS + 1000);
}

static void progress_after_a_sweep_has_begun_is_no_silence(void **state) {
  holder_t holder;
  (void) state;
  begin(&holder);
  holder.progress_ms = holder.now_ms + 10;
  fluxbp__patience_count(&holder.patience, true, holder.progress_ms, SIZE_MS, holder.now_ms);
  assert_int_equal(left_ms(&holder), SIZE_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(silence_empties_it),
      cmocka_unit_test(silence_before_the_connection_held_is_not_counted),
      cmocka_unit_test(time_without_silence_fills_it_one_for_one),
      cmocka_unit_test(short_silences_that_end_in_progress_are_free),
      cmocka_unit_test(an_empty_one_fills_only_when_something_has_moved),
      cmocka_unit_test(no_more_than_its_size_is_missing),
      cmocka_unit_test(progress_after_a_sweep_has_begun_is_no_silence),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
