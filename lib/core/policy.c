/* SPDX-License-Identifier: MIT */
/*
 * policy: from what was observed of a connection and the time to a verdict. No I/O, no clock of its own, no libuv
 * calls.
 */
#include "policy.h"

#include "options.h"

#include <uv.h>

/* A connection that drains makes a new minimum at least this much lower: 1/16 of the ring. Smaller steps are the noise
 * of a client that is exactly as fast as the feed, or is not catching up. */
enum { MIN_FILL_STEP = FLUXBP__FILL_FULL / 16 };

/* A crowd is slow when more than 90 % of at least 20 connections are half-way to a verdict. Fewer connections may well
 * be slow each for a reason of its own. */
enum { CROWD_MIN = 20, CROWD_PERCENT = 90 };

/* A peer that doesn't answer is UNREACHABLE after so long, or twice stall_ms if that is more. */
enum { UNREACHABLE_MS = 30000 };

/* A peer was heard again if it was heard by so much later: less than the time between two retransmissions. */
enum { HEARD_AGAIN_MS = 100 };

void fluxbp_policy_init_sized(fluxbp_policy_t *policy, size_t size) {
  fluxbp_policy_t defaults = {
      .slots = 256,
      .high_percent = 50,
      .low_percent = 25,
      .overflow = FLUXBP_OVERFLOW_DROP_NEWEST,
      .max_bytes = 1u << 20,
      .stall_ms = 5000,
      .slow_ms = 5000,
      .grace_ms = 5000,
      .soft_ms = 10000,
  };
  fluxbp__options_init(policy, size, &defaults, sizeof defaults);
}

static bool are_times_in_range(const fluxbp_policy_t *set) {
  return set->stall_ms <= FLUXBP_TIME_MS_MAX && set->slow_ms <= FLUXBP_TIME_MS_MAX &&
         set->lag_ms <= FLUXBP_TIME_MS_MAX && set->grace_ms <= FLUXBP_TIME_MS_MAX && set->soft_ms <= FLUXBP_TIME_MS_MAX;
}

static bool is_in_range(const fluxbp_policy_t *set) {
  if (set->slots < 2 || set->slots > FLUXBP_SLOTS_MAX) return false;
  if (set->high_percent < 1 || set->high_percent > 100) return false;
  if (set->low_percent >= set->high_percent) return false;
  if (set->max_bytes < 1 || set->max_bytes > FLUXBP_RING_BYTES_MAX) return false;
  if (set->soft_bytes > FLUXBP_RING_BYTES_MAX) return false;
  return (unsigned) set->overflow <= FLUXBP_OVERFLOW_EVICT && are_times_in_range(set);
}

typedef struct watermarks {
  uint32_t high, low;
} watermarks_t;

/* In messages or bytes. The percentages differ, but of a small ring both may come to the same number: the low one stays
 * below, or the ring would be above the one and below the other at the same time. */
static watermarks_t watermarks_of(uint64_t most, const fluxbp_policy_t *set) {
  uint64_t high = most * set->high_percent / 100;
  uint64_t low = most * set->low_percent / 100;
  if (high == 0) high = 1;
  if (low >= high) low = high - 1;
  return (watermarks_t){.high = (uint32_t) high, .low = (uint32_t) low};
}

static uint32_t shorter_limit(uint32_t a_ms, uint32_t b_ms) {
  if (a_ms == 0) return b_ms;
  return b_ms == 0 || a_ms < b_ms ? a_ms : b_ms;
}

/* Return the shortest time after which a verdict can fall, UINT32_MAX if none can. */
static uint32_t shortest_limit(const fluxbp_policy_t *set) {
  uint32_t soft_ms = set->soft_bytes > 0 ? set->soft_ms : 0;
  uint32_t shortest_ms = shorter_limit(shorter_limit(set->stall_ms, set->slow_ms), shorter_limit(set->lag_ms, soft_ms));
  return shortest_ms != 0 ? shortest_ms : UINT32_MAX;
}

int fluxbp__policy_prepare(const fluxbp_policy_t *given, fluxbp__policy_t *policy) {
  fluxbp_policy_t set;
  fluxbp_policy_init(&set);
  int err = fluxbp__options_copy(&set, sizeof set, given);
  if (err) return err;
  if (!is_in_range(&set)) return UV_EINVAL;

  watermarks_t slots = watermarks_of(set.slots, &set);
  watermarks_t bytes = watermarks_of(set.max_bytes, &set);
  policy->set = set;
  policy->shortest_ms = shortest_limit(&set);
  policy->soft_bytes = set.soft_bytes > 0 && set.soft_ms > 0 ? set.soft_bytes : UINT64_MAX;
  policy->limits = (fluxbp__limits_t){
      .slots = set.slots,
      .high_slots = slots.high,
      .low_slots = slots.low,
      .max_bytes = (uint32_t) set.max_bytes,
      .high_bytes = bytes.high,
      .low_bytes = bytes.low,
  };
  return 0;
}

