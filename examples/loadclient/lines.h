/* SPDX-License-Identifier: MIT */
/*
 * lines: checks that one client sees numbered lines once and in order.
 *
 * Bytes go in as they arrive, split anywhere; counters and the first fault come out. A line is a decimal number,
 * optionally followed by a space and a payload that is skipped; what begins with '{', '-' or '+' is a notice of the
 * server's. Knows nothing of sockets, time or other clients. A header, so that the read loop becomes one function and
 * a test can include it alone.
 *
 * Memory is a few bytes a client. Only a client that lost lines owns more: the ranges it misses, by which a line that
 * comes late is told from one that comes twice.
 */
#ifndef LOADCLIENT_LINES_H
#define LOADCLIENT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A line longer than this is taken for one that never ends. */
#define LINES_MAX_BYTES ((size_t) 1 << 20)

/* How much of a notice is kept to be quoted, with its terminating zero. */
#define LINES_NOTICE_BYTES ((size_t) 96)

/* Ranges of missing lines a client remembers; beyond that the oldest is given up. */
#define LINES_MISSING_RANGES 64

/* No line carries this number: line numbers are kept below it while they are read. */
#define LINES_UNKNOWN UINT64_MAX

enum lines_state { LINES_AT_START, LINES_IN_NUMBER, LINES_IN_PAYLOAD, LINES_IN_NOTICE, LINES_UNREADABLE };

enum lines_fault {
  LINES_FAULT_NONE,
  LINES_FAULT_GAP,          /* a number further on than expected */
  LINES_FAULT_DUPLICATE,    /* a number that was seen before */
  LINES_FAULT_DISORDER,     /* a number that was missing, or that lies before the first one */
  LINES_FAULT_GAP_NOTICE,   /* the server says that it dropped lines */
  LINES_FAULT_ERROR_NOTICE, /* the server answered -ERR: a refusal, not a broken stream */
  LINES_FAULT_CORRUPT,      /* a byte that no line has at this place */
  LINES_FAULT_TOO_LONG
};

struct lines_missing {
  size_t count;
  uint64_t given_up_below; /* of lines below this number nothing is known any more */
  struct {
    uint64_t first, last;
  } ranges[LINES_MISSING_RANGES]; /* ascending */
};

struct lines {
  enum lines_state state;
  enum lines_fault first_fault;
  uint64_t expected; /* one more than the highest number so far */
  uint64_t number;   /* of the line being read */
  uint64_t until;    /* the last line there is to see; 0: no end */
  size_t line_bytes; /* of the line being read */
  uint64_t received; /* numbered lines, duplicates included */

  uint64_t first; /* the number the stream begins with */
  uint64_t lost;  /* still missing */
  uint64_t duplicates;
  uint64_t disorders;
  uint64_t corrupt;
  uint64_t gap_notices;
  uint64_t error_notices;
  uint64_t fault_expected; /* of the first fault */
  uint64_t fault_got;      /* its number, or the byte of a corrupt line */
  struct lines_missing *missing;
  char notice[LINES_NOTICE_BYTES]; /* the newest one */
};

/** Expect the lines 1 to `until`; 0 accepts any first line, and has no end. */
static inline void lines_init(struct lines *lines, uint64_t until) {
  memset(lines, 0, sizeof *lines);
  lines->until = until;
  lines->first = lines->expected = until > 0 ? 1 : LINES_UNKNOWN;
}

static inline void lines_free(struct lines *lines) {
  free(lines->missing);
  lines->missing = NULL;
}

/** The last line was seen. */
static inline bool lines_is_complete(const struct lines *lines) {
  return lines->until > 0 && lines->expected > lines->until;
}

/** Whether what went wrong, if anything, is the stream itself: something lost, twice, out of order or corrupt. */
static inline bool lines_is_intact(const struct lines *lines) {
  return lines->lost + lines->duplicates + lines->disorders + lines->corrupt + lines->gap_notices == 0;
}

static inline void lines_fault(struct lines *lines, enum lines_fault fault, uint64_t got) {
  if (lines->first_fault == LINES_FAULT_NONE) {
    lines->first_fault = fault;
    lines->fault_expected = lines->expected;
    lines->fault_got = got;
  }
}

/* After this nothing is known of where lines begin. */
static inline void lines_give_up(struct lines *lines, enum lines_fault fault, uint64_t got) {
  lines->corrupt++;
  lines_fault(lines, fault, got);
  lines->state = LINES_UNREADABLE;
}

static inline void lines_missing_remove(struct lines_missing *missing, size_t at) {
  missing->count--;
  memmove(&missing->ranges[at], &missing->ranges[at + 1], (missing->count - at) * sizeof missing->ranges[0]);
}

static inline void lines_missing_insert(struct lines_missing *missing, size_t at, uint64_t first, uint64_t last) {
  if (missing->count == LINES_MISSING_RANGES) {
    if (at == 0) { /* it would be the oldest itself */
      missing->given_up_below = last + 1;
      return;
    }
    missing->given_up_below = missing->ranges[0].last + 1;
    lines_missing_remove(missing, 0);
    at--;
  }
  memmove(&missing->ranges[at + 1], &missing->ranges[at], (missing->count - at) * sizeof missing->ranges[0]);
  missing->ranges[at].first = first;
  missing->ranges[at].last = last;
  missing->count++;
}

/* Strikes `number` off what is missing. */
static inline bool lines_missing_take(struct lines_missing *missing, uint64_t number) {
  for (size_t i = 0; i < missing->count; i++) {
    uint64_t first = missing->ranges[i].first, last = missing->ranges[i].last;
    if (number < first || number > last) continue;
    if (first == last) {
      lines_missing_remove(missing, i);
    } else if (number == first) {
      missing->ranges[i].first++;
    } else if (number == last) {
      missing->ranges[i].last--;
    } else {
      missing->ranges[i].last = number - 1;
      lines_missing_insert(missing, i + 1, number + 1, last);
    }
    return true;
  }
  return false;
}

