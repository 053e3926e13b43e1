/* SPDX-License-Identifier: MIT */
/*
 * server: what the library does between a message and the policy, over simulated peers. Each function does what its
 * namesake in lib/core/ does, as far as the policy can tell; the faults that the simulation has to find are put in
 * here.
 */
#include "sim.h"

#include <assert.h>

/* fluxbp__engine_observe */
uint64_t sim_server_observe(sim_world_t *world) {
  uint64_t elapsed_ms = world->now_ms - world->last_look_ms;
  uint64_t most_ms = world->fault == SIM_FAULT_TIME_UNCAPPED ? UINT64_MAX : 2 * SIM_SWEEP_MS;
  world->observed_ms += elapsed_ms < most_ms ? elapsed_ms : most_ms;
  world->last_look_ms = world->now_ms;
  return world->observed_ms;
}

static void sweep_by(sim_world_t *world, uint64_t due_ms) {
  if (due_ms < world->sweep_due_ms) world->sweep_due_ms = due_ms;
}

static uint64_t acked_bytes(const sim_world_t *world, const sim_consumer_t *consumer) {
  return world->fault == SIM_FAULT_BLIND_TO_ACKS ? consumer->peer.written : consumer->peer.acked;
}

/* fluxbp__conn_take_pressure */
static void take_pressure(sim_world_t *world, sim_consumer_t *consumer) {
  if (consumer->has_clocks) return;
  consumer->has_clocks = true;
  consumer->samples[0] = consumer->samples[1] = (fluxbp__sample_t){0};
  world->pressed++;
  uint64_t grace_from_ms = world->fault == SIM_FAULT_NO_GRACE ? 0 : consumer->opened_observed_ms;
  fluxbp__clocks_start(&consumer->clocks, grace_from_ms, sim_server_observe(world), consumer->peer.written,
                       acked_bytes(world, consumer));
  sweep_by(world, world->now_ms + SIM_SWEEP_MS);
  sim_event(world, consumer, "refused");
}

/* fluxbp__conn_release_pressure */
static void release_pressure(sim_world_t *world, sim_consumer_t *consumer) {
  if (!consumer->has_clocks || world->fault == SIM_FAULT_CLOCKS_KEPT) return;
  if (consumer->clocks.is_silent && world->fault != SIM_FAULT_SILENCE_FORGOTTEN) {
    fluxbp__clocks_drained(&consumer->clocks, consumer->opened_observed_ms, sim_server_observe(world),
                           consumer->peer.written, acked_bytes(world, consumer));
    return;
  }
  consumer->has_clocks = false;
  consumer->has_lost = false;
  world->pressed--;
  sim_event(world, consumer, "drained");
}

/* Messages that come in at least between the watermarks. One is less when the low watermark is between two messages,
 * one is the marker of a loss, and one crosses the high watermark before it is counted. */
static uint64_t least_between(const sim_world_t *world) {
  const fluxbp__limits_t *limits = &world->ring_kind.limits;
  uint64_t by_slots = limits->high_slots - limits->low_slots;
  uint64_t by_bytes = (limits->high_bytes - limits->low_bytes) / world->ring_kind.size;
  uint64_t least = by_slots < by_bytes ? by_slots : by_bytes;
  return least > 3 ? least - 3 : 0;
}

/* fluxbp__conn_backlog, of a ring with so much in it */
static fluxbp__backlog_t backlog_of(const sim_world_t *world, const sim_consumer_t *consumer, uint64_t queued,
                                    uint64_t bytes) {
  if (queued == 0) return (fluxbp__backlog_t){0};
  if (world->fault == SIM_FAULT_WHOLE_MESSAGES) return (fluxbp__backlog_t){.queued = queued, .bytes = bytes};
  uint64_t max_bytes = world->ring_kind.limits.max_bytes;
  if (world->fault == SIM_FAULT_FILL_CLAMPED && bytes > max_bytes)
    return (fluxbp__backlog_t){.queued = queued, .bytes = max_bytes};
  return (fluxbp__backlog_t){
      .queued = queued, .bytes = bytes, .head_bytes = world->ring_kind.size, .head_written = consumer->head_written};
}

/* The faults that are about the clock of SOFT_LIMIT, when the ring has changed. */
static void forget_soft_limit(const sim_world_t *world, sim_consumer_t *consumer, const fluxbp__clocks_t *before) {
  bool runs_on = world->fault == SIM_FAULT_SOFT_UNTIL_DRAINED && before->is_over_soft;
  if (!runs_on && world->fault != SIM_FAULT_SOFT_BY_SWEEPS) return;
  consumer->clocks.is_over_soft = before->is_over_soft;
  consumer->clocks.over_soft_ms = before->over_soft_ms;
}