static uint64_t fill_by_slots(const fluxbp__limits_t *limits, const fluxbp__backlog_t *backlog) {
  uint64_t slots = backlog->queued * FLUXBP__FILL_FULL;
  if (backlog->head_written > 0) slots -= backlog->head_written * FLUXBP__FILL_FULL / backlog->head_bytes;
  return slots / limits->slots;
}

static uint64_t unwritten_bytes(const fluxbp__backlog_t *backlog) {
  return backlog->bytes - backlog->head_written;
}

static uint64_t fill_by_bytes(const fluxbp__limits_t *limits, const fluxbp__backlog_t *backlog) {
  return unwritten_bytes(backlog) * FLUXBP__FILL_FULL / limits->max_bytes;
}

uint64_t fluxbp__backlog_fill(const fluxbp__limits_t *limits, const fluxbp__backlog_t *backlog) {
  uint64_t by_slots = fill_by_slots(limits, backlog);
  uint64_t by_bytes = fill_by_bytes(limits, backlog);
  return by_slots > by_bytes ? by_slots : by_bytes;
}

void fluxbp__clocks_start(fluxbp__clocks_t *clocks, uint64_t grace_from_ms, uint64_t now_ms, uint64_t written_bytes,
                          uint64_t acked_bytes) {
  *clocks = (fluxbp__clocks_t){.grace_from_ms = grace_from_ms,
                               .refused_ms = now_ms,
                               .progress_ms = now_ms,
                               .written_bytes = written_bytes,
                               .acked_bytes = acked_bytes};
}

void fluxbp__clocks_drained(fluxbp__clocks_t *clocks, uint64_t grace_from_ms, uint64_t now_ms, uint64_t written_bytes,
                            uint64_t acked_bytes) {
  fluxbp__clocks_t before = *clocks;
  fluxbp__clocks_start(clocks, grace_from_ms, now_ms, written_bytes, acked_bytes);
  if (!before.is_silent) return;
  clocks->is_silent = true;
  clocks->silent_ms = before.silent_ms;
  clocks->heard_ms = before.heard_ms;
  clocks->unanswered = before.unanswered;
  clocks->spared_ms = before.spared_ms;
}

void fluxbp__clocks_progress(fluxbp__clocks_t *clocks, uint64_t now_ms, uint64_t written_bytes) {
  clocks->progress_ms = now_ms;
  clocks->written_bytes = written_bytes;
}

/* The soft limit is about one stretch of time: a backlog that falls to the limit clears the clock, however soon it
 * rises again. */
static void note_soft_limit(fluxbp__clocks_t *clocks, const fluxbp__policy_t *policy, const fluxbp__backlog_t *backlog,
                            uint64_t now_ms) {
  bool is_over = unwritten_bytes(backlog) > policy->soft_bytes;
  if (is_over && !clocks->is_over_soft) clocks->over_soft_ms = now_ms;
  clocks->is_over_soft = is_over;
}

bool fluxbp__clocks_watermarks(fluxbp__clocks_t *clocks, const fluxbp__policy_t *policy,
                               const fluxbp__backlog_t *backlog, uint64_t now_ms) {
  const fluxbp__limits_t *limits = &policy->limits;
  note_soft_limit(clocks, policy, backlog, now_ms);
  if (!clocks->is_backpressured && fluxbp__limits_is_high(limits, backlog->queued, backlog->bytes)) {
    clocks->is_backpressured = true;
    if (clocks->is_behind) return true;
    clocks->is_behind = true;
    clocks->min_slots = fill_by_slots(limits, backlog);
    clocks->min_bytes = fill_by_bytes(limits, backlog);
    clocks->min_fill_ms = now_ms;
    clocks->behind_ms = now_ms;
    return true;
  }
  if (clocks->is_backpressured && fluxbp__limits_is_low(limits, backlog->queued, backlog->bytes)) {
    clocks->is_backpressured = false;
    clocks->is_behind = clocks->has_lost;
    return true;
  }
  return false;
}

/*
 * A ring that loses the newest falls to its low watermark whatever the feed, and would fill and fall for ever. So a
 * connection that has lost messages is measured against its minima until its ring is nearly drained.
 */
