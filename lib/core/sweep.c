/* SPDX-License-Identifier: MIT */
/*
 * sweep: the look at every connection that has a pressure block, every sweep_ms and when a clock of one runs out; and at those
 * whose reading is paused (conn_read.c).
 *
 * A sweep has half of the iteration's budget, the rest is for writing; what doesn't fit goes on in the next iteration. The timer
 * is the patrol's, too, and that of the history, which forgets by age; it runs only while there is something to look at.
 */
#include "conn_close.h"
#include "replay.h"
#include "writability.h"

/* The cause of a verdict is told by what has changed between two samples; the older of two is 2.5 to 5 s old. */
enum { SAMPLE_MS = 2500 };

/* Two samples tell a cause, so the newest is taken in turn with the one before it. A verdict that is about what is
 * unanswered falls on a fresh one. */
static void take_sample(fluxbp_conn_t *conn, uint64_t now_ms) {
  fluxbp__pressure_t *pressure = conn->pressure;
  fluxbp__sample_t *samples = pressure->samples;
  if (conn->uv.handle.type != UV_TCP) return;
  if (!samples[1].is_known || now_ms - pressure->sampled_ms >= SAMPLE_MS) {
    samples[0] = samples[1];
    pressure->sampled_ms = now_ms;
  } else {
    bool is_crowd_slow = fluxbp__crowd_has_grace(&fluxbp__conn_hub(conn)->crowd, now_ms);
    if (!fluxbp__policy_is_unreachable_due(conn->policy, &pressure->clocks, is_crowd_slow, now_ms)) return;
  }
  fluxbp__probe_sample(&conn->uv.tcp, &samples[1]);
  pressure->heard_ms = uv_hrtime() / 1000000 - samples[1].last_ack_recv_ms;
}

/* Returns what the kernel has of it now. The hub counts that of refused and closing connections. */
static uint64_t note_kernel_bytes(fluxbp_conn_t *conn) {
  uint64_t unacked_bytes = fluxbp__conn_unacked_bytes(conn);
  uint64_t counted_bytes = conn->is_writing || conn->state != FLUXBP__CONN_OPEN ? unacked_bytes : 0;
  fluxbp__conn_hub(conn)->totals.kernel_bytes += counted_bytes - conn->pressure->kernel_bytes;
  conn->pressure->kernel_bytes = counted_bytes;
  return unacked_bytes;
}

static fluxbp__observation_t observe(fluxbp_conn_t *conn, uint64_t now_ms) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  uint64_t written_bytes = fluxbp__conn_written_bytes(conn);
  uint64_t unacked_bytes = note_kernel_bytes(conn);
  return (fluxbp__observation_t){
      /* what the kernel hasn't been offered isn't held against it */
      .backlog = conn->is_writing ? fluxbp__conn_backlog(conn) : (fluxbp__backlog_t){0},
      .oldest_ms = fluxbp__conn_oldest_ms(conn),
      .written_bytes = written_bytes,
      .acked_bytes = written_bytes - unacked_bytes,
      .is_crowd_slow = fluxbp__crowd_has_grace(&hub->crowd, now_ms),
      .unanswered = fluxbp__sample_unanswered(&conn->pressure->samples[1]),
      .heard_ms = conn->pressure->heard_ms,
  };
}

/* Whether the user wants to keep it. We are called from the loop, so the user may be asked. */
static bool is_spared(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  int (*on_verdict)(fluxbp_conn_t *, const fluxbp_eviction_t *) = FLUXBP__HANDLER(conn, on_verdict);
  if (on_verdict == NULL) return false;
  fluxbp_eviction_t record = fluxbp__conn_record(conn, reason);
  if (!on_verdict(conn, &record)) return false;
  fluxbp__conn_hub(conn)->totals.spared++;
  return true;
}

static void carry_out(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason, uint64_t now_ms) {
  bool is_only_reported = conn->policy->set.is_shadow;
  if (is_only_reported) fluxbp__conn_shadow(conn, reason);
  bool stays = is_only_reported || is_spared(conn, reason);
  if (conn->state != FLUXBP__CONN_OPEN) return; /* closed by the user, who was asked */
  if (!stays)
    fluxbp__conn_evict(conn, reason);
  else if (conn->pressure != NULL) /* the user may have had it flushed */
    fluxbp__clocks_spare(&conn->pressure->clocks, now_ms);
}

