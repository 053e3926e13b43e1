/* SPDX-License-Identifier: MIT */
/*
 * replay_fixture: publications to come back to, and clients that read until they are live.
 */
#ifndef FLUXBP_TESTS_REPLAY_FIXTURE_H
#define FLUXBP_TESTS_REPLAY_FIXTURE_H

#include "support/fixture.h"

/* Publish so many messages. */
static inline void replay_publish(fixture_t *fx, fluxbp_topic_t *topic, int times) {
  for (int i = 0; i < times; i++) assert_true(fixture_publish(fx, topic, "m", 1) >= 0);
}

static inline bool replay_is_live(fixture_t *fx, void *arg) {
  peer_t *peer = arg;
  (void) fx;
  peer_read(peer);
  return peer->conn->catching_up == 0 && peer->conn->ring.count == 0;
}

/* Read until the connection is live, and what comes then. */
static inline void replay_read_all(peer_t *peer) {
  fixture_run_until(peer->fx, replay_is_live, peer, false);
  for (int i = 0; i < 3; i++) {
    fixture_turns(peer->fx, 1);
    peer_read(peer);
  }
}

#endif
