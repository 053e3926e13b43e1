/* SPDX-License-Identifier: MIT */
/*
 * Logins of a program's own, and how often an address may try: by a clock of the test's own.
 */
#include <fluxbp/server/logins.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOURS_MS ((uint64_t) 60 * 60 * 1000)

static fluxbp_logins_t *logins;

static int setup(void **state) {
  (void) state;
  return fluxbp_logins_create(12 * 60 * 60, &logins);
}

static int teardown(void **state) {
  (void) state;
  fluxbp_logins_free(logins);
  return 0;
}

static uint64_t begin_login(char text[FLUXBP_LOGIN_TEXT_BYTES], uint64_t now_ms) {
  assert_int_equal(fluxbp_logins_begin(logins, now_ms, text), 0);
  assert_int_equal(strlen(text), FLUXBP_LOGIN_TEXT_BYTES - 1);
  return fluxbp_logins_find(logins, text, strlen(text), now_ms);
}

static void a_login_is_found_by_its_text_alone(void **state) {
  char text[FLUXBP_LOGIN_TEXT_BYTES], other[FLUXBP_LOGIN_TEXT_BYTES];
  (void) state;
  uint64_t serial = begin_login(text, 0);
  assert_int_not_equal(serial, 0);
  assert_int_not_equal(begin_login(other, 0), serial);
  assert_string_not_equal(text, other);
  assert_int_equal(fluxbp_logins_find(logins, text, strlen(text) - 1, 0), 0);
  assert_int_equal(fluxbp_logins_find(logins, "", 0, 0), 0);
  text[5] = text[5] == '0' ? '1' : '0';
  assert_int_equal(fluxbp_logins_find(logins, text, strlen(text), 0), 0);
}

static void a_free_place_is_no_login(void **state) {
  char zeros[FLUXBP_LOGIN_TEXT_BYTES];
  (void) state;
  memset(zeros, '0', sizeof zeros - 1);
  zeros[sizeof zeros - 1] = '\0';
  assert_int_equal(fluxbp_logins_find(logins, zeros, strlen(zeros), 0), 0);
  assert_false(fluxbp_logins_has(logins, 0));
}

static void a_login_ends_after_12_hours(void **state) {
  char text[FLUXBP_LOGIN_TEXT_BYTES];
  (void) state;
  uint64_t serial = begin_login(text, HOURS_MS);
  assert_int_equal(fluxbp_logins_find(logins, text, strlen(text), 13 * HOURS_MS - 1), serial);
  assert_int_equal(fluxbp_logins_find(logins, text, strlen(text), 13 * HOURS_MS), 0);
  fluxbp_logins_expire(logins, 13 * HOURS_MS - 1);
  assert_true(fluxbp_logins_has(logins, serial));
  fluxbp_logins_expire(logins, 13 * HOURS_MS);
  assert_false(fluxbp_logins_has(logins, serial));
  assert_int_equal(fluxbp_logins_expire(logins, 0), 0);
}

static void a_login_too_many_ends_the_oldest(void **state) {
  char text[FLUXBP_LOGIN_TEXT_BYTES];
  (void) state;
  uint64_t first = begin_login(text, 0);
  for (int i = 1; i < FLUXBP_LOGINS_MAX; i++) begin_login(text, 0);
  assert_true(fluxbp_logins_has(logins, first));
  begin_login(text, 0);
  assert_false(fluxbp_logins_has(logins, first));
  assert_true(fluxbp_logins_has(logins, first + 1));
  assert_int_equal(fluxbp_logins_expire(logins, 0), FLUXBP_LOGINS_MAX);
}

static void logins_end_one_by_one_and_all_together(void **state) {
  char text[FLUXBP_LOGIN_TEXT_BYTES];
  (void) state;
  uint64_t first = begin_login(text, 0), second = begin_login(text, 0), third = begin_login(text, 0);
  fluxbp_logins_end(logins, second);
  fluxbp_logins_end(logins, second);
  assert_true(fluxbp_logins_has(logins, first) && !fluxbp_logins_has(logins, second) &&
              fluxbp_logins_has(logins, third));
  assert_int_equal(fluxbp_logins_expire(logins, 0), 2);
  fluxbp_logins_end_all(logins);
  assert_int_equal(fluxbp_logins_expire(logins, 0), 0);
  assert_int_equal(fluxbp_logins_find(logins, text, strlen(text), 0), 0);
}

static void secrets_are_compared_as_a_whole(void **state) {
  (void) state;
  assert_true(fluxbp_logins_is_same_token("secret", "secret", 6));
  assert_false(fluxbp_logins_is_same_token("secret", "secret", 5));
  assert_false(fluxbp_logins_is_same_token("secret", "secrets", 7));
  assert_false(fluxbp_logins_is_same_token("secret", "Secret", 6));
  assert_false(fluxbp_logins_is_same_token("secret", "", 0));
}

static void use_up(const char *address, uint64_t now_ms) {
  for (int i = 0; i < FLUXBP_LOGIN_ATTEMPTS_A_MINUTE; i++)
    assert_int_equal(fluxbp_logins_count_attempt(logins, address, now_ms), 0);
}

static void an_address_has_10_attempts_a_minute(void **state) {
  (void) state;
  use_up("192.0.2.1:4000", 1000);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "192.0.2.1:4001", 1000), 60);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "192.0.2.1", 60000), 1);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "192.0.2.2:4000", 60000), 0);
  use_up("192.0.2.1", 61000);
}

static void the_addresses_of_a_prefix_count_as_one(void **state) {
  (void) state;
  use_up("[2001:db8::1]:4000", 0);
  assert_int_not_equal(fluxbp_logins_count_attempt(logins, "2001:db8::2", 0), 0);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "2001:db8:0:1::1", 0), 0);
  use_up("192.0.2.1", 0);
  assert_int_not_equal(fluxbp_logins_count_attempt(logins, "[::ffff:192.0.2.1]:80", 0), 0);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "[::ffff:192.0.2.2]:80", 0), 0);
}

static void more_addresses_than_places_forget_the_oldest(void **state) {
  char address[32];
  (void) state;
  use_up("192.0.2.1", 0);
  for (unsigned i = 1; i < FLUXBP_LOGIN_ADDRESSES; i++) {
    snprintf(address, sizeof address, "10.0.%u.%u", i / 256, i % 256);
    assert_int_equal(fluxbp_logins_count_attempt(logins, address, 1), 0);
  }
  assert_int_not_equal(fluxbp_logins_count_attempt(logins, "192.0.2.1", 1), 0);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "192.0.2.7", 1), 0);
  assert_int_equal(fluxbp_logins_count_attempt(logins, "192.0.2.1", 1), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_login_is_found_by_its_text_alone, setup, teardown),
      cmocka_unit_test_setup_teardown(a_free_place_is_no_login, setup, teardown),
      cmocka_unit_test_setup_teardown(a_login_ends_after_12_hours, setup, teardown),
      cmocka_unit_test_setup_teardown(a_login_too_many_ends_the_oldest, setup, teardown),
      cmocka_unit_test_setup_teardown(logins_end_one_by_one_and_all_together, setup, teardown),
      cmocka_unit_test_setup_teardown(secrets_are_compared_as_a_whole, setup, teardown),
      cmocka_unit_test_setup_teardown(an_address_has_10_attempts_a_minute, setup, teardown),
      cmocka_unit_test_setup_teardown(the_addresses_of_a_prefix_count_as_one, setup, teardown),
      cmocka_unit_test_setup_teardown(more_addresses_than_places_forget_the_oldest, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