static inline void lines_accept_ahead(struct lines *lines) {
  lines_fault(lines, LINES_FAULT_GAP, lines->number);
  lines->lost += lines->number - lines->expected;
  if (lines->missing == NULL)
    lines->missing = calloc(1, sizeof *lines->missing); /* without it a late line counts as a duplicate */
  if (lines->missing != NULL)
    lines_missing_insert(lines->missing, lines->missing->count, lines->expected, lines->number - 1);
  lines->expected = lines->number + 1;
}

static inline void lines_accept_behind(struct lines *lines) {
  struct lines_missing *missing = lines->missing;
  if (missing != NULL && lines_missing_take(missing, lines->number)) {
    lines->lost--;
    lines->disorders++;
    lines_fault(lines, LINES_FAULT_DISORDER, lines->number);
  } else if (lines->number < lines->first || (missing != NULL && lines->number < missing->given_up_below)) {
    lines->disorders++;
    lines_fault(lines, LINES_FAULT_DISORDER, lines->number);
  } else {
    lines->duplicates++;
    lines_fault(lines, LINES_FAULT_DUPLICATE, lines->number);
  }
}

static inline void lines_accept(struct lines *lines) {
  lines->state = LINES_AT_START;
  lines->received++;
  if (lines->number == lines->expected) {
    lines->expected++;
  } else if (lines->expected == LINES_UNKNOWN) {
    lines->first = lines->number;
    lines->expected = lines->number + 1;
  } else if (lines->number > lines->expected) {
    lines_accept_ahead(lines);
  } else {
    lines_accept_behind(lines);
  }
}

static inline void lines_accept_notice(struct lines *lines) {
  static const char gap[] = "{\"gap\"";
  lines->state = LINES_AT_START;
  if (lines->notice[0] == '-') {
    lines->error_notices++;
    lines_fault(lines, LINES_FAULT_ERROR_NOTICE, 0);
  } else if (strncmp(lines->notice, gap, sizeof gap - 1) == 0) {
    lines->gap_notices++;
    lines_fault(lines, LINES_FAULT_GAP_NOTICE, 0);
  }
}

static inline void lines_begin(struct lines *lines, char byte) {
  lines->line_bytes = 0;
  if (byte >= '0' && byte <= '9') {
    lines->number = 0;
    lines->state = LINES_IN_NUMBER;
  } else if (byte == '{' || byte == '-' || byte == '+') {
    memset(lines->notice, 0, sizeof lines->notice);
    lines->state = LINES_IN_NOTICE;
  } else {
    lines_give_up(lines, LINES_FAULT_CORRUPT, (unsigned char) byte);
  }
}

static inline void lines_begin_payload(struct lines *lines) {
  lines->line_bytes++; /* the space */
  lines->state = LINES_IN_PAYLOAD;
}

static inline const char *lines_take_number(struct lines *lines, const char *data, const char *end) {
  const uint64_t limit = (LINES_UNKNOWN - 10) / 10; /* one more digit stays below LINES_UNKNOWN */
  const char *begin = data;
  uint64_t number = lines->number;
  while (data < end && *data >= '0' && *data <= '9' && number <= limit)
    number = number * 10 + (uint64_t) (*data++ - '0');
  lines->number = number;
  lines->line_bytes += (size_t) (data - begin);
  if (lines->line_bytes > LINES_MAX_BYTES)
    lines_give_up(lines, LINES_FAULT_TOO_LONG, LINES_MAX_BYTES);
  else if (data == end)
    return end;
  else if (*data == '\n')
    lines_accept(lines);
  else if (*data == ' ')
    lines_begin_payload(lines);
  else
    lines_give_up(lines, LINES_FAULT_CORRUPT, (unsigned char) *data);
  return data < end ? data + 1 : end;
}

/* Takes the line to its end, or what there is of it. A notice is kept as far as there is room. */
static inline const char *lines_take_rest(struct lines *lines, const char *data, const char *end) {
  const char *newline = memchr(data, '\n', (size_t) (end - data));
  size_t length = (size_t) ((newline != NULL ? newline : end) - data);
  if (lines->state == LINES_IN_NOTICE && lines->line_bytes < sizeof lines->notice - 1) {
    size_t room = sizeof lines->notice - 1 - lines->line_bytes;
    memcpy(lines->notice + lines->line_bytes, data, length < room ? length : room);
  }
  lines->line_bytes += length;
  if (lines->line_bytes > LINES_MAX_BYTES)
    lines_give_up(lines, LINES_FAULT_TOO_LONG, LINES_MAX_BYTES);
  else if (newline == NULL)
    return end;
  else if (lines->state == LINES_IN_NOTICE)
    lines_accept_notice(lines);
  else
    lines_accept(lines);
  return newline != NULL ? newline + 1 : end;
}

/** Take the next `length` bytes of the stream. What comes after the last line, or after a corrupt one, is ignored. */
static inline void lines_feed(struct lines *lines, const char *data, size_t length) {
  const char *end = data + length;
  while (data < end && lines->state != LINES_UNREADABLE && !lines_is_complete(lines)) {
    if (lines->state == LINES_AT_START)
      lines_begin(lines, *data);
    else if (lines->state == LINES_IN_NUMBER)
      data = lines_take_number(lines, data, end);
    else
      data = lines_take_rest(lines, data, end);
  }
}

#endif
