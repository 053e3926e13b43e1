/* SPDX-License-Identifier: MIT */
/*
 * sse: Server-Sent Events, as the standard has them: an event is some lines and an empty one; lines end with LF, CR
 * or both. The end of an event is found first, so that an event that arrives whole is read where it lies.
 */
#include "stream.h"

#include <stdint.h>

struct text {
  const char *data;
  size_t length;
};

/* Where the line that begins at `at` ends; NULL: not before `end`. */
static const char *find_line_end(const char *at, const char *end, bool may_have_cr) {
  const char *newline = memchr(at, '\n', (size_t) (end - at));
  if (!may_have_cr) return newline;
  const char *cr = memchr(at, '\r', (size_t) ((newline != NULL ? newline : end) - at));
  return cr != NULL ? cr : newline;
}

/* Look on for the end of the event. @return the bytes up to it, its empty line included; 0: it isn't within these */
static size_t find_event_end(fluxbp__stream_t *stream, const char *data, size_t length, bool may_have_cr) {
  const char *at = data, *end = data + length;
  while (at < end) {
    bool is_second_half = stream->sse.is_after_cr && *at == '\n';
    stream->sse.is_after_cr = false;
    if (is_second_half) {
      at++;
      continue;
    }
    const char *line_end = find_line_end(at, end, may_have_cr);
    bool has_line = stream->sse.has_line || line_end != at;
    stream->sse.has_line = has_line && line_end == NULL;
    if (line_end == NULL) return 0;
    stream->sse.is_after_cr = *line_end == '\r';
    at = line_end + 1;
    if (!has_line) return (size_t) (at - data);
  }
  return 0;
}

static bool text_is(struct text text, const char *literal) {
  return text.length == strlen(literal) && memcmp(text.data, literal, text.length) == 0;
}

/* "name: value", of which one blank belongs to the colon. A line without a colon is a name with an empty value. */
static struct text split_line(struct text *name) {
  const char *colon = memchr(name->data, ':', name->length);
  if (colon == NULL) return (struct text){name->data + name->length, 0};
  struct text value = {colon + 1, (size_t) (name->data + name->length - colon) - 1};
  name->length = (size_t) (colon - name->data);
  if (value.length > 0 && *value.data == ' ') {
    value.data++;
    value.length--;
  }
  return value;
}

/* A further line of data joins those before it in the scratch. */
static void add_data(fluxbp__stream_t *stream, fluxbp_client_event_t *event, struct text value) {
  if (event->data == NULL) {
    event->data = value.data;
    event->length = value.length;
    return;
  }
  fluxbp__buffer_t *scratch = &stream->scratch;
  bool is_first = event->data != scratch->data;
  bool is_kept = !is_first || fluxbp__buffer_append(scratch, event->data, event->length);
  is_kept =
      is_kept && fluxbp__buffer_append(scratch, "\n", 1) && fluxbp__buffer_append(scratch, value.data, value.length);
  if (!is_kept) fluxbp__stream_fail(stream, "out of memory", 0);
  event->data = scratch->data;
  event->length = scratch->length;
}

static void take_retry(fluxbp__stream_t *stream, struct text value) {
  int64_t retry_ms = 0;
  if (value.length == 0 || value.length > 12) return;
  for (size_t i = 0; i < value.length; i++) {
    if (value.data[i] < '0' || value.data[i] > '9') return;
    retry_ms = retry_ms * 10 + (value.data[i] - '0');
  }
  stream->retry_ms = retry_ms;
}

static void take_line(fluxbp__stream_t *stream, fluxbp_client_event_t *event, struct text line) {
  struct text value = split_line(&line);
  if (text_is(line, "data")) {
    add_data(stream, event, value);
  } else if (text_is(line, "event")) {
    event->name = value.length > 0 ? value.data : NULL;
    event->name_length = value.length;
  } else if (text_is(line, "id") && memchr(value.data, '\0', value.length) == NULL) {
    event->id = value.data;
    event->id_length = value.length;
  } else if (text_is(line, "retry")) {
    take_retry(stream, value);
  }
}

/* An event without data is none; but its id counts. */
static void tell_event(fluxbp__stream_t *stream, const char *data, size_t length, bool may_have_cr) {
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_MESSAGE};
  const char *end = data + length;
  stream->scratch.length = 0;
  while (data < end && !stream->is_stopped) {
    const char *line_end = find_line_end(data, end, may_have_cr);
    if (line_end == NULL) line_end = end;
    if (line_end > data) take_line(stream, &event, (struct text){data, (size_t) (line_end - data)});
    data = line_end + 1;
  }
  if (stream->is_stopped) return;
  if (event.data == NULL && event.id == NULL) return;
  if (event.data == NULL) event.kind = FLUXBP_CLIENT_POSITION;
  fluxbp__dialect_tell_sse(stream, &event);
}

/* A byte order mark at the beginning is no part of the first line. @return how many bytes were used up */
static size_t skip_mark(fluxbp__stream_t *stream, const char *data, size_t length) {
  static const char mark[] = "\xef\xbb\xbf";
  if (stream->sse.is_after_begin) return 0;
  size_t at = stream->rest.length, used = 0;
  while (used < length && at + used < 3 && data[used] == mark[at + used]) used++;
  if (at + used == 3) {
    stream->rest.length = 0;
    stream->sse.is_after_begin = true;
    return used;
  }
  if (used == length) { /* it may still become one */
    fluxbp__stream_keep(stream, data, used);
    return used;
  }
  stream->sse.is_after_begin = true;
  stream->sse.has_line = at + used > 0; /* a part of a mark is text */
  if (used > 0) fluxbp__stream_keep(stream, data, used);
  return used;
}

/* The rest of an event that began in an earlier piece. @return how many bytes were used up */
static size_t finish_event(fluxbp__stream_t *stream, const char *data, size_t length) {
  size_t part = find_event_end(stream, data, length, true);
  if (!fluxbp__stream_keep(stream, data, part > 0 ? part : length) || part == 0) return length;
  size_t event_length = stream->rest.length;
  stream->rest.length = 0;
  tell_event(stream, stream->rest.data, event_length, true);
  return part;
}

size_t fluxbp__sse_feed(fluxbp__stream_t *stream, const char *data, size_t length) {
  bool may_have_cr = memchr(data, '\r', length) != NULL;
  size_t used = skip_mark(stream, data, length);
  if (used < length && stream->sse.is_after_begin && stream->rest.length > 0)
    used += finish_event(stream, data + used, length - used);
  while (used < length && fluxbp__stream_is_running(stream)) {
    if (stream->sse.is_after_cr && data[used] == '\n') {
      stream->sse.is_after_cr = false;
      used++;
      continue;
    }
    size_t part = find_event_end(stream, data + used, length - used, may_have_cr);
    if (part == 0) {
      fluxbp__stream_keep(stream, data + used, length - used);
      return length;
    }
    if (part > stream->max_bytes)
      fluxbp__stream_fail(stream, "a message is larger than max_message_bytes", 0);
    else
      tell_event(stream, data + used, part, may_have_cr);
    used += part;
  }
  return used;
}
