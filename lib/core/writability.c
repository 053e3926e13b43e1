/* SPDX-License-Identifier: MIT */
/*
 * writability: flow control towards the publisher. Which connections hold it up, and for how long that is fair.
 *
 * A connection holds the publisher up from its high watermark down to its low one, as long as it is patient: the kernel
 * hasn't refused it, or it made progress within patience_ms. Those without progress hold it up for HOLD_MAX_MS in any
 * minute at most, all of them together: otherwise clients that stall one after the other would stop a feed for ever.
 */
#include "conn.h"

enum { HOLD_MAX_MS = 5000 };

static bool has_moved_since(const fluxbp_conn_t *conn, uint64_t time_ms) {
  return !conn->is_writing || conn->pressure->clocks.progress_ms >= time_ms;
}

bool fluxbp__writability_is_patient(const fluxbp_conn_t *conn) {
  const fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (has_moved_since(conn, hub->sweep.begun_before_ms)) return true;
  if (hub->writability.is_exhausted) return false;
  return hub->observed_ms - conn->pressure->clocks.progress_ms < hub->options.patience_ms;
}

void fluxbp__writability_high(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (conn->is_holding || hub->options.patience_ms == 0 || !fluxbp__writability_is_patient(conn)) return;
  conn->is_holding = true;
  hub->writability.holding++;
}

void fluxbp__writability_release(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (!conn->is_holding) return;
  conn->is_holding = false;
  if (--hub->writability.holding > 0) return;
  hub->writability.is_event_due = true;
  fluxbp__turn_wake(&hub->turn);
}

void fluxbp__writability_swept(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  const fluxbp__limits_t *limits = &conn->policy->limits;
  if (conn->is_holding) {
    hub->writability.idle_holding += !has_moved_since(conn, hub->sweep.begun_before_ms);
    if (!fluxbp__writability_is_patient(conn)) fluxbp__writability_release(conn);
    return;
  }
  /* it had run out of patience, and moves again */
  if (fluxbp__limits_is_high(limits, conn->ring.count, conn->ring.bytes)) fluxbp__writability_high(conn);
}

static uint32_t held_in_window(const fluxbp__writability_t *writability) {
  uint32_t held_ms = 0;
  for (int i = 0; i < FLUXBP__HOLD_WINDOW_S; i++) held_ms += writability->held_ms[i];
  return held_ms;
}

/* Forget the seconds that have left the window. */
static void advance(fluxbp__writability_t *writability, uint64_t second) {
  for (int i = 0; writability->second < second && i < FLUXBP__HOLD_WINDOW_S; i++)
    writability->held_ms[++writability->second % FLUXBP__HOLD_WINDOW_S] = 0;
  writability->second = second;
}

void fluxbp__writability_sweep_begin(fluxbp_hub_t *hub) {
  fluxbp__writability_t *writability = &hub->writability;
  advance(writability, hub->observed_ms / 1000);
  writability->is_exhausted = held_in_window(writability) >= HOLD_MAX_MS;
  writability->held_by = writability->holding;
  writability->idle_holding = 0;
}

void fluxbp__writability_sweep_end(fluxbp_hub_t *hub, uint64_t elapsed_ms) {
  fluxbp__writability_t *writability = &hub->writability;
  if (writability->held_by == 0 || writability->idle_holding < writability->held_by) return;
  uint16_t *held_ms = &writability->held_ms[writability->second % FLUXBP__HOLD_WINDOW_S];
  *held_ms = (uint16_t) (*held_ms + elapsed_ms < UINT16_MAX ? *held_ms + elapsed_ms : UINT16_MAX);
}
