/* SPDX-License-Identifier: MIT */
/*
 * Which numbers clients get. The clients are addresses alone: nothing looks into them.
 */
#include "server/session/cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MANY = 5000 };

static char shard[MANY];

static fluxbp_session_t *session_of(uint32_t number) {
  return (fluxbp_session_t *) (void *) &shard[number];
}

static uint32_t take(struct cells *cells, uint32_t number) {
  uint32_t cell = CELL_NONE;
  assert_int_equal(cells_take(cells, session_of(number), &cell), 0);
  assert_ptr_equal(cells->sessions[cell], session_of(number));
  return cell;
}

static void the_lowest_that_is_free_is_taken(void **state) {
  struct cells cells = {0};
  (void) state;
  for (uint32_t i = 0; i < MANY; i++) assert_int_equal(take(&cells, i), i);
  cells_give_back(&cells, 4000);
  cells_give_back(&cells, 7);
  cells_give_back(&cells, 8);
  assert_int_equal(take(&cells, 0), 7);
  assert_int_equal(take(&cells, 1), 8);
  assert_int_equal(take(&cells, 2), 4000);
  assert_int_equal(take(&cells, 3), MANY);
  assert_int_equal(cells.count, MANY + 1);
  cells_reset(&cells);
}

static void the_count_follows_the_largest_in_use(void **state) {
  struct cells cells = {0};
  (void) state;
  for (uint32_t i = 0; i < 10; i++) (void) take(&cells, i);
  for (uint32_t cell = 9; cell > 4; cell--) cells_give_back(&cells, cell - 1);
  assert_int_equal(cells.count, 10);
  cells_give_back(&cells, 9);
  assert_int_equal(cells.count, 4);
  assert_int_equal(take(&cells, 0), 4);
  for (uint32_t cell = 0; cell < 5; cell++) cells_give_back(&cells, cell);
  assert_int_equal(cells.count, 0);
  assert_int_equal(take(&cells, 0), 0);
  cells_reset(&cells);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_lowest_that_is_free_is_taken),
      cmocka_unit_test(the_count_follows_the_largest_in_use),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
