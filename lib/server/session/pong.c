/* SPDX-License-Identifier: MIT */
/*
 * pong: `from_ms` and `now_ms` are of a clock that stands still while the server is away, the kernel's time is real. So
 * the kernel's evidence may only move the beginning forward: a silence that the server did not see is not held against
 * the client.
 */
#include "pong.h"

uint32_t pong_from_ms(const fluxbp_liveness_t *liveness, uint32_t from_ms, uint32_t now_ms) {
  if (liveness->acked_bytes < liveness->accepted_bytes) return now_ms;
  if (!liveness->is_known || liveness->since_heard_ms >= now_ms - from_ms) return from_ms;
  uint32_t heard_ms = now_ms - (uint32_t) liveness->since_heard_ms;
  return heard_ms - from_ms < PONG_SILENCE_MS ? heard_ms : from_ms;
}
