/* SPDX-License-Identifier: MIT */
/*
 * soft_limit: a world in which the soft limit alone judges, its kinds of clients, and what is right of SOFT_LIMIT. The
 * times above the limit are measured from the rings at every step, without the policy's clocks.
 */
#include "sim.h"

static uint32_t in_steps(double ms) {
  return (uint32_t) ms - (uint32_t) ms % SIM_STEP_MS;
}

static double rate_of(const sim_world_t *world) {
  return (double) world->feed.rate * world->feed.size;
}

void sim_soft_choose(sim_world_t *world, fluxbp_policy_t *set) {
  sim_random_t *random = &world->random;
  fluxbp_policy_init(set);
  set->stall_ms = 0;
  set->slow_ms = 0;
  set->grace_ms = sim_random_chance(random, 50) ? set->grace_ms : sim_random_int(random, 0, 12000);
  world->kind = SIM_SOFT_WORLD;
  world->feed = (sim_feed_t){
      .kind = SIM_FEED_STEADY, .rate = sim_random_int(random, 40, 200), .size = sim_random_int(random, 400, 2000)};
  set->soft_bytes = world->feed.size * sim_random_int(random, set->slots / 16, set->slots / 8);
  set->soft_ms = sim_random_int(random, 3000, 8000);
}

void sim_soft_note(const sim_world_t *world, sim_consumer_t *consumer) {
  uint64_t soft_bytes = world->policy.set.soft_bytes;
  uint64_t ring_bytes = sim_ring_bytes(&consumer->ring, &world->ring_kind);
  uint64_t unwritten = consumer->is_refused ? ring_bytes - consumer->head_written : 0;
  if (soft_bytes == 0) return;
  if (unwritten <= soft_bytes) consumer->soft.is_above = false;
  if (unwritten + world->ring_kind.size <= soft_bytes) consumer->soft.is_surely_above = false;
  if (unwritten <= soft_bytes) return;
  if (!consumer->soft.is_above) consumer->soft.above_ms = world->told_ms;
  if (!consumer->soft.is_surely_above) consumer->soft.surely_above_ms = world->told_ms;
  consumer->soft.is_above = true;
  consumer->soft.is_surely_above = true;
}

bool sim_soft_is_waiting(const sim_world_t *world, const sim_consumer_t *consumer) {
  const sim_soft_t *soft = &consumer->soft;
  if (!consumer->peer.is_waiting) return !soft->is_surely_above;
  return !soft->is_surely_above || world->told_ms - soft->surely_above_ms < world->policy.set.soft_ms / 2;
}

/* ABOVE: reads a third to four fifths of what is published, or nothing. Right: it goes when it was above the limit for
 * soft_ms. */
static void choose_above(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  const fluxbp_policy_t *set = &world->policy.set;
  bool reads_nothing = sim_random_chance(random, 20);
  double rate = rate_of(world);
  double reads = reads_nothing ? 0 : rate * sim_random_real(random, 0.3, 0.8);
  sim_connect_small(world, consumer, (uint32_t) (reads / SIM_STEPS_PER_S));
  const sim_peer_t *peer = &consumer->peer;
  double full_bytes = (double) peer->window + peer->flight_max + peer->unsent_max + (double) set->soft_bytes;
  double by_ms = consumer->opens_ms + 1100 * full_bytes / (rate - reads) + set->soft_ms + set->grace_ms +
                 2 * SIM_SWEEP_MS + 2000 + (world->stop_count > 0 ? 20000 : 0);
  consumer->outcome = SIM_GOES;
  if (by_ms < SIM_DURATION_MS) consumer->must_go_by_ms = (uint32_t) by_ms;
}

/*
 * DIPPING: reads nothing until it was above the limit for half of soft_ms, and then three times the rate until it is
 * below, which takes a quarter of soft_ms more; again and again. Right: it stays.
 */
static void choose_dipping(sim_world_t *world, sim_consumer_t *consumer) {
  sim_connect_small(world, consumer, (uint32_t) (3 * rate_of(world) / SIM_STEPS_PER_S) + 1);
  consumer->peer.is_waiting = true;
  consumer->waits_from_ms = consumer->opens_ms; /* it never sleeps */
}

void sim_choose_in_soft_world(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  uint32_t drawn = sim_random_int(random, 0, 9);
  if (sim_random_chance(random, 20)) consumer->opens_ms = in_steps(sim_random_real(random, 0, 30000));
  consumer->model = drawn < 2 ? SIM_ABOVE : drawn < 4 ? SIM_DIPPING : SIM_HEALTHY;
  if (consumer->model == SIM_ABOVE)
    choose_above(world, consumer);
  else if (consumer->model == SIM_DIPPING)
    choose_dipping(world, consumer);
  else
    sim_connect_small(world, consumer, 65536);
}
