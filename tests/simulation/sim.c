/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* In every so many seeds a real ring goes beside each model of one. */
enum { SEEDS_PER_REAL = 16 };

static fluxbp__ring_t real_rings[SIM_CONSUMERS];
static fluxbp__ring_memory_t ring_memory; /* of all of them */

void sim_event(sim_world_t *world, const sim_consumer_t *consumer, const char *what) {
  int index = consumer != NULL ? (int) (consumer - world->consumers) : -1;
  uint64_t queued = consumer != NULL ? sim_ring_count(&consumer->ring) : 0;
  uint64_t facts[] = {world->now_ms, world->observed_ms,      (uint64_t) index,
                      queued,        (unsigned char) what[0], (uint64_t) strlen(what)};
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    world->hash = (world->hash ^ facts[i]) * 0x9e3779b97f4a7c15u;
    world->hash ^= world->hash >> 32;
  }
  if (world->traced < 0 || (index >= 0 && index != world->traced)) return;
  printf("  %8.2f s, observed %8.2f s: %-22s %5llu queued\n", world->now_ms / 1e3, (double) world->observed_ms / 1e3,
         what, (unsigned long long) queued);
}

static const sim_stop_t *stop_now(const sim_world_t *world) {
  for (uint32_t i = 0; i < world->stop_count; i++)
    if (world->now_ms >= world->stops[i].from_ms && world->now_ms < world->stops[i].to_ms) return &world->stops[i];
  return NULL;
}

static bool is_uplink_dead(const sim_world_t *world) {
  return world->now_ms >= world->dead_from_ms && world->now_ms < world->dead_to_ms;
}

/* A client pauses again only when what the last pause left has been read, which takes longer while the server is
 * stopped. */
static void put_pause_off(const sim_world_t *world, sim_consumer_t *consumer) {
  sim_peer_t *peer = &consumer->peer;
  bool begins = consumer->model == SIM_HEALTHY && peer->pause_at_ms == world->client_ms;
  if (world->stop_count == 0 || !begins || !consumer->has_clocks) return;
  if (consumer->clocks.is_backpressured) peer->pause_at_ms += SIM_STEP_MS;
}

/* The peer's part of a step. Who recovers just in time waits until a sweep before its verdict. */
static void step_peer(sim_world_t *world, sim_consumer_t *consumer) {
  put_pause_off(world, consumer);
  if (consumer->model == SIM_RECOVERING && world->client_ms >= consumer->waits_from_ms) {
    uint64_t idle_ms = world->told_ms - consumer->moved_ms;
    bool is_time = consumer->is_refused && idle_ms + SIM_SWEEP_MS >= world->policy.set.stall_ms;
    consumer->peer.is_waiting = !is_time;
    if (is_time) consumer->waits_from_ms = world->client_ms + consumer->waits_every_ms;
  }
  if (consumer->model == SIM_DIPPING) consumer->peer.is_waiting = sim_soft_is_waiting(world, consumer);
  bool is_cut = sim_peer_is_gone(&consumer->peer, world->client_ms) || is_uplink_dead(world);
  sim_peer_step(&consumer->peer, world->client_ms, is_cut);
  sim_kernel_step(&consumer->kernel, &consumer->peer, world->client_ms, SIM_STEP_MS, is_cut);
  sim_pings_hear(world, consumer);
}

static void wake(sim_world_t *world, uint32_t index) {
  sim_consumer_t *consumer = &world->consumers[index];
  world->sleeps[index] = (sim_sleep_t){0};
  if (consumer->is_open)
    sim_peer_skip(&consumer->peer, world->published - consumer->skipped_from);
  else
    sim_server_open(world, consumer);
}

static bool is_at_rest(const sim_consumer_t *consumer) {
  bool is_watched = consumer->has_clocks && consumer->clocks.is_silent;
  return consumer->ring.messages == 0 && consumer->waiting == 0 && !consumer->is_refused && !is_watched &&
         sim_peer_is_idle(&consumer->peer);
}

static void fall_asleep(sim_world_t *world, uint32_t index, uint64_t step_bytes) {
  sim_consumer_t *consumer = &world->consumers[index];
  uint32_t until_ms = sim_peer_flows_until_ms(&consumer->peer);
  if (consumer->waits_from_ms < until_ms) until_ms = consumer->waits_from_ms;
  if (until_ms <= world->client_ms + SIM_STEP_MS || is_uplink_dead(world)) return;
  world->sleeps[index] = (sim_sleep_t){.until_ms = until_ms, .flow = sim_peer_flow(&consumer->peer)};
  consumer->skipped_from = world->published + step_bytes;
}

static void note_movement(const sim_world_t *world, sim_consumer_t *consumer) {
  uint64_t bytes = consumer->peer.written + consumer->peer.acked;
  if (bytes == consumer->moved_bytes) return;
  consumer->moved_bytes = bytes;
  consumer->moved_ms = world->told_ms;
}

