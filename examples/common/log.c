/* SPDX-License-Identifier: MIT */
/*
 * log: the writer. Each line is one write(2), so that lines of several processes on one terminal don't mix.
 */
#include "common/log.h"

#include "common/log_line.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 64                     /* names of events in one program; those beyond share a limit */
#define LINES_PER_SECOND 20               /* of one event, for as long as a storm lasts */
#define LINES_AT_ONCE ((uint64_t) 200)    /* of one event: a burst of evictions is wanted in full */
#define TOKENS_PER_LINE ((uint64_t) 1000) /* so that a millisecond's share is a whole number */

struct limit {
  const char *event;
  enum log_level level;
  uint64_t tokens;
  uint64_t filled_ms;
  uint64_t suppressed;
};

const char *const log_level_names[] = {"debug", "info", "warn", "error", NULL};
const char *const log_format_names[] = {"logfmt", "json", NULL};

static enum log_level lowest_level = LOG_LEVEL_INFO;
static enum log_format current_format = LOG_FORMAT_LOGFMT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over what follows */
static struct limit limits[EVENTS_MAX];
static size_t limit_count;

static uint64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void write_line(enum log_level level, const char *event, const struct log_field *fields, size_t count) {
  struct log_line line;
  struct log_record record = {.level = level, .event = event, .fields = fields, .count = count};
  clock_gettime(CLOCK_REALTIME, &record.time);
  log_line_write(&line, current_format, &record);
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

void log_set_format(enum log_format format) {
  current_format = format;
}
