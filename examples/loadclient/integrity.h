/* SPDX-License-Identifier: MIT */
/*
 * integrity: whether one client gets what was sent: whole, once, in order, over all its connections. Pure.
 *
 * What a feed is made of decides what can be checked: messages of our publisher (message.h) by sequence and checksum,
 * numbered lines by their number, anything else not at all, it is counted. Where the options don't say it, the first
 * message does.
 */
#ifndef LOADCLIENT_INTEGRITY_H
#define LOADCLIENT_INTEGRITY_H

#include "sequence.h"

#include <stddef.h>

#define INTEGRITY_PUBLISHERS 16 /* whose sequences one client follows; messages of others are foreign */

enum integrity_kind {
  INTEGRITY_UNDECIDED,
  INTEGRITY_MESSAGES, /* of a publisher like ours */
  INTEGRITY_NUMBERS,  /* a decimal number, then a blank and anything */
  INTEGRITY_PLAIN
};

/* What is known of the feed before the first message; the same for all clients. */
struct integrity_rules {
  enum integrity_kind kind;
  uint32_t run;        /* messages of other runs are foreign; 0: those of any run count */
  uint32_t publishers; /* of that run */
  uint64_t until;      /* numbers: 1 to this one; 0: from any on */
  struct message_cache *cache;
};

enum integrity_fault {
  INTEGRITY_NO_FAULT,
  INTEGRITY_GAP,          /* a number further on than expected */
  INTEGRITY_DUPLICATE,    /* a number that was seen before */
  INTEGRITY_DISORDER,     /* a number that was missing, or lies before the first one */
  INTEGRITY_GAP_NOTICE,   /* the server says that it dropped messages */
  INTEGRITY_ERROR_NOTICE, /* the server answered -ERR: a refusal, not a broken stream */
  INTEGRITY_CORRUPT       /* the checksum is wrong, or a line has no number */
};

struct integrity_stream {
  uint32_t run, publisher;
  struct sequence sequence;
};

struct integrity {
  enum integrity_kind kind;
  enum integrity_fault first_fault;
  uint64_t fault_expected, fault_got; /* its numbers */
  uint64_t corrupt, foreign, gap_notices, error_notices;
  uint32_t stream_count;
  struct integrity_stream *streams;
};

enum integrity_outcome {
  INTEGRITY_COUNTS,   /* a message, with no time in it */
  INTEGRITY_MEASURED, /* a message, with the time that it was planned for */
  INTEGRITY_IGNORED   /* not one of the feed's, or unreadable */
};

struct integrity_totals {
  uint64_t lost, duplicates, disorders, corrupt, foreign, gap_notices, error_notices;
};

/** @return false: out of memory */
bool integrity_init(struct integrity *integrity, const struct integrity_rules *rules);
void integrity_free(struct integrity *integrity);

/** It isn't known whether the client was subscribed before the first message: any first number is right. To be called
 * before anything was taken. */
void integrity_accept_any_first(struct integrity *integrity);

/** Take the next message; `*planned_ns` is set with INTEGRITY_MEASURED. */
enum integrity_outcome integrity_take(struct integrity *integrity, const struct integrity_rules *rules,
                                      const char *data, size_t length, uint64_t *planned_ns);

/** The server says that it dropped messages, or that it refuses something. */
void integrity_take_gap_notice(struct integrity *integrity);
void integrity_take_error_notice(struct integrity *integrity);

/** Numbers: the last one was seen. */
bool integrity_has_last(const struct integrity *integrity, const struct integrity_rules *rules);

/** Messages of our run: nothing that was sent can be on its way any more. `refused` of the `sent` never went out. */
bool integrity_has_all(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused);

/** Add up what was found. With `sent` (of our run; else NULL) what is missing at the end is lost, too, and what the
 * server refused to take isn't. */
void integrity_sum_up(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused,
                      struct integrity_totals *totals);

void integrity_add_totals(struct integrity_totals *sum, const struct integrity_totals *part);

/** The number that is expected next of the first stream; SEQUENCE_ANY if there is none. */
uint64_t integrity_expected(const struct integrity *integrity);

#endif
