/* SPDX-License-Identifier: MIT */
/*
 * log_line: one event as one line of text, in either format. What doesn't fit is left out, and the line is whole all
 * the same: a JSON line is always one valid object, whatever bytes are in it. Does no I/O.
 */
#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include "common/log.h"

#include <stddef.h>
#include <time.h>

#define LOG_LINE_BYTES 2048

struct log_line {
  size_t length;
  char bytes[LOG_LINE_BYTES];
};

/* What a line says. */
struct log_record {
  struct timespec time; /* since 1970 */
  enum log_level level;
  const char *event;
  const struct log_field *fields;
  size_t count;
};

/** Write it with its newline; there is no NUL. */
void log_line_write(struct log_line *line, enum log_format format, const struct log_record *record);

#endif
