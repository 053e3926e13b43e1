/* SPDX-License-Identifier: MIT */
#include "kernel.h"

enum { RTO_MIN_MS = 200, RTO_MAX_MS = 120000 };

static void note_time(sim_kernel_t *kernel, const sim_peer_t *peer, uint32_t step_ms) {
  if (peer->written == peer->acked) return;
  kernel->busy_us += step_ms * 1000;
  bool is_window_limited = peer->written > peer->sent && peer->edge <= peer->passed + peer->flight_max;
  if (is_window_limited) kernel->window_limited_us += step_ms * 1000;
}

static void restart(sim_kernel_t *kernel, uint32_t now_ms) {
  kernel->timer_ms = now_ms + RTO_MIN_MS;
  kernel->rto_ms = RTO_MIN_MS;
  kernel->retransmits = 0;
  kernel->probes = 0;
}

void sim_kernel_step(sim_kernel_t *kernel, const sim_peer_t *peer, uint32_t now_ms, uint32_t step_ms, bool is_cut) {
  bool has_come = peer->acked != kernel->acked || peer->edge != kernel->edge;
  bool is_in_flight = peer->sent > peer->acked;
  bool has_timer = is_in_flight || peer->written > peer->sent;
  kernel->acked = peer->acked;
  kernel->edge = peer->edge;
  note_time(kernel, peer, step_ms);
  if (has_come) kernel->heard_ms = now_ms;
  if (has_come || !has_timer || kernel->timer_ms == 0) {
    restart(kernel, now_ms);
    if (!has_timer) kernel->timer_ms = 0;
    return;
  }
  if (now_ms < kernel->timer_ms) return;
  if (is_in_flight) {
    kernel->retransmits++;
  } else if (is_cut) {
    kernel->probes++;
  } else {
    kernel->probes = 0; /* it is answered at once, with a window that is as closed as before */
    kernel->heard_ms = now_ms;
  }
  kernel->rto_ms = kernel->rto_ms * 2 < RTO_MAX_MS ? kernel->rto_ms * 2 : RTO_MAX_MS;
  kernel->timer_ms = now_ms + kernel->rto_ms;
}

fluxbp__sample_t sim_kernel_sample(const sim_kernel_t *kernel, const sim_peer_t *peer, uint32_t now_ms) {
  return (fluxbp__sample_t){
      .is_known = true,
      .window = (uint32_t) (peer->edge - peer->acked),
      .unacked_packets = peer->sent > peer->acked,
      .retransmits = kernel->retransmits,
      .acked_bytes = peer->acked,
      .busy_us = kernel->busy_us,
      .window_limited_us = kernel->window_limited_us,
      .probes = kernel->probes,
      .last_ack_recv_ms = now_ms - kernel->heard_ms,
  };
}
