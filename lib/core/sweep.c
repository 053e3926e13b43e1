/* SPDX-License-Identifier: MIT */
/*
 * sweep: the look at every connection that has a pressure block, every sweep_ms and when a clock of one runs out; and
 * at those whose reading is paused (conn_input.c).
 *
 * A sweep has half of the iteration's budget, the rest is for writing; what doesn't fit goes on in the next iteration.
 * The engine's alarm is the patrol's, too, and that of the history, which forgets by age; it runs only while there is
 * something to look at.
 */
#include "sweep.h"

#include "conn_close.h"
#include "conn_end.h"
#include "conn_evidence.h"
#include "conn_input.h"
#include "conn_look.h"
#include "conn_pressure.h"
#include "patrol.h"
#include "replay.h"
#include "writability.h"

/* Ask the user whether the connection is to stay. We are called from the loop, so the user may be asked. */
static bool ask_to_spare(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  int (*on_verdict)(fluxbp_conn_t *, const fluxbp_eviction_t *) = FLUXBP__HANDLER(conn, on_verdict);
  if (on_verdict == NULL) return false;
  fluxbp_eviction_t record = fluxbp__conn_record(conn, reason);
  if (!on_verdict(conn, &record)) return false;
  fluxbp__ledger_spare(&fluxbp__conn_engine(conn)->ledger);
  return true;
}

static void carry_out(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason, uint64_t now_ms) {
  bool is_only_reported = conn->policy->set.is_shadow;
  if (is_only_reported) fluxbp__conn_shadow(conn, reason);
  bool stays = is_only_reported || ask_to_spare(conn, reason);
  if (conn->state != FLUXBP__CONN_OPEN) return; /* the user's callback has closed it */
  if (!stays)
    fluxbp__conn_evict(conn, reason);
  else if (conn->pressure != NULL) /* the user may have had it flushed */
    fluxbp__clocks_spare(&conn->pressure->clocks, now_ms);
}

/* The sweep after this one begins by then (the clock's time). */
static void sweep_again_by(fluxbp__sweep_t *sweep, uint64_t due_ms) {
  if (due_ms < sweep->next_due_ms) sweep->next_due_ms = due_ms;
}

static void note_halfway(fluxbp__sweep_t *sweep, uint64_t halfway_ms) {
  sweep->halfway += halfway_ms > 0;
  if (halfway_ms > sweep->halfway_ms) sweep->halfway_ms = halfway_ms;
}

/* Verdicts are about observed time, the alarm about the clock: they differ while the server itself is late. */
static void look_at_open(fluxbp__sweep_t *sweep, fluxbp_conn_t *conn) {
  uint64_t now_ms = sweep->begun_ms;
  uint64_t clock_ms = fluxbp__engine_clock_ms(&sweep->topics->engine);
  sweep_again_by(sweep, clock_ms + conn->policy->shortest_ms);
  /* otherwise it waits for its flush, or for an event to be delivered */
  if (!conn->is_writing && !conn->pressure->clocks.is_silent) return;

  fluxbp__conn_take_sample(conn, now_ms);
  fluxbp__observation_t seen = fluxbp__conn_observe(conn, now_ms);
  fluxbp_evict_reason_t reason = fluxbp__policy_judge(conn->policy, &conn->pressure->clocks, &seen, now_ms);
  if (reason != FLUXBP_EVICT_NONE) carry_out(conn, reason, now_ms);
  if (conn->state != FLUXBP__CONN_OPEN || conn->pressure == NULL) return;

  const fluxbp__clocks_t *clocks = &conn->pressure->clocks;
  if (!conn->is_writing && !clocks->is_silent) { /* the peer has answered */
    if (conn->ring.count == 0) fluxbp__conn_release_pressure(conn);
    return;
  }
  note_halfway(sweep, fluxbp__policy_halfway_ms(conn->policy, clocks, &seen, now_ms));
  if (conn->is_writing) fluxbp__writability_swept(conn, now_ms);
  uint64_t deadline_ms = fluxbp__policy_deadline(conn->policy, clocks, &seen);
  if (deadline_ms != UINT64_MAX) sweep_again_by(sweep, clock_ms + (deadline_ms - now_ms));
}

