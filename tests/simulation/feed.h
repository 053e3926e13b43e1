/* SPDX-License-Identifier: MIT */
/*
 * feed: what the publisher of a simulation publishes, step by step. All its messages have one size.
 */
#ifndef FLUXBP_TESTS_FEED_H
#define FLUXBP_TESTS_FEED_H

#include "random.h"

/* The time between two steps of a simulation. */
enum { SIM_STEP_MS = 50, SIM_STEPS_PER_S = 1000 / SIM_STEP_MS };

typedef enum sim_feed_kind {
  SIM_FEED_STEADY,  /* the same rate all the time */
  SIM_FEED_ON_OFF,  /* at its rate for on_ms, then silent for off_ms */
  SIM_FEED_BATCHES, /* all messages of interval_ms at once */
  SIM_FEED_KINDS
} sim_feed_kind_t;

typedef struct sim_feed {
  sim_feed_kind_t kind;
  uint32_t size; /* of a message, in bytes */
  uint32_t rate; /* messages a second; of ON_OFF while it is on */
  uint32_t on_ms;
  uint32_t off_ms;
  uint32_t interval_ms;
  uint32_t burst; /* messages that come on top, once, in steps from burst_ms to burst_end_ms; 0: no burst */
  uint32_t burst_ms;
  uint32_t burst_end_ms;
  uint64_t owed; /* thousandths of messages that are due */
} sim_feed_t;

/* A feed whose burst and batches suit rings of so many messages. */
void sim_feed_init(sim_feed_t *feed, sim_random_t *random, uint32_t ring_slots, uint64_t ring_bytes);

/* Messages that are published in the step that begins at that time. */
uint32_t sim_feed_step(sim_feed_t *feed, uint32_t now_ms);

/* Bytes a second: while it is on, and on average. The burst isn't counted. */
double sim_feed_peak(const sim_feed_t *feed);
double sim_feed_mean(const sim_feed_t *feed);

#endif
