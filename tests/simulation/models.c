/* SPDX-License-Identifier: MIT */
/*
 * models: the kinds of clients, and what is the right verdict on each.
 *
 * A client's numbers are random within conditions, and the conditions are what makes the verdict certain: they say in
 * terms of the policy's settings who is healthy and who isn't. Where the rule leaves it open, no client is made.
 *
 * Words that the conditions use: `rate` is what the feed publishes in bytes a second (at its peak), `ring` what a ring
 * holds in bytes, `step` 1/16 of it, `silence` the time between two acknowledgements while the client reads.
 */
#include "sim.h"

enum { DEFAULT_UNSENT = 16384, READS_MAX = 262144, NO_PAUSE = 0 };

static double ring_bytes(const sim_world_t *world) {
  const fluxbp__limits_t *limits = &world->ring_kind.limits;
  double by_slots = (double) limits->slots * world->feed.size;
  return by_slots < (double) limits->max_bytes ? by_slots : (double) limits->max_bytes;
}

static uint32_t shorter_ms(const sim_world_t *world) {
  const fluxbp_policy_t *set = &world->policy.set;
  return set->stall_ms < set->slow_ms ? set->stall_ms : set->slow_ms;
}

static double burst_s(const sim_world_t *world) {
  return world->feed.burst ? (world->feed.burst_end_ms - world->feed.burst_ms) / 1e3 : 0;
}

static uint32_t in_steps(double ms) {
  return (uint32_t) ms - (uint32_t) ms % SIM_STEP_MS;
}

/*
 * A client that reads `bytes_per_s`: its buffers, and a link that isn't felt. Default receive buffers open their window
 * by 46 to 126 KB, small ones by 4 to 16 KB, but no more than what is read in `silence_s` if that is given. All of them
 * let through four times of what it reads in a step, so that the steps of the simulation don't slow it down.
 */
static void connect_peer(sim_world_t *world, sim_consumer_t *consumer, double bytes_per_s, double silence_s) {
  sim_random_t *random = &world->random;
  sim_peer_t *peer = &consumer->peer;
  double reads = bytes_per_s / SIM_STEPS_PER_S;
  peer->reads = reads < 1 ? 1 : reads > READS_MAX ? READS_MAX : (uint32_t) (reads + 0.999);

  bool is_small = sim_random_chance(random, 40);
  double opens = is_small ? sim_random_real(random, 4096, 16384) : sim_random_real(random, 46000, 126000);
  if (silence_s > 0 && opens > bytes_per_s * silence_s) opens = bytes_per_s * silence_s;
  peer->window_step = opens < 1 ? 1 : (uint32_t) opens;
  peer->window = (uint32_t) (peer->window_step * sim_random_real(random, 2, 4)) + 1;
  if (peer->window < 4 * peer->reads) peer->window = 4 * peer->reads;

  peer->link = 4 * peer->reads;
  peer->flight_max = (uint32_t) sim_random_scale(random, 16384, 200000);
  if (peer->flight_max < 4 * peer->reads) peer->flight_max = 4 * peer->reads;
  peer->unsent_max = DEFAULT_UNSENT;
  peer->pause_at_ms = UINT32_MAX;
  peer->dead_from_ms = UINT32_MAX;
}

static void pause_peer(sim_world_t *world, sim_consumer_t *consumer, uint32_t pause_ms, double at_least_every_ms,
                       double at_most_every_ms) {
  sim_peer_t *peer = &consumer->peer;
  peer->pause_ms = pause_ms;
  peer->pause_every_ms = in_steps(sim_random_real(&world->random, at_least_every_ms, at_most_every_ms)) + SIM_STEP_MS;
  peer->pause_at_ms = consumer->opens_ms + in_steps(sim_random_real(&world->random, SIM_STEP_MS, peer->pause_every_ms));
}

/*
 * Whether somebody who reads `bytes_per_s` while `rate` comes in makes each new minimum in time: what it gains is a
 * step within slow_ms, less the time in which it may gain nothing (`busy_s`), two silences and what our kernel hides,
 * which asks for more only by half of unsent_max, and the moments between two sweeps.
 */
