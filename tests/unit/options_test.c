/* SPDX-License-Identifier: MIT */
/*
 * options: callers that were compiled with a shorter or longer struct than the library's.
 */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* The same options in three versions of a library. */
typedef struct older {
  size_t size;
  uint64_t first;
} older_t;

typedef struct known {
  size_t size;
  uint64_t first;
  uint64_t second;
} known_t;

typedef struct newer {
  size_t size;
  uint64_t first;
  uint64_t second;
  uint64_t third;
} newer_t;

static const known_t DEFAULTS = {.first = 10, .second = 20};

static known_t library_defaults(void) {
  known_t options;
  fluxbp__options_init(&options, sizeof options, &DEFAULTS, sizeof DEFAULTS);
  return options;
}

static void options_init_writes_the_defaults_and_the_size(void **state) {
  (void) state;
  known_t options;
  memset(&options, 0xff, sizeof options);
  fluxbp__options_init(&options, sizeof options, &DEFAULTS, sizeof DEFAULTS);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.first, 10);
  assert_int_equal(options.second, 20);
}

static void options_init_writes_no_byte_behind_an_older_callers_struct(void **state) {
  (void) state;
  known_t options;
  memset(&options, 0xff, sizeof options);
  fluxbp__options_init(&options, sizeof(older_t), &DEFAULTS, sizeof DEFAULTS);
  assert_int_equal(options.size, sizeof(older_t));
  assert_int_equal(options.first, 10);
  assert_true(options.second == UINT64_MAX);
}

static void options_init_zeroes_what_only_a_newer_caller_knows(void **state) {
  (void) state;
  newer_t options;
  memset(&options, 0xff, sizeof options);
  fluxbp__options_init(&options, sizeof options, &DEFAULTS, sizeof DEFAULTS);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.second, 20);
  assert_int_equal(options.third, 0);
}

static void options_copy_of_null_leaves_the_defaults(void **state) {
  (void) state;
  known_t options = library_defaults();
  assert_int_equal(fluxbp__options_copy(&options, sizeof options, NULL), 0);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.first, 10);
  assert_int_equal(options.second, 20);
}

static void options_copy_takes_what_the_caller_set_zero_included(void **state) {
  (void) state;
  known_t options = library_defaults();
  known_t given = {.size = sizeof given, .first = 0, .second = 2};
  assert_int_equal(fluxbp__options_copy(&options, sizeof options, &given), 0);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.first, 0);
  assert_int_equal(options.second, 2);
}

static void options_of_an_older_caller_get_the_defaults_for_the_rest(void **state) {
  (void) state;
  known_t options = library_defaults();
  older_t given = {.size = sizeof given, .first = 1}; /* under ASan: and nothing behind it is read */
  assert_int_equal(fluxbp__options_copy(&options, sizeof options, &given), 0);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.first, 1);
  assert_int_equal(options.second, 20);

  given.size = sizeof given.size; /* one that knows nothing but the size */
  options = library_defaults();
  assert_int_equal(fluxbp__options_copy(&options, sizeof options, &given), 0);
  assert_int_equal(options.first, 10);
  assert_int_equal(options.second, 20);
}

static void options_of_a_newer_caller_are_taken_as_long_as_the_rest_is_zero(void **state) {
  (void) state;
  known_t options = library_defaults();
  newer_t given = {.size = sizeof given, .first = 1, .second = 2};
  assert_int_equal(fluxbp__options_copy(&options, sizeof options, &given), 0);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.first, 1);
  assert_int_equal(options.second, 2);
}

static void options_that_the_library_does_not_know_are_refused(void **state) {
  (void) state;
  for (size_t byte = 0; byte < sizeof(uint64_t); byte++) {
    known_t options = library_defaults();
    newer_t given = {.size = sizeof given, .first = 1, .second = 2};
    ((unsigned char *) &given.third)[byte] = 1;
    assert_int_equal(fluxbp__options_copy(&options, sizeof options, &given), UV_E2BIG);
    assert_int_equal(options.first, 10); /* nothing was taken */
    assert_int_equal(options.second, 20);
  }
}

static void options_with_a_size_that_is_nonsense_are_refused(void **state) {
  (void) state;
  known_t options = library_defaults();
  known_t given = {.first = 1};
  for (size_t size = 0; size < sizeof(size_t); size++) {
    given.size = size;
    assert_int_equal(fluxbp__options_copy(&options, sizeof options, &given), UV_EINVAL);
    assert_int_equal(options.first, 10);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_init_writes_the_defaults_and_the_size),
      cmocka_unit_test(options_init_writes_no_byte_behind_an_older_callers_struct),
      cmocka_unit_test(options_init_zeroes_what_only_a_newer_caller_knows),
      cmocka_unit_test(options_copy_of_null_leaves_the_defaults),
      cmocka_unit_test(options_copy_takes_what_the_caller_set_zero_included),
      cmocka_unit_test(options_of_an_older_caller_get_the_defaults_for_the_rest),
      cmocka_unit_test(options_of_a_newer_caller_are_taken_as_long_as_the_rest_is_zero),
      cmocka_unit_test(options_that_the_library_does_not_know_are_refused),
      cmocka_unit_test(options_with_a_size_that_is_nonsense_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
