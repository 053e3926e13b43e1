/* SPDX-License-Identifier: MIT */
/*
 * patience: the arithmetic of the bucket.
 *
 * A bucket that fills up one for one is a single number, the time at which it is full: nothing has to be done while it
 * fills. What is missing at any time is how far away that time is.
 */
#include "patience.h"

/* A silence of at most this part of the bucket is a step of a slow reader's. On loopback with default buffers, readers
 * of 100 and of 60 KB/s are silent for about 1 and 2 s at a time; the bucket has 5 s by default. */
enum { STEP_PART = 2 };

void fluxbp__patience_start(fluxbp__patience_t *patience, uint64_t full_ms, uint32_t size_ms, uint64_t now_ms) {
  uint64_t latest_ms = now_ms + size_ms;
  *patience = (fluxbp__patience_t){.full_ms = full_ms < latest_ms ? full_ms : latest_ms, .counted_ms = now_ms};
}

static void run_out(fluxbp__patience_t *patience, uint32_t size_ms, uint64_t now_ms) {
  patience->is_out = true;
  patience->full_ms = now_ms + size_ms;
  patience->counted_ms = now_ms;
}

bool fluxbp__patience_hold(fluxbp__patience_t *patience, uint32_t size_ms, uint64_t now_ms) {
  if (patience->is_out) return false;
  if (fluxbp__patience_used_ms(patience->full_ms, now_ms) >= size_ms) {
    run_out(patience, size_ms, now_ms);
    return false;
  }
  patience->counted_ms = now_ms;
  return true;
}

/* What is missing from the bucket if the silence that hasn't been counted yet is taken out of it. */
static uint64_t used_with_silence_ms(const fluxbp__patience_t *patience, uint64_t progress_ms, uint64_t now_ms) {
  uint64_t from_ms = progress_ms > patience->counted_ms ? progress_ms : patience->counted_ms;
  if (from_ms > now_ms) from_ms = now_ms;
  return fluxbp__patience_used_ms(patience->full_ms, from_ms) + (now_ms - from_ms);
}

uint64_t fluxbp__patience_left_ms(const fluxbp__patience_t *patience, uint64_t progress_ms, uint32_t size_ms,
                                  uint64_t now_ms) {
  if (patience->is_out) return 0;
  uint64_t used_ms = used_with_silence_ms(patience, progress_ms, now_ms);
  return used_ms < size_ms ? size_ms - used_ms : 0;
}

void fluxbp__patience_count(fluxbp__patience_t *patience, bool is_holding, uint64_t progress_ms, uint32_t size_ms,
                            uint64_t now_ms) {
  if (progress_ms >= patience->counted_ms) patience->is_out = false;
  if (patience->full_ms > now_ms + size_ms) patience->full_ms = now_ms + size_ms; /* the policy has become stricter */
  if (patience->is_out) {
    run_out(patience, size_ms, now_ms); /* it stays empty */
    return;
  }
  if (!is_holding || progress_ms >= now_ms) return;
  uint64_t used_ms = used_with_silence_ms(patience, progress_ms, now_ms);
  if (used_ms >= size_ms) {
    run_out(patience, size_ms, now_ms);
  } else if (now_ms - progress_ms > size_ms / STEP_PART) {
    patience->full_ms = now_ms + used_ms;
    patience->counted_ms = now_ms;
  }
}
