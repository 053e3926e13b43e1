/* SPDX-License-Identifier: MIT */
/*
 * sse_reader: a line is a field's name, a colon, perhaps one blank, and a value; an empty line ends the event. Lines end
 * with CR, LF or both. The value of `data` goes straight to where the event is put together.
 */
#include "sse_reader.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

void sse_reader_init(struct sse_reader *reader, size_t max_data_bytes, sse_event_cb on_event, void *user) {
  *reader = (struct sse_reader){.max_data_bytes = max_data_bytes, .on_event = on_event, .user = user};
}

static void begin_event(struct sse_reader *reader) {
  reader->name_length = 0;
  reader->length = 0;
  reader->has_data = false;
  reader->is_skipping = false;
}

static void begin_line(struct sse_reader *reader) {
  reader->place = SSE_FIELD;
  reader->field_length = 0;
}

void sse_reader_reset(struct sse_reader *reader) {
  free(reader->data);
  reader->data = NULL;
  reader->capacity = 0;
  reader->is_after_cr = false;
  begin_event(reader);
  begin_line(reader);
}

static bool is_field(const struct sse_reader *reader, const char *name) {
  return reader->field_length == strlen(name) && memcmp(reader->field, name, reader->field_length) == 0;
}

static bool make_room(struct sse_reader *reader, size_t more) {
  size_t wanted = reader->length + more;
  if (wanted <= reader->capacity) return true;
  if (wanted > reader->max_data_bytes) return false;
  size_t capacity = reader->capacity > 0 ? reader->capacity : FIRST_CAPACITY;
  while (capacity < wanted) capacity *= 2;
  char *data = realloc(reader->data, capacity);
  if (data == NULL) return false;
  reader->data = data;
  reader->capacity = capacity;
  return true;
}

static void append_data(struct sse_reader *reader, const char *bytes, size_t length) {
  if (reader->is_skipping || length == 0) return;
  if (!make_room(reader, length)) {
    reader->is_skipping = true;
    return;
  }
  memcpy(reader->data + reader->length, bytes, length);
  reader->length += length;
}

/* What doesn't fit is counted all the same, so that a name that is too long equals none of ours. */
static void append_name(char *name, size_t *name_length, const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++, (*name_length)++)
    if (*name_length < SSE_NAME_BYTES - 1) name[*name_length] = bytes[i];
}

/* The field's name is complete: its value takes the place of an earlier name, and is a further line of earlier data. */
static void begin_value(struct sse_reader *reader) {
  if (is_field(reader, "event")) reader->name_length = 0;
  if (!is_field(reader, "data")) return;
  if (reader->has_data) append_data(reader, "\n", 1);
  reader->has_data = true;
}

static void take_value(struct sse_reader *reader, const char *bytes, size_t length) {
  if (is_field(reader, "data"))
    append_data(reader, bytes, length);
  else if (is_field(reader, "event"))
    append_name(reader->name, &reader->name_length, bytes, length);
}

static void end_event(struct sse_reader *reader) {
  if (reader->is_skipping) {
    reader->skipped++;
  } else if (reader->length > 0 && reader->name_length < SSE_NAME_BYTES) {
    reader->name[reader->name_length] = '\0';
    reader->on_event(reader->user, reader->name_length > 0 ? reader->name : "message", reader->data, reader->length);
  }
  begin_event(reader);
}

static void end_line(struct sse_reader *reader) {
  if (reader->place == SSE_FIELD && reader->field_length == 0)
    end_event(reader);
  else if (reader->place == SSE_FIELD)
    begin_value(reader); /* a name without a colon: its value is empty */
  begin_line(reader);
}

/* @return how many of the bytes, none of which ends a line, belong to the place where it is */
static size_t take_part(struct sse_reader *reader, const char *bytes, size_t length) {
  if (reader->place == SSE_AFTER_COLON) {
    reader->place = SSE_VALUE;
    return *bytes == ' ' ? 1 : 0;
  }
  if (reader->place == SSE_VALUE) {
    take_value(reader, bytes, length);
    return length;
  }
  const char *colon = memchr(bytes, ':', length);
  size_t part = colon != NULL ? (size_t) (colon - bytes) : length;
  append_name(reader->field, &reader->field_length, bytes, part);
  if (colon == NULL) return length;
  begin_value(reader);
  reader->place = SSE_AFTER_COLON;
  return part + 1;
}

static size_t line_length(const char *bytes, size_t length) {
  const char *newline = memchr(bytes, '\n', length);
  if (newline != NULL) length = (size_t) (newline - bytes);
  const char *cr = memchr(bytes, '\r', length);
  return cr != NULL ? (size_t) (cr - bytes) : length;
}

void sse_reader_take(struct sse_reader *reader, const char *bytes, size_t length) {
  while (length > 0) {
    size_t part = 1;
    if (*bytes == '\n' || *bytes == '\r') {
      if (*bytes == '\r' || !reader->is_after_cr) end_line(reader);
      reader->is_after_cr = *bytes == '\r';
    } else {
      reader->is_after_cr = false;
      part = take_part(reader, bytes, line_length(bytes, length));
    }
    bytes += part;
    length -= part;
  }
}