/* fluxbp__conn_watermarks */
static void note_fill(sim_world_t *world, sim_consumer_t *consumer, uint64_t queued, uint64_t bytes) {
  fluxbp__policy_t policy = world->policy;
  if (world->fault == SIM_FAULT_NO_HYSTERESIS) {
    policy.limits.low_slots = policy.limits.high_slots - 1;
    policy.limits.low_bytes = policy.limits.high_bytes - 1;
  }
  fluxbp__backlog_t backlog = backlog_of(world, consumer, queued, bytes);
  fluxbp__clocks_t before = consumer->clocks;
  bool has_crossed = fluxbp__clocks_watermarks(&consumer->clocks, &policy, &backlog, sim_server_observe(world));
  forget_soft_limit(world, consumer, &before);
  if (!has_crossed) return;
  bool enters = consumer->clocks.is_backpressured;
  if (enters && consumer->pushed_when_low < UINT64_MAX)
    consumer->flaps += consumer->pushed - consumer->pushed_when_low < least_between(world);
  if (!enters) consumer->pushed_when_low = consumer->pushed;
  if (enters && !consumer->has_lost) consumer->pressed_since_ms = world->told_ms;
  sim_event(world, consumer, enters ? "at its high watermark" : "at its low watermark");
}

static void note_ring(sim_world_t *world, sim_consumer_t *consumer) {
  note_fill(world, consumer, sim_ring_count(&consumer->ring), sim_ring_bytes(&consumer->ring, &world->ring_kind));
}

/* Everything that the kernel would take, until it refuses. False: it has taken all. */
static bool is_refused_writing(sim_world_t *world, sim_consumer_t *consumer) {
  uint32_t size = world->ring_kind.size;
  uint64_t bytes = sim_ring_bytes(&consumer->ring, &world->ring_kind) - consumer->head_written;
  uint64_t room = sim_peer_room(&consumer->peer);
  uint64_t taken = bytes < room ? bytes : room;

  sim_peer_write(&consumer->peer, taken);
  uint64_t with_head = consumer->head_written + taken;
  consumer->head_written = (uint32_t) (with_head % size);
  sim_ring_pop(&consumer->ring, (uint32_t) (with_head / size));
  return taken < bytes;
}

/* refuse of conn_write.c */
static void refuse(sim_world_t *world, sim_consumer_t *consumer, bool is_first_offer) {
  take_pressure(world, consumer);
  if (world->fault == SIM_FAULT_CLOCKS_KEPT && is_first_offer) return; /* these clocks ran on from the last time */
  fluxbp__clocks_progress(&consumer->clocks, sim_server_observe(world), consumer->peer.written);
}

/* write_and_settle of conn_write.c */
static void write_and_settle(sim_world_t *world, sim_consumer_t *consumer, bool is_first_offer) {
  do {
    consumer->is_refused = is_refused_writing(world, consumer);
    if (consumer->is_refused) refuse(world, consumer, is_first_offer);
    sim_ring_settle(&consumer->ring, &world->ring_kind);
    bool is_seen = world->fault != SIM_FAULT_CLOCKS_KEPT || sim_ring_count(&consumer->ring) > 0;
    if (consumer->has_clocks && is_seen) note_ring(world, consumer);
  } while (sim_ring_count(&consumer->ring) > 0 && !consumer->is_refused);
  if (!consumer->is_refused) release_pressure(world, consumer);
}

/* Staged one by one, a message is seen at the moment at which it makes the ring high. */
static void note_high(sim_world_t *world, sim_consumer_t *consumer, uint32_t messages_before) {
  const fluxbp__limits_t *limits = &world->ring_kind.limits;
  const sim_ring_t *ring = &consumer->ring;
  uint32_t size = world->ring_kind.size;
  for (uint32_t messages = messages_before + 1; messages <= ring->messages; messages++) {
    uint32_t count = messages + ring->has_marker;
    if (!fluxbp__limits_is_high(limits, count, (uint64_t) messages * size)) continue;
    note_fill(world, consumer, count, (uint64_t) messages * size);
    return;
  }
}