static bool drains_in_time(const sim_world_t *world, double bytes_per_s, double rate, double busy_s, double silence_s) {
  double lump_s = DEFAULT_UNSENT / 2 / bytes_per_s;
  double time_s = world->policy.set.slow_ms / 1e3 - busy_s - 2 * (silence_s + lump_s) - 2 * SIM_SWEEP_MS / 1e3;
  double step = ring_bytes(world) / 16 + 2 * world->feed.size + rate * SIM_SWEEP_MS / 1e3;
  return time_s > 0 && (bytes_per_s - rate) * time_s > step;
}

/*
 * HEALTHY: reads at least 1.25 times the rate, and pauses for less than half of stall_ms and slow_ms (2.5 s), the next
 * time only when what the last pause left has been read. A burst is beyond what it has to stand by this; where the feed
 * has one, it also reads so fast that it drains a ring in the rest of slow_ms. Right: it stays.
 */
static void choose_healthy(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  double rate = sim_feed_peak(&world->feed);
  double pause_ms = NO_PAUSE;
  double most_ms = shorter_ms(world) / 2.0;
  if (sim_random_chance(random, 70))
    pause_ms = in_steps(sim_random_chance(random, 40) ? most_ms - 1 : sim_random_real(random, 100, most_ms - 1));

  double reads = rate * (sim_random_chance(random, 40) ? 1.25 : sim_random_scale(random, 1.25, 10));
  double silence_s = 0;
  if (world->feed.burst) {
    double rest_s = (world->policy.set.slow_ms - pause_ms) / 1e3 - burst_s(world) - 0.5;
    silence_s = rest_s / 8;
    double least = rate + ring_bytes(world) / rest_s * 1.5 + DEFAULT_UNSENT / 2 / silence_s;
    if (reads < least) reads = least;
  }
  connect_peer(world, consumer, reads, silence_s);
  if (pause_ms == NO_PAUSE) return;
  double drained_ms = 1.1 * (pause_ms + pause_ms * rate / (reads - rate)) + 1000;
  pause_peer(world, consumer, (uint32_t) pause_ms, drained_ms, drained_ms + 10000);
}

/*
 * LOADED: the rate is 95 % of what it reads, and a burst has filled its ring. Where 5 % aren't enough to drain a step
 * in slow_ms, it reads as much more as that takes. Right: it stays.
 */
static void choose_loaded(sim_world_t *world, sim_consumer_t *consumer) {
  if (world->feed.kind != SIM_FEED_STEADY) {
    choose_healthy(world, consumer);
    return;
  }
  double rate = sim_feed_peak(&world->feed);
  double reads = rate / 0.95;
  while (world->feed.burst && !drains_in_time(world, reads, rate, burst_s(world), 0.2)) reads *= 1.02;
  connect_peer(world, consumer, reads, 0.2);
}

/* Whether a feed that is on for a while is made up for in time, from the high watermark on: the rest of the time in
 * which the ring still fills, and the way down from its top to a step below the watermark. */
static bool outlives_peak(const sim_world_t *world, double bytes_per_s, double silence_s) {
  double ring = ring_bytes(world);
  double excess = sim_feed_peak(&world->feed) - bytes_per_s;
  double rest_s = world->feed.on_ms / 1e3 - ring / 2 / excess;
  if (excess <= 0 || rest_s <= 0) return true;
  double top = ring / 2 + excess * rest_s;
  if (top > ring) top = ring;
  bool loses = top >= ring; /* then a step below the low watermark is asked for */
  double down = top - ring * (loses ? 3 : 7) / 16 + DEFAULT_UNSENT + 2 * world->feed.size;
  return rest_s + down / bytes_per_s + 2 * silence_s + 4 * SIM_SWEEP_MS / 1e3 < world->policy.set.slow_ms / 1e3;
}

/*
 * BURSTY: reads 1.25 times the mean rate, but less than the peak. It has to make up for a peak within slow_ms of the
 * high watermark; who would not at that speed reads faster. Right: it stays.
 */
