/* SPDX-License-Identifier: MIT */
/*
 * option_sources: getopt_long, getenv and getline.
 */
#include "common/option_sources.h"

#include "common/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ; /* no header of POSIX has it */

/* What getopt_long calls the first entry of the table; below are the codes of letters. */
#define FIRST_ENTRY 256

static struct option *make_long_options(const struct option_table *table) {
  struct option *long_options = calloc(table->count + 1, sizeof *long_options);
  if (long_options == NULL) return NULL;
  size_t count = 0;
  for (size_t i = 0; i < table->count; i++) {
    const struct option_entry *entry = &table->entries[i];
    if (entry->kind == OPTION_HEADING) continue;
    int argument = required_argument;
    if (entry->kind == OPTION_ACTION) argument = no_argument;
    if (option_is_switch(table, entry)) argument = optional_argument;
    long_options[count++] = (struct option){entry->name, argument, NULL, FIRST_ENTRY + (int) i};
  }
  return long_options;
}

/* The name alone, of "--name=value" too. */
static const struct option_entry *guess_flag(const struct option_table *table, const char *argument) {
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int) strcspn(argument, "="), argument);
  return option_like(table, name + strspn(name, "-"));
}

static bool refuse_flag(struct givens *givens, const char *argument) {
  const char *program = givens->table->program;
  const struct option_entry *guess = guess_flag(givens->table, argument);
  if (guess == NULL) return givens_refuse(givens, "%s is no option; see '%s --help'", argument, program);
  return givens_refuse(givens, "%s is no option; do you mean --%s? See '%s --help'", argument, guess->name, program);
}

/* What getopt_long doesn't take. `missing`: the value of one that it knows. */
static bool refuse_usage(struct givens *givens, bool is_missing, const char *argument) {
  const struct option_entry *entry = &givens->table->entries[optopt >= FIRST_ENTRY ? optopt - FIRST_ENTRY : 0];
  if (optopt >= FIRST_ENTRY && is_missing)
    return givens_refuse(givens, "--%s needs a value: --%s %s", entry->name, entry->name, entry->argument);
  if (optopt >= FIRST_ENTRY) return givens_refuse(givens, "%s: --%s takes no value", argument, entry->name);
  if (optopt != 0) return givens_refuse(givens, "-%c is no option; see '%s --help'", optopt, givens->table->program);
  return refuse_flag(givens, argument);
}

static bool read_flags(struct givens *givens, int argc, char **argv, const struct option *long_options) {
  int id;
  optind = 0; /* begin anew */
  opterr = 0;
  while ((id = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
    if (id < FIRST_ENTRY) return refuse_usage(givens, id == ':', argv[optind - 1]);
    const char *text = optarg != NULL ? optarg : "on";
    if (!givens_add(givens, &givens->table->entries[id - FIRST_ENTRY], SOURCE_FLAG, 0, text, strlen(text)))
      return false;
  }
  if (optind == argc) return true;
  return givens_refuse(givens, "'%s' is not an option; %s'%s --help'", argv[optind], givens->table->argument_hint,
                       givens->table->program);
}

bool sources_read_flags(struct givens *givens, int argc, char **argv) {
  struct option *long_options = make_long_options(givens->table);
  if (long_options == NULL) return givens_refuse(givens, "out of memory while options are read");
  bool is_read = read_flags(givens, argc, argv, long_options);
  free(long_options);
  return is_read;
}

static const char *skip_blanks(const char *text) {
  return text + strspn(text, " \t\r\n");
}

static size_t length_without_blanks(const char *text, size_t length) {
  while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL) length--;
  return length;
}

static bool add_list(struct givens *givens, const struct option_entry *entry, const char *text) {
  for (;;) {
    text = skip_blanks(text);
    size_t length = strcspn(text, ",");
    if (!givens_add(givens, entry, SOURCE_ENVIRONMENT, 0, text, length_without_blanks(text, length))) return false;
    if (text[length] == '\0') return true;
    text += length + 1;
  }
}

bool sources_read_environment(struct givens *givens) {
  char variable[VARIABLE_BYTES];
  for (size_t i = 0; i < givens->table->count; i++) {
    const struct option_entry *entry = &givens->table->entries[i];
    if (!option_is_setting(entry)) continue;
    option_variable(givens->table, entry, variable);
    const char *text = getenv(variable);
    if (text == NULL || *text == '\0') continue;
    bool is_added = entry->kind == OPTION_LIST ? add_list(givens, entry, text)
                                               : givens_add(givens, entry, SOURCE_ENVIRONMENT, 0, text, strlen(text));
    if (!is_added) return false;
  }
  return true;
}

