/* SPDX-License-Identifier: MIT */
/*
 * models_silent: the kinds of clients of two worlds of their own. In the quiet one STALLED and SLOW are off, and
 * what is published is so little that much of it is taken by the kernel whatever becomes of the client. In the other
 * one each message is larger than the ring.
 */
#include "sim.h"

enum { UNREACHABLE_MS = 30000, WINDOW_MIN = 4096 };

static uint32_t in_steps(double ms) {
  return (uint32_t) ms - (uint32_t) ms % SIM_STEP_MS;
}

void sim_connect_small(sim_world_t *world, sim_consumer_t *consumer, uint32_t reads) {
  sim_random_t *random = &world->random;
  sim_peer_t *peer = &consumer->peer;
  peer->reads = reads;
  peer->window_step = sim_random_int(random, WINDOW_MIN / 4, WINDOW_MIN);
  peer->window = peer->window_step * sim_random_int(random, 2, 4);
  if (peer->window < 4 * reads) peer->window = 4 * reads;
  peer->link = 262144;
  peer->flight_max = sim_random_int(random, 16384, 65536) + 4 * reads;
  peer->unsent_max = 16384;
  peer->pause_at_ms = UINT32_MAX;
  peer->dead_from_ms = UINT32_MAX;
  peer->gone_from_ms = UINT32_MAX;
  peer->gone_to_ms = UINT32_MAX;
}

/*
 * GONE: nothing comes of it from a moment on; half of them had stopped reading some seconds before. Right:
 * UNREACHABLE, 30 s after the patrol or a sample has found out, which needs a message and two retransmissions.
 */
static void choose_gone(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  sim_peer_t *peer = &consumer->peer;
  sim_connect_small(world, consumer, 65536);
  peer->gone_from_ms = consumer->opens_ms + in_steps(sim_random_real(random, 0, 40000));
  if (sim_random_chance(random, 50))
    peer->dead_from_ms =
        peer->gone_from_ms - (peer->gone_from_ms > 5000 ? in_steps(sim_random_real(random, 0, 5000)) : 0);
  consumer->outcome = SIM_GOES;
  uint32_t message_ms = 1000 / world->feed.rate + 1;
  uint32_t found_ms = message_ms + 1000 + SIM_PATROL_MS + SIM_SAMPLE_MS;
  consumer->must_go_by_ms = peer->gone_from_ms + found_ms + UNREACHABLE_MS + world->policy.set.grace_ms +
                            2 * SIM_SWEEP_MS + (world->stop_count > 0 ? 20000U : 0U);
}

/* CLOSED: stops reading, and its kernel answers each probe. Right: it stays. */
static void choose_closed(sim_world_t *world, sim_consumer_t *consumer) {
  sim_connect_small(world, consumer, 65536);
  consumer->peer.dead_from_ms = consumer->opens_ms + in_steps(sim_random_real(&world->random, 0, 60000));
}

/* DRIP: reads 5 bytes to 1 KB a second. Right: it stays. */
static void choose_drip(sim_world_t *world, sim_consumer_t *consumer) {
  double reads = sim_random_scale(&world->random, 5, 1000);
  sim_connect_small(world, consumer, 1);
  consumer->peer.read_every = (uint32_t) (SIM_STEPS_PER_S / reads) + 1;
  if (reads > SIM_STEPS_PER_S) consumer->peer.reads = (uint32_t) (reads / SIM_STEPS_PER_S) + 1;
}

/* BACK_IN_TIME: the way to it is cut for up to 29 s, again and again. Right: it stays. */
static void choose_back_in_time(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  sim_connect_small(world, consumer, 65536);
  consumer->peer.gone_from_ms = consumer->opens_ms + in_steps(sim_random_real(random, 0, 40000));
  consumer->peer.gone_to_ms = consumer->peer.gone_from_ms + in_steps(sim_random_real(random, 1000, 29000));
  consumer->peer.gone_every_ms = consumer->peer.gone_to_ms - consumer->peer.gone_from_ms + 1000;
}

void sim_choose_in_quiet_world(sim_world_t *world, sim_consumer_t *consumer) {
  static void (*const choose[])(sim_world_t *, sim_consumer_t *) = {choose_closed, choose_drip, choose_back_in_time,
                                                                    choose_gone};
  static const sim_model_t models[] = {SIM_CLOSED, SIM_DRIP, SIM_BACK_IN_TIME, SIM_GONE};
  uint32_t drawn = sim_random_int(&world->random, 0, 9);
  if (drawn < 4) {
    consumer->model = models[drawn];
    choose[drawn](world, consumer);
    return;
  }
  consumer->model = SIM_HEALTHY;
  sim_connect_small(world, consumer, 65536);
}

/*
 * LARGE: takes 60 to 80 % of the time between two messages for each, which is longer than slow_ms. Right: it stays.
 * One of six stops reading (STALLED), and one of six reads so little that it gains less than 1/16 of the ring in
 * four times slow_ms (TRICKLE). Right: it goes.
 */
void sim_choose_in_large_world(sim_world_t *world, sim_consumer_t *consumer) {
  sim_random_t *random = &world->random;
  const sim_feed_t *feed = &world->feed;
  uint32_t drawn = sim_random_int(random, 0, 5);
  double reads = sim_feed_mean(feed) / sim_random_real(random, 0.6, 0.8);
  double step = (double) world->policy.set.max_bytes / 16;
  consumer->model = drawn == 0 ? SIM_STALLED : drawn == 1 ? SIM_TRICKLE : SIM_LARGE;
  if (consumer->model == SIM_TRICKLE)
    reads = step / (4 * world->policy.set.slow_ms / 1e3) * sim_random_real(random, 0.2, 1);
  sim_connect_small(world, consumer, (uint32_t) (reads / SIM_STEPS_PER_S));
  if (consumer->model == SIM_TRICKLE && consumer->peer.window_step > step / 2)
    consumer->peer.window_step = (uint32_t) (step / 2);
  if (consumer->model == SIM_STALLED) consumer->peer.dead_from_ms = in_steps(sim_random_real(random, 0, 60000));
  if (consumer->model == SIM_LARGE) return;
  consumer->outcome = SIM_GOES;
  uint32_t from_ms = consumer->model == SIM_STALLED ? consumer->peer.dead_from_ms : 0;
  consumer->must_go_by_ms = from_ms + 2 * (feed->on_ms + feed->off_ms) + 3 * world->policy.set.slow_ms +
                            world->policy.set.stall_ms + world->policy.set.grace_ms + 10000;
}