static void choose_bursty(sim_world_t *world, sim_consumer_t *consumer) {
  if (world->feed.kind != SIM_FEED_ON_OFF) {
    choose_healthy(world, consumer);
    return;
  }
  double reads = 1.25 * sim_feed_mean(&world->feed);
  while (!outlives_peak(world, reads, 0.3)) reads *= 1.02;
  connect_peer(world, consumer, reads, 0.3);
}

static double kernel_bytes(const sim_peer_t *peer) {
  return (double) peer->window + peer->flight_max + peer->unsent_max;
}

/* It goes, by when everything in between is full and three times slow_ms have passed: the clock may have begun anew
 * once by a step of the kernel's, and who has stopped moving is left to STALLED for as long again. `cycle_s`: what is
 * to be added for a ring that fills and falls once. */
static void goes_by(sim_world_t *world, sim_consumer_t *consumer, double from_ms, double bytes_per_s, double cycle_s) {
  consumer->outcome = SIM_GOES;
  consumer->must_go_by_ms = UINT32_MAX;
  if (world->feed.kind != SIM_FEED_STEADY) return;
  double excess = sim_feed_peak(&world->feed) - bytes_per_s;
  double full_ms = (kernel_bytes(&consumer->peer) + ring_bytes(world) / 2 + world->feed.size) / excess * 1e3;
  double judged_ms = 3.0 * world->policy.set.slow_ms + world->policy.set.stall_ms + world->policy.set.grace_ms;
  double by_ms = from_ms + 1.1 * (full_ms + 1e3 * cycle_s) + judged_ms + 12000;
  if (by_ms < SIM_DURATION_MS) consumer->must_go_by_ms = (uint32_t) by_ms;
}

/* A link below the rate, by so much that the ring is full in half of the time. */
static double choose_link_below(sim_world_t *world, double rate) {
  double least_excess = (120000 + ring_bytes(world)) / 45;
  double most = rate - least_excess < 0.95 * rate ? rate - least_excess : 0.95 * rate;
  return most > 0 ? most * sim_random_real(&world->random, 0.05, 1) : 0;
}

/*
 * SLOW_LINK: the client reads fast, the link is slow. Right: it goes if the rate is more than 1.05 times the link, it
 * stays if the link is more than 1.05 times the rate and drains a burst in time; in between either. The ring has to be
 * larger than what our kernel takes at a time, or it would be drained again and again. It may go only after it has once
 * lost messages until the low watermark, as long as it falls by a step in slow_ms on the way.
 */
static void choose_slow_link(sim_world_t *world, sim_consumer_t *consumer) {
  double rate = sim_feed_peak(&world->feed);
  uint32_t kind = sim_random_int(&world->random, 0, 9);
  bool may_go = world->feed.kind == SIM_FEED_STEADY && ring_bytes(world) > 4 * DEFAULT_UNSENT;
  double below = kind < 5 && may_go ? choose_link_below(world, rate) : 0;
  double link =
      rate * (kind == 9 ? sim_random_real(&world->random, 0.95, 1.05) : sim_random_scale(&world->random, 1.05, 3));
  if (below > 0) link = below;
  while (kind < 9 && below == 0 && world->feed.burst && !drains_in_time(world, link, rate, burst_s(world), 0.1))
    link *= 1.02;

  connect_peer(world, consumer, 4 * (link > rate ? link : rate), 0.3);
  uint32_t link_step = (uint32_t) (link / SIM_STEPS_PER_S) + 1;
  consumer->peer.link = link_step;
  consumer->peer.flight_max = 4 * link_step + sim_random_int(&world->random, 16384, 60000);
  if (kind == 9) consumer->outcome = SIM_EITHER;
  if (below > 0)
    goes_by(world, consumer, consumer->opens_ms, link, ring_bytes(world) / (rate - link) + ring_bytes(world) / link);
}

/*
 * TRICKLE: reads so little that even a full ring that takes no more messages doesn't fall by a step in four times
 * slow_ms. Its window opens by half a step at most. Right: it goes, as SLOW or, if it is silent for that long, as
 * STALLED.
 */
