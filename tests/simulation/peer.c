/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "feed.h"

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

static uint64_t may_be_sent_to(const sim_peer_t *peer) {
  return least(peer->edge, peer->passed + peer->flight_max);
}

static void send_out(sim_peer_t *peer) {
  uint64_t sent = least(peer->written, may_be_sent_to(peer));
  if (sent > peer->sent) peer->sent = sent;
}

bool sim_peer_is_gone(sim_peer_t *peer, uint32_t now_ms) {
  while (now_ms >= peer->gone_to_ms && peer->gone_to_ms < UINT32_MAX) {
    peer->gone_from_ms += peer->gone_every_ms;
    peer->gone_to_ms += peer->gone_every_ms;
  }
  return now_ms >= peer->gone_from_ms;
}

static bool is_reading(sim_peer_t *peer, uint32_t now_ms) {
  if (now_ms >= peer->dead_from_ms || peer->is_waiting) return false;
  if (peer->read_every > 1 && now_ms / SIM_STEP_MS % peer->read_every != 0) return false;
  while (now_ms >= peer->pause_at_ms && now_ms - peer->pause_at_ms >= peer->pause_ms)
    peer->pause_at_ms += peer->pause_every_ms;
  return now_ms < peer->pause_at_ms;
}

void sim_peer_step(sim_peer_t *peer, uint32_t now_ms, bool is_link_dead) {
  if (!is_link_dead) {
    peer->acked = peer->passed;
    peer->passed += least(peer->sent - peer->passed, peer->link);
  }
  if (is_reading(peer, now_ms)) {
    peer->read += least(peer->passed - peer->read, peer->reads);
    bool opens = peer->read + peer->window >= peer->edge + peer->window_step;
    if (opens && !is_link_dead) peer->edge = peer->read + peer->window;
  }
  send_out(peer);
}

uint64_t sim_peer_room(const sim_peer_t *peer) {
  uint64_t end = may_be_sent_to(peer);
  if (end < peer->sent) end = peer->sent;
  return end + peer->unsent_max > peer->written ? end + peer->unsent_max - peer->written : 0;
}

void sim_peer_write(sim_peer_t *peer, uint64_t bytes) {
  peer->written += bytes;
  send_out(peer);
}

bool sim_peer_is_writable(const sim_peer_t *peer) {
  return peer->written - peer->sent < peer->unsent_max / 2;
}

uint32_t sim_peer_flow(const sim_peer_t *peer) {
  uint32_t bytes = peer->read_every > 1 ? 0 : peer->reads;
  if (peer->link < bytes) bytes = peer->link;
  if (peer->flight_max < bytes) bytes = peer->flight_max;
  return bytes < peer->window - peer->window_step ? bytes : peer->window - peer->window_step;
}

uint32_t sim_peer_flows_until_ms(const sim_peer_t *peer) {
  uint32_t until_ms = peer->dead_from_ms < peer->pause_at_ms ? peer->dead_from_ms : peer->pause_at_ms;
  return peer->gone_from_ms < until_ms ? peer->gone_from_ms : until_ms;
}

void sim_peer_skip(sim_peer_t *peer, uint64_t bytes) {
  peer->written += bytes;
  peer->sent = peer->acked = peer->passed = peer->read = peer->written;
  peer->edge = peer->read + peer->window;
}
