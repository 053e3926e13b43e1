/* SPDX-License-Identifier: MIT */
/*
 * revocations: for which grants they hold, until when, and how many there may be.
 */
#include "server/permissions/revocations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define NOW 1000000

static struct secret_hash hash;
static struct revocations *revocations;
static struct grant *alice;

static int setup(void **state) {
  (void) state;
  if (secret_hash_init(&hash) != 0) return -1;
  revocations = revocations_create(&hash);
  alice = grant_create();
  alice->issued_s = NOW;
  return grant_set_text(&alice->subject, "alice", 5) | grant_set_text(&alice->id, "token-1", 7);
}

static int teardown(void **state) {
  (void) state;
  revocations_free(revocations);
  grant_unref(alice);
  return 0;
}

static int revoke_subject(const char *subject, uint64_t issued_until_s, uint64_t until_s) {
  struct revocation revocation = {.subject = subject, .issued_until_s = issued_until_s, .until_s = until_s};
  return revocations_add(revocations, &revocation, NOW);
}

static int revoke_token(const char *id, uint64_t until_s) {
  struct revocation revocation = {.token_id = id, .until_s = until_s};
  return revocations_add(revocations, &revocation, NOW);
}

static bool is_revoked(uint64_t now_s) {
  return revocations_hold_for(revocations, alice, now_s);
}

static void nothing_is_revoked_at_first(void **state) {
  (void) state;
  assert_false(is_revoked(NOW));
  struct grant *nameless = grant_create();
  assert_false(revocations_hold_for(revocations, nameless, NOW));
  grant_unref(nameless);
}

static void a_revoked_token_is_no_other_token(void **state) {
  (void) state;
  assert_int_equal(revoke_token("token-2", NOW + 10), 0);
  assert_false(is_revoked(NOW));
  assert_int_equal(revoke_token("token-1", NOW + 10), 0);
  assert_true(is_revoked(NOW));
}

static void a_subject_and_a_token_of_one_name_differ(void **state) {
  (void) state;
  assert_int_equal(revoke_token("alice", NOW + 10), 0);
  assert_int_equal(revoke_subject("token-1", NOW, NOW + 10), 0);
  assert_false(is_revoked(NOW));
}

static void a_subject_comes_back_with_a_newer_token(void **state) {
  (void) state;
  assert_int_equal(revoke_subject("alice", NOW, NOW + 10), 0);
  assert_true(is_revoked(NOW));
  alice->issued_s = 0; /* the token doesn't say */
  assert_true(is_revoked(NOW));
  alice->issued_s = NOW + 1;
  assert_false(is_revoked(NOW));
}

static void a_revocation_is_forgotten_in_time(void **state) {
  (void) state;
  assert_int_equal(revoke_subject("alice", NOW, NOW + 10), 0);
  assert_true(is_revoked(NOW + 9));
  assert_false(is_revoked(NOW + 10));
}

static void a_second_revocation_only_adds_to_the_first(void **state) {
  (void) state;
  assert_int_equal(revoke_subject("alice", NOW, NOW + 10), 0);
  assert_int_equal(revoke_subject("alice", NOW - 5, NOW + 20), 0);
  assert_int_equal(revoke_subject("alice", NOW - 5, NOW + 5), 0);
  assert_int_equal(revocations_count(revocations), 1);
  assert_true(is_revoked(NOW + 19));
}

static void there_is_room_for_so_many_and_for_more_when_some_are_over(void **state) {
  char id[32];
  (void) state;
  for (unsigned i = 0; i < REVOCATIONS_MAX; i++) {
    (void) snprintf(id, sizeof id, "id-%u", i);
    assert_int_equal(revoke_token(id, i == 17 ? NOW + 5 : NOW + 100), 0);
  }
  assert_int_equal(revocations_count(revocations), REVOCATIONS_MAX);
  assert_int_equal(revoke_token("token-1", NOW + 100), UV_ENOSPC);
  assert_int_equal(revoke_token("id-3", NOW + 200), 0); /* it is there already */
  struct revocation late = {.token_id = "token-1", .until_s = NOW + 100};
  assert_int_equal(revocations_add(revocations, &late, NOW + 5), 0);
  assert_true(is_revoked(NOW + 5));
  assert_int_equal(revocations_count(revocations), REVOCATIONS_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(nothing_is_revoked_at_first, setup, teardown),
      cmocka_unit_test_setup_teardown(a_revoked_token_is_no_other_token, setup, teardown),
      cmocka_unit_test_setup_teardown(a_subject_and_a_token_of_one_name_differ, setup, teardown),
      cmocka_unit_test_setup_teardown(a_subject_comes_back_with_a_newer_token, setup, teardown),
      cmocka_unit_test_setup_teardown(a_revocation_is_forgotten_in_time, setup, teardown),
      cmocka_unit_test_setup_teardown(a_second_revocation_only_adds_to_the_first, setup, teardown),
      cmocka_unit_test_setup_teardown(there_is_room_for_so_many_and_for_more_when_some_are_over, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