static void choose_trickle(sim_world_t *world, sim_consumer_t *consumer) {
  double step = ring_bytes(world) / 16;
  double most = step / (4 * world->policy.set.slow_ms / 1e3);
  if (most > sim_feed_mean(&world->feed) / 2) most = sim_feed_mean(&world->feed) / 2;
  double reads = most * sim_random_real(&world->random, 0.1, 1);
  if (reads < 3 * SIM_STEPS_PER_S) reads = 0;
  connect_peer(world, consumer, reads, 0);
  if (reads == 0)
    consumer->peer.reads = 0;
  else
    consumer->peer.reads--; /* connect_peer rounds up */
  if (consumer->peer.window_step > step / 2) consumer->peer.window_step = (uint32_t) (step / 2) + 1;
  consumer->peer.window = 2 * consumer->peer.window_step + sim_random_int(&world->random, 0, 8192);
  consumer->peer.flight_max = 16384;
  consumer->peer.link = 16384;
  goes_by(world, consumer, consumer->opens_ms, reads, 0);
}

/* A reader that takes whatever comes within a moment. */
static void connect_fast_peer(sim_world_t *world, sim_consumer_t *consumer) {
  connect_peer(world, consumer, (double) READS_MAX * SIM_STEPS_PER_S, 0);
}

/*
 * OSCILLATING: pauses for up to a second less than stall_ms and slow_ms, and then reads everything at once. Right: it
 * stays, and goes through the watermarks no more often than the hysteresis allows (asked of all).
 */
static void choose_oscillating(sim_world_t *world, sim_consumer_t *consumer) {
  connect_fast_peer(world, consumer);
  uint32_t pause_ms = in_steps(sim_random_real(&world->random, 500, shorter_ms(world) - 1000.0));
  pause_peer(world, consumer, pause_ms, pause_ms + 500.0, pause_ms + 5000.0);
}

/*
 * STALLED: reads whatever comes until a moment, and nothing from then on. Right: STALLED, at the second sweep after
 * stall_ms and the grace at the latest, and not before (asked of all who are STALLED).
 */
static void choose_stalled(sim_world_t *world, sim_consumer_t *consumer) {
  double rate = sim_feed_peak(&world->feed);
  connect_peer(world, consumer, rate * sim_random_scale(&world->random, 2, 10) + 20000, 0.2);
  double dead_ms = sim_random_chance(&world->random, 30) ? 0 : sim_random_real(&world->random, 0, 80000);
  consumer->peer.dead_from_ms = consumer->opens_ms + in_steps(dead_ms);
  goes_by(world, consumer, consumer->peer.dead_from_ms, 0, 0);
}

/*
 * RECOVERING: again and again reads nothing until a sweep before it would be STALLED, and then everything at once.
 * slow_ms is no less than stall_ms where it is to work. Right: it stays.
 */
static void choose_recovering(sim_world_t *world, sim_consumer_t *consumer) {
  connect_fast_peer(world, consumer);
  if (world->policy.set.slow_ms < world->policy.set.stall_ms) return;
  consumer->waits_from_ms = consumer->opens_ms + in_steps(sim_random_real(&world->random, 1000, 20000));
  consumer->waits_every_ms = in_steps(sim_random_real(&world->random, 1000, 20000));
}

/*
 * DEEP: our kernel has a deep buffer, so that after a burst it takes nothing for longer than stall_ms, while the client
 * acknowledges all the time; its ring stays below the high watermark. Right: it stays.
 */
