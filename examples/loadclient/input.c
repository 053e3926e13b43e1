/* SPDX-License-Identifier: MIT */
/*
 * input: asks whether there is something to read first, so that any kind of file will do, and none has to be made
 * non-blocking, which would be so for everybody who shares it.
 */
#include "input.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static bool take_line(struct input *input, size_t most, const char **line, size_t *length) {
  char *begin = input->bytes + input->begin;
  size_t there = input->end - input->begin;
  char *newline = memchr(begin, '\n', there);
  size_t taken = newline != NULL ? (size_t) (newline - begin) : there;
  bool is_whole = newline != NULL || input->has_ended;
  if (taken > most) {
    taken = most;
    newline = NULL;
  } else if (!is_whole) {
    return false;
  }
  if (taken == 0 && newline == NULL) return false; /* the end */
  *line = begin;
  *length = taken;
  input->begin += taken + (newline != NULL);
  return true;
}

static void read_more(struct input *input) {
  struct pollfd standard_input = {.fd = STDIN_FILENO, .events = POLLIN};
  if (poll(&standard_input, 1, 0) <= 0) return;
  memmove(input->bytes, input->bytes + input->begin, input->end - input->begin);
  input->end -= input->begin;
  input->begin = 0;
  ssize_t length = read(STDIN_FILENO, input->bytes + input->end, sizeof input->bytes - input->end);
  if (length > 0)
    input->end += (size_t) length;
  else if (length == 0 || (errno != EINTR && errno != EAGAIN))
    input->has_ended = true;
}

enum input_outcome input_next(struct input *input, size_t most, const char **line, size_t *length) {
  if (take_line(input, most, line, length)) return INPUT_LINE;
  if (!input->has_ended) read_more(input);
  if (take_line(input, most, line, length)) return INPUT_LINE;
  return input->has_ended ? INPUT_END : INPUT_NOT_YET;
}
