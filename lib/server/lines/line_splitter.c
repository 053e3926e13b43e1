/* SPDX-License-Identifier: MIT */
/*
 * line_splitter: see the header. The buffer for a split line doubles from 256 bytes to the limit.
 */
#include "line_splitter.h"

#include <string.h>

#define CAPACITY_AT_FIRST 256

void line_splitter_init(struct line_splitter *splitter) {
  *splitter = (struct line_splitter){0};
}

void line_splitter_reset(struct line_splitter *splitter) {
  memory_free(splitter->partial);
  line_splitter_init(splitter);
}

void line_splitter_trim(struct line_splitter *splitter) {
  if (splitter->partial_length > 0) return;
  memory_free(splitter->partial);
  splitter->partial = NULL;
}

static enum line_outcome skip_line(struct line_splitter *splitter, enum line_outcome outcome) {
  splitter->partial_length = 0;
  splitter->is_skipping = true;
  return outcome;
}

/* What the buffer has room for when so many bytes are in it. */
static size_t capacity_for(size_t length, size_t max_bytes) {
  if (length == 0) return 0;
  size_t capacity = CAPACITY_AT_FIRST;
  while (capacity < length) capacity *= 2;
  return capacity < max_bytes ? capacity : max_bytes;
}

static bool keep_rest(struct line_splitter *splitter, struct memory *memory, uint32_t max_bytes, const char *data,
                      size_t length) {
  size_t wanted = splitter->partial_length + length;
  size_t capacity = capacity_for(wanted, max_bytes);
  if (capacity > capacity_for(splitter->partial_length, max_bytes)) {
    char *partial = memory_resize(memory, MEMORY_INPUT, splitter->partial, capacity);
    if (partial == NULL) return false;
    splitter->partial = partial;
  }
  memcpy(splitter->partial + splitter->partial_length, data, length);
  splitter->partial_length = (uint32_t) wanted;
  return true;
}

static void hand_out_partial(struct line_splitter *splitter, const char **line, size_t *line_length) {
  *line = splitter->partial;
  *line_length = splitter->partial_length;
  splitter->partial_length = 0;
}

/* Moves to behind the newline, or to the end. @return whether there is more to look at */
static bool skip_rest_of_line(struct line_splitter *splitter, const char **data, size_t *length) {
  const char *newline = memchr(*data, '\n', *length);
  if (newline == NULL) {
    *data += *length;
    *length = 0;
    return false;
  }
  *length -= (size_t) (newline + 1 - *data);
  *data = newline + 1;
  splitter->is_skipping = false;
  return *length > 0;
}

enum line_outcome line_splitter_next(struct line_splitter *splitter, struct memory *memory, uint32_t max_bytes,
                                     const char **data, size_t *length, const char **line, size_t *line_length) {
  if (*length == 0 || (splitter->is_skipping && !skip_rest_of_line(splitter, data, length))) return LINE_NONE;

  const char *begin = *data;
  const char *newline = memchr(begin, '\n', *length);
  size_t piece = newline != NULL ? (size_t) (newline - begin) : *length;
  if (piece > max_bytes - splitter->partial_length)
    return skip_line(splitter, LINE_TOO_LONG); /* the next call finds its end */

  size_t used = newline != NULL ? piece + 1 : piece;
  if (newline != NULL && splitter->partial_length == 0) {
    *line = begin;
    *line_length = piece;
  } else if (!keep_rest(splitter, memory, max_bytes, begin, piece)) {
    return skip_line(splitter, LINE_OUT_OF_MEMORY);
  } else if (newline != NULL) {
    hand_out_partial(splitter, line, line_length);
  }
  *data += used;
  *length -= used;
  return newline != NULL ? LINE_WHOLE : LINE_NONE;
}