static void choose_deep(sim_world_t *world, sim_consumer_t *consumer) {
  const sim_feed_t *feed = &world->feed;
  double rate = sim_feed_peak(feed);
  double ring = ring_bytes(world);
  double reads = rate * 1.1;
  double window_step = reads * 0.2;
  double unsent = (double) feed->burst * feed->size - 4 * window_step - ring * 0.15;
  double silence_s = unsent / 2 / reads;
  bool fits = feed->burst && silence_s * 1e3 > world->policy.set.stall_ms + 2000.0;
  bool is_below = ring * 0.15 + 4 * window_step + rate * (silence_s + 1) < ring / 2;
  if (!fits || !is_below) {
    choose_loaded(world, consumer);
    return;
  }
  connect_peer(world, consumer, reads, 0.2);
  consumer->peer.window = 2 * consumer->peer.window_step + 4 * consumer->peer.reads;
  consumer->peer.flight_max = 4 * consumer->peer.reads;
  consumer->peer.unsent_max = (uint32_t) unsent;
}

/*
 * CONFLATING: subscribed to a state topic with more keys than its ring has slots, and reads less than comes in, but all
 * the time: in a third of slow_ms a step and what our kernel hides, in a third of stall_ms two messages. Right: it
 * stays, however far behind it is.
 */
static void choose_conflating(sim_world_t *world, sim_consumer_t *consumer) {
  const fluxbp_policy_t *set = &world->policy.set;
  double rate = sim_feed_mean(&world->feed);
  double by_slow = (ring_bytes(world) / 16 + 2 * world->feed.size + DEFAULT_UNSENT) / (set->slow_ms / 3e3);
  double by_stall = (2 * world->feed.size + DEFAULT_UNSENT) / (set->stall_ms / 3e3);
  double least = by_slow > by_stall ? by_slow : by_stall;
  if (least > 0.9 * rate) {
    choose_loaded(world, consumer);
    return;
  }
  consumer->keys = (uint32_t) (set->slots * sim_random_scale(&world->random, 1.5, 50));
  connect_peer(world, consumer, sim_random_scale(&world->random, least, 0.9 * rate), 0.3);
}

/*
 * PINGED: reads 3 to 60 KB/s of a burst below the high watermark, and is pinged meanwhile. Right: it stays if it
 * answers the pings when it has read so far. A third never answers, or stops reading for good: these are closed when
 * their kernel has everything and nothing was heard of it for the time between two pings; one whose kernel has not got
 * everything is left to the policy.
 */
static void choose_pinged(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  connect_peer(world, consumer, sim_random_scale(random, 3000, 60000), 0.5);
  consumer->pings.is_mute = sim_random_chance(random, 20);
  consumer->pings.due_ms = in_steps(sim_random_real(random, 0, world->ping_ms));
  if (!sim_random_chance(random, 15)) return;
  consumer->outcome = SIM_EITHER;
  consumer->peer.dead_from_ms = in_steps(sim_random_real(random, 0, 80000));
}

/* Half of the clients are healthy. */
static sim_model_t choose_model(sim_random_t *random) {
  static const uint8_t percent[SIM_MODELS] = {
      [SIM_HEALTHY] = 48, [SIM_LOADED] = 7,      [SIM_BURSTY] = 8,  [SIM_SLOW_LINK] = 10,
      [SIM_TRICKLE] = 6,  [SIM_OSCILLATING] = 6, [SIM_STALLED] = 6, [SIM_RECOVERING] = 3,
      [SIM_DEEP] = 3,     [SIM_CONFLATING] = 3, /* the others have their worlds */
  };
  uint32_t drawn = sim_random_int(random, 0, 99);
  uint32_t model = 0;
  for (uint32_t sum = percent[0]; drawn >= sum; sum += percent[model]) model++;
  return (sim_model_t) model;
}

/*
 * When the uplink dies, everybody is HEALTHY without pauses, and what the kernel takes is used up within about a
 * second, so that all of them are half-way to a verdict before the first one would fall.
 */
static void choose_behind_uplink(sim_world_t *world, sim_consumer_t *consumer) {
  double rate = sim_feed_peak(&world->feed);
  connect_peer(world, consumer, rate * sim_random_scale(&world->random, 1.25, 4), 0.3);
  consumer->peer.flight_max = 4 * consumer->peer.reads;
  consumer->peer.window_step = 4096;
  bool is_to_stall = world->dead_to_ms < UINT32_MAX && sim_random_chance(&world->random, 5);
  if (!is_to_stall) return;
  consumer->model = SIM_STALLED;
  consumer->peer.dead_from_ms = world->dead_to_ms + in_steps(sim_random_real(&world->random, 15000, 30000));
  goes_by(world, consumer, consumer->peer.dead_from_ms, 0, 0);
}

