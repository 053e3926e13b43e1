/* SPDX-License-Identifier: MIT */
/*
 * sequence: the rare cases.
 */
#include "sequence.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Ranges that one sequence remembers; beyond that the oldest is given up. */
#define MISSING_RANGES 64

struct range {
  uint64_t first, last;
};

struct sequence_missing {
  size_t count;
  uint64_t given_up_below;             /* of numbers below this one nothing is known any more */
  struct range ranges[MISSING_RANGES]; /* ascending */
};

void sequence_free(struct sequence *sequence) {
  free(sequence->missing);
  sequence->missing = NULL;
}

static void missing_remove(struct sequence_missing *missing, size_t at) {
  missing->count--;
  memmove(&missing->ranges[at], &missing->ranges[at + 1], (missing->count - at) * sizeof missing->ranges[0]);
}

static void missing_insert(struct sequence_missing *missing, size_t at, struct range range) {
  if (missing->count == MISSING_RANGES) {
    if (at == 0) { /* it would be the oldest itself */
      missing->given_up_below = range.last + 1;
      return;
    }
    missing->given_up_below = missing->ranges[0].last + 1;
    missing_remove(missing, 0);
    at--;
  }
  memmove(&missing->ranges[at + 1], &missing->ranges[at], (missing->count - at) * sizeof missing->ranges[0]);
  missing->ranges[at] = range;
  missing->count++;
}

/* Strikes `number` off what is missing. @return whether it was */
static bool missing_take(struct sequence_missing *missing, uint64_t number) {
  for (size_t i = 0; i < missing->count; i++) {
    struct range range = missing->ranges[i];
    if (number < range.first || number > range.last) continue;
    if (range.first == range.last) {
      missing_remove(missing, i);
    } else if (number == range.first) {
      missing->ranges[i].first++;
    } else if (number == range.last) {
      missing->ranges[i].last--;
    } else {
      missing->ranges[i].last = number - 1;
      missing_insert(missing, i + 1, (struct range){.first = number + 1, .last = range.last});
    }
    return true;
  }
  return false;
}

static enum sequence_outcome take_ahead(struct sequence *sequence, uint64_t number) {
  sequence->lost += number - sequence->expected;
  if (sequence->missing == NULL) /* without memory a late one counts as a duplicate */
    sequence->missing = calloc(1, sizeof *sequence->missing);
  if (sequence->missing != NULL)
    missing_insert(sequence->missing, sequence->missing->count,
                   (struct range){.first = sequence->expected, .last = number - 1});
  sequence->expected = number + 1;
  return SEQUENCE_GAP;
}

static enum sequence_outcome take_behind(struct sequence *sequence, uint64_t number) {
  struct sequence_missing *missing = sequence->missing;
  bool was_missing = missing != NULL && missing_take(missing, number);
  if (was_missing) sequence->lost--;
  if (was_missing || number < sequence->first || (missing != NULL && number < missing->given_up_below)) {
    sequence->disorders++;
    return SEQUENCE_DISORDER;
  }
  sequence->duplicates++;
  return SEQUENCE_DUPLICATE;
}

enum sequence_outcome sequence_take_other(struct sequence *sequence, uint64_t number) {
  if (sequence->expected == SEQUENCE_ANY) {
    sequence->first = number;
    sequence->expected = number + 1;
    return SEQUENCE_NEXT;
  }
  return number > sequence->expected ? take_ahead(sequence, number) : take_behind(sequence, number);
}

uint64_t sequence_missing_up_to(const struct sequence *sequence, uint64_t last) {
  if (sequence->expected == SEQUENCE_ANY) return 0;
  return sequence->lost + (last >= sequence->expected ? last - sequence->expected + 1 : 0);
}