/* The sweep after this one begins by then (the clock's time). */
static void sweep_again_by(fluxbp_hub_t *hub, uint64_t due_ms) {
  if (due_ms < hub->sweep.next_due_ms) hub->sweep.next_due_ms = due_ms;
}

/* Verdicts are about observed time, the timer about the clock: they differ while the server itself is late. */
static void look_at_open(fluxbp_conn_t *conn, uint64_t now_ms) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  sweep_again_by(hub, fluxbp__hub_clock_ms(hub) + conn->policy->shortest_ms);
  /* otherwise it waits for its flush, or for an event to be delivered */
  if (!conn->is_writing && !conn->pressure->clocks.is_silent) return;

  take_sample(conn, now_ms);
  fluxbp__observation_t seen = observe(conn, now_ms);
  fluxbp_evict_reason_t reason = fluxbp__policy_judge(conn->policy, &conn->pressure->clocks, &seen, now_ms);
  if (reason != FLUXBP_EVICT_NONE) carry_out(conn, reason, now_ms);
  if (conn->state != FLUXBP__CONN_OPEN || conn->pressure == NULL) return;

  const fluxbp__clocks_t *clocks = &conn->pressure->clocks;
  if (!conn->is_writing && !clocks->is_silent) { /* the peer has answered */
    if (conn->ring.count == 0) fluxbp__conn_release_pressure(conn);
    return;
  }
  uint64_t halfway_ms = fluxbp__policy_halfway_ms(conn->policy, clocks, &seen, now_ms);
  hub->sweep.halfway += halfway_ms > 0;
  if (halfway_ms > hub->sweep.halfway_ms) hub->sweep.halfway_ms = halfway_ms;
  if (conn->is_writing) fluxbp__writability_swept(conn, now_ms);
  uint64_t deadline_ms = fluxbp__policy_deadline(conn->policy, clocks, &seen);
  if (deadline_ms == UINT64_MAX) return;
  sweep_again_by(hub, fluxbp__hub_clock_ms(hub) + (deadline_ms - now_ms));
}

void fluxbp__sweep_watch(fluxbp_conn_t *conn) {
  uint64_t now_ms = fluxbp__hub_observe(fluxbp__conn_hub(conn));
  if (fluxbp__conn_take_pressure(conn) != 0) return; /* the patrol comes again */
  take_sample(conn, now_ms);
  fluxbp__observation_t seen = observe(conn, now_ms);
  (void) fluxbp__policy_judge(conn->policy, &conn->pressure->clocks, &seen, now_ms); /* it starts the clock */
  if (!conn->pressure->clocks.is_silent) fluxbp__conn_release_pressure(conn); /* the peer has answered just now */
}

static void look_at_closing(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  fluxbp__conn_linger(conn, note_kernel_bytes(conn));
  uint64_t deadline_ms = conn->pressure->deadline_ms;
  if (fluxbp__hub_clock_ms(hub) >= deadline_ms)
    fluxbp__conn_expire(conn);
  else
    sweep_again_by(hub, deadline_ms);
}

static void look_at(fluxbp_conn_t *conn) {
  switch ((fluxbp__conn_state_t) conn->state) {
  case FLUXBP__CONN_OPEN:
    look_at_open(conn, fluxbp__conn_hub(conn)->sweep.begun_ms);
    break;
  case FLUXBP__CONN_DRAINING:
  case FLUXBP__CONN_FINISHING:
    look_at_closing(conn);
    break;
  case FLUXBP__CONN_NEW:
  case FLUXBP__CONN_DOOMED:
  case FLUXBP__CONN_CLOSING:
    break;
  }
}

static void begin(fluxbp_hub_t *hub) {
  fluxbp__sweep_t *sweep = &hub->sweep;
  sweep->begun_ms = fluxbp__hub_observe(hub);
  sweep->next_due_ms = fluxbp__hub_clock_ms(hub) + hub->options.sweep_ms;
  sweep->is_under_way = true;
  sweep->halfway = 0;
  sweep->halfway_ms = 0;
  fluxbp__list_take(&sweep->unswept, &sweep->pressured);
  fluxbp__paused_begin_look(hub);
  fluxbp__patrol_begin(hub);
  fluxbp__replay_forget_old(hub);
}

