/* SPDX-License-Identifier: MIT */
/*
 * broadcast: how long it takes until every subscriber of a message has been offered it, at two readings of the clock
 * for each batch, a few instructions for each message and nothing for each delivery.
 *
 * Design notes
 *
 * A connection that is to be offered a message is in the dirty list when the message has been staged (or the kernel
 * refuses the connection, which isn't waited for). So a marker at the end of that list is visited when all of these
 * connections have been. Messages that are
 * published before the list is visited are a batch: the marker moves to the end with each of them.
 *
 * When an iteration has no time for the whole list, the marker may be in the part that was put back to the front. It
 * stays there, or under a constant load it would never come to its visit: what is published meanwhile is the next
 * batch, which gets the marker afterwards.
 */
#include "broadcast.h"

/* The batch that a message belongs to which is published now. */
static fluxbp__batch_t *batch_of_now(fluxbp__broadcast_t *broadcast, const fluxbp__turn_t *turn) {
  bool is_marker_on_its_way = fluxbp__link_is_linked(&broadcast->marker) && turn->is_cut[FLUXBP__DUE_FLUSH];
  return is_marker_on_its_way ? &broadcast->waiting : &broadcast->marked;
}

void fluxbp__broadcast_begin(fluxbp__broadcast_t *broadcast, const fluxbp__turn_t *turn) {
  fluxbp__batch_t *batch = batch_of_now(broadcast, turn);
  if (batch->messages == 0) batch->begun_ns = uv_hrtime();
}

void fluxbp__broadcast_staged(fluxbp__broadcast_t *broadcast, fluxbp__turn_t *turn) {
  fluxbp__batch_t *batch = batch_of_now(broadcast, turn);
  batch->messages++;
  if (batch == &broadcast->waiting) return;
  fluxbp__link_remove(&broadcast->marker);
  if (fluxbp__list_is_empty(&turn->due[FLUXBP__DUE_FLUSH]))
    batch->messages = 0; /* nobody has to be written to */
  else
    fluxbp__turn_add(turn, FLUXBP__DUE_FLUSH, &broadcast->marker);
}

void fluxbp__broadcast_offered(fluxbp__broadcast_t *broadcast, fluxbp__turn_t *turn) {
  fluxbp__batch_t offered = broadcast->marked;
  fluxbp_histogram_record_many(&broadcast->times, (uv_hrtime() - offered.begun_ns) / 1000, offered.messages);
  broadcast->marked = broadcast->waiting;
  broadcast->waiting = (fluxbp__batch_t){0};
  if (broadcast->marked.messages > 0) fluxbp__turn_add(turn, FLUXBP__DUE_FLUSH, &broadcast->marker);
}