static void look_at_closing(fluxbp__sweep_t *sweep, fluxbp_conn_t *conn) {
  fluxbp__conn_linger(conn, fluxbp__conn_note_kernel_bytes(conn));
  uint64_t deadline_ms = conn->pressure->deadline_ms;
  if (fluxbp__engine_clock_ms(&sweep->topics->engine) >= deadline_ms)
    fluxbp__conn_expire(conn);
  else
    sweep_again_by(sweep, deadline_ms);
}

static void look_at(fluxbp__sweep_t *sweep, fluxbp_conn_t *conn) {
  switch ((fluxbp__conn_state_t) conn->state) {
  case FLUXBP__CONN_OPEN:
    look_at_open(sweep, conn);
    break;
  case FLUXBP__CONN_DRAINING:
  case FLUXBP__CONN_FINISHING:
    look_at_closing(sweep, conn);
    break;
  case FLUXBP__CONN_NEW:
  case FLUXBP__CONN_DOOMED:
  case FLUXBP__CONN_CLOSING:
    break;
  }
}

static void begin_sweep(fluxbp__sweep_t *sweep) {
  fluxbp__engine_t *engine = &sweep->topics->engine;
  if (sweep->is_under_way) return;
  sweep->begun_ms = fluxbp__engine_observe(engine);
  sweep->next_due_ms = fluxbp__engine_clock_ms(engine) + engine->sweep_ms;
  sweep->is_under_way = true;
  sweep->halfway = 0;
  sweep->halfway_ms = 0;
  fluxbp__list_take(&engine->unswept, &engine->pressured);
  fluxbp__paused_begin_look(engine);
  fluxbp__patrol_begin(engine);
  fluxbp__replay_forget_old(sweep->topics);
}

static void end_sweep(fluxbp__sweep_t *sweep) {
  fluxbp__engine_t *engine = &sweep->topics->engine;
  sweep->is_under_way = false;
  if (fluxbp__crowd_note(&engine->crowd, engine->open_count, sweep->halfway, sweep->halfway_ms, sweep->begun_ms))
    fluxbp__ledger_slow_crowd(&engine->ledger);
  bool has_more = !fluxbp__list_is_empty(&engine->pressured) ||
                  !fluxbp__list_is_empty(&engine->writability.refilling) || !fluxbp__paused_is_empty(engine);
  if (has_more) fluxbp__engine_sweep_by(engine, sweep->next_due_ms);
  fluxbp__engine_sweep_by(engine, engine->patrol.due_ms);
}

static void continue_sweep(fluxbp__sweep_t *sweep, bool within_budget) {
  fluxbp__engine_t *engine = &sweep->topics->engine;
  while (!fluxbp__list_is_empty(&engine->unswept)) {
    if (within_budget && !fluxbp__turn_has_share(&engine->turn, 2)) return;
    fluxbp__link_t *link = engine->unswept.next;
    fluxbp__link_remove(link);
    fluxbp__list_append(&engine->pressured, link);
    look_at(sweep, FLUXBP__CONTAINER(link, fluxbp__pressure_t, sweep)->conn);
  }
  while (fluxbp__writability_forget_full(engine))
    if (within_budget && !fluxbp__turn_has_share(&engine->turn, 2)) return;
  if (fluxbp__paused_look(engine, within_budget) && fluxbp__patrol_continue(engine, within_budget)) end_sweep(sweep);
}

void fluxbp__sweep_begin(fluxbp__sweep_t *sweep) {
  begin_sweep(sweep);
  fluxbp__turn_wake(&sweep->topics->engine.turn);
}

bool fluxbp__sweep_continue(fluxbp__sweep_t *sweep) {
  if (sweep->is_under_way) continue_sweep(sweep, true);
  return sweep->is_under_way;
}

void fluxbp__sweep_now(fluxbp__sweep_t *sweep) {
  begin_sweep(sweep);
  continue_sweep(sweep, false);
}
