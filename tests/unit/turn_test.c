/* SPDX-License-Identifier: MIT */
/*
 * turn: what an iteration visits within its slice. Visits take as long as they say, by the clock that the turn reads;
 * on a busy machine they take longer, and fewer fit.
 */
#include "turn.h"

#include "support/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LINKS = 100 };
static const uint64_t SLICE_NS = 1200000;

typedef struct fixture {
  uv_loop_t loop;
  fluxbp__turn_t turn;
  fluxbp__link_t links[LINKS];
  uint64_t visit_ns;
  unsigned visits;
} fixture_t;

static bool has_no_work(fluxbp__turn_t *turn) {
  (void) turn;
  return false;
}

static void visit(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  fixture_t *fx = FLUXBP__CONTAINER(turn, fixture_t, turn);
  (void) link;
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < fx->visit_ns;) {
  }
  fx->visits++;
}

static void open_turn(fixture_t *fx, uint64_t visit_ns) {
  *fx = (fixture_t){.visit_ns = visit_ns};
  assert_int_equal(uv_loop_init(&fx->loop), 0);
  fx->turn.slice_ns = SLICE_NS;
  fx->turn.work = has_no_work;
  for (int due = 0; due < FLUXBP__DUE_COUNT; due++) fx->turn.visit[due] = visit;
  assert_int_equal(fluxbp__turn_init(&fx->turn, &fx->loop), 0);
  for (int i = 0; i < LINKS; i++) fluxbp__turn_add(&fx->turn, FLUXBP__DUE_FLUSH, &fx->links[i]);
}

static void close_turn(fixture_t *fx) {
  fluxbp__turn_close(&fx->turn, NULL);
  wait_for_end(&fx->loop);
  assert_int_equal(uv_loop_close(&fx->loop), 0);
}

/* The clock is read after each of them, but for the first four. */
static void long_visits_exceed_the_slice_by_one(void **state) {
  fixture_t fx;
  (void) state;
  open_turn(&fx, SLICE_NS / 6);
  (void) uv_run(&fx.loop, UV_RUN_NOWAIT);
  assert_in_range(fx.visits, 4, 6);
  assert_true(fx.turn.is_cut[FLUXBP__DUE_FLUSH]);
  close_turn(&fx);
}

static void what_is_left_is_visited_in_the_next_iterations(void **state) {
  fixture_t fx;
  (void) state;
  open_turn(&fx, SLICE_NS / 6);
  for (int i = 0; i < LINKS && fx.visits < LINKS; i++) {
    unsigned before = fx.visits;
    (void) uv_run(&fx.loop, UV_RUN_NOWAIT);
    assert_true(fx.visits > before);
  }
  assert_int_equal(fx.visits, LINKS);
  assert_false(fx.turn.is_cut[FLUXBP__DUE_FLUSH]);
  close_turn(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(long_visits_exceed_the_slice_by_one),
      cmocka_unit_test(what_is_left_is_visited_in_the_next_iterations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
