/* SPDX-License-Identifier: MIT */
/*
 * log: the writer. Each line is one write(2), so that lines of several processes on one terminal don't mix.
 */
#include "common/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define EVENTS_MAX 64                     /* names of events in one program; those beyond share a limit */
#define LINES_PER_SECOND 20               /* of one event, for as long as a storm lasts */
#define LINES_AT_ONCE ((uint64_t) 200)    /* of one event: a burst of evictions is wanted in full */
#define TOKENS_PER_LINE ((uint64_t) 1000) /* so that a millisecond's share is a whole number */

struct line {
  size_t length;
  char bytes[LINE_BYTES];
};

struct limit {
  const char *event;
  enum log_level level;
  uint64_t tokens;
  uint64_t filled_ms;
  uint64_t suppressed;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static enum log_level lowest_level = LOG_LEVEL_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over what follows */
static struct limit limits[EVENTS_MAX];
static size_t limit_count;

static uint64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* What doesn't fit is left out; room for the newline is always kept. */
static void append_byte(struct line *line, char byte) {
  if (line->length < sizeof line->bytes - 1) line->bytes[line->length++] = byte;
}

static void append_text(struct line *line, const char *text) {
  while (*text != '\0') append_byte(line, *text++);
}

__attribute__((format(printf, 2, 3))) static void append_format(struct line *line, const char *format, ...) {
  char text[64];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  append_text(line, text);
}

static void append_quoted(struct line *line, const char *text) {
  append_byte(line, '"');
  for (; *text != '\0'; text++) {
    unsigned char byte = (unsigned char) *text;
    if (byte == '"' || byte == '\\')
      append_format(line, "\\%c", byte);
    else if (byte < 0x20 || byte == 0x7f)
      append_format(line, "\\u%04x", byte);
    else
      append_byte(line, *text);
  }
  append_byte(line, '"');
}

static bool needs_quotes(const char *text) {
  if (*text == '\0') return true;
  for (; *text != '\0'; text++) {
    unsigned char byte = (unsigned char) *text;
    if (byte <= 0x20 || byte == 0x7f || byte == '"' || byte == '=' || byte == '\\') return true;
  }
  return false;
}

static void append_field(struct line *line, const struct log_field *field) {
  append_format(line, " %s=", field->name);
  if (field->text == NULL)
    append_format(line, "%" PRIu64, field->number);
  else if (field->is_phrase || needs_quotes(field->text))
    append_quoted(line, field->text);
  else
    append_text(line, field->text);
}

static void append_time(struct line *line) {
  struct timespec now;
  struct tm utc;
  char text[32];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  append_format(line, "ts=%s.%03dZ", text, (int) (now.tv_nsec / 1000000));
}

static void write_line(enum log_level level, const char *event, const struct log_field *fields, size_t count) {
  struct line line = {.length = 0};
  append_time(&line);
  append_format(&line, " level=%s event=%s", level_names[level], event);
  for (size_t i = 0; i < count; i++) append_field(&line, &fields[i]);
  line.bytes[line.length++] = '\n';
  /* Nobody could be told that the log can't be written. */
  ssize_t written = write(STDERR_FILENO, line.bytes, line.length);
  (void) written;
}

static struct limit *limit_of(const char *event, uint64_t now_ms) {
  for (size_t i = 0; i < limit_count; i++)
    if (strcmp(limits[i].event, event) == 0) return &limits[i];
  if (limit_count == EVENTS_MAX) return &limits[EVENTS_MAX - 1];
  struct limit *limit = &limits[limit_count++];
  *limit = (struct limit){.event = event, .tokens = LINES_AT_ONCE * TOKENS_PER_LINE, .filled_ms = now_ms};
  return limit;
}

static bool take_token(struct limit *limit, uint64_t now_ms) {
  limit->tokens += (now_ms - limit->filled_ms) * LINES_PER_SECOND * TOKENS_PER_LINE / 1000;
  if (limit->tokens > LINES_AT_ONCE * TOKENS_PER_LINE) limit->tokens = LINES_AT_ONCE * TOKENS_PER_LINE;
  limit->filled_ms = now_ms;
  if (limit->tokens < TOKENS_PER_LINE) return false;
  limit->tokens -= TOKENS_PER_LINE;
  return true;
}

/* Whether this line may be written; if not, it is counted. */
static bool may_write(enum log_level level, const char *event) {
  pthread_mutex_lock(&lock);
  uint64_t now_ms = monotonic_ms();
  struct limit *limit = limit_of(event, now_ms);
  bool may = take_token(limit, now_ms);
  if (!may) {
    limit->level = level;
    limit->suppressed++;
  }
  pthread_mutex_unlock(&lock);
  return may;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count) {
  if (level >= lowest_level && may_write(level, event)) write_line(level, event, fields, count);
}

void log_report_suppressed(void) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < limit_count; i++) {
    struct limit *limit = &limits[i];
    if (limit->suppressed == 0) continue;
    struct log_field field = log_number("suppressed", limit->suppressed);
    limit->suppressed = 0;
    write_line(limit->level, limit->event, &field, 1);
  }
  pthread_mutex_unlock(&lock);
}

void log_set_level(enum log_level level) {
  lowest_level = level;
}

bool log_level_parse(const char *name, enum log_level *level) {
  for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
    if (strcmp(name, level_names[i]) == 0) {
      *level = (enum log_level) i;
      return true;
    }
  }
  return false;
}
