/* SPDX-License-Identifier: MIT */
/*
 * patient_fixture: a hub that waits for its connections, and clients that stop and go on.
 */
#ifndef FLUXBP_TESTS_PATIENT_FIXTURE_H
#define FLUXBP_TESTS_PATIENT_FIXTURE_H

#include "support/fixture.h"

/* Rings of 16 slots: high at 8, low at 4. */
enum { PATIENT_HIGH = 8 };

/* No verdict but that of a full ring; to be changed before fixture_open. */
static inline void patient_init(fixture_t *fx, uint32_t patience_ms) {
  fixture_init(fx);
  fx->policy.slots = 16;
  fx->policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fx->policy.stall_ms = 0;
  fx->policy.slow_ms = 0;
  fx->options.patience_ms = patience_ms;
}

static inline void patient_open(fixture_t *fx, uint32_t patience_ms) {
  patient_init(fx, patience_ms);
  fixture_open(fx);
}

static inline void patient_fill(peer_t *peer, uint64_t queued) {
  while (peer_stats(peer).queued < queued) assert_int_equal(fixture_send(peer, "x", 1), 1);
}

#endif
