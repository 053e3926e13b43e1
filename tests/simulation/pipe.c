/* SPDX-License-Identifier: MIT */
#include "pipe.h"

uint32_t pipe_bucket_ms(const pipe_world_t *world) {
  uint32_t stall_ms = world->policy.set.stall_ms;
  return stall_ms != 0 && stall_ms < world->patience_ms ? stall_ms : world->patience_ms;
}

static fluxbp__patience_t *bucket_of(pipe_world_t *world, pipe_client_t *client) {
  return world->fault == PIPE_FAULT_SHARED ? &world->shared : &client->patience;
}

static void sweep_by(pipe_world_t *world, uint64_t due_ms) {
  if (due_ms < world->sweep_due_ms) world->sweep_due_ms = due_ms;
}

static void sweep_when_empty(pipe_world_t *world, pipe_client_t *client) {
  sweep_by(world, world->now_ms + fluxbp__patience_left_ms(bucket_of(world, client), client->clocks.progress_ms,
                                                           pipe_bucket_ms(world), world->now_ms));
}

/* fluxbp__writability_high */
static void hold(pipe_world_t *world, pipe_client_t *client) {
  if (client->is_holding) return;
  if (client->is_refused && world->fault != PIPE_FAULT_NEVER_EMPTY) {
    if (!fluxbp__patience_hold(bucket_of(world, client), pipe_bucket_ms(world), world->now_ms)) return;
    sweep_when_empty(world, client);
  }
  client->is_holding = true;
  world->holding++;
}

/* fluxbp__writability_release */
static void release(pipe_world_t *world, pipe_client_t *client) {
  world->holding -= client->is_holding;
  client->is_holding = false;
}

/* fluxbp__conn_take_pressure */
static void take_pressure(pipe_world_t *world, pipe_client_t *client) {
  if (client->has_pressure) return;
  client->has_pressure = true;
  fluxbp__clocks_start(&client->clocks, 0, world->now_ms, client->peer.written, client->peer.acked);
  fluxbp__patience_start(&client->patience, client->kept_full_ms, pipe_bucket_ms(world), world->now_ms);
  sweep_by(world, world->now_ms + PIPE_SWEEP_MS);
  if (client->is_holding) sweep_when_empty(world, client);
}

/* fluxbp__conn_release_pressure */
static void release_pressure(pipe_world_t *world, pipe_client_t *client) {
  if (!client->has_pressure) return;
  client->has_pressure = false;
  client->kept_full_ms = world->fault == PIPE_FAULT_FULL_ON_DRAIN ? 0 : client->patience.full_ms;
}

static void evict(pipe_world_t *world, pipe_client_t *client, fluxbp_evict_reason_t reason) {
  release(world, client);
  client->reason = reason;
  client->evicted_ms = world->now_ms;
  client->is_open = client->is_refused = client->has_pressure = false;
}

static uint64_t queued_bytes(const pipe_world_t *world, const pipe_client_t *client) {
  return (uint64_t) client->queued * world->message_bytes;
}

/* write_and_settle of conn_write.c */
static void write_and_settle(pipe_world_t *world, pipe_client_t *client) {
  uint64_t bytes = queued_bytes(world, client) - client->head_written;
  uint64_t room = sim_peer_room(&client->peer);
  uint64_t taken = bytes < room ? bytes : room;
  uint64_t with_head = client->head_written + taken;
  sim_peer_write(&client->peer, taken);
  client->head_written = (uint32_t) (with_head % world->message_bytes);
  client->queued -= (uint32_t) (with_head / world->message_bytes);
  client->is_refused = taken < bytes;
  if (client->is_refused) {
    take_pressure(world, client);
    fluxbp__clocks_progress(&client->clocks, world->now_ms, client->peer.written);
  }
  if (fluxbp__limits_is_low(&world->policy.limits, client->queued, queued_bytes(world, client))) release(world, client);
  if (!client->is_refused) release_pressure(world, client);
}

/* on_written of conn_write.c */
static void poll(pipe_world_t *world, pipe_client_t *client) {
  if (!client->is_refused || !sim_peer_is_writable(&client->peer)) return;
  if (sim_peer_room(&client->peer) < world->message_bytes - client->head_written) return;
  fluxbp__clocks_progress(&client->clocks, world->now_ms, client->peer.written);
  write_and_settle(world, client);
}

/* fluxbp__writability_overflow_reason */
static fluxbp_evict_reason_t overflow_reason(pipe_world_t *world, pipe_client_t *client) {
  if (!bucket_of(world, client)->is_out) return FLUXBP_EVICT_OVERFLOW;
  uint32_t stall_ms = world->policy.set.stall_ms;
  bool has_stalled = stall_ms != 0 && world->now_ms - client->clocks.progress_ms >= stall_ms;
  return has_stalled && client->peer.acked == client->clocks.acked_bytes ? FLUXBP_EVICT_STALLED : FLUXBP_EVICT_SLOW;
}

