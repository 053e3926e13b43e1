/* SPDX-License-Identifier: MIT */
/*
 * input_time: how long an iteration of the loop works on what clients have sent, and which connections wait for their
 * turn with that. Knows neither connections nor callbacks.
 */
#ifndef FLUXBP_LIB_INPUT_TIME_H
#define FLUXBP_LIB_INPUT_TIME_H

#include "fair_queue.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct fluxbp__input {
  uint64_t share_ns;          /* of an iteration */
  uint64_t spent_ns;          /* of it */
  uint64_t total_ns;          /* since the hub was made */
  fluxbp__fair_queue_t queue; /* of connections, by their rare blocks */

  /* Of the connection that has its turn now: */
  unsigned depth; /* of the calls that have begun it; 0: none has its turn */
  unsigned unread;
  uint64_t begun_ns;
  uint64_t read_ns; /* when the clock was read last */
  uint64_t end_ns;  /* it is to stop by then */

  /* Of the connection that was read last in this iteration: */
  const void *reader; /* NULL: none was */
  uint64_t reader_ns; /* what it has used */
} fluxbp__input_t;

/* Set it up; see fluxbp__fair_queue_init. */
void fluxbp__input_init(fluxbp__input_t *input, fluxbp_pool_t *pool, uint64_t share_ns,
                        void (*on_left)(fluxbp__fair_item_t *item));

/* An iteration begins. */
void fluxbp__input_renew(fluxbp__input_t *input);

/* A connection has its turn, which nests. `is_called`: it was given the turn by the queue, so it has a quantum at
 * least. */
void fluxbp__input_begin(fluxbp__input_t *input, bool is_called);

/* Its turn is over. Returns what it has used, in nanoseconds; 0 if this end is that of a nested one. */
uint64_t fluxbp__input_end(fluxbp__input_t *input);

/* Whether the connection that has its turn may do one more thing. */
bool fluxbp__input_may_go_on(fluxbp__input_t *input);

/* Whether another connection may be given its turn by the queue. */
static inline bool fluxbp__input_has_time(const fluxbp__input_t *input) {
  return input->spent_ns < input->share_ns;
}

/* Whether a connection that is readable may be read without standing in the queue. */
static inline bool fluxbp__input_may_read(const fluxbp__input_t *input, const void *conn) {
  if (!fluxbp__input_has_time(input)) return false;
  return input->reader != conn || input->reader_ns < (uint64_t) input->queue.quantum;
}

/* A connection was read, and has used so much. */
static inline void fluxbp__input_note_read(fluxbp__input_t *input, const void *conn, uint64_t used_ns) {
  if (input->reader != conn) input->reader_ns = 0;
  input->reader = conn;
  input->reader_ns += used_ns;
}

#endif
