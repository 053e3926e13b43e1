/* SPDX-License-Identifier: MIT */
/*
 * pings: what a server does that pings its clients, as lib/server/session/deadlines.c does; when the time for an answer
 * is over is decided by the real one (lib/server/session/pong.c). A ping takes no room here: it is a place in the
 * stream.
 */
#include "sim.h"

#include "server/session/pong.h"

enum { LOOKS = 4 };

static uint64_t accepted_bytes(const sim_world_t *world, const sim_consumer_t *consumer) {
  return consumer->peer.written + sim_ring_bytes(&consumer->ring, &world->ring_kind) - consumer->head_written;
}

static bool has_everything(const sim_world_t *world, const sim_consumer_t *consumer) {
  return consumer->peer.acked == accepted_bytes(world, consumer);
}

void sim_pings_hear(const sim_world_t *world, sim_consumer_t *consumer) {
  sim_pings_t *pings = &consumer->pings;
  const sim_peer_t *peer = &consumer->peer;
  bool arrives = pings->is_waiting && !pings->has_arrived && peer->acked >= pings->at;
  bool moves = peer->acked != pings->acked || peer->edge != pings->edge;
  pings->has_arrived |= arrives;
  pings->acked = peer->acked;
  pings->edge = peer->edge;
  if (moves) pings->moved_ms = world->told_ms;
  if (!moves && !arrives) return;
  pings->heard_ms = world->now_ms;
  pings->heard_told_ms = world->told_ms;
}

static void send_ping(sim_world_t *world, sim_consumer_t *consumer) {
  sim_pings_t *pings = &consumer->pings;
  pings->is_waiting = true;
  pings->has_arrived = false;
  pings->at = accepted_bytes(world, consumer);
  pings->sent_ms = pings->from_ms = (uint32_t) world->told_ms;
}

static void look_for_pong(sim_world_t *world, sim_consumer_t *consumer) {
  sim_pings_t *pings = &consumer->pings;
  uint32_t clock_ms = (uint32_t) world->told_ms;
  fluxbp_liveness_t liveness = {.accepted_bytes = accepted_bytes(world, consumer),
                                .acked_bytes = consumer->peer.acked,
                                .since_heard_ms = world->now_ms - pings->heard_ms,
                                .is_known = 1};
  if (world->fault == SIM_FAULT_PINGS_REPEATED) pings->has_arrived = false;
  if (world->fault != SIM_FAULT_PONG_SINCE_QUEUED) pings->from_ms = pong_from_ms(&liveness, pings->from_ms, clock_ms);
  if (!pong_is_overdue(pings->from_ms, world->ping_ms, clock_ms)) return;
  pings->closed_ms = world->told_ms;
  pings->had_everything = has_everything(world, consumer);
  sim_event(world, consumer, "closed: no answer to a ping");
  sim_server_close(world, consumer);
}

static void take_pong(const sim_world_t *world, sim_consumer_t *consumer) {
  sim_pings_t *pings = &consumer->pings;
  bool answers = !pings->is_mute && world->client_ms < consumer->peer.dead_from_ms;
  if (!pings->is_waiting || !answers || consumer->peer.read < pings->at) return;
  pings->late += world->told_ms - pings->sent_ms > 2 * world->ping_ms;
  pings->is_waiting = false;
  pings->moved_ms = world->told_ms;
  pings->due_ms = world->told_ms + world->ping_ms;
}

void sim_pings_step(sim_world_t *world, sim_consumer_t *consumer) {
  sim_pings_t *pings = &consumer->pings;
  if (world->ping_ms == 0 || !consumer->is_open) return;
  take_pong(world, consumer);
  if (world->told_ms < pings->due_ms) return;
  if (pings->is_waiting)
    look_for_pong(world, consumer);
  else if (!consumer->has_clocks || !consumer->clocks.is_backpressured)
    send_ping(world, consumer);
  pings->due_ms = world->told_ms + (pings->is_waiting ? world->ping_ms / LOOKS : world->ping_ms);
}

const char *sim_pings_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  const sim_pings_t *pings = &consumer->pings;
  bool answers = !pings->is_mute && consumer->peer.dead_from_ms > SIM_DURATION_MS;
  if (world->ping_ms == 0) return NULL;
  if (pings->closed_ms > 0) {
    if (answers) return "closed for an answer to a ping that it has yet to read";
    if (!pings->had_everything) return "closed by a ping, and hadn't got everything";
    /* what is heard between the last look and a stop of the server is forgotten */
    uint64_t least_ms = world->ping_ms - (world->stop_count > 0 ? world->ping_ms / LOOKS : 0);
    return pings->closed_ms - pings->heard_told_ms < least_ms ? "closed by a ping before its time" : NULL;
  }
  if (!consumer->is_open || answers || !has_everything(world, consumer)) return NULL;
  /* until the next ping, the time to answer, and the looks */
  uint64_t most_ms = 2 * world->ping_ms + world->ping_ms / LOOKS + 2 * SIM_SWEEP_MS;
  return world->told_ms - pings->moved_ms > most_ms ? "never answers a ping, and stays" : NULL;
}
