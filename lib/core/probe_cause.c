/* SPDX-License-Identifier: MIT */
/*
 * probe_cause: from two samples of a TCP connection to the cause of its slowness. Pure, the same on every system.
 */
#include "probe.h"

fluxbp_cause_t fluxbp__sample_cause(const fluxbp__sample_t *before, const fluxbp__sample_t *now, bool has_moved) {
  if (!before->is_known || !now->is_known) return FLUXBP_CAUSE_UNKNOWN;

  /*
   * One lost packet is retransmitted once. From the second time on the silence is the peer's, and from the first where
   * nothing has come for the whole time of a verdict: behind a long queue the second takes longer than that.
   */
  uint32_t excusable = has_moved ? 1 : 0;
  if (now->unacked_packets > 0 && now->retransmits > excusable) return FLUXBP_CAUSE_UNREACHABLE;
  if (now->probes > 1)
    return FLUXBP_CAUSE_UNREACHABLE; /* a living peer answers each, however long its window is closed */

  bool has_acked = has_moved && now->acked_bytes != before->acked_bytes;
  uint64_t busy_us = now->busy_us - before->busy_us;
  uint64_t window_limited_us = now->window_limited_us - before->window_limited_us;
  if (window_limited_us > busy_us / 2 || (now->window == 0 && now->unacked_packets == 0))
    return has_acked ? FLUXBP_CAUSE_READS_SLOWLY : FLUXBP_CAUSE_NOT_READING;

  if (now->window > 0 && now->unacked_packets > 0) return FLUXBP_CAUSE_NETWORK;
  return FLUXBP_CAUSE_UNKNOWN;
}
