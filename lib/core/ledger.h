/* SPDX-License-Identifier: MIT */
/*
 * ledger: the counters of one loop. There is one function for each thing that can become of a message or a connection.
 * Only these functions change a counter; the snapshot and the audit (metrics.c, audit.c) read them.
 *
 * accepted = written + dropped + conflated + discarded + queued holds after each call. Unsigned arithmetic: a
 * difference that is added may be negative.
 */
#ifndef FLUXBP_LIB_LEDGER_H
#define FLUXBP_LIB_LEDGER_H

#include "fluxbp/metrics.h"
#include "fluxbp/policy.h"

#include <stdbool.h>

/* The part of the totals that belongs to connections which are gone; for the audit. */
typedef struct fluxbp__books {
  uint64_t written;
  uint64_t dropped;
  uint64_t conflated;
  uint64_t discarded;
} fluxbp__books_t;

typedef struct fluxbp__ledger {
  fluxbp_metrics_t totals; /* its counters, and the gauges queued, queued_bytes, refused, backpressured, kernel_bytes */
  fluxbp__books_t gone;
} fluxbp__ledger_t;

/* Messages. */

/* A message was published on a topic, or sent to one connection. */
static inline void fluxbp__ledger_publish(fluxbp__ledger_t *ledger) {
  ledger->totals.published++;
}

/* A frame of so many bytes was put into a ring. */
static inline void fluxbp__ledger_queue(fluxbp__ledger_t *ledger, uint64_t bytes) {
  fluxbp_metrics_t *totals = &ledger->totals;
  totals->accepted++;
  totals->queued++;
  totals->queued_bytes += bytes;
}

/* The kernel took so many bytes of a ring, and with them the rest of so many frames. */
static inline void fluxbp__ledger_write(fluxbp__ledger_t *ledger, uint64_t frames, uint64_t bytes) {
  fluxbp_metrics_t *totals = &ledger->totals;
  totals->written += frames;
  totals->written_bytes += bytes;
  totals->queued -= frames;
  totals->queued_bytes -= bytes;
}

/* So many of the frames that were written went at their first offer. */
static inline void fluxbp__ledger_write_at_once(fluxbp__ledger_t *ledger, uint64_t frames) {
  ledger->totals.written_at_once += frames;
}

/* An iteration had no time for the turns of some connections. */
static inline void fluxbp__ledger_make_input_wait(fluxbp__ledger_t *ledger) {
  ledger->totals.input_waits++;
}

/* A frame came to a full ring, and `lost` messages were lost by the overflow rule, this one perhaps among them. */
static inline void fluxbp__ledger_overflow(fluxbp__ledger_t *ledger, fluxbp_overflow_t rule, uint64_t lost,
                                           uint64_t bytes_before, uint64_t bytes_after) {
  fluxbp_metrics_t *totals = &ledger->totals;
  totals->accepted++;
  totals->dropped += lost;
  *(rule == FLUXBP_OVERFLOW_DROP_OLDEST ? &totals->dropped_oldest : &totals->dropped_newest) += lost;
  totals->queued += 1 - lost;
  totals->queued_bytes += bytes_after - bytes_before;
}

/* A ring was full, and its overflow rule began to act. */
static inline void fluxbp__ledger_fill_ring(fluxbp__ledger_t *ledger) {
  ledger->totals.ring_full_events++;
}

/* A message that was due to a connection can't be had any more. */
static inline void fluxbp__ledger_lose(fluxbp__ledger_t *ledger) {
  ledger->totals.accepted++;
  ledger->totals.dropped++;
}

/* A message came for a connection that is ending because of it. */
static inline void fluxbp__ledger_turn_away(fluxbp__ledger_t *ledger) {
  ledger->totals.accepted++;
  ledger->totals.discarded++;
}

/* A value took the place of the queued one of its key. */
static inline void fluxbp__ledger_replace(fluxbp__ledger_t *ledger, uint64_t bytes_before, uint64_t bytes_after) {
  ledger->totals.accepted++;
  ledger->totals.conflated++;
  ledger->totals.queued_bytes += bytes_after - bytes_before;
}

/* Queued values were left to their topic. */
static inline void fluxbp__ledger_conflate(fluxbp__ledger_t *ledger, uint64_t values, uint64_t bytes) {
  fluxbp_metrics_t *totals = &ledger->totals;
  totals->conflated += values;
  totals->queued -= values;
  totals->queued_bytes -= bytes;
}

/* Queued frames were thrown away with their connection. */
static inline void fluxbp__ledger_discard(fluxbp__ledger_t *ledger, uint64_t frames, uint64_t bytes) {
  fluxbp_metrics_t *totals = &ledger->totals;
  totals->discarded += frames;
  totals->queued -= frames;
  totals->queued_bytes -= bytes;
}

