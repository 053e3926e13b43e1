/* SPDX-License-Identifier: MIT */
/*
 * turn: the dirty list, the verdicts and the events of one hub, worked off just before the loop would sleep.
 *
 * Design notes
 *
 * An iteration has one budget (slice_ns). It begins anew in the prepare callback, pays for everything that is done
 * there, and what is left pays for the write callbacks of the poll phase. What doesn't fit waits in its list for the
 * next iteration, so timers, reads and accepts are never kept waiting for longer than a slice and one visit. Messages
 * that arrive meanwhile join rings that haven't been visited: batches grow with the load by themselves.
 *
 * Dirty links may be visited together, several at a time. Then the clock is read after each time, so that the iteration
 * exceeds its budget by these.
 *
 * While a list isn't empty, an idle handle is active, so the loop doesn't sleep on work, not even if it was added by a
 * prepare callback that runs after this one.
 */
#include "turn.h"

#include <assert.h>

/* Reading the clock costs about 25 ns, a flush some microseconds; where visits take longer than this part of the slice
 * it is read after each, so that the iteration exceeds it by one of them. */
enum { VISITS_PER_CLOCK_READING = 4, LONG_VISITS_PART = 64 };

/* Of the thread that runs the loop. */
enum { THREAD_UNKNOWN, THREAD_KNOWN, THREAD_CHANGES };

static uint64_t spent_ns(const fluxbp__turn_t *turn) {
  return turn->spent_ns + (uv_hrtime() - turn->begun_ns);
}

static bool has_work(const fluxbp__turn_t *turn) {
  for (int due = 0; due < FLUXBP__DUE_COUNT; due++)
    if (!fluxbp__list_is_empty(&turn->due[due])) return true;
  return false;
}

/* Only what is in the list now: a visit may add to it, and must not keep the loop here for ever. False: the time was up
 * before all of it was visited. */
static bool visit_all(fluxbp__turn_t *turn, fluxbp__due_t due, bool within_budget) {
  fluxbp__link_t batch;
  unsigned unread = VISITS_PER_CLOCK_READING; /* visits until the clock is read */
  uint64_t read_ns = 0;                       /* what was spent when it was */

  if (fluxbp__list_is_empty(&turn->due[due])) return true;
  fluxbp__list_take(&batch, &turn->due[due]);
  while (!fluxbp__list_is_empty(&batch)) {
    if (due == FLUXBP__DUE_FLUSH && turn->flush_together != NULL) {
      if (turn->flush_together(turn, &batch)) unread = 1;
    } else {
      fluxbp__link_t *link = batch.next;
      fluxbp__link_remove(link);
      turn->visit[due](turn, link);
    }
    if (!within_budget || --unread > 0) continue;
    uint64_t now_ns = spent_ns(turn);
    if (now_ns >= turn->slice_ns) break;
    bool are_long = now_ns > read_ns + turn->slice_ns / LONG_VISITS_PART;
    unread = are_long ? 1 : VISITS_PER_CLOCK_READING;
    read_ns = now_ns;
  }
  if (fluxbp__list_is_empty(&batch)) return true;

  /* the rest goes back to the front */
  fluxbp__link_t *list = &turn->due[due];
  batch.prev->next = list->next;
  list->next->prev = batch.prev;
  list->next = batch.next;
  batch.next->prev = list;
  return false;
}

/* `thread` is written once, before it is said to be known. */
static void note_thread(fluxbp__turn_t *turn) {
  uv_thread_t self = uv_thread_self();
  switch (atomic_load_explicit(&turn->thread_state, memory_order_relaxed)) {
  case THREAD_UNKNOWN:
    turn->thread = self;
    atomic_store_explicit(&turn->thread_state, THREAD_KNOWN, memory_order_release);
    break;
  case THREAD_KNOWN:
    if (!uv_thread_equal(&turn->thread, &self))
      atomic_store_explicit(&turn->thread_state, THREAD_CHANGES, memory_order_relaxed);
    break;
  default:
    break;
  }
}

bool fluxbp__turn_is_here(const fluxbp__turn_t *turn) {
  if (atomic_load_explicit(&turn->thread_state, memory_order_acquire) != THREAD_KNOWN) return false;
  uv_thread_t self = uv_thread_self();
  return uv_thread_equal(&turn->thread, &self) != 0;
}

static void on_prepare(uv_prepare_t *handle) {
  fluxbp__turn_t *turn = FLUXBP__CONTAINER(handle, fluxbp__turn_t, prepare);
  note_thread(turn);
  turn->is_woken = false;
  fluxbp__turn_restart(turn);
  uint64_t begun_ns = turn->begun_ns;

  if (turn->work(turn)) turn->is_woken = true;
  for (int due = 0; due < FLUXBP__DUE_COUNT; due++) turn->is_cut[due] = !visit_all(turn, (fluxbp__due_t) due, true);
  fluxbp__turn_end(turn);
  uint64_t taken_ns = turn->begun_ns - begun_ns + turn->spent_ns; /* the work may have restarted the budget */
  if (taken_ns > turn->longest_ns) turn->longest_ns = taken_ns;

  if (uv_is_closing((uv_handle_t *) &turn->idle)) return;
  if (turn->is_woken || has_work(turn))
    fluxbp__turn_wake(turn);
  else
    (void) uv_idle_stop(&turn->idle);
}

static void on_idle(uv_idle_t *handle) {
  (void) handle; /* it is there to keep the loop from sleeping */
}

int fluxbp__turn_init(fluxbp__turn_t *turn, uv_loop_t *loop) {
  for (int due = 0; due < FLUXBP__DUE_COUNT; due++) fluxbp__list_init(&turn->due[due]);
  /* On any libuv these four can't fail for a valid loop: they only initialise and link. */
  int err = uv_prepare_init(loop, &turn->prepare);
  if (!err) err = uv_idle_init(loop, &turn->idle);
  if (!err) err = uv_prepare_start(&turn->prepare, on_prepare);
  if (!err) uv_unref((uv_handle_t *) &turn->prepare);
  return err;
}

void fluxbp__turn_close(fluxbp__turn_t *turn, uv_close_cb cb) {
  uv_close((uv_handle_t *) &turn->prepare, cb);
  uv_close((uv_handle_t *) &turn->idle, cb);
}

void fluxbp__turn_wake(fluxbp__turn_t *turn) {
  turn->is_woken = true;
  if (!uv_is_closing((uv_handle_t *) &turn->idle)) (void) uv_idle_start(&turn->idle, on_idle);
}

void fluxbp__turn_flush_all(fluxbp__turn_t *turn) {
  turn->is_cut[FLUXBP__DUE_FLUSH] = !visit_all(turn, FLUXBP__DUE_FLUSH, false);
}

bool fluxbp__turn_begin(fluxbp__turn_t *turn) {
  if (turn->spent_ns >= turn->slice_ns) return false;
  turn->begun_ns = uv_hrtime();
  return true;
}

void fluxbp__turn_restart(fluxbp__turn_t *turn) {
  turn->spent_ns = 0;
  turn->begun_ns = uv_hrtime();
}

void fluxbp__turn_end(fluxbp__turn_t *turn) {
  turn->spent_ns += uv_hrtime() - turn->begun_ns;
}

bool fluxbp__turn_has_time(const fluxbp__turn_t *turn) {
  return spent_ns(turn) < turn->slice_ns;
}

bool fluxbp__turn_has_share(const fluxbp__turn_t *turn, unsigned divisor) {
  return spent_ns(turn) < turn->slice_ns / divisor;
}
