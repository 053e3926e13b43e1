/* SPDX-License-Identifier: MIT */
/*
 * stream_lines: lines that end with a newline, and frames that begin with their length (4 bytes, network order).
 */
#include "stream_parts.h"

#include <arpa/inet.h>
#include <string.h>

static const size_t prefix_bytes = 4;

static void tell_line(struct stream *stream, const char *line, size_t length) {
  if (length > 0 && line[length - 1] == '\r') length--;
  if (length > 0) stream_interpret(stream, line, length);
}

/* The rest of what began in an earlier piece. @return what follows it, or NULL: it hasn't ended yet */
static const char *finish_line(struct stream *stream, const char *data, const char *end) {
  const char *newline = memchr(data, '\n', (size_t) (end - data));
  if (!stream_keep(stream, data, (size_t) ((newline != NULL ? newline : end) - data)) || newline == NULL) return NULL;
  size_t length = stream->rest.length;
  stream->rest.length = 0;
  tell_line(stream, stream->rest.data, length);
  return newline + 1;
}

void stream_feed_lines(struct stream *stream, const char *data, size_t length) {
  const char *end = data + length;
  if (stream->rest.length > 0) data = finish_line(stream, data, end);
  while (data != NULL && data < end && !stream->is_stopped) {
    const char *newline = memchr(data, '\n', (size_t) (end - data));
    if (newline == NULL) {
      stream_keep(stream, data, (size_t) (end - data));
      return;
    }
    tell_line(stream, data, (size_t) (newline - data));
    data = newline + 1;
  }
}

static size_t frame_length(const char *prefix) {
  uint32_t length;
  memcpy(&length, prefix, sizeof length);
  return ntohl(length);
}

/* Completes `wanted` bytes of the rest. @return whether they are there */
static bool fill_rest(struct stream *stream, size_t wanted, const char **data, const char *end) {
  size_t missing = wanted > stream->rest.length ? wanted - stream->rest.length : 0;
  size_t there = (size_t) (end - *data);
  size_t taken = missing < there ? missing : there;
  if (!stream_keep(stream, *data, taken)) return false;
  *data += taken;
  return taken == missing;
}

static bool finish_frame(struct stream *stream, const char **data, const char *end) {
  if (!fill_rest(stream, prefix_bytes, data, end)) return false;
  size_t length = frame_length(stream->rest.data);
  if (!fill_rest(stream, prefix_bytes + length, data, end)) return false;
  stream->rest.length = 0;
  stream_interpret(stream, stream->rest.data + prefix_bytes, length);
  return true;
}

void stream_feed_length(struct stream *stream, const char *data, size_t length) {
  const char *end = data + length;
  if (stream->rest.length > 0 && !finish_frame(stream, &data, end)) return;
  while (data < end && !stream->is_stopped) {
    size_t there = (size_t) (end - data);
    size_t needed = there >= prefix_bytes ? frame_length(data) : 0;
    if (needed > STREAM_MAX_BYTES) {
      stream_fail(stream, "a frame of an impossible length");
    } else if (there < prefix_bytes || there - prefix_bytes < needed) {
      stream_keep(stream, data, there);
      return;
    } else {
      stream_interpret(stream, data + prefix_bytes, needed);
      data += prefix_bytes + needed;
    }
  }
}
