/* SPDX-License-Identifier: MIT */
/*
 * command_line: the options of a program by one table, which getopt_long, --help and the messages about wrong options
 * follow. --help and --version belong to every program and stand in no table.
 */
#ifndef COMMON_COMMAND_LINE_H
#define COMMON_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_LINE_OPTIONS 40 /* rows of a table at most */

struct command_option {
  /* Name without its dashes. NULL: the row is text of --help, printed as it is. */
  const char *name;
  /* Name of the value in --help. NULL: the option takes no value. */
  const char *argument;
  /* Meaning, as lines of --help without their indent; the last line has no newline. */
  const char *help;
  /* Keep the value `text`, NULL without one. Returns false after command_line_refuse. NULL: `read` does it. */
  bool (*take)(void *options, const struct command_option *option, const char *text);
  /* Read the value into its place. Returns NULL, or the problem, for a message --NAME 'TEXT': … */
  const char *(*read)(void *place, const char *text);
  /* Place of the value in the program's struct of options, and its size in bytes, for `take`. */
  size_t offset, size;
  /* Range of the value, for `take`. */
  uint64_t min, max;
};

struct command_line {
  const char *program;
  /* Line that --version prints. */
  const char *version;
  /* Column of --help at which the meanings begin. */
  int column;
  size_t count;
  const struct command_option *options;
};

enum command_line_outcome { COMMAND_LINE_RUN, COMMAND_LINE_DONE, COMMAND_LINE_REFUSED };

/**
 * Give each option of `argv` to its `take`, with `options` as its first argument. COMMAND_LINE_DONE stands for --help
 * and --version, which are printed on standard output; COMMAND_LINE_REFUSED for an error, printed on standard error.
 */
enum command_line_outcome command_line_read(const struct command_line *line, void *options, int argc, char **argv);

/** Print "PROGRAM: …" with a newline on standard error. PROGRAM is that of command_line_read. @return false */
__attribute__((format(printf, 1, 2))) bool command_line_refuse(const char *format, ...);

/** A `take` that sets the bool of the option. */
bool command_line_take_switch(void *options, const struct command_option *option, const char *text);

/** A `take` for a whole number from `min` to `max`, of 4 or 8 bytes. */
bool command_line_take_number(void *options, const struct command_option *option, const char *text);

#endif
