/* SPDX-License-Identifier: MIT */
/*
 * log_line: the two writers.
 *
 * A text is a sequence of units (a byte, a character of UTF-8, an escape) that are written whole or not at all; the
 * room that the end of the line takes is kept free for it.
 */
#include "common/log_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The quote and brace that may have to be closed, and the newline. */
#define END_BYTES 3

#define UNIT_BYTES 8

static bool append_text(struct log_line *line, const char *bytes, size_t length) {
  if (line->length + length > sizeof line->bytes - END_BYTES) return false;
  memcpy(line->bytes + line->length, bytes, length);
  line->length += length;
  return true;
}

/* Whole, or not at all. @return whether it fitted */
__attribute__((format(printf, 2, 3))) static bool append_format(struct log_line *line, const char *format, ...) {
  char text[96];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return (size_t) length < sizeof text && append_text(line, text, (size_t) length);
}

/* For the end, which there is always room for. */
static void append_end(struct log_line *line, char byte) {
  line->bytes[line->length++] = byte;
}

/* How many bytes the character of UTF-8 has that the text begins with; 0: it begins with none. */
static size_t character_length(const char *text) {
  const unsigned char *byte = (const unsigned char *) text;
  size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xc2 ? 0 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
  if (byte[0] > 0xf4) return 0;
  for (size_t i = 1; i < length; i++)
    if ((byte[i] & 0xc0) != 0x80) return 0; /* the NUL at the end, too */
  bool is_overlong = (byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xf0 && byte[1] < 0x90);
  bool is_surrogate = byte[0] == 0xed && byte[1] > 0x9f;
  bool is_beyond = byte[0] == 0xf4 && byte[1] > 0x8f;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

/* Writes what stands for the beginning of the text. @return how much of it that was; 0: there is no room */
static size_t append_unit(struct log_line *line, const char *text, enum log_format format) {
  char unit[UNIT_BYTES];
  unsigned char byte = (unsigned char) *text;
  size_t taken = 1;
  size_t length;
  if (byte == '"' || byte == '\\') {
    length = (size_t) snprintf(unit, sizeof unit, "\\%c", byte);
  } else if (byte < 0x20 || byte == 0x7f) {
    length = (size_t) snprintf(unit, sizeof unit, "\\u%04x", byte);
  } else if (format == LOG_FORMAT_JSON && character_length(text) == 0) {
    length = (size_t) snprintf(unit, sizeof unit, "\\ufffd");
  } else {
    length = format == LOG_FORMAT_JSON ? character_length(text) : 1;
    taken = length;
    memcpy(unit, text, length);
  }
  return append_text(line, unit, length) ? taken : 0;
}

/* The text and the quote behind it, cut where there is no room for more. */
static void append_quoted(struct log_line *line, const char *text, enum log_format format) {
  size_t taken;
  for (; *text != '\0'; text += taken) {
    taken = append_unit(line, text, format);
    if (taken == 0) break;
  }
  append_end(line, '"');
}

/* Cut where there is no room for more. @return whether it wasn't */
static bool append_word(struct log_line *line, const char *text) {
  while (*text != '\0' && append_text(line, text, 1)) text++;
  return *text == '\0';
}

static bool needs_quotes(const char *text) {
  if (*text == '\0') return true;
  for (; *text != '\0'; text++) {
    unsigned char byte = (unsigned char) *text;
    if (byte <= 0x20 || byte == 0x7f || byte == '"' || byte == '=' || byte == '\\') return true;
  }
  return false;
}

/* @return whether more may follow */
static bool append_logfmt_field(struct log_line *line, const struct log_field *field) {
  if (field->text == NULL) return append_format(line, " %s=%" PRIu64, field->name, field->number);
  if (!append_format(line, " %s=", field->name)) return false;
  if (!field->is_phrase && !needs_quotes(field->text)) return append_word(line, field->text);
  if (!append_text(line, "\"", 1)) return false;
  append_quoted(line, field->text, LOG_FORMAT_LOGFMT);
  return line->length < sizeof line->bytes - END_BYTES;
}

static bool append_json_field(struct log_line *line, const struct log_field *field) {
  if (field->text == NULL) return append_format(line, ",\"%s\":%" PRIu64, field->name, field->number);
  if (!append_format(line, ",\"%s\":\"", field->name)) return false;
  append_quoted(line, field->text, LOG_FORMAT_JSON);
  return line->length < sizeof line->bytes - END_BYTES;
}

static void format_time(const struct timespec *time, char *text, size_t capacity) {
  struct tm utc;
  char seconds[32];
  gmtime_r(&time->tv_sec, &utc);
  strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text, capacity, "%s.%03dZ", seconds, (int) (time->tv_nsec / 1000000));
}

void log_line_write(struct log_line *line, enum log_format format, const struct log_record *record) {
  char time[40];
  bool is_json = format == LOG_FORMAT_JSON;
  const char *level = log_level_names[record->level];
  line->length = 0;
  format_time(&record->time, time, sizeof time);
  bool has_room =
      is_json ? append_format(line, "{\"ts\":\"%s\",\"level\":\"%s\"", time, level) &&
                    append_format(line, ",\"event\":\"%s\"", record->event)
              : append_format(line, "ts=%s level=%s", time, level) && append_format(line, " event=%s", record->event);
  for (size_t i = 0; has_room && i < record->count; i++)
    has_room = is_json ? append_json_field(line, &record->fields[i]) : append_logfmt_field(line, &record->fields[i]);
  if (is_json) append_end(line, '}');
  append_end(line, '\n');
}