/* Queue as many values as keep a ring below its high watermark. */
static uint32_t push_below_high(sim_world_t *world, sim_consumer_t *consumer, uint32_t values) {
  const sim_ring_kind_t *kind = &world->ring_kind;
  sim_ring_t *ring = &consumer->ring;
  uint32_t pushed = 0;
  while (pushed < values) {
    uint64_t bytes = sim_ring_bytes(ring, kind) + kind->size;
    if (sim_ring_count(ring) > 0 && fluxbp__limits_is_high(&kind->limits, sim_ring_count(ring) + 1U, bytes)) break;
    if (sim_ring_push(ring, kind, 1) == 0) break;
    pushed++;
  }
  consumer->pushed += pushed;
  return pushed;
}

/* The walks of catch_up.c: what waits in the topic is queued while the kernel takes it. */
static void catch_up(sim_world_t *world, sim_consumer_t *consumer) {
  while (consumer->waiting > 0 && !consumer->is_refused) {
    consumer->waiting -= push_below_high(world, consumer, consumer->waiting);
    write_and_settle(world, consumer, true);
  }
}

/* fluxbp__conn_stage_state and fluxbp__catch_up_miss, for values each of another key than those that are queued */
static void publish_values(sim_world_t *world, sim_consumer_t *consumer, uint32_t values) {
  if (consumer->is_refused && consumer->waiting == 0) values -= push_below_high(world, consumer, values);
  while (!consumer->is_refused && consumer->waiting == 0 && values > 0) {
    uint32_t pushed = sim_ring_push(&consumer->ring, &world->ring_kind, values);
    consumer->pushed += pushed;
    values -= pushed;
    write_and_settle(world, consumer, true);
  }
  consumer->waiting = consumer->waiting + values < consumer->keys ? consumer->waiting + values : consumer->keys;
  catch_up(world, consumer);
}

/* fluxbp__conn_stage for each, and the flush */
void sim_server_publish(sim_world_t *world, sim_consumer_t *consumer, uint32_t messages) {
  uint64_t bytes = (uint64_t) messages * world->ring_kind.size;
  if (!consumer->is_refused && !consumer->has_clocks && sim_peer_room(&consumer->peer) >= bytes) {
    sim_peer_write(&consumer->peer, bytes); /* the same as below, for the many who are well */
    return;
  }
  if (consumer->keys > 0 && world->fault != SIM_FAULT_VALUES_FILL_RINGS) {
    publish_values(world, consumer, messages);
    return;
  }
  while (messages > 0) {
    uint32_t before = consumer->ring.messages;
    uint32_t pushed = sim_ring_push(&consumer->ring, &world->ring_kind, messages);
    consumer->pushed += pushed;
    messages -= pushed;
    if (consumer->is_refused && !consumer->clocks.is_backpressured) note_high(world, consumer, before);
    if (messages == 0) break;
    if (!consumer->is_refused) {
      write_and_settle(world, consumer, true);
      continue;
    }
    if (!consumer->ring.is_dropping) sim_event(world, consumer, "loses messages");
    sim_ring_drop(&consumer->ring, &world->ring_kind);
    fluxbp__clocks_lost(&consumer->clocks);
    consumer->has_lost = true;
    break;
  }
  if (!consumer->is_refused) write_and_settle(world, consumer, true);
}

/* on_written of conn_write.c, where poll says that the socket is writable */
void sim_server_poll(sim_world_t *world, sim_consumer_t *consumer) {
  if (!consumer->is_refused || !sim_peer_is_writable(&consumer->peer)) return;

  uint32_t rest = world->ring_kind.size - consumer->head_written;
  uint64_t room = sim_peer_room(&consumer->peer);
  if (room < rest) { /* libuv writes what it can, and waits on */
    sim_peer_write(&consumer->peer, room);
    consumer->head_written += (uint32_t) room;
    return;
  }
  sim_peer_write(&consumer->peer, rest);
  consumer->head_written = 0;
  sim_ring_pop(&consumer->ring, 1);
  fluxbp__clocks_progress(&consumer->clocks, sim_server_observe(world), consumer->peer.written);
  write_and_settle(world, consumer, false);
  catch_up(world, consumer);
}

void sim_server_open(sim_world_t *world, sim_consumer_t *consumer) {
  consumer->is_open = true;
  consumer->opened_observed_ms = sim_server_observe(world);
  consumer->moved_ms = world->told_ms;
  world->open++;
}

void sim_server_close(sim_world_t *world, sim_consumer_t *consumer) {
  consumer->is_open = false;
  consumer->is_refused = false;
  world->sleeps[consumer - world->consumers] = (sim_sleep_t){.until_ms = UINT32_MAX, .flow = UINT32_MAX};
  if (consumer->has_clocks) world->pressed--;
  consumer->has_clocks = false;
  world->open--;
  sim_ring_clear(&consumer->ring, &world->ring_kind);
}

