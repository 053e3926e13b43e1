/* SPDX-License-Identifier: MIT */
/*
 * command_line: getopt_long with a table. The messages are the program's own, so opterr is 0.
 */
#include "common/command_line.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of the rows for getopt_long: above every character, so that optopt tells a long option from a short one. */
enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_FIRST };

static const char *program_name = "";

bool command_line_refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program_name);
  vfprintf(stderr, format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized): clang-tidy 14 errs */
  fputs("\n", stderr);
  va_end(arguments);
  return false;
}

bool command_line_take_switch(void *options, const struct command_option *option, const char *text) {
  void *place = (char *) options + option->offset;
  (void) text;
  *(bool *) place = true;
  return true;
}

bool command_line_take_number(void *options, const struct command_option *option, const char *text) {
  void *place = (char *) options + option->offset;
  errno = 0;
  uint64_t value = strtoull(text, NULL, 10);
  bool is_number = *text != '\0' && text[strspn(text, "0123456789")] == '\0' && errno == 0;
  if (!is_number || value < option->min || value > option->max)
    return command_line_refuse("--%s wants a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'", option->name,
                               option->min, option->max, text);
  if (option->size == sizeof(uint32_t))
    *(uint32_t *) place = (uint32_t) value;
  else
    *(uint64_t *) place = value;
  return true;
}

static void print_option_help(const struct command_option *option, int column) {
  if (option->name == NULL) {
    fputs(option->help, stdout);
    return;
  }
  int printed = printf("  --%s%s%s", option->name, option->argument != NULL ? " " : "",
                       option->argument != NULL ? option->argument : "");
  for (const char *text = option->help;; printed = 0) {
    size_t length = strcspn(text, "\n");
    printf("%*s%.*s\n", column - printed, "", (int) length, text);
    text += length;
    if (*text++ == '\0') return;
  }
}

/* Entry 0 is --help, entry 1 is --version; the names of the table follow. A zeroed entry ends the list. */
static void make_long_options(const struct command_line *line, struct option *long_options) {
  size_t count = 0;
  assert(line->count <= COMMAND_LINE_OPTIONS);
  long_options[count++] = (struct option){"help", no_argument, NULL, OPTION_HELP};
  long_options[count++] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
  for (size_t i = 0; i < line->count; i++) {
    const struct command_option *option = &line->options[i];
    int has_argument = option->argument != NULL ? required_argument : no_argument;
    if (option->name != NULL)
      long_options[count++] = (struct option){option->name, has_argument, NULL, OPTION_FIRST + (int) i};
  }
}

static const char *name_of_value(const struct command_line *line, int value) {
  if (value >= OPTION_FIRST) return line->options[value - OPTION_FIRST].name;
  return value == OPTION_HELP ? "help" : "version";
}

static bool refuse_unknown(const struct command_line *line, int answer, const char *text) {
  if (answer == ':')
    return command_line_refuse("--%s wants a value; see %s --help", name_of_value(line, optopt), line->program);
  if (optopt >= OPTION_HELP)
    return command_line_refuse("--%s takes no value; see %s --help", name_of_value(line, optopt), line->program);
  if (optopt != 0) return command_line_refuse("unknown option '-%c'; see %s --help", optopt, line->program);
  return command_line_refuse("unknown or ambiguous option '%s'; see %s --help", text, line->program);
}

static bool take_option(const struct command_line *line, void *options, int value, const char *text) {
  if (value < OPTION_FIRST) return refuse_unknown(line, value, text);
  const struct command_option *option = &line->options[value - OPTION_FIRST];
  if (option->take != NULL) return option->take(options, option, option->argument != NULL ? optarg : NULL);
  const char *problem = option->read((char *) options + option->offset, optarg);
  return problem == NULL || command_line_refuse("--%s '%s': %s", option->name, optarg, problem);
}

enum command_line_outcome command_line_read(const struct command_line *line, void *options, int argc, char **argv) {
  struct option long_options[COMMAND_LINE_OPTIONS + 3] = {{0}};
  int value;
  program_name = line->program;
  make_long_options(line, long_options);
  opterr = 0;
  while ((value = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
    if (value == OPTION_HELP) {
      for (size_t i = 0; i < line->count; i++) print_option_help(&line->options[i], line->column);
      return COMMAND_LINE_DONE;
    }
    if (value == OPTION_VERSION) {
      puts(line->version);
      return COMMAND_LINE_DONE;
    }
    if (!take_option(line, options, value, argv[optind - 1])) return COMMAND_LINE_REFUSED;
  }
  if (optind == argc) return COMMAND_LINE_RUN;
  command_line_refuse("unexpected argument '%s'; see %s --help", argv[optind], line->program);
  return COMMAND_LINE_REFUSED;
}