void fluxbp__clocks_lost(fluxbp__clocks_t *clocks) {
  clocks->has_lost = true;
}

/*
 * Retransmissions and probes are sent ever more rarely, up to every 120 s, so it isn't for how long nothing has come
 * that tells a peer that is gone, but that what was asked wasn't answered. Anything that comes of it clears that.
 * The times of two looks at the same moment differ by some milliseconds.
 */
static void note_silence(fluxbp__clocks_t *clocks, const fluxbp__observation_t *seen, uint64_t now_ms) {
  bool is_unanswering = fluxbp__is_unanswering(seen->unanswered);
  bool has_answered = seen->acked_bytes > clocks->acked_bytes || seen->unanswered < clocks->unanswered ||
                      seen->heard_ms > clocks->heard_ms + HEARD_AGAIN_MS;
  clocks->unanswered = seen->unanswered;
  if (is_unanswering && (!clocks->is_silent || has_answered)) {
    clocks->silent_ms = now_ms;
    clocks->heard_ms = seen->heard_ms;
  }
  clocks->is_silent = is_unanswering;
}

static void note_progress(fluxbp__clocks_t *clocks, const fluxbp__observation_t *seen, uint64_t now_ms) {
  bool has_moved = seen->written_bytes != clocks->written_bytes || seen->acked_bytes != clocks->acked_bytes;
  clocks->written_bytes = seen->written_bytes;
  clocks->acked_bytes = seen->acked_bytes;
  if (has_moved) clocks->progress_ms = now_ms;
}

/* Return true if `fill` is a new minimum. */
static bool note_minimum(uint64_t *min, uint64_t fill, bool may_rise) {
  if (fill > *min && may_rise) *min = fill;
  if (fill + MIN_FILL_STEP > *min) return false;
  *min = fill;
  return true;
}

/*
 * Slots and bytes have a minimum each, and a new one of either is progress: a ring whose slots small messages fill
 * shows none in its slots while a large head is written.
 *
 * What has to be drained is the top of a burst, not where the burst crossed the watermark: in the first half of the
 * time the minima follow a rising fill. Their clock runs on, so that a rise puts nothing off.
 */
static void note_fill(fluxbp__clocks_t *clocks, const fluxbp__policy_t *policy, const fluxbp__backlog_t *backlog,
                      uint64_t now_ms) {
  const fluxbp__limits_t *limits = &policy->limits;
  if (fluxbp__backlog_fill(limits, backlog) < MIN_FILL_STEP && !clocks->is_backpressured) {
    clocks->is_behind = false; /* no lower minimum is left to make */
    clocks->has_lost = false;
  }
  bool may_rise = now_ms - clocks->behind_ms < policy->set.slow_ms / 2;
  bool has_fewer = note_minimum(&clocks->min_slots, fill_by_slots(limits, backlog), may_rise);
  bool has_less = note_minimum(&clocks->min_bytes, fill_by_bytes(limits, backlog), may_rise);
  if (has_fewer || has_less) clocks->min_fill_ms = now_ms;
}

void fluxbp__clocks_spare(fluxbp__clocks_t *clocks, uint64_t now_ms) {
  clocks->spared_ms = now_ms;
}

static uint64_t later(uint64_t a_ms, uint64_t b_ms) {
  return a_ms > b_ms ? a_ms : b_ms;
}

/* When the time of a clock that has run since `from_ms` is over: twice the limit while the crowd is slow, and never
 * before the grace is over. */
static uint64_t due_ms(const fluxbp_policy_t *set, const fluxbp__clocks_t *clocks, uint64_t from_ms, uint64_t limit_ms,
                       bool is_crowd_slow) {
  uint64_t allowed_ms = is_crowd_slow ? 2 * limit_ms : limit_ms;
  return later(later(from_ms, clocks->spared_ms) + allowed_ms, clocks->grace_from_ms + set->grace_ms);
}

static uint64_t stalled_due_ms(const fluxbp_policy_t *set, const fluxbp__clocks_t *clocks, bool is_crowd_slow) {
  return set->stall_ms ? due_ms(set, clocks, clocks->progress_ms, set->stall_ms, is_crowd_slow) : UINT64_MAX;
}

/*
 * SLOW applies to a connection that moves, but not fast enough. One that has stopped moving in the second half of the
 * time is left to STALLED, so that the reason tells the two apart; unless that verdict would take more than slow_ms
 * longer.
 */
