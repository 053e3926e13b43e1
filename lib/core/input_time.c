/* SPDX-License-Identifier: MIT */
/*
 * input_time: see the header.
 *
 * Two readings of the clock, about 25 ns each, say what a read has cost. While a connection works off many commands the
 * clock is read once for every few of them, or after each if they take long.
 */
#include "input_time.h"

#include <uv.h>

/* A share has so many quanta: while several connections wait, each gets one of them at a time. */
enum { QUANTA = 8 };

/* What takes longer than this part of a quantum is timed by itself; of anything shorter this many go unread. */
enum { LONG_PART = 16, UNREAD = 3 };

void fluxbp__input_init(fluxbp__input_t *input, fluxbp_pool_t *pool, uint64_t share_ns,
                        void (*on_left)(fluxbp__fair_item_t *item)) {
  input->share_ns = share_ns;
  fluxbp__fair_queue_init(&input->queue, pool, share_ns / QUANTA, on_left);
}

void fluxbp__input_renew(fluxbp__input_t *input) {
  input->spent_ns = 0;
  input->reader = NULL;
}

/* Return what the connection may use that has its turn now. */
static uint64_t allowed_ns(const fluxbp__input_t *input, bool is_called) {
  uint64_t left_ns = fluxbp__input_has_time(input) ? input->share_ns - input->spent_ns : 0;
  uint64_t quantum_ns = (uint64_t) input->queue.quantum;
  bool is_alone = input->queue.waiting == 0;
  if (is_called && (!is_alone || left_ns < quantum_ns)) return quantum_ns;
  return is_alone || left_ns < quantum_ns ? left_ns : quantum_ns;
}

void fluxbp__input_begin(fluxbp__input_t *input, bool is_called) {
  if (input->depth++ > 0) return;
  input->unread = 1;
  input->begun_ns = input->read_ns = uv_hrtime();
  input->end_ns = input->begun_ns + allowed_ns(input, is_called);
}

uint64_t fluxbp__input_end(fluxbp__input_t *input) {
  if (--input->depth > 0) return 0;
  uint64_t used_ns = uv_hrtime() - input->begun_ns;
  input->spent_ns += used_ns;
  input->total_ns += used_ns;
  return used_ns;
}

bool fluxbp__input_may_go_on(fluxbp__input_t *input) {
  if (input->read_ns >= input->end_ns) return false;
  if (input->unread > 0) {
    input->unread--;
    return true;
  }
  uint64_t now_ns = uv_hrtime();
  bool is_long = now_ns - input->read_ns > (uint64_t) input->queue.quantum / LONG_PART;
  input->read_ns = now_ns;
  input->unread = is_long ? 0 : UNREAD;
  return now_ns < input->end_ns;
}
