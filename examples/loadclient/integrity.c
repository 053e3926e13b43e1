/* SPDX-License-Identifier: MIT */
/*
 * integrity: from messages to numbers, and from numbers to faults.
 */
#include "integrity.h"

#include "common/message.h"

#include <stdlib.h>

static const uint64_t max_number = UINT64_MAX / 20;

/* How far back a sequence that lost numbers tells a late one from one that comes twice. */
#define MISSING_WINDOW UINT64_C(8192)

/* A bit for each number from `expected - MISSING_WINDOW` on, at its remainder; 1: it is missing. */
struct integrity_missing {
  uint64_t bits[MISSING_WINDOW / 64];
};

/* Sequences */

/* Say of a number whether it is missing. @return whether it was */
static bool missing_set(struct integrity_missing *missing, uint64_t number, bool is_missing) {
  uint64_t *word = &missing->bits[number % MISSING_WINDOW / 64], bit = UINT64_C(1) << number % 64;
  bool was_missing = (*word & bit) != 0;
  *word = is_missing ? *word | bit : *word & ~bit;
  return was_missing;
}

static enum integrity_fault take_ahead(struct integrity_sequence *sequence, uint64_t number) {
  uint64_t first = sequence->expected;
  sequence->lost += number - first;
  sequence->expected = number + 1;
  if (sequence->missing == NULL) /* without memory a late one counts as a duplicate */
    sequence->missing = calloc(1, sizeof *sequence->missing);
  if (sequence->missing == NULL) return INTEGRITY_GAP;
  if (number - first > MISSING_WINDOW) first = number - MISSING_WINDOW;
  for (; first < number; first++) missing_set(sequence->missing, first, true);
  missing_set(sequence->missing, number, false);
  return INTEGRITY_GAP;
}

static enum integrity_fault take_behind(struct integrity *integrity, struct integrity_sequence *sequence,
                                        uint64_t number) {
  struct integrity_missing *missing = sequence->missing;
  bool is_forgotten = missing != NULL && sequence->expected - number > MISSING_WINDOW;
  bool was_missing = missing != NULL && !is_forgotten && missing_set(missing, number, false);
  if (was_missing) sequence->lost--;
  if (was_missing || is_forgotten || number < sequence->first) {
    integrity->found.disorders++;
    return INTEGRITY_DISORDER;
  }
  integrity->found.duplicates++;
  return INTEGRITY_DUPLICATE;
}

/* Return how many different numbers up to `last` have not been seen. */
static uint64_t count_missing(const struct integrity_sequence *sequence, uint64_t last) {
  if (sequence->expected == INTEGRITY_ANY) return 0;
  return sequence->lost + (last >= sequence->expected ? last - sequence->expected + 1 : 0);
}

static void note_fault(struct integrity *integrity, enum integrity_fault fault, uint64_t expected, uint64_t got) {
  if (integrity->first_fault != INTEGRITY_NO_FAULT) return;
  integrity->first_fault = fault;
  integrity->fault_expected = expected;
  integrity->fault_got = got;
}

static void take_number(struct integrity *integrity, struct integrity_sequence *sequence, uint64_t number) {
  uint64_t expected = sequence->expected;
  if (number == expected) {
    sequence->expected++;
    if (sequence->missing != NULL) missing_set(sequence->missing, number, false);
  } else if (expected == INTEGRITY_ANY) {
    sequence->first = number;
    sequence->expected = number + 1;
  } else {
    bool is_ahead = number > expected;
    note_fault(integrity, is_ahead ? take_ahead(sequence, number) : take_behind(integrity, sequence, number), expected,
               number);
  }
}

/* Clients */

static bool add_sequence(struct integrity *integrity, uint32_t run, uint32_t publisher, uint64_t first) {
  size_t bytes = (integrity->sequence_count + 1) * sizeof *integrity->sequences;
  struct integrity_sequence *sequences = realloc(integrity->sequences, bytes);
  if (sequences == NULL) return false;
  integrity->sequences = sequences;
  sequences[integrity->sequence_count++] =
      (struct integrity_sequence){.run = run, .publisher = publisher, .expected = first, .first = first};
  return true;
}

bool integrity_init(struct integrity *integrity, const struct integrity_rules *rules) {
  *integrity = (struct integrity){.kind = rules->kind};
  if (rules->kind == INTEGRITY_NUMBERS) return add_sequence(integrity, 0, 0, rules->until > 0 ? 1 : INTEGRITY_ANY);
  if (rules->kind != INTEGRITY_MESSAGES) return true;
  for (uint32_t i = 0; i < rules->publishers; i++)
    if (!add_sequence(integrity, rules->run, i, 1)) return false;
  return true;
}

void integrity_free(struct integrity *integrity) {
  for (uint32_t i = 0; i < integrity->sequence_count; i++) free(integrity->sequences[i].missing);
  free(integrity->sequences);
  *integrity = (struct integrity){.sequences = NULL};
}

void integrity_accept_any_first(struct integrity *integrity) {
  for (uint32_t i = 0; i < integrity->sequence_count; i++) integrity->sequences[i].expected = INTEGRITY_ANY;
}

/* Return the sequence of a message, NULL if it is foreign. Of other runs than ours any publisher counts, as far as
 * there is room. */
