/* SPDX-License-Identifier: MIT */
/*
 * inbox: tasks from any thread for the thread of a hub, and its wake-up.
 *
 * libuv's own check whether a wake-up is pending may be passed, on x86-64 too, by the store that it is about: push and
 * uv_async_send alone lose some in a million. So a flag of ours is exchanged on both sides: the sender sends if it was
 * clear, the loop clears it before it looks for work.
 */
#include "inbox.h"

#include "pool.h"

#include <assert.h>

/* What comes first in an iteration delays all that it writes. A new connection takes some 15 us, so 1/8 of 2 ms is a
 * dozen of them. (bench_accept, docs/performance.md) */
enum { SHARE_OF_TASKS = 8 };

struct fluxbp__task {
  fluxbp__task_t *next;
  fluxbp_task_cb run;
  void *arg;
};

static void clear(fluxbp__tasks_t *tasks) {
  tasks->first = NULL;
  tasks->last_next = &tasks->first;
}

int fluxbp__inbox_init(fluxbp__inbox_t *inbox, fluxbp_pool_t *pool, uv_loop_t *loop, uv_async_cb on_wake) {
  inbox->pool = pool;
  atomic_init(&inbox->is_woken, false);
  clear(&inbox->taken);
  clear(&inbox->posted);
  int err = uv_mutex_init(&inbox->lock);
  if (err) return err;
  err = uv_async_init(loop, &inbox->async, on_wake);
  if (err)
    uv_mutex_destroy(&inbox->lock);
  else
    uv_unref((uv_handle_t *) &inbox->async);
  return err;
}

void fluxbp__inbox_wake(fluxbp__inbox_t *inbox) {
  if (!atomic_exchange(&inbox->is_woken, true)) (void) uv_async_send(&inbox->async);
}

void fluxbp__inbox_wake_turn(fluxbp__inbox_t *inbox, fluxbp__turn_t *turn) {
  if (atomic_exchange(&inbox->is_woken, true)) return;
  if (fluxbp__turn_is_here(turn))
    fluxbp__turn_wake(turn);
  else
    (void) uv_async_send(&inbox->async);
}

int fluxbp__inbox_post(fluxbp__inbox_t *inbox, fluxbp_task_cb run, void *arg) {
  fluxbp__task_t *task = fluxbp__pool_alloc_object(inbox->pool, sizeof *task);
  if (task == NULL) return UV_ENOMEM;
  task->run = run;
  task->arg = arg;

  uv_mutex_lock(&inbox->lock);
  bool is_closed = inbox->is_closed;
  if (!is_closed) {
    *inbox->posted.last_next = task;
    inbox->posted.last_next = &task->next;
    fluxbp__inbox_wake(inbox); /* under the lock: the async can't be closed meanwhile */
  }
  uv_mutex_unlock(&inbox->lock);
  if (is_closed) fluxbp__pool_free_object(inbox->pool, task, sizeof *task);
  return is_closed ? UV_ECANCELED : 0;
}

/* True if there was a wake-up. */
static bool take_posted(fluxbp__inbox_t *inbox) {
  if (!atomic_load_explicit(&inbox->is_woken, memory_order_relaxed)) return false;
  (void) atomic_exchange(&inbox->is_woken, false); /* before looking: a thread that comes later sends again */

  uv_mutex_lock(&inbox->lock);
  if (inbox->posted.first != NULL) {
    *inbox->taken.last_next = inbox->posted.first;
    inbox->taken.last_next = inbox->posted.last_next;
    clear(&inbox->posted);
  }
  uv_mutex_unlock(&inbox->lock);
  return true;
}

bool fluxbp__inbox_run(fluxbp__inbox_t *inbox, fluxbp_hub_t *hub, const fluxbp__turn_t *turn) {
  bool was_woken = take_posted(inbox);
  while (inbox->taken.first != NULL) {
    fluxbp__task_t *task = inbox->taken.first;
    inbox->taken.first = task->next;
    if (task->next == NULL) clear(&inbox->taken);
    task->run(hub, task->arg);
    fluxbp__pool_free_object(inbox->pool, task, sizeof *task);
    if (turn != NULL && !fluxbp__turn_has_share(turn, SHARE_OF_TASKS)) break;
  }
  return was_woken;
}

bool fluxbp__inbox_has_more(const fluxbp__inbox_t *inbox) {
  return inbox->taken.first != NULL;
}

void fluxbp__inbox_close(fluxbp__inbox_t *inbox, uv_close_cb cb) {
  uv_mutex_lock(&inbox->lock);
  inbox->is_closed = true;
  uv_mutex_unlock(&inbox->lock);
  uv_close((uv_handle_t *) &inbox->async, cb);
}

void fluxbp__inbox_destroy(fluxbp__inbox_t *inbox) {
  assert(inbox->taken.first == NULL && inbox->posted.first == NULL);
  uv_mutex_destroy(&inbox->lock);
}
