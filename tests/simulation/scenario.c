/* SPDX-License-Identifier: MIT */
/*
 * scenario: what a seed is about (its policy, its feed, what happens to server and uplink), and what is asked of its
 * end.
 */
#include "sim.h"

#include <assert.h>

enum { UNREACHABLE_MS = 30000 };

static uint32_t in_steps(uint32_t ms) {
  return ms - ms % SIM_STEP_MS;
}

/* The defaults, or other numbers: sizes of rings, and times. */
static fluxbp_policy_t choose_policy(sim_random_t *random) {
  static const uint32_t slots[] = {64, 128, 256, 512, 1024};
  static const uint32_t times_ms[] = {3000, 5000, 8000};
  fluxbp_policy_t set;
  fluxbp_policy_init(&set);
  if (sim_random_chance(random, 60)) return set;
  set.slots = slots[sim_random_int(random, 0, 4)];
  set.stall_ms = times_ms[sim_random_int(random, 0, 2)];
  set.slow_ms = sim_random_chance(random, 50) ? set.stall_ms : times_ms[sim_random_int(random, 0, 2)];
  set.grace_ms = sim_random_chance(random, 50) ? set.grace_ms : sim_random_int(random, 0, 12000);
  return set;
}

/* One long stop of the server or its host, or several short ones: a server that is late. */
static void choose_stops(sim_world_t *world) {
  sim_random_t *random = &world->random;
  if (sim_random_chance(random, 60)) return;
  bool is_long = sim_random_chance(random, 60);
  world->stop_count = is_long ? 1 : SIM_STOPS_MAX;
  for (uint32_t i = 0; i < world->stop_count; i++) {
    uint32_t from_ms = in_steps(10000 + 25000 * i + sim_random_int(random, 0, 20000));
    uint32_t lasts_ms = is_long ? 10000 : sim_random_int(random, 100, 3000);
    world->stops[i] = (sim_stop_t){from_ms, from_ms + in_steps(lasts_ms), sim_random_chance(random, 50)};
  }
}

/*
 * The uplink dies for 3 to 9 s, or for good. The crowd's grace saves those who have drained a step when it ends, 1.5
 * times the limit after they were found slow: so the feed is one that empties a ring in about two seconds.
 */
static void choose_dead_uplink(sim_world_t *world, bool for_good) {
  sim_random_t *random = &world->random;
  uint32_t rate = sim_random_int(random, 60, 300);
  double least = 40000.0 / rate;
  world->feed = (sim_feed_t){.kind = SIM_FEED_STEADY, .rate = rate};
  world->feed.size = (uint32_t) sim_random_real(random, least, least * 4);
  world->dead_from_ms = in_steps(sim_random_int(random, 10000, 60000));
  world->dead_to_ms = for_good ? UINT32_MAX : world->dead_from_ms + in_steps(sim_random_int(random, 3000, 9000));
}

/* Little is published, and nothing is judged but whether a peer answers. */
static void choose_quiet(sim_world_t *world, fluxbp_policy_t *set) {
  fluxbp_policy_init(set);
  set->stall_ms = 0;
  set->slow_ms = 0;
  world->kind = SIM_QUIET_WORLD;
  world->feed = (sim_feed_t){.kind = SIM_FEED_STEADY,
                             .rate = sim_random_int(&world->random, 1, 20),
                             .size = sim_random_int(&world->random, 20, 400)};
}

/* A message every 8 to 14 s, which is 2 to 8 times as large as a ring. */
static void choose_large(sim_world_t *world, fluxbp_policy_t *set) {
  fluxbp_policy_init(set);
  set->max_bytes = sim_random_int(&world->random, 65536, 524288);
  world->kind = SIM_LARGE_WORLD;
  world->feed = (sim_feed_t){.kind = SIM_FEED_ON_OFF, .rate = 1, .on_ms = 1000};
  world->feed.off_ms = in_steps(sim_random_int(&world->random, 7000, 13000));
  world->feed.size = (uint32_t) set->max_bytes * sim_random_int(&world->random, 2, 8);
}

