/* SPDX-License-Identifier: MIT */
/*
 * patrol: the look at TCP connections that the kernel hasn't refused, to find peers that are gone.
 *
 * Such a connection owns nothing but its struct: what was written to it is in the kernel, and may stay there
 * unacknowledged. The sweep's timer leads to a step of the patrol; all steps of 12.5 s look at each connection once. A
 * look is one system call, and a second one where something isn't acknowledged; with unanswered retransmissions or
 * probes the sweep takes over. A connection to which nothing was written since all of it was acknowledged costs no
 * call. Among so many connections that are idle a call finds nothing in the processor's caches, and takes two
 * microseconds. The walk goes downwards, since a connection that leaves has its place taken by the last one, which was
 * looked at already.
 */
#include "patrol.h"

#include "conn_look.h"
#include "hash.h"
#include "transport.h"

/* A step looks at so many at least, so that a hub with few connections wakes its loop rarely. */
enum { STEP_CONNS = 64 };

/* The time between two steps of a hub with so many connections, and by `conns`, what a step looks at. */
static uint64_t step_ms(const fluxbp__engine_t *engine, size_t *conns) {
  uint64_t steps_max = FLUXBP__PATROL_ROUND_MS / engine->sweep_ms;
  uint64_t steps = engine->conn_count / STEP_CONNS;
  if (steps > steps_max) steps = steps_max;
  if (steps == 0) steps = 1;
  *conns = (engine->conn_count + steps - 1) / steps;
  return FLUXBP__PATROL_ROUND_MS / steps;
}

static void schedule_step(fluxbp__engine_t *engine) {
  size_t conns;
  engine->patrol.due_ms = fluxbp__engine_clock_ms(engine) + step_ms(engine, &conns);
  fluxbp__engine_sweep_by(engine, engine->patrol.due_ms);
}

void fluxbp__patrol_begin(fluxbp__engine_t *engine) {
  fluxbp__patrol_t *patrol = &engine->patrol;
  if (fluxbp__engine_clock_ms(engine) < patrol->due_ms) return;
  patrol->due_ms = UINT64_MAX;
  if (patrol->open_count == 0) return;
  if (patrol->next == 0) patrol->next = engine->conn_count; /* another round */
  (void) step_ms(engine, &patrol->left);
  schedule_step(engine);
}

/*
 * An imprint of what was written, never 0. Two of a connection are the same by chance once in 65535 times; then a
 * peer that is gone is found when more is written to it, or by the kernel after a quarter of an hour.
 */
static uint16_t imprint_of(const fluxbp_conn_t *conn) {
  return (uint16_t) (fluxbp__hash_key(conn->written_bytes) % UINT16_MAX + 1);
}

static void look_at(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN || conn->pressure != NULL || !fluxbp__conn_is_patrolled(conn)) return;
  uint16_t imprint = imprint_of(conn);
  if (conn->acked_imprint == imprint) return;
  int fd = fluxbp__transport_fd(conn);
  if (fluxbp__probe_unacked(fd) <= 0) {
    conn->acked_imprint = imprint;
    return;
  }
  fluxbp__sample_t sample;
  fluxbp__probe_sample(fd, &sample);
  if (fluxbp__is_unanswering(fluxbp__sample_unanswered(&sample))) fluxbp__conn_watch(conn);
}

bool fluxbp__patrol_continue(fluxbp__engine_t *engine, bool within_budget) {
  fluxbp__patrol_t *patrol = &engine->patrol;
  if (patrol->next > engine->conn_count) patrol->next = engine->conn_count;
  for (; patrol->left > 0 && patrol->next > 0; patrol->left--) {
    if (within_budget && !fluxbp__turn_has_share(&engine->turn, 2)) return false;
    look_at(engine->conns[--patrol->next]);
  }
  patrol->left = 0;
  return true;
}
