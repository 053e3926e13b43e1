/* SPDX-License-Identifier: MIT */
/*
 * backbone_subjects: which topics have a subject, and which subjects are topics.
 */
#include "nats/backbone_subjects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PATTERN "fluxbp.>"

static void every_subject_of_a_topic_is_that_topic(void **state) {
  static const char *const topics[] = {"news", "a.b.c", "A-Z_0:9", "x"};
  char subject[SUBJECT_BYTES];
  (void) state;
  for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
    assert_true(subject_of_topic(PATTERN, topics[i], subject));
    assert_memory_equal(subject, "fluxbp.", 7);
    assert_string_equal(subject + 7, topics[i]);
    assert_string_equal(topic_of_subject(PATTERN, subject), topics[i]);
  }
}

static void the_longest_prefix_and_topic_fit(void **state) {
  char pattern[SUBJECT_PREFIX_BYTES + 2];
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  char subject[SUBJECT_BYTES];
  (void) state;
  memset(pattern, 'p', sizeof pattern);
  memcpy(pattern + SUBJECT_PREFIX_BYTES - 1, ".>", 3);
  memset(topic, 't', sizeof topic);
  topic[FLUXBP_SERVER_TOPIC_BYTES] = '\0';
  assert_true(fluxbp_nats_subject_is_right(pattern));
  assert_true(subject_of_topic(pattern, topic, subject));
  assert_int_equal(strlen(subject), SUBJECT_BYTES - 1);
  assert_string_equal(topic_of_subject(pattern, subject), topic);
}

static void topics_with_an_empty_part_have_no_subject(void **state) {
  static const char *const topics[] = {".", ".a", "a.", "a..b"};
  char subject[SUBJECT_BYTES];
  (void) state;
  for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
    assert_false(subject_of_topic(PATTERN, topics[i], subject));
}

static void subjects_that_are_no_topic_are_none(void **state) {
  (void) state;
  assert_null(topic_of_subject(PATTERN, "other.news"));
  assert_null(topic_of_subject(PATTERN, "fluxbp."));
  assert_null(topic_of_subject(PATTERN, "fluxbp"));
  assert_null(topic_of_subject(PATTERN, "fluxbp.$watch"));
  assert_null(topic_of_subject(PATTERN, "fluxbp.a/b"));
  assert_null(topic_of_subject(PATTERN, "fluxbp.ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"));
}

static void a_pattern_ends_with_everything_below(void **state) {
  static const char *const wrong[] = {"",    ">",    ".>",   "a",     "a.b",   "a>",   "a.*",
                                      "*.>", "a..>", ".a.>", "a b.>", "$JS.>", "a.>.>"};
  (void) state;
  assert_true(fluxbp_nats_subject_is_right(PATTERN));
  assert_true(fluxbp_nats_subject_is_right("a.b-c.d_e.>"));
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    if (fluxbp_nats_subject_is_right(wrong[i])) fail_msg("'%s'", wrong[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_subject_of_a_topic_is_that_topic),
      cmocka_unit_test(the_longest_prefix_and_topic_fit),
      cmocka_unit_test(topics_with_an_empty_part_have_no_subject),
      cmocka_unit_test(subjects_that_are_no_topic_are_none),
      cmocka_unit_test(a_pattern_ends_with_everything_below),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
