/* SPDX-License-Identifier: MIT */
/*
 * options_fixture: standard output and standard error go to a file while options are read.
 */
#include "options_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 32
#define LINE_BYTES 1024

extern char **environ;

static void clear_environment(void) {
  char name[64];
  for (char **variable = environ; *variable != NULL;) {
    if (strncmp(*variable, "FLUXBP_", 7) != 0) {
      variable++;
      continue;
    }
    snprintf(name, sizeof name, "%.*s", (int) strcspn(*variable, "="), *variable);
    unsetenv(name);
    variable = environ;
  }
}

int options_set_up(void **state) {
  static struct options_fixture f;
  memset(&f, 0, sizeof f);
  clear_environment();
  snprintf(f.path, sizeof f.path, "/tmp/fluxbp-options-XXXXXX");
  int fd = mkstemp(f.path);
  if (fd == -1) return -1;
  close(fd);
  *state = &f;
  return 0;
}

int options_tear_down(void **state) {
  struct options_fixture *f = *state;
  clear_environment();
  if (f->options.givens != NULL) options_free(&f->options);
  return unlink(f->path);
}

static size_t split(char *line, char **words) {
  size_t count = 0;
  char *rest;
  words[count++] = line + strlen(line); /* argv[0] is of no use here */
  for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    assert_true(count < ARGUMENTS_MAX);
    words[count++] = word;
  }
  words[count] = NULL;
  return count;
}

/* Puts the path of the file where the text has "%s". */
static void expand(const struct options_fixture *f, const char *text, char expanded[LINE_BYTES]) {
  const char *mark = strstr(text, "%s");
  int before = mark != NULL ? (int) (mark - text) : (int) strlen(text);
  snprintf(expanded, LINE_BYTES, "%.*s%s%s", before, text, mark != NULL ? f->path : "", mark != NULL ? mark + 2 : "");
}

static void read_said(struct options_fixture *f, FILE *file) {
  rewind(file);
  f->said[fread(f->said, 1, sizeof f->said - 1, file)] = '\0';
  fclose(file);
}

enum options_outcome read_options(struct options_fixture *f, const char *arguments) {
  char line[LINE_BYTES];
  char *words[ARGUMENTS_MAX + 1];
  expand(f, arguments, line);
  if (f->options.givens != NULL) options_free(&f->options);
  size_t count = split(line, words);

  FILE *file = tmpfile();
  assert_non_null(file);
  fflush(stdout);
  int out = dup(STDOUT_FILENO);
  int err = dup(STDERR_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  enum options_outcome outcome = options_parse(&f->options, (int) count, words);
  fflush(stdout);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  close(out);
  close(err);
  read_said(f, file);
  return outcome;
}

void assert_taken(struct options_fixture *f, const char *arguments) {
  enum options_outcome outcome = read_options(f, arguments);
  if (outcome != OPTIONS_RUN) fail_msg("'%s' was not taken: %s", arguments, f->said);
}

void assert_refused(struct options_fixture *f, const char *arguments, const char *message) {
  char said[LINE_BYTES];
  char expanded[LINE_BYTES];
  enum options_outcome outcome = read_options(f, arguments);
  if (outcome != OPTIONS_REFUSED) fail_msg("'%s' was not refused", arguments);
  expand(f, message, expanded);
  snprintf(said, sizeof said, "gateway: %.1000s\n", expanded);
  assert_string_equal(f->said, said);
}

void write_config(struct options_fixture *f, const char *text, size_t length) {
  FILE *file = fopen(f->path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
}
