/* SPDX-License-Identifier: MIT */
/*
 * patience: for how long one connection may hold the publisher up while nothing of it moves.
 *
 * Each connection has a bucket of milliseconds of observed time. Time in which the connection holds the publisher up
 * and nothing of it moves is taken out of the bucket; any other time fills it up again, one for one. A connection whose
 * bucket has run empty is not waited for, and its bucket doesn't fill up before something of it has moved.
 *
 * A silence of up to half of the bucket is not taken out of it when it ends in progress: the window of a client that
 * reads slowly but steadily opens in steps, and nothing moves between two of them.
 *
 * Pure: what was observed and the time are arguments, nothing here knows a connection.
 */
#ifndef FLUXBP_LIB_PATIENCE_H
#define FLUXBP_LIB_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fluxbp__patience {
  uint64_t full_ms;    /* when the bucket will be full again, unless more is taken out of it; in the past: it is full */
  uint64_t counted_ms; /* up to when silence has been taken out of it */
  bool is_out;         /* it has run empty, and nothing has moved since */
} fluxbp__patience_t;

/* What is missing from the bucket, in milliseconds. */
static inline uint64_t fluxbp__patience_used_ms(uint64_t full_ms, uint64_t now_ms) {
  return full_ms > now_ms ? full_ms - now_ms : 0;
}

/* Set up a bucket that will be full at `full_ms`; nothing more than its size is missing from it. */
void fluxbp__patience_start(fluxbp__patience_t *patience, uint64_t full_ms, uint32_t size_ms, uint64_t now_ms);

/* Begin to count: the connection is to hold the publisher up from now on. Return false if the bucket is empty. */
bool fluxbp__patience_hold(fluxbp__patience_t *patience, uint32_t size_ms, uint64_t now_ms);

/* Count what has passed. `progress_ms`: when something of the connection last moved. */
void fluxbp__patience_count(fluxbp__patience_t *patience, bool is_holding, uint64_t progress_ms, uint32_t size_ms,
                            uint64_t now_ms);

/* For how long a connection that holds the publisher up may go on if nothing of it moves. 0: its bucket is empty. */
uint64_t fluxbp__patience_left_ms(const fluxbp__patience_t *patience, uint64_t progress_ms, uint32_t size_ms,
                                  uint64_t now_ms);

#endif
