/* SPDX-License-Identifier: MIT */
/*
 * integrity: from messages to sequences.
 */
#include "integrity.h"

#include "message.h"

#include <stdlib.h>

static const uint64_t max_number = UINT64_MAX / 20;

static bool add_stream(struct integrity *integrity, uint32_t run, uint32_t publisher, uint64_t first) {
  size_t bytes = (integrity->stream_count + 1) * sizeof *integrity->streams;
  struct integrity_stream *streams = realloc(integrity->streams, bytes);
  if (streams == NULL) return false;
  integrity->streams = streams;
  struct integrity_stream *stream = &streams[integrity->stream_count++];
  *stream = (struct integrity_stream){.run = run, .publisher = publisher};
  sequence_init(&stream->sequence, first);
  return true;
}

bool integrity_init(struct integrity *integrity, const struct integrity_rules *rules) {
  *integrity = (struct integrity){.kind = rules->kind};
  if (rules->kind == INTEGRITY_NUMBERS) return add_stream(integrity, 0, 0, rules->until > 0 ? 1 : SEQUENCE_ANY);
  if (rules->kind != INTEGRITY_MESSAGES) return true;
  for (uint32_t i = 0; i < rules->publishers; i++)
    if (!add_stream(integrity, rules->run, i, 1)) return false;
  return true;
}

void integrity_free(struct integrity *integrity) {
  for (uint32_t i = 0; i < integrity->stream_count; i++) sequence_free(&integrity->streams[i].sequence);
  free(integrity->streams);
  integrity->streams = NULL;
  integrity->stream_count = 0;
}

void integrity_accept_any_first(struct integrity *integrity) {
  for (uint32_t i = 0; i < integrity->stream_count; i++) sequence_init(&integrity->streams[i].sequence, SEQUENCE_ANY);
}

static void note_fault(struct integrity *integrity, enum integrity_fault fault, uint64_t expected, uint64_t got) {
  if (integrity->first_fault != INTEGRITY_NO_FAULT) return;
  integrity->first_fault = fault;
  integrity->fault_expected = expected;
  integrity->fault_got = got;
}

static void take_number(struct integrity *integrity, struct sequence *sequence, uint64_t number) {
  static const enum integrity_fault faults[] = {[SEQUENCE_NEXT] = INTEGRITY_NO_FAULT,
                                                [SEQUENCE_GAP] = INTEGRITY_GAP,
                                                [SEQUENCE_DUPLICATE] = INTEGRITY_DUPLICATE,
                                                [SEQUENCE_DISORDER] = INTEGRITY_DISORDER};
  uint64_t expected = sequence->expected;
  enum sequence_outcome outcome = sequence_take(sequence, number);
  if (outcome != SEQUENCE_NEXT) note_fault(integrity, faults[outcome], expected, number);
}

/* Of a run that isn't ours any publisher counts, as far as there is room. */
static struct integrity_stream *find_stream(struct integrity *integrity, const struct integrity_rules *rules,
                                            const struct message *message) {
  for (uint32_t i = 0; i < integrity->stream_count; i++) {
    struct integrity_stream *stream = &integrity->streams[i];
    if (stream->publisher == message->publisher && stream->run == message->run) return stream;
  }
  if (rules->run != 0 || integrity->stream_count == INTEGRITY_PUBLISHERS) return NULL;
  if (!add_stream(integrity, message->run, message->publisher, SEQUENCE_ANY)) return NULL;
  return &integrity->streams[integrity->stream_count - 1];
}

/* A corrupt message that could have been the next one is taken for it, so that one fault isn't counted as two. */
static enum integrity_outcome take_corrupt(struct integrity *integrity, const struct message *message) {
  integrity->corrupt++;
  note_fault(integrity, INTEGRITY_CORRUPT, integrity_expected(integrity), message->sequence);
  for (uint32_t i = 0; i < integrity->stream_count; i++) {
    struct sequence *sequence = &integrity->streams[i].sequence;
    if (sequence->expected != message->sequence || integrity->streams[i].publisher != message->publisher) continue;
    sequence_take(sequence, message->sequence);
    break;
  }
  return INTEGRITY_COUNTS;
}

