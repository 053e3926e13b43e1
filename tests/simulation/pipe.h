/* SPDX-License-Identifier: MIT */
/*
 * pipe: a simulated hub whose publisher waits for its clients, in virtual time: a feed from a pipe under the rule
 * EVICT. The policy and the buckets of patience are the real ones (lib/core/policy.c, patience.c); pipe.c calls them as
 * writability.c, sweep.c and conn*.c do. SLOW by the policy's own clock is off: it is policy_sim's subject.
 */
#ifndef FLUXBP_TESTS_PIPE_H
#define FLUXBP_TESTS_PIPE_H

#include "patience.h"
#include "peer.h"
#include "policy.h"
#include "random.h"

enum { PIPE_STEP_MS = 50, PIPE_SWEEP_MS = 250, PIPE_DURATION_MS = 90000, PIPE_CLIENTS = 12 };

/* Faults of the server that the simulation has to find, to show that it would. */
typedef enum pipe_fault {
  PIPE_FAULT_NONE,
  PIPE_FAULT_SHARED,        /* all clients use up one bucket */
  PIPE_FAULT_FULL_ON_DRAIN, /* a drained ring fills the bucket */
  PIPE_FAULT_STEPS_COUNT,   /* short silences are taken out of it, too */
  PIPE_FAULT_NEVER_EMPTY,   /* a client is waited for as long as it is there */
  PIPE_FAULTS
} pipe_fault_t;

typedef struct pipe_client {
  sim_peer_t peer;
  uint32_t queued;       /* messages in its ring */
  uint32_t head_written; /* bytes of the first that the kernel has */
  bool is_open;
  bool is_refused;
  bool is_holding;
  bool has_pressure; /* clocks and bucket */
  fluxbp__clocks_t clocks;
  fluxbp__patience_t patience;
  uint64_t kept_full_ms; /* of the bucket, while there is no pressure */
  fluxbp_evict_reason_t reason;
  uint64_t evicted_ms;

  /* as the peer tells it, not the clocks */
  uint64_t moved_bytes;
  uint64_t moved_ms;
  uint64_t held_ms;         /* for which it has held the publisher up since it last moved, */
  uint64_t longest_held_ms; /* the most of that, */
  uint64_t long_held_ms;    /* and the sum, of silences longer than half of the bucket */

  uint8_t model; /* of pipe_sim_test.c */
} pipe_client_t;

typedef struct pipe_world {
  pipe_fault_t fault;
  sim_random_t random;
  fluxbp__policy_t policy;
  uint32_t patience_ms;
  uint32_t message_bytes;
  uint32_t messages_per_step; /* at most */
  uint64_t now_ms;
  uint64_t sweep_due_ms;
  uint32_t holding;
  uint64_t published;
  fluxbp__patience_t shared;
  pipe_client_t clients[PIPE_CLIENTS];
} pipe_world_t;

/* The size of every bucket. */
uint32_t pipe_bucket_ms(const pipe_world_t *world);

/* From now on the client is there, with its peer as it was made. */
void pipe_open(pipe_world_t *world, pipe_client_t *client);

/* From the beginning to the end; policy, feed and clients have been set. */
void pipe_run(pipe_world_t *world);

#endif
