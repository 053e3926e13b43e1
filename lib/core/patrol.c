/* SPDX-License-Identifier: MIT */
/*
 * patrol: the look at TCP connections that the kernel hasn't refused, to find peers that are gone.
 *
 * Such a connection owns nothing but its struct: what was written to it is in the kernel, and may stay there unacknowledged.
 * The sweep's timer leads to a step of the patrol; all steps of 12.5 s look at each connection once. A look is one system
 * call, and a second one where something isn't acknowledged; with unanswered retransmissions or probes the sweep takes over.
 * While a hub writes nothing, a round that has found everything acknowledged is the last one. The walk goes downwards,
 * since a connection that leaves has its place taken by the last one, which was looked at already.
 */
#include "conn.h"

enum {
  ROUND_MS = 12500, /* a peer that is gone is found within so long */
  STEP_CONNS = 64   /* a step looks at so many at least, so that a hub with few connections wakes its loop rarely */
};

/* The time between two steps of a hub with so many connections, and by `conns`, what a step looks at. */
static uint64_t step_ms(const fluxbp_hub_t *hub, size_t *conns) {
  uint64_t steps_max = ROUND_MS / hub->options.sweep_ms;
  uint64_t steps = hub->conn_count / STEP_CONNS;
  if (steps > steps_max) steps = steps_max;
  if (steps == 0) steps = 1;
  *conns = (hub->conn_count + steps - 1) / steps;
  return ROUND_MS / steps;
}

static void schedule(fluxbp_hub_t *hub) {
  size_t conns;
  hub->patrol.due_ms = fluxbp__hub_clock_ms(hub) + step_ms(hub, &conns);
  fluxbp__sweep_by(hub, hub->patrol.due_ms);
}

void fluxbp__patrol_add(fluxbp_hub_t *hub) {
  hub->patrol.open_count++;
  if (hub->patrol.due_ms == UINT64_MAX) schedule(hub);
}

/* Whether there may be something that isn't acknowledged; if so, the round begins. */
static bool begin_round(fluxbp_hub_t *hub) {
  fluxbp__patrol_t *patrol = &hub->patrol;
  if (!patrol->has_unacked && hub->totals.written_bytes == patrol->written_bytes) return false;
  patrol->written_bytes = hub->totals.written_bytes;
  patrol->has_unacked = false;
  patrol->next = hub->conn_count;
  return true;
}

void fluxbp__patrol_begin(fluxbp_hub_t *hub) {
  fluxbp__patrol_t *patrol = &hub->patrol;
  if (fluxbp__hub_clock_ms(hub) < patrol->due_ms) return;
  patrol->due_ms = UINT64_MAX;
  if (patrol->open_count == 0) return;
  if (patrol->next > 0 || begin_round(hub)) (void) step_ms(hub, &patrol->left);
  schedule(hub);
}

static void look_at(fluxbp_conn_t *conn) {
  fluxbp__patrol_t *patrol = &fluxbp__conn_hub(conn)->patrol;
  if (conn->state != FLUXBP__CONN_OPEN || conn->uv.handle.type != UV_TCP) return;
  if (conn->pressure == NULL && fluxbp__probe_unacked(&conn->uv.tcp) <= 0) return;
  patrol->has_unacked = true;
  if (conn->pressure != NULL) return; /* the sweep looks at it */
  fluxbp__sample_t sample;
  fluxbp__probe_sample(&conn->uv.tcp, &sample);
  if (fluxbp__is_unanswering(fluxbp__sample_unanswered(&sample))) fluxbp__sweep_watch(conn);
}

bool fluxbp__patrol_continue(fluxbp_hub_t *hub, bool within_budget) {
  fluxbp__patrol_t *patrol = &hub->patrol;
  if (patrol->next > hub->conn_count) patrol->next = hub->conn_count;
  for (; patrol->left > 0 && patrol->next > 0; patrol->left--) {
    if (within_budget && !fluxbp__turn_has_share(&hub->turn, 2)) return false;
    look_at(hub->conns[--patrol->next]);
  }
  patrol->left = 0;
  return true;
}