static enum integrity_outcome take_message(struct integrity *integrity, const struct integrity_rules *rules,
                                           const char *data, size_t length, uint64_t *planned_ns) {
  struct message message;
  enum message_outcome outcome = message_cache_read(rules->cache, data, length, &message);
  if (outcome == MESSAGE_CORRUPT) return take_corrupt(integrity, &message);
  struct integrity_stream *stream = outcome == MESSAGE_OK ? find_stream(integrity, rules, &message) : NULL;
  if (stream == NULL) {
    integrity->foreign++;
    return INTEGRITY_IGNORED;
  }
  take_number(integrity, &stream->sequence, message.sequence);
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
  if (length > 0 && data[0] == '{') return INTEGRITY_IGNORED; /* a notice that we don't know */
  if (read_number(data, length, &number)) {
    take_number(integrity, &integrity->streams[0].sequence, number);
    return INTEGRITY_COUNTS;
  }
  integrity->corrupt++;
  note_fault(integrity, INTEGRITY_CORRUPT, integrity_expected(integrity), 0);
  return INTEGRITY_IGNORED;
}

/* Without memory for it nothing is checked. */
static enum integrity_kind decide_kind(struct integrity *integrity, const char *data, size_t length) {
  uint64_t number;
  if (message_is_one(data, length)) return INTEGRITY_MESSAGES;
  if (read_number(data, length, &number) && add_stream(integrity, 0, 0, SEQUENCE_ANY)) return INTEGRITY_NUMBERS;
  return INTEGRITY_PLAIN;
}

enum integrity_outcome integrity_take(struct integrity *integrity, const struct integrity_rules *rules,
                                      const char *data, size_t length, uint64_t *planned_ns) {
  if (integrity->kind == INTEGRITY_UNDECIDED) integrity->kind = decide_kind(integrity, data, length);
  if (integrity->kind == INTEGRITY_MESSAGES) return take_message(integrity, rules, data, length, planned_ns);
  if (integrity->kind == INTEGRITY_NUMBERS) return take_line(integrity, data, length);
  return INTEGRITY_COUNTS;
}

void integrity_take_gap_notice(struct integrity *integrity) {
  integrity->gap_notices++;
  note_fault(integrity, INTEGRITY_GAP_NOTICE, integrity_expected(integrity), 0);
}

void integrity_take_error_notice(struct integrity *integrity) {
  integrity->error_notices++;
  note_fault(integrity, INTEGRITY_ERROR_NOTICE, integrity_expected(integrity), 0);
}

uint64_t integrity_expected(const struct integrity *integrity) {
  return integrity->stream_count > 0 ? integrity->streams[0].sequence.expected : SEQUENCE_ANY;
}

bool integrity_has_last(const struct integrity *integrity, const struct integrity_rules *rules) {
  uint64_t expected = integrity_expected(integrity);
  return rules->until > 0 && expected != SEQUENCE_ANY && expected > rules->until;
}

bool integrity_has_all(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused) {
  for (uint32_t i = 0; i < integrity->stream_count; i++) {
    const struct sequence *sequence = &integrity->streams[i].sequence;
    bool has_last = sequence->expected != SEQUENCE_ANY && sequence->expected > sent[i];
    if (sent[i] > refused[i] && !has_last && sequence_missing_up_to(sequence, sent[i]) > refused[i]) return false;
    if (sent[i] > refused[i] && sequence->expected == SEQUENCE_ANY) return false;
  }
  return true;
}

void integrity_sum_up(const struct integrity *integrity, const uint64_t *sent, const uint64_t *refused,
                      struct integrity_totals *totals) {
  *totals = (struct integrity_totals){.corrupt = integrity->corrupt,
                                      .foreign = integrity->foreign,
                                      .gap_notices = integrity->gap_notices,
                                      .error_notices = integrity->error_notices};
  for (uint32_t i = 0; i < integrity->stream_count; i++) {
    const struct sequence *sequence = &integrity->streams[i].sequence;
    uint64_t lost = sent != NULL ? sequence_missing_up_to(sequence, sent[i]) : sequence->lost;
    uint64_t excused = sent != NULL ? refused[i] : 0;
    totals->lost += lost > excused ? lost - excused : 0;
    totals->duplicates += sequence->duplicates;
    totals->disorders += sequence->disorders;
  }
}

void integrity_add_totals(struct integrity_totals *sum, const struct integrity_totals *part) {
  sum->lost += part->lost;
  sum->duplicates += part->duplicates;
  sum->disorders += part->disorders;
  sum->corrupt += part->corrupt;
  sum->foreign += part->foreign;
  sum->gap_notices += part->gap_notices;
  sum->error_notices += part->error_notices;
}
