/* SPDX-License-Identifier: MIT */
/*
 * input: lines of standard input, without ever waiting for one.
 */
#ifndef LOADCLIENT_INPUT_H
#define LOADCLIENT_INPUT_H

#include "message.h"

#include <stdbool.h>

enum input_outcome { INPUT_LINE, INPUT_NOT_YET, INPUT_END };

struct input {
  size_t begin, end; /* of what is there */
  bool has_ended;
  char bytes[MESSAGE_MAX_BYTES];
};

/** The next line, without its end, valid until the next call. Longer ones are cut into pieces of `most` bytes, less
 * than half of the buffer. */
enum input_outcome input_next(struct input *input, size_t most, const char **line, size_t *length);

#endif
