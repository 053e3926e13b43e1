/* SPDX-License-Identifier: MIT */
/*
 * permits: each is given back once, and anything else is noticed.
 */
#include "permits.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__permits_t permits;
} fixture_t;

static void open_permits(fixture_t *f, uint32_t max_permits) {
  fluxbp_pool_options_t options;
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__permits_init(&f->permits, f->pool, max_permits);
}

static void close_permits(fixture_t *f) {
  fluxbp__permits_free(&f->permits);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static uint64_t issue(fixture_t *f, uint64_t address_key) {
  assert_int_equal(fluxbp__permits_reserve(&f->permits), 0);
  uint64_t permit = fluxbp__permits_issue(&f->permits, (fluxbp__permitted_t){.address_key = address_key});
  assert_true(permit != 0);
  return permit;
}

static bool give_back(fixture_t *f, uint64_t permit) {
  fluxbp__permitted_t permitted;
  return fluxbp__permits_return(&f->permits, permit, &permitted);
}

static void a_permit_says_what_it_stood_for(void **state) {
  (void) state;
  fixture_t f;
  fluxbp__permitted_t permitted;
  open_permits(&f, 10);
  uint64_t connection = issue(&f, 42);
  uint64_t refusal = fluxbp__permits_issue(&f.permits, (fluxbp__permitted_t){.address_key = 7, .is_refusal = true});
  assert_true(fluxbp__permits_return(&f.permits, connection, &permitted));
  assert_int_equal(permitted.address_key, 42);
  assert_false(permitted.is_refusal);
  assert_true(fluxbp__permits_return(&f.permits, refusal, &permitted));
  assert_int_equal(permitted.address_key, 7);
  assert_true(permitted.is_refusal);
  close_permits(&f);
}

static void a_permit_is_given_back_once(void **state) {
  (void) state;
  fixture_t f;
  open_permits(&f, 10);
  uint64_t first = issue(&f, 1);
  assert_true(give_back(&f, first));
  assert_false(give_back(&f, first));
  assert_false(give_back(&f, first + ((uint64_t) 1 << 32))); /* the next of this slot: it isn't out yet */
  uint64_t second = issue(&f, 2);                            /* takes the same slot */
  assert_int_equal((uint32_t) second, (uint32_t) first);
  assert_false(give_back(&f, first));
  assert_true(give_back(&f, second));
  close_permits(&f);
}

static void a_permit_that_was_never_issued_is_noticed(void **state) {
  (void) state;
  fixture_t f;
  open_permits(&f, 10);
  assert_false(give_back(&f, 0));
  assert_false(give_back(&f, 1));
  uint64_t permit = issue(&f, 1);
  assert_false(give_back(&f, 0));
  assert_false(give_back(&f, permit + 1));
  assert_false(give_back(&f, permit + ((uint64_t) 1 << 32)));
  assert_false(give_back(&f, UINT64_MAX));
  assert_true(give_back(&f, permit));
  close_permits(&f);
}

static void generations_wrap_without_a_permit_that_is_0(void **state) {
  (void) state;
  fixture_t f;
  open_permits(&f, 1);
  assert_true(give_back(&f, issue(&f, 1)));
  f.permits.slots[0].generation = UINT32_MAX;
  uint64_t last = issue(&f, 1);
  assert_true(give_back(&f, last));
  uint64_t next = issue(&f, 1);
  assert_true(next == (uint64_t) 1 << 32);
  assert_false(give_back(&f, last));
  assert_true(give_back(&f, next));
  close_permits(&f);
}

static void as_many_are_out_as_there_may_be(void **state) {
  enum { MAX = 1000 };
  (void) state;
  fixture_t f;
  static uint64_t permits[MAX];
  open_permits(&f, MAX);
  for (int i = 0; i < MAX; i++) permits[i] = issue(&f, (uint64_t) i);
  assert_int_equal(f.permits.capacity, MAX);
  assert_int_equal(fluxbp__permits_reserve(&f.permits), 0); /* nothing to do: no more will be issued */
  assert_int_equal(f.permits.first_free, FLUXBP__NO_PERMIT_SLOT);

  uint64_t allocs = f.hook.allocs;
  for (int i = 0; i < MAX; i++) {
    fluxbp__permitted_t permitted;
    assert_true(fluxbp__permits_return(&f.permits, permits[i], &permitted));
    assert_int_equal(permitted.address_key, i);
    permits[i] = issue(&f, (uint64_t) i);
  }
  assert_int_equal(f.hook.allocs, allocs);
  for (int i = 0; i < MAX; i++) assert_true(give_back(&f, permits[i]));
  close_permits(&f);
}

static void without_memory_for_more_those_that_are_out_stay_good(void **state) {
  (void) state;
  fixture_t f;
  uint64_t permits[65];
  open_permits(&f, 1000);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(fluxbp__permits_reserve(&f.permits), UV_ENOMEM);
  for (int i = 0; i < 64; i++) permits[i] = issue(&f, (uint64_t) i);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(fluxbp__permits_reserve(&f.permits), UV_ENOMEM);
  assert_int_equal(f.hook.failures, 2);
  permits[64] = issue(&f, 64);
  for (int i = 0; i < 65; i++) assert_true(give_back(&f, permits[i]));
  close_permits(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_permit_says_what_it_stood_for),
      cmocka_unit_test(a_permit_is_given_back_once),
      cmocka_unit_test(a_permit_that_was_never_issued_is_noticed),
      cmocka_unit_test(generations_wrap_without_a_permit_that_is_0),
      cmocka_unit_test(as_many_are_out_as_there_may_be),
      cmocka_unit_test(without_memory_for_more_those_that_are_out_stay_good),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
