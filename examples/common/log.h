/* SPDX-License-Identifier: MIT */
/*
 * log: events as lines on standard error, each event limited in how often it is written. The lines are logfmt or JSON:
 *
 *   ts=2025-01-31T12:00:00.123Z level=info event=evicted conn=17 peer=127.0.0.1:1234 reason=stalled cause="not reading"
 *   {"ts":"2025-01-31T12:00:00.123Z","level":"info","event":"evicted","conn":17,"peer":"127.0.0.1:1234",…}
 *
 * An event has a name that never changes, and fields with a type, so that what a client sent can't forge a line. A
 * storm of one event may write 200 lines at once and 20 a second from then on; how many were left out follows as
 * suppressed=N. Thread: any.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* What people call them, in the order of the enums; NULL ends each. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

struct log_field {
  const char *name;
  const char *text; /* NULL: it is a number */
  uint64_t number;
  bool is_phrase; /* always in quotes; a word is quoted where it must be */
};

static inline struct log_field log_number(const char *name, uint64_t number) {
  return (struct log_field){.name = name, .number = number};
}

/** A text that is a single word as a rule: a name, an address. */
static inline struct log_field log_word(const char *name, const char *text) {
  return (struct log_field){.name = name, .text = text};
}

/** A text that is written in quotes, whatever it is. */
static inline struct log_field log_phrase(const char *name, const char *text) {
  return (struct log_field){.name = name, .text = text, .is_phrase = true};
}

/** Write an event with one or more fields; `event` is a literal. */
#define log_event(level, event, ...)                                                                                   \
  log_write((level), (event), (const struct log_field[]){__VA_ARGS__},                                                 \
            sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);

/** Leave out what is below `level` from now on; LOG_LEVEL_INFO at the start. */
void log_set_level(enum log_level level);

/** Write lines in that format from now on; LOG_FORMAT_LOGFMT at the start. */
void log_set_format(enum log_format format);

/** Write suppressed=N for each event of which lines were left out. To be called about once a second, and at the end. */
void log_report_suppressed(void);

#endif