static void end(fluxbp_hub_t *hub) {
  fluxbp__sweep_t *sweep = &hub->sweep;
  sweep->is_under_way = false;
  hub->totals.crowd_slow_events +=
      fluxbp__crowd_note(&hub->crowd, hub->open_count, sweep->halfway, sweep->halfway_ms, sweep->begun_ms);
  bool has_more = !fluxbp__list_is_empty(&sweep->pressured) || !fluxbp__list_is_empty(&hub->writability.refilling) ||
                  !fluxbp__paused_is_empty(hub);
  if (has_more) fluxbp__sweep_by(hub, sweep->next_due_ms);
  fluxbp__sweep_by(hub, hub->patrol.due_ms);
}

static void step(fluxbp_hub_t *hub, bool within_budget) {
  fluxbp__sweep_t *sweep = &hub->sweep;
  while (!fluxbp__list_is_empty(&sweep->unswept)) {
    if (within_budget && !fluxbp__turn_has_share(&hub->turn, 2)) return;
    fluxbp__link_t *link = sweep->unswept.next;
    fluxbp__link_remove(link);
    fluxbp__list_append(&sweep->pressured, link);
    look_at(FLUXBP__CONTAINER(link, fluxbp__pressure_t, sweep)->conn);
  }
  while (fluxbp__writability_forget_full(hub))
    if (within_budget && !fluxbp__turn_has_share(&hub->turn, 2)) return;
  if (fluxbp__paused_look(hub, within_budget) && fluxbp__patrol_continue(hub, within_budget)) end(hub);
}

bool fluxbp__sweep_continue(fluxbp_hub_t *hub) {
  if (hub->sweep.is_under_way) step(hub, true);
  return hub->sweep.is_under_way;
}

void fluxbp__sweep_now(fluxbp_hub_t *hub) {
  if (!hub->sweep.is_under_way) begin(hub);
  step(hub, false);
}

/* The sweep itself is done in the turn, with the budget of its iteration. */
static void on_timer(uv_timer_t *timer) {
  fluxbp_hub_t *hub = FLUXBP__CONTAINER(timer, fluxbp_hub_t, sweep.timer);
  hub->sweep.due_ms = UINT64_MAX;
  if (!hub->sweep.is_under_way) begin(hub);
  fluxbp__turn_wake(&hub->turn);
}

void fluxbp__sweep_by(fluxbp_hub_t *hub, uint64_t due_ms) {
  fluxbp__sweep_t *sweep = &hub->sweep;
  if (due_ms >= sweep->due_ms || uv_is_closing((uv_handle_t *) &sweep->timer)) return;
  uint64_t now_ms = fluxbp__hub_clock_ms(hub);
  sweep->due_ms = due_ms;
  (void) uv_timer_start(&sweep->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

void fluxbp__sweep_soon(fluxbp_hub_t *hub, const fluxbp__policy_t *policy) {
  uint32_t shortest_ms = policy->shortest_ms;
  uint32_t wait_ms = shortest_ms < hub->options.sweep_ms ? shortest_ms : hub->options.sweep_ms;
  fluxbp__sweep_by(hub, fluxbp__hub_clock_ms(hub) + wait_ms);
}

fluxbp_conn_t *fluxbp__sweep_next(const fluxbp_hub_t *hub, const fluxbp_conn_t *conn) {
  const fluxbp__sweep_t *sweep = &hub->sweep;
  const fluxbp__link_t *next = conn != NULL ? conn->pressure->sweep.next : sweep->pressured.next;
  if (next == &sweep->pressured) next = sweep->unswept.next;
  return next != &sweep->unswept ? FLUXBP__CONTAINER(next, fluxbp__pressure_t, sweep)->conn : NULL;
}

int fluxbp__sweep_init(fluxbp_hub_t *hub) {
  fluxbp__sweep_t *sweep = &hub->sweep;
  fluxbp__list_init(&sweep->pressured);
  fluxbp__list_init(&sweep->unswept);
  fluxbp__paused_init(hub);
  sweep->due_ms = UINT64_MAX;
  int err = uv_timer_init(hub->loop, &sweep->timer);
  if (!err) uv_unref((uv_handle_t *) &sweep->timer);
  return err;
}