/* cause_of in conn_close.c */
static fluxbp_cause_t cause_of(const sim_world_t *world, const sim_consumer_t *consumer, fluxbp_evict_reason_t reason) {
  const fluxbp__sample_t *samples = consumer->samples;
  if (reason == FLUXBP_EVICT_UNREACHABLE) return FLUXBP_CAUSE_UNREACHABLE;
  fluxbp__sample_t now = sim_kernel_sample(&consumer->kernel, &consumer->peer, world->client_ms);
  return fluxbp__sample_cause(samples[0].is_known ? &samples[0] : &samples[1], &now, reason != FLUXBP_EVICT_STALLED);
}

static void evict(sim_world_t *world, sim_consumer_t *consumer, fluxbp_evict_reason_t reason) {
  static const char *const words[FLUXBP_EVICT_REASON_COUNT] = {[FLUXBP_EVICT_STALLED] = "evicted: STALLED",
                                                               [FLUXBP_EVICT_SLOW] = "evicted: SLOW",
                                                               [FLUXBP_EVICT_UNREACHABLE] = "evicted: UNREACHABLE",
                                                               [FLUXBP_EVICT_SOFT_LIMIT] = "evicted: SOFT_LIMIT"};
  consumer->reason = reason;
  consumer->cause = cause_of(world, consumer, reason);
  consumer->evicted_ms = world->told_ms;
  consumer->evicted_observed_ms = world->observed_ms;
  consumer->evicted_clock_ms = world->now_ms;
  sim_event(world, consumer, words[reason]);
  sim_server_close(world, consumer);
}

/* The verdict, with the faults that are about it. */
static fluxbp_evict_reason_t judge(sim_world_t *world, sim_consumer_t *consumer, const fluxbp__observation_t *seen) {
  fluxbp__clocks_t *clocks = &consumer->clocks;
  fluxbp__clocks_t before = *clocks;
  if (world->fault == SIM_FAULT_POLL_IS_PROGRESS) clocks->progress_ms = world->swept_ms;
  fluxbp_evict_reason_t reason = fluxbp__policy_judge(&world->policy, clocks, seen, world->swept_ms);
  if (world->fault == SIM_FAULT_SILENCE_IS_DEATH && clocks->is_silent) return FLUXBP_EVICT_UNREACHABLE;
  if (world->fault == SIM_FAULT_NO_NEW_MINIMUM) {
    clocks->min_slots = before.min_slots;
    clocks->min_bytes = before.min_bytes;
    clocks->min_fill_ms = before.min_fill_ms;
  }
  if (world->fault == SIM_FAULT_SOFT_UNTIL_DRAINED && before.is_over_soft) {
    clocks->is_over_soft = true;
    clocks->over_soft_ms = before.over_soft_ms;
  }
  return reason;
}

static bool has_crowd_grace(const sim_world_t *world) {
  if (world->fault == SIM_FAULT_NO_CROWD_GUARD) return false;
  if (world->fault == SIM_FAULT_CROWD_FOR_EVER && world->crowd_events > 0) return true;
  return fluxbp__crowd_has_grace(&world->crowd, world->swept_ms);
}

/* take_sample of sweep.c */
static void take_sample(sim_world_t *world, sim_consumer_t *consumer, bool is_crowd_slow) {
  fluxbp__sample_t *samples = consumer->samples;
  if (!samples[1].is_known || world->swept_ms - consumer->sampled_ms >= SIM_SAMPLE_MS) {
    samples[0] = samples[1];
    consumer->sampled_ms = world->swept_ms;
  } else if (!fluxbp__policy_is_unreachable_due(&world->policy, &consumer->clocks, is_crowd_slow, world->swept_ms)) {
    return;
  }
  samples[1] = sim_kernel_sample(&consumer->kernel, &consumer->peer, world->client_ms);
  consumer->heard_ms = world->client_ms - samples[1].last_ack_recv_ms;
}

/* What the policy is told of the peer's answers, with the faults that are about it. */
static void observe_answers(const sim_world_t *world, const sim_consumer_t *consumer, fluxbp__observation_t *seen) {
  seen->unanswered = fluxbp__sample_unanswered(&consumer->samples[1]);
  seen->heard_ms = consumer->heard_ms;
  if (world->fault == SIM_FAULT_KERNEL_TIMER) {
    seen->unanswered = consumer->peer.written > consumer->peer.acked ? 2 : 0;
    seen->heard_ms = 0;
  }
  if (world->fault == SIM_FAULT_DEAF && consumer->clocks.is_silent) {
    seen->unanswered = consumer->clocks.unanswered;
    seen->heard_ms = consumer->clocks.heard_ms;
    seen->acked_bytes = consumer->clocks.acked_bytes;
  }
}