static uint64_t slow_due_ms(const fluxbp_policy_t *set, const fluxbp__clocks_t *clocks, bool is_crowd_slow) {
  if (set->slow_ms == 0 || !clocks->is_behind) return UINT64_MAX;
  uint64_t slow_ms = due_ms(set, clocks, clocks->min_fill_ms, set->slow_ms, is_crowd_slow);
  uint64_t stalled_ms = stalled_due_ms(set, clocks, is_crowd_slow);
  bool has_stopped = clocks->progress_ms + set->slow_ms / 2 <= slow_ms;
  return has_stopped && stalled_ms <= slow_ms + set->slow_ms ? UINT64_MAX : slow_ms;
}

/* The backlog that is seen may be below the limit already though the clock isn't cleared yet. */
static uint64_t soft_due_ms(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                            const fluxbp__observation_t *seen) {
  if (!clocks->is_over_soft || unwritten_bytes(&seen->backlog) <= policy->soft_bytes) return UINT64_MAX;
  return due_ms(&policy->set, clocks, clocks->over_soft_ms, policy->set.soft_ms, seen->is_crowd_slow);
}

static uint64_t unreachable_limit_ms(const fluxbp_policy_t *set) {
  return later(UNREACHABLE_MS, 2 * (uint64_t) set->stall_ms);
}

static uint64_t unreachable_due_ms(const fluxbp_policy_t *set, const fluxbp__clocks_t *clocks, bool is_crowd_slow) {
  return clocks->is_silent ? due_ms(set, clocks, clocks->silent_ms, unreachable_limit_ms(set), is_crowd_slow)
                           : UINT64_MAX;
}

bool fluxbp__policy_is_unreachable_due(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                       bool is_crowd_slow, uint64_t now_ms) {
  return now_ms >= unreachable_due_ms(&policy->set, clocks, is_crowd_slow);
}

/* A clock that leads to a verdict. */
typedef struct verdict_clock {
  fluxbp_evict_reason_t reason;
  uint64_t from_ms;
  uint64_t limit_ms; /* by the policy */
  uint64_t due_ms;   /* UINT64_MAX: it doesn't run */
} verdict_clock_t;

/* Say how long that clock may run as things are, and why that is longer than the policy's limit, once this has
 * passed. Each of the parts of due_ms may be the one that counts. A clock of LAG has to exceed its limit, by a
 * millisecond. */
static void explain(fluxbp__standing_t *standing, const fluxbp_policy_t *set, const fluxbp__clocks_t *clocks,
                    const verdict_clock_t *clock, bool is_crowd_slow, uint64_t now_ms) {
  uint64_t own_due_ms = clock->from_ms + (is_crowd_slow ? 2 * clock->limit_ms : clock->limit_ms);
  uint64_t grace_due_ms = clocks->grace_from_ms + set->grace_ms;
  uint64_t unspared_due_ms = later(own_due_ms, grace_due_ms);
  uint64_t excess_ms = standing->due_ms - clock->due_ms;
  standing->limit_ms = (set->is_shadow ? unspared_due_ms : later(clock->due_ms, unspared_due_ms)) - clock->from_ms;
  if (standing->used_ms < clock->limit_ms + excess_ms) return;
  if (now_ms < unspared_due_ms + excess_ms)
    standing->put_off = grace_due_ms > own_due_ms ? FLUXBP_PUT_OFF_GRACE : FLUXBP_PUT_OFF_CROWD;
  else if (set->is_shadow)
    standing->put_off = FLUXBP_PUT_OFF_SHADOW;
  else if (now_ms < standing->due_ms)
    standing->put_off = FLUXBP_PUT_OFF_SPARED;
}