static struct integrity_sequence *find_sequence(struct integrity *integrity, const struct integrity_rules *rules,
                                                const struct message *message) {
  for (uint32_t i = 0; i < integrity->sequence_count; i++) {
    struct integrity_sequence *sequence = &integrity->sequences[i];
    if (sequence->publisher == message->publisher && sequence->run == message->run) return sequence;
  }
  if (rules->run != 0 || integrity->sequence_count == INTEGRITY_PUBLISHERS) return NULL;
  if (!add_sequence(integrity, message->run, message->publisher, INTEGRITY_ANY)) return NULL;
  return &integrity->sequences[integrity->sequence_count - 1];
}

/* A corrupt message that could have been the next one is taken for it, so that one fault isn't counted as two. */
static enum integrity_outcome take_corrupt(struct integrity *integrity, const struct message *message) {
  integrity->found.corrupt++;
  note_fault(integrity, INTEGRITY_CORRUPT, integrity_expected(integrity), message->sequence);
  for (uint32_t i = 0; i < integrity->sequence_count; i++) {
    struct integrity_sequence *sequence = &integrity->sequences[i];
    if (sequence->expected != message->sequence || sequence->publisher != message->publisher) continue;
    take_number(integrity, sequence, message->sequence);
    break;
  }
  return INTEGRITY_COUNTS;
}

static enum integrity_outcome take_message(struct integrity *integrity, const struct integrity_rules *rules,
                                           const char *data, size_t length, uint64_t *planned_ns) {
  struct message message;
  enum message_outcome outcome = message_cache_read(rules->cache, data, length, &message);
  if (outcome == MESSAGE_CORRUPT) return take_corrupt(integrity, &message);
  struct integrity_sequence *sequence = outcome == MESSAGE_OK ? find_sequence(integrity, rules, &message) : NULL;
  if (sequence == NULL) {
    integrity->found.foreign++;
    return INTEGRITY_IGNORED;
  }
  take_number(integrity, sequence, message.sequence);
  *planned_ns = message.planned_ns;
  return INTEGRITY_MEASURED;
}

static bool read_number(const char *data, size_t length, uint64_t *number) {
  size_t digits = 0;
  uint64_t value = 0;
  for (; digits < length && data[digits] >= '0' && data[digits] <= '9' && value <= max_number; digits++)
    value = value * 10 + (uint64_t) (data[digits] - '0');
  *number = value;
  return digits > 0 && (digits == length || data[digits] == ' ');
}

static enum integrity_outcome take_line(struct integrity *integrity, const char *data, size_t length) {
  uint64_t number;
  if (length > 0 && data[0] == '{') return INTEGRITY_IGNORED; /* a notice that the library doesn't know */
  if (read_number(data, length, &number)) {
    take_number(integrity, &integrity->sequences[0], number);
    return INTEGRITY_COUNTS;
  }
  integrity->found.corrupt++;
  note_fault(integrity, INTEGRITY_CORRUPT, integrity_expected(integrity), 0);
  return INTEGRITY_IGNORED;
}

/* Without memory for a sequence nothing is checked. */
static enum integrity_kind decide_kind(struct integrity *integrity, const char *data, size_t length) {
  uint64_t number;
  if (message_is_one(data, length)) return INTEGRITY_MESSAGES;
  if (read_number(data, length, &number) && add_sequence(integrity, 0, 0, INTEGRITY_ANY)) return INTEGRITY_NUMBERS;
  return INTEGRITY_PLAIN;
}

enum integrity_outcome integrity_take(struct integrity *integrity, const struct integrity_rules *rules,
                                      const char *data, size_t length, uint64_t *planned_ns) {
  if (integrity->kind == INTEGRITY_UNDECIDED) integrity->kind = decide_kind(integrity, data, length);
  if (integrity->kind == INTEGRITY_MESSAGES) return take_message(integrity, rules, data, length, planned_ns);
  if (integrity->kind == INTEGRITY_NUMBERS) return take_line(integrity, data, length);
  return INTEGRITY_COUNTS;
}

void integrity_take_notice(struct integrity *integrity, enum integrity_fault fault) {
  integrity->found.gap_notices += fault == INTEGRITY_GAP_NOTICE;
  integrity->found.error_notices += fault == INTEGRITY_ERROR_NOTICE;
  note_fault(integrity, fault, integrity_expected(integrity), 0);
}

uint64_t integrity_expected(const struct integrity *integrity) {
  return integrity->sequence_count > 0 ? integrity->sequences[0].expected : INTEGRITY_ANY;
}

bool integrity_has_last(const struct integrity *integrity, const struct integrity_rules *rules) {
  uint64_t expected = integrity_expected(integrity);
  return rules->until > 0 && expected != INTEGRITY_ANY && expected > rules->until;
}

bool integrity_has_all(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused) {
  for (uint32_t i = 0; i < integrity->sequence_count; i++) {
    const struct integrity_sequence *sequence = &integrity->sequences[i];
    if (sent[i] <= refused[i]) continue;
    if (sequence->expected == INTEGRITY_ANY) return false;
    if (sequence->expected <= sent[i] && count_missing(sequence, sent[i]) > refused[i]) return false;
  }
  return true;
}

void integrity_sum_up(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused,
                      struct integrity_totals *totals) {
  *totals = integrity->found;
  for (uint32_t i = 0; i < integrity->sequence_count; i++) {
    const struct integrity_sequence *sequence = &integrity->sequences[i];
    uint64_t lost = sent != NULL ? count_missing(sequence, sent[i]) : sequence->lost;
    uint64_t excused = sent != NULL ? refused[i] : 0;
    totals->lost += lost > excused ? lost - excused : 0;
  }
}
