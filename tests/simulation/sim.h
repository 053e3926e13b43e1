/* SPDX-License-Identifier: MIT */
/*
 * sim: a simulated hub with its clients, in virtual time. The policy is the real one (lib/core/policy.c); server.c
 * calls it as sweep.c and conn*.c do, peer.c is the kernel and the client, models.c says what kinds of clients there
 * are and what is the right verdict on each.
 */
#ifndef FLUXBP_TESTS_SIM_H
#define FLUXBP_TESTS_SIM_H

#include "feed.h"
#include "kernel.h"
#include "peer.h"
#include "policy.h"
#include "ring_model.h"

enum { SIM_SAMPLE_MS = 2500, SIM_PATROL_MS = 12500 }; /* as in sweep.c and patrol.c */
enum { SIM_SWEEP_MS = 250, SIM_DURATION_MS = 120000, SIM_CONSUMERS = 1000 };

/* Faults of the server that the simulation has to find, to show that it would. */
typedef enum sim_fault {
  SIM_FAULT_NONE,
  SIM_FAULT_CLOCKS_KEPT,        /* clocks run on when a ring has drained */
  SIM_FAULT_BLIND_TO_ACKS,      /* progress is only what our kernel takes */
  SIM_FAULT_TIME_UNCAPPED,      /* what passes while the server is stopped counts */
  SIM_FAULT_NO_NEW_MINIMUM,     /* SLOW falls slow_ms after the high watermark, whoever drains */
  SIM_FAULT_NO_CROWD_GUARD,     /* everybody may be evicted at once */
  SIM_FAULT_CROWD_FOR_EVER,     /* the extra grace doesn't end */
  SIM_FAULT_NO_HYSTERESIS,      /* backpressure ends just below the high watermark */
  SIM_FAULT_NO_GRACE,           /* a new connection is judged as any other, */
  SIM_FAULT_RARE_SWEEPS,        /* the sweeper forgets the deadlines and comes every two seconds */
  SIM_FAULT_POLL_IS_PROGRESS,   /* each sweep counts as progress */
  SIM_FAULT_VALUES_FILL_RINGS,  /* values of a state topic are queued as messages of a log are */
  SIM_FAULT_KERNEL_TIMER,       /* whatever isn't acknowledged counts as unanswered, as for TCP_USER_TIMEOUT */
  SIM_FAULT_DEAF,               /* answers aren't noticed */
  SIM_FAULT_SILENCE_IS_DEATH,   /* two unanswered ones are enough */
  SIM_FAULT_NO_PATROL,          /* nobody looks at who isn't refused */
  SIM_FAULT_SILENCE_FORGOTTEN,  /* a message that the kernel takes clears what was unanswered */
  SIM_FAULT_FILL_CLAMPED,       /* a ring that is more than full is full */
  SIM_FAULT_WHOLE_MESSAGES,     /* a message counts until all of it is written */
  SIM_FAULT_PONG_SINCE_QUEUED,  /* the time to answer a ping begins when the ping is queued */
  SIM_FAULT_PINGS_REPEATED,     /* there is another ping while one isn't answered */
  SIM_FAULT_SOFT_UNTIL_DRAINED, /* the clock of SOFT_LIMIT runs on below the limit, until the ring is drained */
  SIM_FAULT_SOFT_BY_SWEEPS,     /* the soft limit is looked at by sweeps alone */
  SIM_FAULTS
} sim_fault_t;

typedef enum sim_model {
  SIM_HEALTHY,
  SIM_LOADED,
  SIM_BURSTY,
  SIM_SLOW_LINK,
  SIM_TRICKLE,
  SIM_OSCILLATING,
  SIM_STALLED,
  SIM_RECOVERING,
  SIM_DEEP,
  SIM_CONFLATING,
  SIM_GONE,
  SIM_CLOSED,
  SIM_DRIP,
  SIM_BACK_IN_TIME,
  SIM_LARGE,
  SIM_PINGED,
  SIM_ABOVE,
  SIM_DIPPING,
  SIM_MODELS
} sim_model_t;

/* What is to become of it, beside what is asked of all. */
typedef enum sim_outcome {
  SIM_STAYS,
  SIM_GOES,   /* evicted, by must_go_by_ms at the latest */
  SIM_EITHER, /* both would be right */
} sim_outcome_t;