fluxbp__standing_t fluxbp__policy_standing(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                           const fluxbp__observation_t *seen, uint64_t now_ms) {
  const fluxbp_policy_t *set = &policy->set;
  bool is_crowd_slow = seen->is_crowd_slow;
  bool has_queued = seen->backlog.queued > 0;
  bool may_lag = has_queued && set->lag_ms > 0;
  uint64_t oldest_ms = now_ms - seen->oldest_ms;
  const verdict_clock_t all[] = {
      {FLUXBP_EVICT_STALLED, clocks->progress_ms, set->stall_ms,
       has_queued ? stalled_due_ms(set, clocks, is_crowd_slow) : UINT64_MAX},
      {FLUXBP_EVICT_UNREACHABLE, clocks->silent_ms, unreachable_limit_ms(set),
       unreachable_due_ms(set, clocks, is_crowd_slow)},
      {FLUXBP_EVICT_SLOW, clocks->min_fill_ms, set->slow_ms,
       has_queued ? slow_due_ms(set, clocks, is_crowd_slow) : UINT64_MAX},
      {FLUXBP_EVICT_LAG, oldest_ms, set->lag_ms,
       may_lag ? due_ms(set, clocks, oldest_ms, set->lag_ms, is_crowd_slow) : UINT64_MAX},
      {FLUXBP_EVICT_SOFT_LIMIT, clocks->over_soft_ms, set->soft_ms, soft_due_ms(policy, clocks, seen)},
  };
  const verdict_clock_t *nearest = NULL;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    if (all[i].due_ms == UINT64_MAX) continue;
    if (nearest == NULL || (nearest->due_ms > now_ms && all[i].due_ms < nearest->due_ms)) nearest = &all[i];
  }
  fluxbp__standing_t standing = {.due_ms = UINT64_MAX};
  if (nearest == NULL) return standing;
  standing.reason = nearest->reason;
  standing.due_ms = nearest->due_ms + (nearest->reason == FLUXBP_EVICT_LAG); /* older than lag_ms, not as old */
  standing.used_ms = now_ms > nearest->from_ms ? now_ms - nearest->from_ms : 0;
  explain(&standing, set, clocks, nearest, is_crowd_slow, now_ms);
  return standing;
}

fluxbp_evict_reason_t fluxbp__policy_judge(const fluxbp__policy_t *policy, fluxbp__clocks_t *clocks,
                                           const fluxbp__observation_t *seen, uint64_t now_ms) {
  note_silence(clocks, seen, now_ms);
  note_progress(clocks, seen, now_ms);
  if (clocks->is_behind) note_fill(clocks, policy, &seen->backlog, now_ms);
  if (seen->backlog.queued > 0) note_soft_limit(clocks, policy, &seen->backlog, now_ms);
  fluxbp__standing_t standing = fluxbp__policy_standing(policy, clocks, seen, now_ms);
  return now_ms >= standing.due_ms ? standing.reason : FLUXBP_EVICT_NONE;
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms) {
  return a_ms < b_ms ? a_ms : b_ms;
}

uint64_t fluxbp__policy_deadline(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                 const fluxbp__observation_t *seen) {
  uint64_t deadline_ms = unreachable_due_ms(&policy->set, clocks, seen->is_crowd_slow);
  if (seen->backlog.queued == 0) return deadline_ms;
  deadline_ms = earlier(deadline_ms, stalled_due_ms(&policy->set, clocks, seen->is_crowd_slow));
  deadline_ms = earlier(deadline_ms, slow_due_ms(&policy->set, clocks, seen->is_crowd_slow));
  return earlier(deadline_ms, soft_due_ms(policy, clocks, seen));
}

uint64_t fluxbp__policy_halfway_ms(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                   const fluxbp__observation_t *seen, uint64_t now_ms) {
  const fluxbp_policy_t *set = &policy->set;
  bool has_queued = seen->backlog.queued > 0;
  bool is_stalling = has_queued && set->stall_ms && now_ms >= clocks->progress_ms + set->stall_ms / 2;
  bool is_slow = has_queued && set->slow_ms && clocks->is_behind && now_ms >= clocks->min_fill_ms + set->slow_ms / 2;
  bool is_over_soft = has_queued && clocks->is_over_soft && now_ms >= clocks->over_soft_ms + set->soft_ms / 2;
  uint64_t limit_ms = is_over_soft ? set->soft_ms : 0;
  if (is_stalling || is_slow) limit_ms = later(limit_ms, later(set->stall_ms, set->slow_ms));
  if (limit_ms > 0) return limit_ms;
  limit_ms = unreachable_limit_ms(set);
  return clocks->is_silent && now_ms >= clocks->silent_ms + limit_ms / 2 ? limit_ms : 0;
}

/*
 * The grace is the rest of the usual time, half of it, and as much again as the whole. Together with twice the limit
 * for each connection that makes one extra grace at the most: a connection that is still slow when it is over is judged
 * as usual, and another begins only after the crowd has been well in between.
 */
bool fluxbp__crowd_note(fluxbp__crowd_t *crowd, uint64_t open, uint64_t halfway, uint64_t limit_ms, uint64_t now_ms) {
  bool was_slow = crowd->is_slow;
  crowd->is_slow = open >= CROWD_MIN && halfway * 100 > open * CROWD_PERCENT;
  if (!crowd->is_slow || was_slow) return false;
  crowd->grace_until_ms = now_ms + limit_ms + limit_ms / 2;
  return true;
}