/* One burst, of as many messages as leave a ring below its high watermark, and nothing else. */
static void choose_pings(sim_world_t *world) {
  static const uint32_t times_ms[] = {2000, 5000, 25000};
  sim_random_t *random = &world->random;
  const fluxbp__limits_t *limits = &world->policy.limits;
  uint32_t messages = sim_random_int(random, limits->high_slots / 4, limits->high_slots - 4);
  uint32_t most = limits->high_bytes / messages - 1;
  world->ping_ms = times_ms[sim_random_int(random, 0, 2)];
  world->feed =
      (sim_feed_t){.kind = SIM_FEED_STEADY, .size = sim_random_int(random, most / 2, most), .burst = messages};
  world->feed.burst_ms = in_steps(sim_random_int(random, 1000, 10000));
  world->feed.burst_end_ms = world->feed.burst_ms + SIM_STEP_MS;
}

void sim_world_choose(sim_world_t *world) {
  bool is_dead_for_good = world->seed % 16 == 7;
  bool is_dead = world->seed % 8 == 6 || is_dead_for_good;
  bool is_pinged = world->seed % 16 == 13;
  fluxbp_policy_t set = choose_policy(&world->random);
  if (is_dead) fluxbp_policy_init(&set);
  if (world->seed % 16 == 3) choose_quiet(world, &set);
  if (world->seed % 16 == 11) choose_large(world, &set);
  if (world->seed % 16 == 9) sim_soft_choose(world, &set);
  int err = fluxbp__policy_prepare(&set, &world->policy);
  assert(err == 0);
  (void) err;
  world->ring_kind.limits = world->policy.limits;
  world->dead_from_ms = UINT32_MAX;
  world->dead_to_ms = UINT32_MAX;
  if (is_dead) {
    choose_dead_uplink(world, is_dead_for_good);
  } else if (is_pinged) {
    choose_pings(world);
    choose_stops(world);
  } else if (world->kind != SIM_USUAL) {
    choose_stops(world);
  } else {
    sim_feed_init(&world->feed, &world->random, set.slots, set.max_bytes);
    choose_stops(world);
  }
  world->ring_kind.size = world->feed.size;
  uint64_t most = set.max_bytes / world->feed.size;
  world->ring_kind.most = most > 0 ? (uint32_t) most : 1;
}

/* ---- the end ---- */

/* Two sweeps; a server that was stopped notices later, by what a stop counts. */
static uint64_t slack_ms(const sim_world_t *world) {
  return 2 * SIM_SWEEP_MS + (world->stop_count > 0 ? 4 * SIM_SWEEP_MS : 0);
}

/* A limit as it is at `at_ms`: doubled while a crowd has its one extra grace, 1.5 times the longer of the limits. */
static uint64_t most_ms(const sim_world_t *world, uint32_t limit_ms, uint64_t at_ms) {
  const fluxbp_policy_t *set = &world->policy.set;
  uint64_t longer_ms = set->stall_ms > set->slow_ms ? set->stall_ms : set->slow_ms;
  bool has_grace = world->crowd_events > 0 && at_ms <= world->crowd_ms + longer_ms * 3 / 2 + slack_ms(world);
  return has_grace ? 2 * (uint64_t) limit_ms : limit_ms;
}

/* How long it has been open beyond its grace; negative: that isn't over. */
static int64_t beyond_grace_ms(const sim_world_t *world, const sim_consumer_t *consumer, uint64_t observed_ms) {
  return (int64_t) (observed_ms - consumer->opened_observed_ms) - (int64_t) world->policy.set.grace_ms;
}