static bool is_variable_known(const struct option_table *table, const char *variable, size_t length) {
  char ours[VARIABLE_BYTES];
  for (size_t i = 0; i < table->count; i++) {
    if (!option_is_setting(&table->entries[i])) continue;
    option_variable(table, &table->entries[i], ours);
    if (strlen(ours) == length && memcmp(ours, variable, length) == 0) return true;
  }
  return false;
}

void sources_warn_of_variables(const struct option_table *table) {
  char name[64];
  for (char **variable = environ; *variable != NULL; variable++) {
    size_t length = strcspn(*variable, "=");
    if (strncmp(*variable, table->prefix, strlen(table->prefix)) != 0) continue;
    if (is_variable_known(table, *variable, length)) continue;
    snprintf(name, sizeof name, "%.*s", (int) length, *variable);
    log_event(LOG_LEVEL_WARN, "variable_ignored", log_word("name", name), log_phrase("reason", "no option of ours"));
  }
}

/* Cuts a comment and blanks off. @return where the rest begins */
static char *strip(char *line) {
  for (char *mark = strchr(line, '#'); mark != NULL; mark = strchr(mark + 1, '#')) {
    if (mark != line && mark[-1] != ' ' && mark[-1] != '\t') continue;
    *mark = '\0';
    break;
  }
  char *begin = line + strspn(line, " \t\r\n");
  begin[length_without_blanks(begin, strlen(begin))] = '\0';
  return begin;
}

static bool refuse_name(struct givens *givens, size_t line, const char *name) {
  const struct option_entry *guess = option_like(givens->table, name);
  if (guess == NULL || !option_is_for_files(guess))
    return givens_refuse(givens, "%s:%zu: '%s' is no option; the names are those of '%s --help', without the --",
                         givens->path, line, name, givens->table->program);
  return givens_refuse(givens, "%s:%zu: '%s' is no option; do you mean '%s'?", givens->path, line, name, guess->name);
}

static bool add_from_file(struct givens *givens, size_t line, const char *name, const char *value) {
  const struct option_entry *entry = option_of(givens->table, name);
  if (entry == NULL) return refuse_name(givens, line, name);
  if (!option_is_for_files(entry))
    return givens_refuse(givens, "%s:%zu: '%s' can't be in a file: give it as --%s", givens->path, line, name, name);
  if (*value == '\0')
    return givens_refuse(givens, "%s:%zu: %s has no value; without the line it has its default", givens->path, line,
                         name);
  const struct given *before = givens_last(givens, name, SOURCE_FILE);
  if (before != NULL && entry->kind != OPTION_LIST)
    return givens_refuse(givens, "%s:%zu: %s is in line %zu already: keep one of the two", givens->path, line, name,
                         before->line);
  return givens_add(givens, entry, SOURCE_FILE, line, value, strlen(value));
}

static bool read_line(struct givens *givens, size_t line, char *text, size_t length) {
  if (strlen(text) != length)
    return givens_refuse(givens, "%s:%zu: there is a NUL in this line; is it a text file?", givens->path, line);
  char *name = strip(text);
  if (*name == '\0') return true;
  char *mark = strchr(name, '=');
  if (mark == NULL || mark == name)
    return givens_refuse(givens, "%s:%zu: expected NAME = VALUE, such as max-connections = 5000", givens->path, line);
  *mark = '\0';
  name[length_without_blanks(name, strlen(name))] = '\0';
  return add_from_file(givens, line, name, skip_blanks(mark + 1));
}

static bool refuse_file(struct givens *givens, const struct given *named_by, int err) {
  char what[GIVEN_TEXT_BYTES];
  given_describe(givens, named_by, what, sizeof what);
  return givens_refuse(givens, "%s: cannot read it: %s", what, strerror(err));
}

bool sources_read_file(struct givens *givens, const struct given *named_by) {
  char *text = NULL;
  size_t capacity = 0;
  size_t line = 0;
  bool is_right = true;
  ssize_t length;
  FILE *file = fopen(givens->path, "re");
  if (file == NULL) return refuse_file(givens, named_by, errno);
  errno = 0;
  while (is_right && (length = getline(&text, &capacity, file)) >= 0)
    is_right = read_line(givens, ++line, text, (size_t) length);
  if (is_right && !feof(file)) is_right = refuse_file(givens, named_by, errno);
  free(text);
  (void) fclose(file);
  return is_right;
}
