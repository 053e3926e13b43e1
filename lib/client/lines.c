/* SPDX-License-Identifier: MIT */
/*
 * lines: lines that end with a newline, or with a carriage return and a newline; and frames that begin with their
 * length (4 bytes, network order).
 */
#include "stream.h"

#include <arpa/inet.h>

#define PREFIX_BYTES 4

static bool is_possible(fluxbp__stream_t *stream, size_t length) {
  if (length <= stream->max_bytes) return true;
  fluxbp__stream_fail(stream, "a message is larger than max_message_bytes", 1009);
  return false;
}

static void tell_line(fluxbp__stream_t *stream, const char *line, size_t length) {
  if (!is_possible(stream, length)) return;
  if (length > 0 && line[length - 1] == '\r') length--;
  if (length > 0) fluxbp__dialect_tell(stream, line, length, false);
}

/* The rest of a line that began in an earlier piece. @return how many bytes were used up */
static size_t finish_line(fluxbp__stream_t *stream, const char *data, size_t length) {
  const char *newline = memchr(data, '\n', length);
  size_t part = newline != NULL ? (size_t) (newline - data) : length;
  if (!fluxbp__stream_keep(stream, data, part) || newline == NULL) return part;
  size_t line_length = stream->rest.length;
  stream->rest.length = 0;
  tell_line(stream, stream->rest.data, line_length);
  return part + 1;
}

size_t fluxbp__lines_feed(fluxbp__stream_t *stream, const char *data, size_t length) {
  size_t used = 0;
  if (stream->rest.length > 0) used = finish_line(stream, data, length);
  while (used < length && fluxbp__stream_is_running(stream)) {
    const char *line = data + used;
    const char *newline = memchr(line, '\n', length - used);
    if (newline == NULL) {
      fluxbp__stream_keep(stream, line, length - used);
      return length;
    }
    used += (size_t) (newline - line) + 1;
    tell_line(stream, line, (size_t) (newline - line));
  }
  return used;
}

static size_t frame_length(const char *prefix) {
  uint32_t length;
  memcpy(&length, prefix, sizeof length);
  return ntohl(length);
}

/* Fill the rest up to `wanted` bytes. @return whether they are there */
static bool fill_rest(fluxbp__stream_t *stream, size_t wanted, const char *data, size_t length, size_t *used) {
  size_t missing = wanted - stream->rest.length, there = length - *used;
  size_t taken = missing < there ? missing : there;
  if (!fluxbp__buffer_append(&stream->rest, data + *used, taken)) {
    fluxbp__stream_fail(stream, "out of memory", 0);
    return false;
  }
  *used += taken;
  return taken == missing;
}

/* The rest of a frame that began in an earlier piece. @return how many bytes were used up */
static size_t finish_frame(fluxbp__stream_t *stream, const char *data, size_t length) {
  size_t used = 0;
  if (stream->rest.length < PREFIX_BYTES && !fill_rest(stream, PREFIX_BYTES, data, length, &used)) return used;
  size_t payload = frame_length(stream->rest.data);
  if (!is_possible(stream, payload) || !fill_rest(stream, PREFIX_BYTES + payload, data, length, &used)) return used;
  stream->rest.length = 0;
  fluxbp__dialect_tell(stream, stream->rest.data + PREFIX_BYTES, payload, false);
  return used;
}

size_t fluxbp__length_feed(fluxbp__stream_t *stream, const char *data, size_t length) {
  size_t used = 0;
  if (stream->rest.length > 0) used = finish_frame(stream, data, length);
  while (used < length && fluxbp__stream_is_running(stream)) {
    size_t there = length - used;
    const char *frame = data + used;
    size_t payload = there >= PREFIX_BYTES ? frame_length(frame) : 0;
    if (!is_possible(stream, payload)) return used;
    if (there < PREFIX_BYTES || there - PREFIX_BYTES < payload) {
      fill_rest(stream, PREFIX_BYTES + payload, data, length, &used);
      return used;
    }
    used += PREFIX_BYTES + payload;
    fluxbp__dialect_tell(stream, frame + PREFIX_BYTES, payload, false);
  }
  return used;
}