static const char *stalled_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  uint64_t idle_ms = consumer->evicted_ms - consumer->moved_ms;
  uint32_t stall_ms = world->policy.set.stall_ms;
  if (idle_ms < stall_ms) return "STALLED before its time";
  bool is_late = idle_ms > most_ms(world, stall_ms, consumer->evicted_ms) + slack_ms(world);
  bool is_late_for_grace = beyond_grace_ms(world, consumer, consumer->evicted_observed_ms) > (int64_t) slack_ms(world);
  return is_late && is_late_for_grace ? "STALLED more than two sweeps late" : NULL;
}

/* Who has stopped moving is STALLED, unless that would take more than slow_ms longer. */
static const char *slow_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  uint32_t slow_ms = world->policy.set.slow_ms;
  if (consumer->evicted_ms - consumer->pressed_since_ms < slow_ms) return "SLOW before its time";
  bool is_left_to_stalled = consumer->moved_ms + world->policy.set.stall_ms <= consumer->evicted_ms + slow_ms;
  if (consumer->model == SIM_STALLED && is_left_to_stalled) return "SLOW, though it has stopped moving";
  return NULL;
}

static const char *unreachable_complaint(const sim_consumer_t *consumer) {
  if (consumer->model != SIM_GONE) return "UNREACHABLE, though it answers";
  return consumer->evicted_clock_ms < consumer->peer.gone_from_ms + UNREACHABLE_MS ? "UNREACHABLE before its time"
                                                                                   : NULL;
}

static const char *soft_limit_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  const sim_soft_t *soft = &consumer->soft;
  uint32_t soft_ms = world->policy.set.soft_ms;
  if (!soft->is_surely_above) return "SOFT_LIMIT, though less waits";
  if (consumer->evicted_ms - soft->surely_above_ms < soft_ms) return "SOFT_LIMIT before its time";
  bool is_late = soft->is_above && consumer->evicted_ms - soft->above_ms >
                                       most_ms(world, soft_ms, consumer->evicted_ms) + slack_ms(world);
  bool is_late_for_grace = beyond_grace_ms(world, consumer, consumer->evicted_observed_ms) > (int64_t) slack_ms(world);
  return is_late && is_late_for_grace ? "SOFT_LIMIT more than two sweeps late" : NULL;
}

bool sim_is_cause_right(const sim_world_t *world, const sim_consumer_t *consumer) {
  bool is_gone = consumer->model == SIM_GONE ||
                 (consumer->evicted_clock_ms >= world->dead_from_ms && consumer->evicted_clock_ms < world->dead_to_ms);
  switch (consumer->model) {
  case SIM_SLOW_LINK:
    return consumer->cause == (is_gone ? FLUXBP_CAUSE_UNREACHABLE : FLUXBP_CAUSE_NETWORK);
  case SIM_TRICKLE:
  case SIM_ABOVE:
    return consumer->cause == FLUXBP_CAUSE_READS_SLOWLY || consumer->cause == FLUXBP_CAUSE_NOT_READING;
  default:
    return consumer->cause == (is_gone ? FLUXBP_CAUSE_UNREACHABLE : FLUXBP_CAUSE_NOT_READING);
  }
}

static const char *evicted_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  if (consumer->outcome == SIM_STAYS) return "evicted, and should stay";
  if (beyond_grace_ms(world, consumer, consumer->evicted_observed_ms) < 0) return "evicted within its grace";
  if (consumer->evicted_clock_ms > consumer->must_go_by_ms) return "evicted too late for its numbers";
  switch (consumer->reason) {
  case FLUXBP_EVICT_STALLED:
    return stalled_complaint(world, consumer);
  case FLUXBP_EVICT_UNREACHABLE:
    return unreachable_complaint(consumer);
  case FLUXBP_EVICT_SOFT_LIMIT:
    return soft_limit_complaint(world, consumer);
  default:
    return slow_complaint(world, consumer);
  }
}

