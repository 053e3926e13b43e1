/* SPDX-License-Identifier: MIT */
/*
 * grant: for which topics a grant gives a role, and which patterns and subjects are refused.
 */
#include "server/permissions/grant.h"

#include <fluxbp/pattern.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct grant *grant;

static int make_grant(void **state) {
  (void) state;
  grant = grant_create();
  return grant != NULL ? 0 : -1;
}

static int free_grant(void **state) {
  (void) state;
  grant_unref(grant);
  return 0;
}

static int allow(fluxbp_role_t role, const char *pattern) {
  return grant_allow(grant, role, pattern, strlen(pattern));
}

static void set_subject(const char *subject) {
  assert_int_equal(grant_set_text(&grant->subject, subject, strlen(subject)), 0);
}

static void a_new_grant_gives_nothing(void **state) {
  (void) state;
  assert_int_equal(grant->roles, 0);
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "news"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_PUBLISH, "news"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_ADMIN, ""));
}

static void a_pattern_holds_for_its_role_alone(void **state) {
  (void) state;
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "news.*"), 0);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "chat"), 0);
  assert_int_equal(allow(FLUXBP_ROLE_PUBLISH, "orders.>"), 0);
  assert_int_equal(grant->roles, FLUXBP_ROLE_SUBSCRIBE | FLUXBP_ROLE_PUBLISH);
  assert_true(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "news.sports"));
  assert_true(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "chat"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "news.sports.tennis"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "orders.1"));
  assert_true(grant_allows(grant, FLUXBP_ROLE_PUBLISH, "orders.1.paid"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_PUBLISH, "news.sports"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_ADMIN, "chat"));
}

static void all_topics_are_one_pattern_or_none(void **state) {
  (void) state;
  grant_allow_all(grant, FLUXBP_ROLE_PUBLISH);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, ">"), 0);
  assert_true(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "news"));
  assert_true(grant_allows(grant, FLUXBP_ROLE_PUBLISH, "news"));
  assert_int_equal(grant->subscribe.count, 0);
}

static void a_role_of_administrators_knows_no_topics(void **state) {
  (void) state;
  grant_allow_all(grant, FLUXBP_ROLE_ADMIN);
  assert_true(grant_allows(grant, FLUXBP_ROLE_ADMIN, "anything"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "anything"));
}

static void the_subject_stands_in_patterns(void **state) {
  (void) state;
  set_subject("alice-7");
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "user.${sub}.>"), 0);
  assert_int_equal(allow(FLUXBP_ROLE_PUBLISH, "${sub}"), 0);
  assert_true(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "user.alice-7.mail"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "user.bob.mail"));
  assert_true(grant_allows(grant, FLUXBP_ROLE_PUBLISH, "alice-7"));
}

/* With such a subject the pattern would hold for topics of others. */
static void a_subject_that_is_no_single_token_is_refused(void **state) {
  static const char *const SUBJECTS[] = {"*", ">", "a.b", "a/b", "a b", "", "${sub}"};
  (void) state;
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "user.${sub}"), UV_EINVAL);
  for (size_t i = 0; i < sizeof SUBJECTS / sizeof *SUBJECTS; i++) {
    set_subject(SUBJECTS[i]);
    assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "user.${sub}"), UV_EINVAL);
    assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "${sub}"), UV_EINVAL);
  }
  assert_int_equal(grant->roles, 0);
}

static void wrong_patterns_are_refused(void **state) {
  char text[FLUXBP_PATTERN_MAX + 2];
  (void) state;
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, ""), UV_EINVAL);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "a*"), UV_EINVAL);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, ">.a"), UV_EINVAL);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "a b"), UV_EINVAL); /* no topic has such a name */
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "a;b"), UV_EINVAL);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "$watch"), UV_EINVAL);
  assert_int_equal(grant_allow(grant, FLUXBP_ROLE_SUBSCRIBE, "a\0b", 3), UV_EINVAL);
  memset(text, 'a', sizeof text);
  assert_int_equal(grant_allow(grant, FLUXBP_ROLE_SUBSCRIBE, text, FLUXBP_PATTERN_MAX + 1), UV_EINVAL);
  assert_int_equal(grant_allow(grant, FLUXBP_ROLE_SUBSCRIBE, text, FLUXBP_PATTERN_MAX), 0);
}

static void the_number_of_patterns_has_a_limit(void **state) {
  (void) state;
  for (unsigned i = 0; i < GRANT_PATTERNS_MAX; i++) assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "a"), 0);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "a"), UV_E2BIG);
  assert_int_equal(allow(FLUXBP_ROLE_PUBLISH, "a"), 0);
}

static void texts_go_into_logs_and_are_checked(void **state) {
  char text[GRANT_TEXT_BYTES + 1];
  (void) state;
  assert_string_equal(grant_holder(grant), "a token");
  assert_int_equal(grant_set_text(&grant->id, "id-1", 4), 0);
  assert_string_equal(grant_holder(grant), "id-1");
  set_subject("alice");
  assert_string_equal(grant_holder(grant), "alice");
  assert_int_equal(grant_set_text(&grant->name, "backend", 7), 0);
  assert_string_equal(grant_holder(grant), "backend");
  assert_int_equal(grant_set_text(&grant->name, "a\nb", 3), UV_EINVAL);
  assert_int_equal(grant_set_text(&grant->name, "a\0b", 3), UV_EINVAL);
  memset(text, 'a', sizeof text);
  assert_int_equal(grant_set_text(&grant->name, text, sizeof text), UV_EINVAL);
  assert_string_equal(grant->name, "backend");
}

static void the_last_reference_frees_a_grant(void **state) {
  (void) state;
  assert_ptr_equal(grant_ref(grant), grant);
  grant_unref(grant);
  assert_int_equal(allow(FLUXBP_ROLE_SUBSCRIBE, "a"), 0);
  grant_unref(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_new_grant_gives_nothing, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(a_pattern_holds_for_its_role_alone, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(all_topics_are_one_pattern_or_none, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(a_role_of_administrators_knows_no_topics, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(the_subject_stands_in_patterns, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(a_subject_that_is_no_single_token_is_refused, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(wrong_patterns_are_refused, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(the_number_of_patterns_has_a_limit, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(texts_go_into_logs_and_are_checked, make_grant, free_grant),
      cmocka_unit_test_setup_teardown(the_last_reference_frees_a_grant, make_grant, free_grant),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
