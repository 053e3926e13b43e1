/* SPDX-License-Identifier: MIT */
/*
 * expiries: the first item that is due, however items were set, moved and removed; compared with a look at all of them.
 */
#include "server/session/expiries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS 200
#define STEPS 20000

static struct expiries expiries;

static int teardown(void **state) {
  (void) state;
  expiries_free(&expiries);
  return 0;
}

static void an_empty_heap_has_nothing_due(void **state) {
  struct expiry item = {0};
  (void) state;
  assert_null(expiries_first_due(&expiries, UINT64_MAX));
  expiries_remove(&expiries, &item);
  assert_int_equal(expiries_set(&expiries, &item, 5), 0);
  assert_null(expiries_first_due(&expiries, 4));
  assert_ptr_equal(expiries_first_due(&expiries, 5), &item);
  expiries_remove(&expiries, &item);
  expiries_remove(&expiries, &item);
  assert_null(expiries_first_due(&expiries, UINT64_MAX));
}

static uint32_t next_number(uint32_t *seed) { /* xorshift32 (Marsaglia 2003) */
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed;
}

static uint64_t least_of(const struct expiry items[ITEMS]) {
  uint64_t least = UINT64_MAX;
  for (size_t i = 0; i < ITEMS; i++)
    if (items[i].place != 0 && items[i].at_s < least) least = items[i].at_s;
  return least;
}

static void the_first_is_the_least_of_all(void **state) {
  static struct expiry items[ITEMS];
  uint32_t seed = 17;
  (void) state;
  for (int step = 0; step < STEPS; step++) {
    struct expiry *item = &items[next_number(&seed) % ITEMS];
    if (next_number(&seed) % 3 == 0)
      expiries_remove(&expiries, item);
    else
      assert_int_equal(expiries_set(&expiries, item, next_number(&seed) % 1000), 0);
    uint64_t least = least_of(items);
    const struct expiry *first = expiries_first_due(&expiries, 1000);
    assert_int_equal(first != NULL ? first->at_s : UINT64_MAX, least);
    if (least > 0 && first != NULL) assert_null(expiries_first_due(&expiries, least - 1));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(an_empty_heap_has_nothing_due, teardown),
      cmocka_unit_test_teardown(the_first_is_the_least_of_all, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