static const char *kept_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  const fluxbp_policy_t *set = &world->policy.set;
  if (consumer->outcome == SIM_GOES && consumer->must_go_by_ms < SIM_DURATION_MS) return "stays, and should be evicted";
  if (!consumer->is_refused) return NULL;
  if (beyond_grace_ms(world, consumer, world->observed_ms) <= (int64_t) slack_ms(world)) return NULL;
  uint64_t idle_ms = world->told_ms - consumer->moved_ms;
  if (set->stall_ms > 0 && idle_ms > most_ms(world, set->stall_ms, world->told_ms) + slack_ms(world))
    return "nothing of it moves, and it stays";
  bool is_soft_late = consumer->soft.is_above && world->told_ms - consumer->soft.above_ms >
                                                     most_ms(world, set->soft_ms, world->told_ms) + slack_ms(world);
  if (is_soft_late) return "above the soft limit for too long, and it stays";
  uint64_t pressed_ms = world->told_ms - consumer->pressed_since_ms;
  if (consumer->model == SIM_TRICKLE && consumer->clocks.is_backpressured &&
      pressed_ms > 3 * most_ms(world, set->slow_ms, world->told_ms) + slack_ms(world))
    return "backpressured for too long, and it stays";
  return NULL;
}

const char *sim_consumer_complaint(const sim_world_t *world, const sim_consumer_t *consumer) {
  const char *about_pings = sim_pings_complaint(world, consumer);
  if (about_pings != NULL) return about_pings;
  if (consumer->flaps > 0) return "flaps between the watermarks";
  return consumer->reason != FLUXBP_EVICT_NONE ? evicted_complaint(world, consumer) : kept_complaint(world, consumer);
}

const char *sim_world_complaint(const sim_world_t *world) {
  bool is_dead = world->dead_from_ms < UINT32_MAX;
  if (!is_dead && world->crowd_events > 0) return "a crowd was found slow where there is none";
  if (is_dead && world->dead_to_ms == UINT32_MAX && world->open > 0) return "somebody is left behind a dead uplink";
  if (is_dead && world->dead_to_ms - world->dead_from_ms > 5000 && world->crowd_events != 1)
    return "a dead uplink is one crowd";
  return NULL;
}

const char *sim_fault_name(sim_fault_t fault) {
  static const char *const names[SIM_FAULTS] = {
      [SIM_FAULT_NONE] = "none",
      [SIM_FAULT_CLOCKS_KEPT] = "clocks kept on drain",
      [SIM_FAULT_BLIND_TO_ACKS] = "blind to acknowledgements",
      [SIM_FAULT_TIME_UNCAPPED] = "time not capped",
      [SIM_FAULT_NO_NEW_MINIMUM] = "no new minimum",
      [SIM_FAULT_NO_CROWD_GUARD] = "no crowd guard",
      [SIM_FAULT_CROWD_FOR_EVER] = "crowd's grace for ever",
      [SIM_FAULT_NO_HYSTERESIS] = "no hysteresis",
      [SIM_FAULT_NO_GRACE] = "no grace",
      [SIM_FAULT_RARE_SWEEPS] = "rare sweeps",
      [SIM_FAULT_POLL_IS_PROGRESS] = "polling is progress",
      [SIM_FAULT_VALUES_FILL_RINGS] = "values fill rings",
      [SIM_FAULT_KERNEL_TIMER] = "the kernel's timer",
      [SIM_FAULT_DEAF] = "answers not noticed",
      [SIM_FAULT_SILENCE_IS_DEATH] = "no time to answer",
      [SIM_FAULT_NO_PATROL] = "no patrol",
      [SIM_FAULT_SILENCE_FORGOTTEN] = "silence forgotten on drain",
      [SIM_FAULT_FILL_CLAMPED] = "fill clamped",
      [SIM_FAULT_WHOLE_MESSAGES] = "only whole messages count",
      [SIM_FAULT_PONG_SINCE_QUEUED] = "pong due since queued",
      [SIM_FAULT_PINGS_REPEATED] = "pings repeated",
      [SIM_FAULT_SOFT_UNTIL_DRAINED] = "soft limit until drained",
      [SIM_FAULT_SOFT_BY_SWEEPS] = "soft limit by sweeps alone",
  };
  return names[fault];
}
