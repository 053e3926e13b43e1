/* SPDX-License-Identifier: MIT */
/*
 * policy_text: every setting to text and back, and what is refused.
 */
#include "server/admin/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((uint64_t) 1 << 20)

static const struct policy_surroundings usual = {.max_message = 65536, .budget = 256 * MIB};

static void format(const fluxbp_policy_t *policy, const fluxbp_policy_setting_t *setting, char *text) {
  fluxbp_value_format(&setting->type, policy_get(policy, setting), text, FLUXBP_VALUE_TEXT_BYTES);
}

static void every_setting_is_written_as_it_is_read(void **state) {
  static const char *const values[][2] = {
      {"slots", "7"},       {"ring_bytes", "3M"}, {"high", "90"},  {"low", "10"},     {"overflow", "drop-oldest"},
      {"stall_ms", "1"},    {"slow_ms", "2"},     {"lag_ms", "3"}, {"grace_ms", "4"}, {"shadow", "on"},
      {"soft_bytes", "2M"}, {"soft_ms", "5"},
  };
  char problem[256], text[FLUXBP_VALUE_TEXT_BYTES];
  fluxbp_policy_t policy;
  (void) state;
  fluxbp_policy_init(&policy);
  assert_int_equal(sizeof values / sizeof values[0], POLICY_SETTINGS);
  for (size_t i = 0; i < POLICY_SETTINGS; i++)
    assert_true(policy_set(&policy, values[i][0], values[i][1], problem, sizeof problem));
  for (size_t i = 0; i < POLICY_SETTINGS; i++) {
    format(&policy, fluxbp_policy_setting_of(values[i][0]), text);
    assert_string_equal(text, values[i][1]);
  }
  assert_int_equal(policy.slots, 7);
  assert_int_equal(policy.max_bytes, 3 << 20);
  assert_int_equal(policy.high_percent, 90);
  assert_int_equal(policy.low_percent, 10);
  assert_int_equal(policy.overflow, FLUXBP_OVERFLOW_DROP_OLDEST);
  assert_int_equal(policy.stall_ms, 1);
  assert_int_equal(policy.slow_ms, 2);
  assert_int_equal(policy.lag_ms, 3);
  assert_int_equal(policy.grace_ms, 4);
  assert_int_equal(policy.soft_bytes, 2 << 20);
  assert_int_equal(policy.soft_ms, 5);
  assert_int_equal(policy.is_shadow, 1);
}

static void the_defaults_of_the_library_are_in_range(void **state) {
  char problem[256], text[FLUXBP_VALUE_TEXT_BYTES];
  fluxbp_policy_t policy;
  (void) state;
  fluxbp_policy_init(&policy);
  for (size_t i = 0; i < POLICY_SETTINGS; i++) {
    format(&policy, &policy_settings[i], text);
    assert_true(policy_set(&policy, policy_settings[i].name, text, problem, sizeof problem));
  }
  assert_true(policy_check(&policy, &usual, problem, sizeof problem));
}

static void a_switch_takes_what_json_has(void **state) {
  char problem[256];
  fluxbp_policy_t policy;
  (void) state;
  fluxbp_policy_init(&policy);
  assert_true(policy_set(&policy, "shadow", "true", problem, sizeof problem));
  assert_int_equal(policy_get(&policy, fluxbp_policy_setting_of("shadow")), 1);
  assert_true(policy_set(&policy, "shadow", "false", problem, sizeof problem));
  assert_int_equal(policy_get(&policy, fluxbp_policy_setting_of("shadow")), 0);
}

static void what_is_refused_changes_nothing_and_says_what_is_right(void **state) {
  static const char *const cases[][3] = {
      {"slots", "32769", "slots must be a number from 2 to 32768"},
      {"slots", "", "slots must be a number from 2 to 32768"},
      {"slots", "-3", "slots must be a number from 2 to 32768"},
      {"slots", "3K", "slots must be a number from 2 to 32768"},
      {"stall_ms", "4294967296", "stall_ms must be a number from 0 to 86400000"},
      {"overflow", "Evict", "overflow must be drop-newest, drop-oldest or evict"},
      {"shadow", "2", "shadow must be on or off"},
      {"ring_bytes", "0", "ring_bytes must be a number from 1 to 1G, with a suffix K, M or G if you like"},
      {"ring_bytes", "1073741825", "ring_bytes must be a number from 1 to 1G, with a suffix K, M or G if you like"},
      {"stall", "5",
       "there is no setting 'stall'; there are slots, ring_bytes, high, low, overflow, stall_ms, slow_ms, lag_ms, "
       "soft_bytes, soft_ms, grace_ms, shadow"},
  };
  char problem[256];
  fluxbp_policy_t policy, before;
  (void) state;
  fluxbp_policy_init(&policy);
  memcpy(&before, &policy, sizeof before);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_false(policy_set(&policy, cases[i][0], cases[i][1], problem, sizeof problem));
    assert_string_equal(problem, cases[i][2]);
  }
  assert_memory_equal(&policy, &before, sizeof policy);
}

static void watermarks_have_to_go_together(void **state) {
  char problem[256];
  fluxbp_policy_t policy;
  (void) state;
  fluxbp_policy_init(&policy);
  assert_true(policy_set(&policy, "high", "25", problem, sizeof problem));
  assert_false(policy_check(&policy, &usual, problem, sizeof problem));
  assert_string_equal(problem, "low (25) must be below high (25)");
}

static void rings_have_to_go_together_with_messages_and_budget(void **state) {
  char problem[256];
  fluxbp_policy_t policy;
  (void) state;
  fluxbp_policy_init(&policy);
  struct policy_surroundings large = {.max_message = 2 * MIB, .budget = 256 * MIB};
  assert_false(policy_check(&policy, &large, problem, sizeof problem));
  assert_string_equal(problem,
                      "ring_bytes (1M) must be at least twice the limit of bytes per message (2M): make it 4M or more");
  policy.max_bytes = 4 * MIB - 1;
  assert_false(policy_check(&policy, &large, problem, sizeof problem));
  policy.max_bytes = 4 * MIB;
  assert_true(policy_check(&policy, &large, problem, sizeof problem));
  policy.max_bytes = 256 * MIB;
  assert_true(policy_check(&policy, &large, problem, sizeof problem));
  policy.max_bytes = 512 * MIB;
  assert_false(policy_check(&policy, &large, problem, sizeof problem));
  assert_string_equal(problem,
                      "ring_bytes (512M) is more than the server's memory budget (256M): make it 256M or less");
}

static void soft_limit_has_to_be_one_that_a_ring_can_exceed(void **state) {
  char problem[256];
  fluxbp_policy_t policy;
  (void) state;
  fluxbp_policy_init(&policy);
  policy.soft_bytes = MIB - 1;
  assert_true(policy_check(&policy, &usual, problem, sizeof problem));
  policy.soft_bytes = MIB;
  assert_false(policy_check(&policy, &usual, problem, sizeof problem));
  assert_string_equal(problem, "soft_bytes (1M) must be below ring_bytes (1M)");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_setting_is_written_as_it_is_read),
      cmocka_unit_test(the_defaults_of_the_library_are_in_range),
      cmocka_unit_test(a_switch_takes_what_json_has),
      cmocka_unit_test(what_is_refused_changes_nothing_and_says_what_is_right),
      cmocka_unit_test(watermarks_have_to_go_together),
      cmocka_unit_test(rings_have_to_go_together_with_messages_and_budget),
      cmocka_unit_test(soft_limit_has_to_be_one_that_a_ring_can_exceed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
