/* SPDX-License-Identifier: MIT */
/*
 * pool: arrays of objects that grow.
 */
#include "pool.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void arrays_double_until_they_are_long_and_leave_an_eighth_unused_then(void **state) {
  (void) state;
  uint32_t capacity = fluxbp__pool_next_capacity(0, 16);
  assert_int_equal(capacity, 16);
  while (capacity < 10000000) {
    uint32_t next = fluxbp__pool_next_capacity(capacity, 16);
    assert_in_range(next, capacity + capacity / 8, capacity < 1024 ? capacity * 2 : capacity + capacity / 8);
    assert_true(next > capacity);
    capacity = next;
  }
}

static void arrays_keep_their_objects_when_they_grow_and_when_they_cannot(void **state) {
  (void) state;
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_pool_options_t options;
  alloc_hook_init(&hook);
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&hook);
  assert_int_equal(fluxbp_pool_create(&options, &pool), 0);
  uint32_t *array = fluxbp__pool_grow_array(pool, NULL, sizeof *array, 0, 3);
  assert_non_null(array);
  for (uint32_t i = 0; i < 3; i++) array[i] = i + 1;
  alloc_hook_fail_once(&hook, 1);
  assert_null(fluxbp__pool_grow_array(pool, array, sizeof *array, 3, 5));
  array = fluxbp__pool_grow_array(pool, array, sizeof *array, 3, 5);
  assert_non_null(array);
  for (uint32_t i = 0; i < 5; i++) assert_int_equal(array[i], i < 3 ? i + 1 : 0);
  fluxbp__pool_free_object(pool, array, 5 * sizeof *array);
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
  assert_int_equal(hook.live_blocks, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arrays_double_until_they_are_long_and_leave_an_eighth_unused_then),
      cmocka_unit_test(arrays_keep_their_objects_when_they_grow_and_when_they_cannot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
