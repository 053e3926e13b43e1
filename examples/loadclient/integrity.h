/* SPDX-License-Identifier: MIT */
/*
 * integrity: whether one client gets all messages whole, once, in order, over all its connections. Pure.
 *
 * The feed decides what can be checked: messages of a publisher (message.h) by sequence and checksum, numbered lines by
 * their number; other messages are only counted. Where the options don't say what the feed is, the first message does.
 *
 * A client needs a few words of memory. A sequence that lost numbers also remembers which ones of the last 8192 are
 * missing, by which a number that comes late is told from one that comes twice.
 */
#ifndef LOADCLIENT_INTEGRITY_H
#define LOADCLIENT_INTEGRITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTEGRITY_PUBLISHERS 16 /* whose sequences one client follows; messages of others are foreign */

/* Stands for no number: any first one is right. */
#define INTEGRITY_ANY UINT64_MAX

enum integrity_kind {
  INTEGRITY_UNDECIDED,
  INTEGRITY_MESSAGES, /* of a publisher like ours */
  INTEGRITY_NUMBERS,  /* a decimal number, then a blank and anything */
  INTEGRITY_PLAIN
};

/* Knowledge of the feed before the first message; the same for all clients. */
struct integrity_rules {
  enum integrity_kind kind;
  uint32_t run;        /* messages of other runs are foreign; 0: those of any run count */
  uint32_t publishers; /* of that run */
  uint64_t until;      /* numbers: 1 to this one; 0: from any on */
  struct message_cache *cache;
};

enum integrity_fault {
  INTEGRITY_NO_FAULT,
  INTEGRITY_GAP,          /* a number further on than expected: the numbers between are missing */
  INTEGRITY_DUPLICATE,    /* a number that was seen before */
  INTEGRITY_DISORDER,     /* a number that was missing, or lies before the first one */
  INTEGRITY_GAP_NOTICE,   /* the server says that it dropped messages */
  INTEGRITY_ERROR_NOTICE, /* the server answered -ERR: a refusal, not a broken stream */
  INTEGRITY_CORRUPT       /* the checksum is wrong, or a line has no number */
};

/* Faults, and messages that are none of the feed's. */
struct integrity_totals {
  uint64_t lost, duplicates, disorders, corrupt, foreign, gap_notices, error_notices;
};

struct integrity_sequence {
  uint32_t run, publisher;
  uint64_t expected; /* one more than the highest so far, or INTEGRITY_ANY */
  uint64_t first;
  uint64_t lost;                     /* still missing */
  struct integrity_missing *missing; /* NULL: none */
};

struct integrity {
  enum integrity_kind kind;
  enum integrity_fault first_fault;
  uint64_t fault_expected, fault_got; /* its numbers */
  struct integrity_totals found;      /* without the losses, which the sequences have */
  uint32_t sequence_count;
  struct integrity_sequence *sequences;
};

enum integrity_outcome {
  INTEGRITY_COUNTS,   /* a message, with no time in it */
  INTEGRITY_MEASURED, /* a message, with the time that it was planned for */
  INTEGRITY_IGNORED   /* not one of the feed's, or unreadable */
};

/** Start a client's checks. @return false: out of memory */
bool integrity_init(struct integrity *integrity, const struct integrity_rules *rules);
void integrity_free(struct integrity *integrity);

/** Accept any first number, as the client may not have been subscribed before it. Called before the first message. */
void integrity_accept_any_first(struct integrity *integrity);

/** Check the next message; `*planned_ns` is set with INTEGRITY_MEASURED. */
enum integrity_outcome integrity_take(struct integrity *integrity, const struct integrity_rules *rules,
                                      const char *data, size_t length, uint64_t *planned_ns);

/** Count a notice of the server's, INTEGRITY_GAP_NOTICE or INTEGRITY_ERROR_NOTICE. */
void integrity_take_notice(struct integrity *integrity, enum integrity_fault fault);

/** Return whether the last number was seen. */
bool integrity_has_last(const struct integrity *integrity, const struct integrity_rules *rules);

/** Return whether no message of our run can be on its way any more. `refused` of the `sent` never went out. */
bool integrity_has_all(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused);

/**
 * Add up the faults. With `sent` (of our run; else NULL) the numbers that are missing at the end are lost, too, less
 * those that the server refused to take.
 */
void integrity_sum_up(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused,
                      struct integrity_totals *totals);

/** Return the number that is expected next of the first sequence; INTEGRITY_ANY if there is none. */
uint64_t integrity_expected(const struct integrity *integrity);

#endif