/* look_at_open of sweep.c; returns the limit of the verdict that it is half-way to, or 0 */
static uint64_t look_at(sim_world_t *world, sim_consumer_t *consumer, uint64_t *next_due_ms) {
  uint32_t queued = consumer->is_refused ? sim_ring_count(&consumer->ring) : 0;
  fluxbp__observation_t seen = {
      .backlog = backlog_of(world, consumer, queued, sim_ring_bytes(&consumer->ring, &world->ring_kind)),
      .written_bytes = consumer->peer.written,
      .acked_bytes = acked_bytes(world, consumer),
      .is_crowd_slow = has_crowd_grace(world),
  };
  take_sample(world, consumer, seen.is_crowd_slow);
  observe_answers(world, consumer, &seen);
  fluxbp_evict_reason_t reason = judge(world, consumer, &seen);
  if (reason != FLUXBP_EVICT_NONE) {
    evict(world, consumer, reason);
    return 0;
  }
  if (!consumer->is_refused && !consumer->clocks.is_silent) { /* the peer has answered */
    release_pressure(world, consumer);
    return 0;
  }
  uint64_t deadline_ms = fluxbp__policy_deadline(&world->policy, &consumer->clocks, &seen);
  assert((deadline_ms > world->swept_ms || world->fault != SIM_FAULT_NONE) && "the sweeper would spin");
  if (deadline_ms != UINT64_MAX && deadline_ms > world->swept_ms) {
    uint64_t due_ms = world->now_ms + (deadline_ms - world->swept_ms);
    if (due_ms < *next_due_ms) *next_due_ms = due_ms;
  }
  return fluxbp__policy_halfway_ms(&world->policy, &consumer->clocks, &seen, world->swept_ms);
}

/* A sweep, all of it at once. */
void sim_server_sweep(sim_world_t *world) {
  if (world->now_ms < world->sweep_due_ms) return;
  uint64_t next_due_ms = world->now_ms + (world->fault == SIM_FAULT_RARE_SWEEPS ? 2000 : SIM_SWEEP_MS);
  uint64_t no_deadline_ms = UINT64_MAX;
  uint64_t halfway = 0;
  uint64_t halfway_ms = 0;
  world->sweep_due_ms = UINT64_MAX;
  world->swept_ms = sim_server_observe(world);
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) {
    sim_consumer_t *consumer = &world->consumers[i];
    bool is_watched = consumer->has_clocks && consumer->clocks.is_silent;
    if (!consumer->is_refused && !is_watched) continue;
    uint64_t *due_ms = world->fault == SIM_FAULT_RARE_SWEEPS ? &no_deadline_ms : &next_due_ms;
    uint64_t its_halfway_ms = look_at(world, consumer, due_ms);
    halfway += its_halfway_ms > 0;
    if (its_halfway_ms > halfway_ms) halfway_ms = its_halfway_ms;
  }
  if (fluxbp__crowd_note(&world->crowd, world->open, halfway, halfway_ms, world->swept_ms)) {
    world->crowd_events++;
    world->crowd_ms = world->told_ms;
    sim_event(world, NULL, "nearly everybody is slow");
  }
  if (world->pressed > 0 || world->crowd.is_slow) sweep_by(world, next_due_ms);
}

/* patrol.c, a round of it at once, and fluxbp__conn_watch */
void sim_server_patrol(sim_world_t *world) {
  if (world->now_ms < world->patrolled_ms + SIM_PATROL_MS || world->fault == SIM_FAULT_NO_PATROL) return;
  world->patrolled_ms = world->now_ms;
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) {
    sim_consumer_t *consumer = &world->consumers[i];
    if (!consumer->is_open || consumer->has_clocks || consumer->peer.written == consumer->peer.acked) continue;
    fluxbp__sample_t sample = sim_kernel_sample(&consumer->kernel, &consumer->peer, world->client_ms);
    if (!fluxbp__is_unanswering(fluxbp__sample_unanswered(&sample))) continue;
    take_pressure(world, consumer);
    uint64_t next_due_ms = UINT64_MAX;
    world->swept_ms = sim_server_observe(world);
    (void) look_at(world, consumer, &next_due_ms);
  }
}
