/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the policy share: policies ready for use, and what there is to observe.
 */
#ifndef FLUXBP_TESTS_POLICY_FIXTURE_H
#define FLUXBP_TESTS_POLICY_FIXTURE_H

#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* When the kernel refused; any time will do. */
#define START ((uint64_t) 1000000)

static inline fluxbp_policy_t defaults(void) {
  fluxbp_policy_t set;
  fluxbp_policy_init(&set);
  return set;
}

static inline fluxbp__policy_t prepared(const fluxbp_policy_t *set) {
  fluxbp__policy_t policy;
  assert_int_equal(fluxbp__policy_prepare(set, &policy), 0);
  return policy;
}

/* A ring of 160 slots: a step of 1/16 is 10 messages. High watermark 80, low 40. Only SLOW and STALLED at 5 s. */
static inline fluxbp__policy_t of_160_slots(void) {
  fluxbp_policy_t set = defaults();
  set.slots = 160;
  return prepared(&set);
}

static inline fluxbp__observation_t queue_of(uint64_t queued) {
  return (fluxbp__observation_t){.backlog = {.queued = queued, .bytes = queued}};
}

/* So much is queued, in messages of a byte or with so many bytes. True if a watermark was crossed. */
static inline bool cross_bytes(fluxbp__clocks_t *clocks, const fluxbp__policy_t *policy, uint64_t queued,
                               uint64_t bytes, uint64_t now_ms) {
  fluxbp__backlog_t backlog = {.queued = queued, .bytes = bytes};
  return fluxbp__clocks_watermarks(clocks, policy, &backlog, now_ms);
}

static inline bool cross(fluxbp__clocks_t *clocks, const fluxbp__policy_t *policy, uint64_t queued, uint64_t now_ms) {
  return cross_bytes(clocks, policy, queued, queued, now_ms);
}

static inline uint64_t fill_of(const fluxbp__policy_t *policy, uint64_t queued, uint64_t bytes) {
  fluxbp__backlog_t backlog = {.queued = queued, .bytes = bytes};
  return fluxbp__backlog_fill(&policy->limits, &backlog);
}

static inline uint64_t deadline_of(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks, bool is_crowd_slow) {
  fluxbp__observation_t seen = queue_of(1);
  seen.is_crowd_slow = is_crowd_slow;
  return fluxbp__policy_deadline(policy, clocks, &seen);
}

static inline bool is_halfway(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks, uint64_t now_ms) {
  fluxbp__observation_t seen = queue_of(1);
  return fluxbp__policy_halfway_ms(policy, clocks, &seen, now_ms) > 0;
}

/* Something moves at every look, so that nothing is stalled. */
static inline fluxbp_evict_reason_t look(const fluxbp__policy_t *policy, fluxbp__clocks_t *clocks, uint64_t queued,
                                         uint64_t now_ms) {
  fluxbp__observation_t seen = queue_of(queued);
  seen.written_bytes = clocks->written_bytes + 1;
  seen.acked_bytes = seen.written_bytes;
  return fluxbp__policy_judge(policy, clocks, &seen, now_ms);
}

#endif