/* A gap was reported. */
static inline void fluxbp__ledger_report_gap(fluxbp__ledger_t *ledger) {
  ledger->totals.gaps++;
}

/* A state topic had no place for a message of the bus. */
static inline void fluxbp__ledger_leave_unkept(fluxbp__ledger_t *ledger) {
  ledger->totals.unkept++;
}

/* Which limit a message of the history went for. */
typedef enum fluxbp__forgotten_for {
  FLUXBP__FORGOTTEN_FOR_ALL,   /* one of all topics together, or memory */
  FLUXBP__FORGOTTEN_FOR_TOPIC, /* one of its topic */
  FLUXBP__FORGOTTEN_FOR_AGE
} fluxbp__forgotten_for_t;

/* The history forgot messages, or didn't keep them. */
static inline void fluxbp__ledger_forget(fluxbp__ledger_t *ledger, uint64_t messages, fluxbp__forgotten_for_t limit) {
  fluxbp_metrics_t *totals = &ledger->totals;
  totals->history_forgotten += messages;
  if (limit == FLUXBP__FORGOTTEN_FOR_TOPIC) totals->history_forgotten_by_topic += messages;
  if (limit == FLUXBP__FORGOTTEN_FOR_AGE) totals->history_forgotten_by_age += messages;
}

/* Connections. */

static inline void fluxbp__ledger_open(fluxbp__ledger_t *ledger) {
  ledger->totals.opened++;
}

/* A connection that was opened is closed. */
static inline void fluxbp__ledger_close(fluxbp__ledger_t *ledger) {
  ledger->totals.closed++;
}

/* A connection is freed, with what it has in its books. */
static inline void fluxbp__ledger_take_over(fluxbp__ledger_t *ledger, const fluxbp__books_t *books) {
  ledger->gone.written += books->written;
  ledger->gone.dropped += books->dropped;
  ledger->gone.conflated += books->conflated;
  ledger->gone.discarded += books->discarded;
}

static inline void fluxbp__ledger_receive(fluxbp__ledger_t *ledger, uint64_t bytes) {
  ledger->totals.received_bytes += bytes;
}

/* The kernel was offered what is queued for a connection. */
static inline void fluxbp__ledger_offer(fluxbp__ledger_t *ledger) {
  ledger->totals.writes++;
}

/* So many offers are made by one call of io_uring. */
static inline void fluxbp__ledger_submit(fluxbp__ledger_t *ledger, uint64_t offers) {
  ledger->totals.io_uring_writes += offers;
}

/* The kernel took an offer only partly, or not at all. */
static inline void fluxbp__ledger_note_refusal(fluxbp__ledger_t *ledger) {
  ledger->totals.refusals++;
}

/* A connection waits for room in the kernel from now on, or no longer. */
static inline void fluxbp__ledger_begin_refused(fluxbp__ledger_t *ledger) {
  ledger->totals.refused++;
}
static inline void fluxbp__ledger_end_refused(fluxbp__ledger_t *ledger) {
  ledger->totals.refused--;
}

/* A connection is backpressured from now on, or no longer. */
static inline void fluxbp__ledger_begin_backpressure(fluxbp__ledger_t *ledger) {
  ledger->totals.backpressured++;
  ledger->totals.backpressure_events++;
}
static inline void fluxbp__ledger_end_backpressure(fluxbp__ledger_t *ledger) {
  ledger->totals.backpressured--;
}

/* The kernel holds so many bytes of a refused or closing connection now. */
static inline void fluxbp__ledger_note_kernel_bytes(fluxbp__ledger_t *ledger, uint64_t before, uint64_t now) {
  ledger->totals.kernel_bytes += now - before;
}

/* Verdicts. */

static inline void fluxbp__ledger_evict(fluxbp__ledger_t *ledger, fluxbp_evict_reason_t reason) {
  ledger->totals.evictions[reason]++;
}

/* A policy that only reports has reported a verdict. */
static inline void fluxbp__ledger_shadow(fluxbp__ledger_t *ledger, fluxbp_evict_reason_t reason) {
  ledger->totals.shadow_evictions[reason]++;
}

/* on_verdict wanted a connection to stay. */
static inline void fluxbp__ledger_spare(fluxbp__ledger_t *ledger) {
  ledger->totals.spared++;
}

/* Nearly all connections became slow together. */
static inline void fluxbp__ledger_slow_crowd(fluxbp__ledger_t *ledger) {
  ledger->totals.crowd_slow_events++;
}

#endif
