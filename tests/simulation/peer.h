/* SPDX-License-Identifier: MIT */
/*
 * peer: the far end of a simulated connection and what lies between: the sending side of our kernel, the link, the
 * peer's receive buffer and the program that reads from it. Bytes are only counted, and time goes in steps.
 *
 * What is modelled, because the policy is about it:
 *
 * - our kernel takes what the window and the link let out at once, and unsent_max more; then it refuses until half of
 *   that has gone (TCP_NOTSENT_LOWAT);
 * - the peer acknowledges what arrives. Its window opens in steps only, so who reads steadily from a full buffer is
 *   silent between two steps;
 * - a link passes so many bytes a step, and holds so many.
 */
#ifndef FLUXBP_TESTS_PEER_H
#define FLUXBP_TESTS_PEER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sim_peer {
  uint32_t reads; /* bytes a step while it isn't pausing */
  uint32_t link;  /* bytes a step */
  uint32_t flight_max;
  uint32_t window;      /* receive buffer */
  uint32_t window_step; /* it is opened by no less; at most half of it */
  uint32_t unsent_max;
  uint32_t pause_at_ms; /* the next pause, UINT32_MAX: there is none */
  uint32_t pause_ms;
  uint32_t pause_every_ms;
  uint32_t dead_from_ms; /* never reads again; UINT32_MAX: it lives */
  uint32_t read_every;   /* reads in one of so many steps; 0: in each */
  uint32_t gone_from_ms; /* nothing comes through between it and us; UINT32_MAX: it does */
  uint32_t gone_to_ms;   /* until then; UINT32_MAX: for good */
  uint32_t gone_every_ms;
  bool is_waiting; /* doesn't read, whatever the rest says */

  /* bytes, ever */
  uint64_t written; /* that our kernel took, */
  uint64_t sent;    /* sent, */
  uint64_t acked;   /* and knows to have arrived */
  uint64_t passed;  /* that the link has let through */
  uint64_t read;
  uint64_t edge; /* of the window: up to where may be sent */
} sim_peer_t;

/* Whether nothing comes through, as far as this peer alone is concerned. It may be asked once for each time. */
bool sim_peer_is_gone(sim_peer_t *peer, uint32_t now_ms);

/* A step of the peer and the link. */
void sim_peer_step(sim_peer_t *peer, uint32_t now_ms, bool is_link_dead);

/* Bytes that our kernel would take now. */
uint64_t sim_peer_room(const sim_peer_t *peer);
void sim_peer_write(sim_peer_t *peer, uint64_t bytes);

/* Whether poll would say so after a refusal. */
bool sim_peer_is_writable(const sim_peer_t *peer);

/* Everything that was written has been read. */
static inline bool sim_peer_is_idle(const sim_peer_t *peer) {
  return peer->read == peer->written && peer->acked == peer->written;
}

/* Of an idle peer: bytes a step that flow through without waiting anywhere, and until when that is so. */
uint32_t sim_peer_flow(const sim_peer_t *peer);
uint32_t sim_peer_flows_until_ms(const sim_peer_t *peer);

/* So many bytes have flowed through. */
void sim_peer_skip(sim_peer_t *peer, uint64_t bytes);

#endif