/* fluxbp__conn_stage */
static void stage(pipe_world_t *world, pipe_client_t *client) {
  const fluxbp__limits_t *limits = &world->policy.limits;
  if (client->queued == limits->slots && !client->is_refused) write_and_settle(world, client);
  if (client->queued == limits->slots) {
    evict(world, client, overflow_reason(world, client));
    return;
  }
  client->queued++;
  if (fluxbp__limits_is_high(limits, client->queued, queued_bytes(world, client))) hold(world, client);
}

static void flush(pipe_world_t *world) {
  for (uint32_t i = 0; i < PIPE_CLIENTS; i++) {
    pipe_client_t *client = &world->clients[i];
    if (client->is_open && client->queued > 0 && !client->is_refused) write_and_settle(world, client);
  }
}

/* As much as the step has, as far as the hub is writable. */
static void publish(pipe_world_t *world) {
  uint32_t rest = world->messages_per_step;
  while (rest > 0 && world->holding == 0) {
    for (; rest > 0 && world->holding == 0; rest--) {
      for (uint32_t i = 0; i < PIPE_CLIENTS; i++)
        if (world->clients[i].is_open) stage(world, &world->clients[i]);
      world->published++;
    }
    flush(world);
  }
}

/* fluxbp__writability_swept */
static void count_patience(pipe_world_t *world, pipe_client_t *client) {
  fluxbp__patience_t *bucket = bucket_of(world, client);
  uint64_t progress_ms = client->clocks.progress_ms;
  uint32_t size_ms = pipe_bucket_ms(world);
  if (world->fault == PIPE_FAULT_NEVER_EMPTY) return;
  fluxbp__patience_count(bucket, client->is_holding, progress_ms, size_ms, world->now_ms);
  if (world->fault == PIPE_FAULT_STEPS_COUNT && client->is_holding && !bucket->is_out && progress_ms < world->now_ms) {
    bucket->full_ms = world->now_ms + size_ms - fluxbp__patience_left_ms(bucket, progress_ms, size_ms, world->now_ms);
    bucket->counted_ms = world->now_ms;
  }
  if (bucket->is_out)
    release(world, client);
  else if (client->is_holding)
    sweep_when_empty(world, client);
  else if (fluxbp__limits_is_high(&world->policy.limits, client->queued, queued_bytes(world, client)))
    hold(world, client);
}

/* look_at_open of sweep.c */
static void look_at(pipe_world_t *world, pipe_client_t *client) {
  fluxbp__observation_t seen = {
      .backlog = {.queued = client->queued, .bytes = queued_bytes(world, client)},
      .written_bytes = client->peer.written,
      .acked_bytes = client->peer.acked,
  };
  fluxbp_evict_reason_t reason = fluxbp__policy_judge(&world->policy, &client->clocks, &seen, world->now_ms);
  if (reason != FLUXBP_EVICT_NONE)
    evict(world, client, reason);
  else
    count_patience(world, client);
}

static void sweep(pipe_world_t *world) {
  if (world->now_ms < world->sweep_due_ms) return;
  world->sweep_due_ms = world->now_ms + PIPE_SWEEP_MS;
  for (uint32_t i = 0; i < PIPE_CLIENTS; i++)
    if (world->clients[i].is_refused) look_at(world, &world->clients[i]);
}

static void end_silence(const pipe_world_t *world, pipe_client_t *client) {
  uint64_t silent_ms = world->now_ms - client->moved_ms;
  if (client->held_ms > client->longest_held_ms) client->longest_held_ms = client->held_ms;
  if (silent_ms > pipe_bucket_ms(world) / 2 + 2 * PIPE_SWEEP_MS) client->long_held_ms += client->held_ms;
  client->held_ms = 0;
  client->moved_ms = world->now_ms;
}

static void measure(const pipe_world_t *world, pipe_client_t *client) {
  uint64_t bytes = client->peer.written + client->peer.acked;
  if (client->is_holding) client->held_ms += PIPE_STEP_MS;
  if (bytes != client->moved_bytes || !client->is_open) end_silence(world, client);
  client->moved_bytes = bytes;
}

void pipe_open(pipe_world_t *world, pipe_client_t *client) {
  client->peer.edge = client->peer.window;
  client->is_open = true;
  client->moved_ms = world->now_ms;
}

void pipe_run(pipe_world_t *world) {
  world->sweep_due_ms = UINT64_MAX;
  for (; world->now_ms < PIPE_DURATION_MS; world->now_ms += PIPE_STEP_MS) {
    for (uint32_t i = 0; i < PIPE_CLIENTS; i++) {
      pipe_client_t *client = &world->clients[i];
      if (!client->is_open) continue;
      sim_peer_step(&client->peer, (uint32_t) world->now_ms, false);
      poll(world, client);
    }
    publish(world);
    sweep(world);
    for (uint32_t i = 0; i < PIPE_CLIENTS; i++)
      if (world->clients[i].is_open || world->clients[i].held_ms > 0) measure(world, &world->clients[i]);
  }
}
