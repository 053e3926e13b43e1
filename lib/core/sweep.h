/* SPDX-License-Identifier: MIT */
/*
 * sweep: the look at connections that are judged, every sweep_ms and when a clock of one runs out.
 */
#ifndef FLUXBP_LIB_SWEEP_H
#define FLUXBP_LIB_SWEEP_H

#include "topics.h"

typedef struct fluxbp__sweep {
  fluxbp__topics_t *topics; /* of the loop */
  uint64_t next_due_ms;     /* when the next sweep is due by the clock; collected during this one */
  uint64_t begun_ms;        /* observed time at which the last sweep began */
  uint64_t halfway;         /* connections of the sweep under way that are half-way to a verdict, */
  uint64_t halfway_ms;      /* and the longest time that one of these verdicts takes */
  bool is_under_way;
} fluxbp__sweep_t;

/* The alarm has gone off: begin a sweep, unless one is under way, and have the turn go on with it. */
void fluxbp__sweep_begin(fluxbp__sweep_t *sweep);

/* Go on with the sweep under way, within its share of the iteration. Returns true if some of it is left. */
bool fluxbp__sweep_continue(fluxbp__sweep_t *sweep);

/* Do all of a sweep, without a budget; for tests, with their clock. */
void fluxbp__sweep_now(fluxbp__sweep_t *sweep);

#endif