/* The pings of a consumer, where there are any. Times are told_ms, but heard_ms. */
typedef struct sim_pings {
  bool is_mute;     /* it never answers */
  bool is_waiting;  /* for the answer to a ping, */
  bool has_arrived; /* which its kernel has */
  bool had_everything;
  uint64_t at; /* the ping's place in the stream */
  uint64_t due_ms;
  uint32_t sent_ms;
  uint32_t from_ms;
  uint32_t heard_ms; /* of the clock: when its kernel acknowledged last */
  uint64_t heard_told_ms;
  uint64_t moved_ms;    /* when it acknowledged more than a ping, or answered one */
  uint64_t acked, edge; /* then */
  uint64_t closed_ms;   /* for want of an answer; 0: not closed */
  uint32_t late;        /* answers that came after twice the time */
} sim_pings_t;

/* For how long a consumer has been above the soft limit, in told_ms. Between two sweeps a fall by a part of a message
 * may go unseen; so the one time ends with any fall to the limit, and the other with a fall by a message more. */
typedef struct sim_soft {
  uint64_t above_ms; /* since when, */
  uint64_t surely_above_ms;
  bool is_above; /* if it is */
  bool is_surely_above;
} sim_soft_t;

typedef struct sim_consumer {
  sim_peer_t peer;
  sim_kernel_t kernel;
  sim_ring_t ring;
  sim_pings_t pings;
  sim_soft_t soft;
  fluxbp__clocks_t clocks;
  fluxbp__sample_t samples[2];
  uint64_t sampled_ms;
  uint64_t heard_ms;     /* as of the newer sample */
  uint32_t head_written; /* bytes of the head that the kernel has */
  uint32_t keys;         /* of the state topic whose values the messages are; 0: they are of a log topic */
  uint32_t waiting;      /* values that have found no room, and wait in the topic: one of a key at the most */
  bool is_open;
  bool is_refused;
  bool has_clocks;

  sim_model_t model;
  sim_outcome_t outcome;
  uint32_t opens_ms;
  uint32_t must_go_by_ms; /* of the clock; UINT32_MAX: no time can be told from its parameters */
  uint32_t waits_from_ms; /* RECOVERING: from when it reads no more until just before its verdict */
  uint32_t waits_every_ms;

  /* what happened, in told_ms of the world; `moved_ms` isn't told by the policy's clocks, but by the peer */
  uint64_t moved_ms;
  uint64_t moved_bytes;
  uint64_t pressed_since_ms; /* when it entered backpressure, the first time since it was drained if it lost messages */
  bool has_lost;             /* messages, since it was drained */
  uint64_t evicted_ms;
  uint64_t opened_observed_ms;  /* the same in the server's observed time, which the grace is about: it stands still */
  uint64_t evicted_observed_ms; /* while the server has nothing to look at */
  uint32_t evicted_clock_ms;
  fluxbp_evict_reason_t reason; /* NONE: not evicted */
  fluxbp_cause_t cause;
  uint64_t pushed;          /* messages into its ring, */
  uint64_t pushed_when_low; /* and as many of them had come when it left backpressure last */
  uint32_t flaps;           /* times that it entered again before the hysteresis allows it */
  uint64_t skipped_from;    /* bytes that were published when it fell asleep */
} sim_consumer_t;

/* A consumer sleeps while everything just flows through it. Kept apart, since each step asks it of everybody. */
typedef struct sim_sleep {
  uint32_t until_ms; /* of the clients' clock; 0: it is awake */
  uint32_t flow;     /* a step with more bytes than that wakes it */
} sim_sleep_t;

/* The server, or the whole host with all clients, is stopped for a while. */
typedef struct sim_stop {
  uint32_t from_ms;
  uint32_t to_ms;
  bool is_of_host;
} sim_stop_t;

enum { SIM_STOPS_MAX = 4 };

/* Worlds with clients of their own. */
typedef enum sim_kind { SIM_USUAL, SIM_QUIET_WORLD, SIM_LARGE_WORLD, SIM_SOFT_WORLD } sim_kind_t;

