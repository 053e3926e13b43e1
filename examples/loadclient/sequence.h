/* SPDX-License-Identifier: MIT */
/*
 * sequence: whether numbers come once and in order; what is lost, what comes twice, what comes late. Pure.
 *
 * Memory is a few words; only a sequence that lost something owns more: the ranges that are missing, by which a number
 * that comes late is told from one that comes twice.
 */
#ifndef LOADCLIENT_SEQUENCE_H
#define LOADCLIENT_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

/* What stands for no number: any first one is right. */
#define SEQUENCE_ANY UINT64_MAX

enum sequence_outcome {
  SEQUENCE_NEXT,      /* as expected */
  SEQUENCE_GAP,       /* further on than expected: what is in between is missing */
  SEQUENCE_DUPLICATE, /* was seen before */
  SEQUENCE_DISORDER   /* was missing, or lies before the first one */
};

struct sequence {
  uint64_t expected; /* one more than the highest so far, or SEQUENCE_ANY */
  uint64_t first;
  uint64_t lost; /* still missing */
  uint64_t duplicates;
  uint64_t disorders;
  struct sequence_missing *missing; /* NULL: none */
};

/** Begin with that number, or with SEQUENCE_ANY. */
static inline void sequence_init(struct sequence *sequence, uint64_t first) {
  *sequence = (struct sequence){.expected = first, .first = first};
}

void sequence_free(struct sequence *sequence);

/* Any number but the expected one. */
enum sequence_outcome sequence_take_other(struct sequence *sequence, uint64_t number);

/** The next one that came. */
static inline enum sequence_outcome sequence_take(struct sequence *sequence, uint64_t number) {
  if (number != sequence->expected) return sequence_take_other(sequence, number);
  sequence->expected++;
  return SEQUENCE_NEXT;
}

/** How many different ones of `first` to `last` have not been seen. */
uint64_t sequence_missing_up_to(const struct sequence *sequence, uint64_t last);

#endif