void sim_consumer_choose(sim_world_t *world, sim_consumer_t *consumer) {
  static void (*const choose[SIM_MODELS])(sim_world_t *, sim_consumer_t *) = {
      [SIM_HEALTHY] = choose_healthy, [SIM_LOADED] = choose_loaded,
      [SIM_BURSTY] = choose_bursty,   [SIM_SLOW_LINK] = choose_slow_link,
      [SIM_TRICKLE] = choose_trickle, [SIM_OSCILLATING] = choose_oscillating,
      [SIM_STALLED] = choose_stalled, [SIM_RECOVERING] = choose_recovering,
      [SIM_DEEP] = choose_deep,       [SIM_CONFLATING] = choose_conflating,
  };
  consumer->outcome = SIM_STAYS;
  consumer->must_go_by_ms = UINT32_MAX;
  consumer->waits_from_ms = UINT32_MAX;
  consumer->pushed_when_low = UINT64_MAX;
  consumer->peer.gone_from_ms = UINT32_MAX;
  consumer->peer.gone_to_ms = UINT32_MAX;
  if (world->kind != SIM_USUAL) {
    if (world->kind == SIM_QUIET_WORLD && sim_random_chance(&world->random, 20))
      consumer->opens_ms = in_steps(sim_random_real(&world->random, 0, 20000));
    static void (*const choose_in[])(sim_world_t *, sim_consumer_t *) = {
        [SIM_QUIET_WORLD] = sim_choose_in_quiet_world,
        [SIM_LARGE_WORLD] = sim_choose_in_large_world,
        [SIM_SOFT_WORLD] = sim_choose_in_soft_world,
    };
    choose_in[world->kind](world, consumer);
    return;
  }
  if (world->dead_from_ms < UINT32_MAX) {
    consumer->model = SIM_HEALTHY;
    choose_behind_uplink(world, consumer);
    if (world->dead_to_ms == UINT32_MAX) consumer->outcome = SIM_GOES;
    return;
  }
  if (world->ping_ms > 0) {
    consumer->model = SIM_PINGED;
    choose_pinged(world, consumer);
    return;
  }
  consumer->model = choose_model(&world->random);
  if (sim_random_chance(&world->random, 20)) consumer->opens_ms = in_steps(sim_random_real(&world->random, 0, 60000));
  choose[consumer->model](world, consumer);
  /* every second of those that stop reading is gone besides: at the same moment, or when its window has long been
   * closed */
  uint32_t index = (uint32_t) (consumer - world->consumers);
  if (consumer->model != SIM_STALLED || index % 2 == 0) return;
  consumer->model = SIM_GONE;
  consumer->peer.gone_from_ms = consumer->peer.dead_from_ms + (index % 4 == 1 ? 0 : 2000);
}

const char *sim_model_name(sim_model_t model) {
  static const char *const names[SIM_MODELS] = {
      [SIM_HEALTHY] = "healthy",
      [SIM_LOADED] = "loaded",
      [SIM_BURSTY] = "bursty",
      [SIM_SLOW_LINK] = "slow link",
      [SIM_TRICKLE] = "trickle",
      [SIM_OSCILLATING] = "oscillating",
      [SIM_STALLED] = "stalled",
      [SIM_RECOVERING] = "recovering",
      [SIM_DEEP] = "deep",
      [SIM_GONE] = "gone",
      [SIM_CLOSED] = "closed",
      [SIM_DRIP] = "drip",
      [SIM_LARGE] = "large",
      [SIM_BACK_IN_TIME] = "back in time",
      [SIM_CONFLATING] = "conflating",
      [SIM_PINGED] = "pinged",
      [SIM_ABOVE] = "above",
      [SIM_DIPPING] = "dipping",
  };
  return names[model];
}
