/* SPDX-License-Identifier: MIT */
/*
 * options_print: what is printed says what is in force, and can be read back; --help names every option.
 */
#include "gateway/option_table.h"
#include "options_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_said(const struct options_fixture *f, const char *text) {
  if (strstr(f->said, text) == NULL) fail_msg("'%s' is not in: %s", text, f->said);
}

/* Takes the blanks together and the comments off, which may differ. */
static void reduce(const char *from, char *to) {
  bool is_comment = false;
  for (; *from != '\0'; from++) {
    if (*from == '#') is_comment = true;
    if (*from == '\n') is_comment = false;
    if (!is_comment && *from != ' ') *to++ = *from;
  }
  *to = '\0';
}

static void a_printed_config_can_be_read_back(void **state) {
  static const char *const cases[] = {
      "--print-config",
      "--print-config --stdin",
      "--print-config --stdin --patience 0 --once --slots 9 --shadow --overflow drop-oldest --kernel-bytes 1000",
      "--print-config --tcp off --tcp-length [::1]:7 --http 0.0.0.0:0 --log-level debug --log-format json",
      "--print-config --state a --state b --allow-origin * --allow-host a --allow-host b --tokens /a#b",
      "--print-config --budget 1G --ring-bytes 1G --max-message 1023 --max-body 1K --history 0 --history-bytes 0",
      "--print-config --lag 1 --ping 0",
  };
  static char first[SAID_BYTES], second[SAID_BYTES];
  struct options_fixture *f = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(read_options(f, cases[i]), OPTIONS_DONE);
    reduce(f->said, first);
    write_config(f, f->said, strlen(f->said));
    if (read_options(f, "--print-config --config %s") != OPTIONS_DONE) fail_msg("%s: %s", cases[i], f->said);
    reduce(f->said, second);
    assert_string_equal(first, second);
  }
}

static void a_printed_config_names_every_setting(void **state) {
  struct options_fixture *f = *state;
  char line[64];
  assert_int_equal(read_options(f, "--print-config"), OPTIONS_DONE);
  for (size_t i = 0; i < gateway_table.count; i++) {
    if (!option_is_for_files(&gateway_table.entries[i])) continue;
    snprintf(line, sizeof line, "%s = ", gateway_table.entries[i].name);
    assert_said(f, line);
  }
}

static void a_printed_config_says_where_values_are_from(void **state) {
  static const char config[] = "# mine\nhigh = 70\nstate = a\n";
  struct options_fixture *f = *state;
  char place[128];
  write_config(f, config, strlen(config));
  setenv("FLUXBP_LOW", "7", 1);
  assert_int_equal(read_options(f, "--stdin --budget 1048577 --print-config --config %s"), OPTIONS_DONE);
  assert_said(f, "stdin = on                               # --stdin\n");
  assert_said(f, "budget = 1048577                         # --budget\n");
  assert_said(f, "low = 7                                  # FLUXBP_LOW\n");
  assert_said(f, "slots = 16384                            # default\n");
  assert_said(f, "# tokens =                               # default\n");
  snprintf(place, sizeof place, "high = 70                                # %s:2\n", f->path);
  assert_said(f, place);
}

static void a_config_that_is_wrong_is_not_printed(void **state) {
  struct options_fixture *f = *state;
  assert_refused(f, "--print-config --low 60", "--low 60 must be below --high 50 (the default)");
}

static void checking_a_config_prints_nothing(void **state) {
  struct options_fixture *f = *state;
  assert_int_equal(read_options(f, "--check-config --tokens /nonexistent"), OPTIONS_CHECK);
  assert_string_equal(f->said, "");
  assert_string_equal(f->options.tokens_path, "/nonexistent");
}

static void help_names_every_option(void **state) {
  struct options_fixture *f = *state;
  char text[64];
  assert_int_equal(read_options(f, "--help"), OPTIONS_DONE);
  for (size_t i = 0; i < gateway_table.count; i++) {
    if (gateway_table.entries[i].kind == OPTION_HEADING) continue;
    snprintf(text, sizeof text, "\n  --%s ", gateway_table.entries[i].name);
    assert_said(f, text);
  }
  assert_said(f, "(default 127.0.0.1:9000)");
  assert_said(f, "(default auto: 256, with patience 16384)");
}

static void help_fits_on_a_terminal_of_120_columns(void **state) {
  struct options_fixture *f = *state;
  assert_int_equal(read_options(f, "--help"), OPTIONS_DONE);
  for (const char *line = f->said; *line != '\0'; line += strcspn(line, "\n") + 1)
    if (strcspn(line, "\n") > 120) fail_msg("too long: %.*s", (int) strcspn(line, "\n"), line);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_printed_config_can_be_read_back, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_printed_config_names_every_setting, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_printed_config_says_where_values_are_from, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_config_that_is_wrong_is_not_printed, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(checking_a_config_prints_nothing, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(help_names_every_option, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(help_fits_on_a_terminal_of_120_columns, options_set_up, options_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
