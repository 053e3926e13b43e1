/* SPDX-License-Identifier: MIT */
/*
 * eviction_reasons: the table of reasons is whole, and the documents name what is in it.
 */
#include "eviction.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 65536, NAME_BYTES = 32 };

static void every_reason_has_its_name(void **state) {
  (void) state;
  const char *names[] = {"none", "stalled", "slow", "lag", "overflow", "budget", "unreachable", "soft_limit"};
  assert_int_equal(sizeof names / sizeof names[0], FLUXBP_EVICT_REASON_COUNT);
  for (int i = 0; i < FLUXBP_EVICT_REASON_COUNT; i++)
    assert_string_equal(fluxbp_evict_reason_name((fluxbp_evict_reason_t) i), names[i]);
  assert_string_equal(fluxbp_evict_reason_name(FLUXBP_EVICT_REASON_COUNT), "none");
  assert_string_equal(fluxbp_evict_reason_name((fluxbp_evict_reason_t) -1), "none");
}

/* Logs, labels and JSON use the name as it is. */
static void a_name_is_one_lower_case_word(void **state) {
  (void) state;
  for (int i = 0; i < FLUXBP_EVICT_REASON_COUNT; i++)
    for (const char *byte = fluxbp_evict_reason_name((fluxbp_evict_reason_t) i); *byte != '\0'; byte++)
      assert_true(islower((unsigned char) *byte) || *byte == '_');
}

static void every_reason_has_words_of_its_own(void **state) {
  (void) state;
  for (int i = 0; i < FLUXBP_EVICT_REASON_COUNT; i++) {
    const char *words = fluxbp_evict_reason_words((fluxbp_evict_reason_t) i);
    assert_non_null(words);
    assert_true(islower((unsigned char) words[0]) && words[strlen(words) - 1] != '.');
    for (int j = 0; j < i; j++) assert_string_not_equal(words, fluxbp_evict_reason_words((fluxbp_evict_reason_t) j));
  }
  assert_string_equal(fluxbp_evict_reason_words(FLUXBP_EVICT_REASON_COUNT),
                      fluxbp_evict_reason_words(FLUXBP_EVICT_NONE));
}

static void every_cause_has_its_name(void **state) {
  (void) state;
  const char *names[] = {"unknown", "not reading", "reads slowly", "network", "unreachable"};
  assert_int_equal(sizeof names / sizeof names[0], FLUXBP_CAUSE_COUNT);
  for (int i = 0; i < FLUXBP_CAUSE_COUNT; i++) assert_string_equal(fluxbp_cause_name((fluxbp_cause_t) i), names[i]);
  assert_string_equal(fluxbp_cause_name(FLUXBP_CAUSE_COUNT), "unknown");
  assert_string_equal(fluxbp_cause_name((fluxbp_cause_t) -1), "unknown");
}

static void every_postponement_has_its_name(void **state) {
  (void) state;
  const char *names[] = {"none", "grace", "crowd", "spared", "shadow"};
  assert_int_equal(sizeof names / sizeof names[0], FLUXBP_PUT_OFF_COUNT);
  for (int i = 0; i < FLUXBP_PUT_OFF_COUNT; i++)
    assert_string_equal(fluxbp_put_off_name((fluxbp_put_off_t) i), names[i]);
  assert_string_equal(fluxbp_put_off_name(FLUXBP_PUT_OFF_COUNT), "none");
  assert_string_equal(fluxbp_put_off_name((fluxbp_put_off_t) -1), "none");
}

static void read_document(const char *name, char text[TEXT_BYTES]) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", FLUXBP_DOCS, name);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  size_t length = fread(text, 1, TEXT_BYTES - 1, file);
  assert_true(length < TEXT_BYTES - 1);
  text[length] = '\0';
  fclose(file);
}

/* The row of a table in Markdown that begins with the reason in capitals, or NULL. */
static const char *find_row(const char *text, const char *name) {
  char row[NAME_BYTES];
  int length = snprintf(row, sizeof row, "\n| %s |", name);
  for (int i = 0; i < length; i++) row[i] = (char) toupper((unsigned char) row[i]);
  const char *found = strstr(text, row);
  return found != NULL ? found + 1 : NULL;
}

static void policy_page_says_how_each_reason_ends(void **state) {
  (void) state;
  static char text[TEXT_BYTES];
  read_document("policy.md", text);
  for (int i = FLUXBP_EVICT_NONE + 1; i < FLUXBP_EVICT_REASON_COUNT; i++) {
    const char *name = fluxbp_evict_reason_name((fluxbp_evict_reason_t) i);
    const char *row = find_row(text, name);
    if (row == NULL) fail_msg("docs/policy.md has no row for %s", name);
    size_t length = strcspn(row, "\n");
    const char *ending = fluxbp__evict_reason_has_farewell((fluxbp_evict_reason_t) i)
                             ? "| farewell, FIN, reset after 1 s |"
                             : "| reset |";
    if (length < strlen(ending) || strncmp(row + length - strlen(ending), ending, strlen(ending)) != 0)
      fail_msg("docs/policy.md does not say of %s: %s", name, ending);
  }
}

static void protocol_page_counts_each_reason(void **state) {
  (void) state;
  static char text[TEXT_BYTES];
  char key[NAME_BYTES];
  read_document("protocol.md", text);
  char *counts = strstr(text, "\"evictions\":{");
  assert_non_null(counts);
  counts[strcspn(counts, "}")] = '\0';
  for (int i = FLUXBP_EVICT_NONE + 1; i < FLUXBP_EVICT_REASON_COUNT; i++) {
    snprintf(key, sizeof key, "\"%s\":", fluxbp_evict_reason_name((fluxbp_evict_reason_t) i));
    if (strstr(counts, key) == NULL) fail_msg("the snapshot in docs/protocol.md has no %s", key);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_reason_has_its_name),         cmocka_unit_test(a_name_is_one_lower_case_word),
      cmocka_unit_test(every_reason_has_words_of_its_own), cmocka_unit_test(every_cause_has_its_name),
      cmocka_unit_test(every_postponement_has_its_name),   cmocka_unit_test(policy_page_says_how_each_reason_ends),
      cmocka_unit_test(protocol_page_counts_each_reason),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
