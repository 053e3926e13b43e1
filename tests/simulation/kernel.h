/* SPDX-License-Identifier: MIT */
/*
 * kernel: what our kernel could say of a simulated connection (TCP_INFO): retransmissions and probes of a closed
 * window, with timers that back off, when the peer was last heard, and what limited the flow.
 */
#ifndef FLUXBP_TESTS_KERNEL_H
#define FLUXBP_TESTS_KERNEL_H

#include "peer.h"
#include "probe.h"

typedef struct sim_kernel {
  uint32_t timer_ms; /* when something is sent again; 0: no timer runs */
  uint32_t rto_ms;
  uint32_t retransmits; /* without an answer */
  uint32_t probes;      /* without an answer */
  uint32_t heard_ms;
  uint64_t acked; /* of the peer, at the last step */
  uint64_t edge;  /* of the peer, at the last step */
  uint64_t busy_us;
  uint64_t window_limited_us;
} sim_kernel_t;

/* After a step of the peer. `is_cut`: nothing arrives, and nothing comes back. */
void sim_kernel_step(sim_kernel_t *kernel, const sim_peer_t *peer, uint32_t now_ms, uint32_t step_ms, bool is_cut);

fluxbp__sample_t sim_kernel_sample(const sim_kernel_t *kernel, const sim_peer_t *peer, uint32_t now_ms);

#endif