typedef struct sim_world {
  sim_kind_t kind;
  uint64_t seed;
  sim_fault_t fault;
  int traced; /* index of the consumer whose events are printed, or -1 */
  sim_random_t random;
  fluxbp__policy_t policy;
  sim_ring_kind_t ring_kind;
  sim_feed_t feed;
  sim_stop_t stops[SIM_STOPS_MAX];
  uint32_t stop_count;
  uint32_t dead_from_ms; /* the uplink */
  uint32_t dead_to_ms;
  uint32_t ping_ms; /* between two pings; 0: there are none */

  uint32_t now_ms;    /* the clock */
  uint32_t client_ms; /* the clients', which stands still while their host is stopped */
  uint64_t observed_ms;
  uint64_t last_look_ms;
  uint64_t told_ms;   /* observed time as it is when somebody looks at every step: what the outcomes are measured in */
  uint64_t published; /* bytes */
  uint64_t sweep_due_ms;
  uint64_t swept_ms; /* observed time of the sweep under way */
  uint32_t patrolled_ms;
  fluxbp__crowd_t crowd;
  uint32_t crowd_events;
  uint64_t crowd_ms; /* told_ms of the last of them */
  uint32_t open;
  uint32_t pressed; /* connections with clocks */
  uint64_t hash;    /* of everything that happened */

  sim_sleep_t sleeps[SIM_CONSUMERS];
  sim_consumer_t consumers[SIM_CONSUMERS];
} sim_world_t;

/* sim.c */

/* Run a seed from its beginning to its end. The world is big, so it is the caller's, and may be used again. `traced`:
 * the consumer whose events are printed, or -1. */
void sim_run(sim_world_t *world, uint64_t seed, sim_fault_t fault, int traced);

/* Something happened to a consumer (NULL: to all): make it part of the trace. */
void sim_event(sim_world_t *world, const sim_consumer_t *consumer, const char *what);

/* server.c */
void sim_server_open(sim_world_t *world, sim_consumer_t *consumer);
void sim_server_publish(sim_world_t *world, sim_consumer_t *consumer, uint32_t messages);
void sim_server_poll(sim_world_t *world, sim_consumer_t *consumer);
void sim_server_sweep(sim_world_t *world);
void sim_server_patrol(sim_world_t *world);
uint64_t sim_server_observe(sim_world_t *world);
void sim_server_close(sim_world_t *world, sim_consumer_t *consumer);

/* pings.c */

/* What the kernel has heard since the last time; after each step of a peer. */
void sim_pings_hear(const sim_world_t *world, sim_consumer_t *consumer);

/* The server's part of a step. */
void sim_pings_step(sim_world_t *world, sim_consumer_t *consumer);

/* Whether the pings did it wrong; NULL, or how. After the run. */
const char *sim_pings_complaint(const sim_world_t *world, const sim_consumer_t *consumer);

/* models.c */

/* Choose the policy, the feed and what befalls them; then a consumer. */
void sim_world_choose(sim_world_t *world);
void sim_consumer_choose(sim_world_t *world, sim_consumer_t *consumer);

/* soft_limit.c */

/* Choose a policy and a feed for a world in which the soft limit alone judges; then a consumer of it. */
void sim_soft_choose(sim_world_t *world, fluxbp_policy_t *set);
void sim_choose_in_soft_world(sim_world_t *world, sim_consumer_t *consumer);

/* Measure the backlog; after each change of a ring. */
void sim_soft_note(const sim_world_t *world, sim_consumer_t *consumer);

/* Return whether a DIPPING client reads nothing in the next step. */
bool sim_soft_is_waiting(const sim_world_t *world, const sim_consumer_t *consumer);

/* models_silent.c */

/* Let a client read that many bytes a step, from a kernel that holds little. */
void sim_connect_small(sim_world_t *world, sim_consumer_t *consumer, uint32_t reads);
void sim_choose_in_quiet_world(sim_world_t *world, sim_consumer_t *consumer);
void sim_choose_in_large_world(sim_world_t *world, sim_consumer_t *consumer);

/* scenario.c */

/* Whether the cause of an eviction is one that its numbers allow. */
bool sim_is_cause_right(const sim_world_t *world, const sim_consumer_t *consumer);

/* Whether what happened to it is right; NULL, or what is wrong. After the run. */
const char *sim_consumer_complaint(const sim_world_t *world, const sim_consumer_t *consumer);
const char *sim_world_complaint(const sim_world_t *world);

const char *sim_model_name(sim_model_t model);
const char *sim_fault_name(sim_fault_t fault);

#endif