static void step_consumer(sim_world_t *world, uint32_t index, uint32_t messages) {
  sim_consumer_t *consumer = &world->consumers[index];
  if (world->sleeps[index].until_ms > 0) wake(world, index);
  step_peer(world, consumer);
  sim_server_poll(world, consumer);
  sim_soft_note(world, consumer);
  if (messages > 0) sim_server_publish(world, consumer, messages);
  sim_soft_note(world, consumer);
  note_movement(world, consumer);
  sim_pings_step(world, consumer);
  if (consumer->is_open && world->ping_ms == 0 && is_at_rest(consumer))
    fall_asleep(world, index, (uint64_t) messages * world->feed.size);
}

/* The server is stopped: the clients go on, unless their host is. */
static void step_stopped(sim_world_t *world, const sim_stop_t *stop) {
  if (stop->is_of_host) return;
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++)
    if (world->consumers[i].is_open && world->sleeps[i].until_ms == 0) step_peer(world, &world->consumers[i]);
}

static void step_running(sim_world_t *world, uint32_t elapsed_ms) {
  world->told_ms += elapsed_ms < 2 * SIM_SWEEP_MS ? elapsed_ms : 2 * SIM_SWEEP_MS;
  uint32_t messages = sim_feed_step(&world->feed, world->now_ms);
  uint64_t bytes = (uint64_t) messages * world->feed.size;
  if (messages > 0) (void) sim_server_observe(world);
  bool wakes_all = world->now_ms == world->dead_from_ms;

  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) {
    const sim_sleep_t *sleeping = &world->sleeps[i];
    bool stays_asleep = world->client_ms < sleeping->until_ms && bytes <= sleeping->flow;
    if (!stays_asleep || (wakes_all && world->consumers[i].is_open)) step_consumer(world, i, messages);
  }
  world->published += bytes;
  sim_server_sweep(world);
  sim_server_patrol(world);
}

/* A frame that stands for all of them, which is all that a ring wants to know. */
static void make_rings_real(sim_world_t *world) {
  static char payload[1 << 20];
  sim_ring_kind_t *kind = &world->ring_kind;
  fluxbp_msg_t *msg;
  int err = fluxbp_pool_create(NULL, &kind->pool);
  if (!err) err = fluxbp_msg_create(kind->pool, payload, kind->size, &msg);
  if (!err) err = fluxbp__frame_create(kind->pool, msg, &fluxbp_codec_raw, NULL, 1, &kind->frame);
  assert(err == 0);
  fluxbp_msg_unref(msg);
  ring_memory = (fluxbp__ring_memory_t){.pool = kind->pool};
  kind->memory = &ring_memory;
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) {
    fluxbp__ring_init(&real_rings[i]);
    world->consumers[i].ring.real = &real_rings[i];
  }
}

static void release_real_rings(sim_world_t *world) {
  sim_ring_kind_t *kind = &world->ring_kind;
  if (kind->pool == NULL) return;
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) sim_ring_clear(&world->consumers[i].ring, kind);
  fluxbp__ring_memory_clear(kind->memory);
  fluxbp__frame_unref(kind->frame);
  int err = fluxbp_pool_destroy(kind->pool);
  assert(err == 0 && "all references were given back");
  (void) err;
}

static void prepare(sim_world_t *world, uint64_t seed, sim_fault_t fault, int traced) {
  memset(world, 0, sizeof *world);
  world->seed = seed;
  world->fault = fault;
  world->traced = traced;
  world->random.state = seed;
  world->sweep_due_ms = UINT64_MAX;
  sim_world_choose(world);
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) {
    sim_consumer_t *consumer = &world->consumers[i];
    sim_consumer_choose(world, consumer);
    consumer->peer.edge = consumer->peer.window;
    world->sleeps[i] = (sim_sleep_t){.until_ms = consumer->opens_ms, .flow = UINT32_MAX};
    if (consumer->opens_ms == 0) wake(world, i);
  }
  if (seed % SEEDS_PER_REAL == SEEDS_PER_REAL / 2) make_rings_real(world);
}

void sim_run(sim_world_t *world, uint64_t seed, sim_fault_t fault, int traced) {
  prepare(world, seed, fault, traced);
  uint32_t last_ms = 0;
  for (; world->now_ms < SIM_DURATION_MS; world->now_ms += SIM_STEP_MS) {
    const sim_stop_t *stop = stop_now(world);
    if (stop == NULL || !stop->is_of_host) world->client_ms += SIM_STEP_MS;
    if (stop != NULL) {
      step_stopped(world, stop);
      continue;
    }
    step_running(world, world->now_ms - last_ms);
    last_ms = world->now_ms;
  }
  release_real_rings(world);
}
