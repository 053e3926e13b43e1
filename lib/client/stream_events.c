/* SPDX-License-Identifier: MIT */
/*
 * stream_events: Server-Sent Events. An event is some lines and an empty one; lines end with LF or CR LF. Of a message
 * of several lines the first one is told.
 */
#include "stream_parts.h"

#include <string.h>

struct text {
  const char *data;
  size_t length;
};

static bool text_is(struct text text, const char *literal) {
  return text.length == strlen(literal) && memcmp(text.data, literal, text.length) == 0;
}

/* Takes the next line off `*data`, without its end. */
static struct text next_line(const char **data, const char *end) {
  const char *newline = memchr(*data, '\n', (size_t) (end - *data));
  struct text line = {*data, (size_t) ((newline != NULL ? newline : end) - *data)};
  *data = newline != NULL ? newline + 1 : end;
  if (line.length > 0 && line.data[line.length - 1] == '\r') line.length--;
  return line;
}

/* "name: value" */
static struct text value_of(struct text line, size_t name_length) {
  size_t skipped = name_length < line.length ? name_length + 1 : name_length; /* the colon */
  if (skipped < line.length && line.data[skipped] == ' ') skipped++;
  return (struct text){line.data + skipped, line.length - skipped};
}

/* What the gateway tells by events with a name. Others are messages, whatever their name. */
static enum stream_kind kind_of(struct text event) {
  static const struct {
    const char *name;
    enum stream_kind kind;
  } kinds[] = {{"gap", STREAM_GAP},
               {"unset", STREAM_UNSET},
               {"evicted", STREAM_EVICTED},
               {"resumed", STREAM_RESUMED},
               {"position", STREAM_POSITION},
               {"too_old", STREAM_TOO_OLD},
               {"closing", STREAM_CLOSING}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (text_is(event, kinds[i].name)) return kinds[i].kind;
  return STREAM_MESSAGE;
}

static void tell_event(struct stream *stream, const char *data, const char *end) {
  struct text event = {"", 0}, id = {NULL, 0}, message = {NULL, 0};
  while (data < end) {
    struct text line = next_line(&data, end);
    const char *colon = memchr(line.data, ':', line.length);
    struct text name = {line.data, colon != NULL ? (size_t) (colon - line.data) : line.length};
    if (text_is(name, "data") && message.data == NULL)
      message = value_of(line, name.length);
    else if (text_is(name, "id"))
      id = value_of(line, name.length);
    else if (text_is(name, "event"))
      event = value_of(line, name.length);
  }
  if (message.data == NULL) return; /* a comment, or retry */
  struct stream_event told = {
      .kind = kind_of(event), .data = message.data, .length = message.length, .id = id.data, .id_length = id.length};
  stream->on_event(stream, &told);
}

/* Where the event that begins here ends: behind its empty line. NULL: not within these bytes. */
static const char *end_of_event(const char *data, const char *end) {
  const char *line = data;
  for (;;) {
    const char *newline = memchr(line, '\n', (size_t) (end - line));
    if (newline == NULL) return NULL;
    if (newline == line || (newline == line + 1 && *line == '\r')) return newline + 1;
    line = newline + 1;
  }
}

/* The rest of an event that began in an earlier piece. */
static const char *finish_event(struct stream *stream, const char *data, const char *end) {
  struct stream_rest *rest = &stream->rest;
  while (data < end) {
    const char *newline = memchr(data, '\n', (size_t) (end - data));
    const char *next = newline != NULL ? newline + 1 : end;
    if (!stream_keep(stream, data, (size_t) (next - data))) return NULL;
    data = next;
    bool ends = (rest->length >= 2 && memcmp(rest->data + rest->length - 2, "\n\n", 2) == 0) ||
                (rest->length >= 3 && memcmp(rest->data + rest->length - 3, "\n\r\n", 3) == 0) ||
                (rest->length == 1 && rest->data[0] == '\n') ||
                (rest->length == 2 && memcmp(rest->data, "\r\n", 2) == 0);
    if (!ends) continue;
    size_t length = rest->length;
    rest->length = 0;
    tell_event(stream, rest->data, rest->data + length);
    return data;
  }
  return NULL;
}

void stream_feed_events(struct stream *stream, const char *data, size_t length) {
  const char *end = data + length;
  if (stream->rest.length > 0) data = finish_event(stream, data, end);
  while (data != NULL && data < end && !stream->is_stopped) {
    const char *next = end_of_event(data, end);
    if (next == NULL) {
      stream_keep(stream, data, (size_t) (end - data));
      return;
    }
    tell_event(stream, data, next);
    data = next;
  }
}
