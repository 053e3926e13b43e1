/* SPDX-License-Identifier: MIT */
/*
 * Internal side of inbox: what other threads want of a hub's loop.
 */
#ifndef FLUXBP_LIB_INBOX_H
#define FLUXBP_LIB_INBOX_H

#include "fluxbp/hub.h"
#include "turn.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct fluxbp__task fluxbp__task_t;

typedef struct fluxbp__tasks {
  fluxbp__task_t *first;
  fluxbp__task_t **last_next;
} fluxbp__tasks_t;

typedef struct fluxbp__inbox {
  fluxbp_pool_t *pool;
  uv_async_t async;
  atomic_bool is_woken;  /* a wake-up is on its way */
  fluxbp__tasks_t taken; /* the loop's alone: those that it has begun with */
  uv_mutex_t lock;       /* over what follows */
  fluxbp__tasks_t posted;
  bool is_closed;
} fluxbp__inbox_t;

/* `on_wake` is called from the loop after a wake-up. 0 or what libuv says; then there is nothing to be closed. */
int fluxbp__inbox_init(fluxbp__inbox_t *inbox, fluxbp_pool_t *pool, uv_loop_t *loop, uv_async_cb on_wake);

/* As fluxbp_hub_post. Any thread. */
int fluxbp__inbox_post(fluxbp__inbox_t *inbox, fluxbp_task_cb run, void *arg);

/* Have on_wake called. Any thread, until fluxbp__inbox_close has returned. */
void fluxbp__inbox_wake(fluxbp__inbox_t *inbox);

/* The same. If this is the thread of the loop whose turn that is, the loop is only kept from sleeping: that takes no
 * system call. */
void fluxbp__inbox_wake_turn(fluxbp__inbox_t *inbox, fluxbp__turn_t *turn);

/* Run the tasks that are there: at least one, and no more after 1/8 of the turn's time. `turn` NULL: all of them.
 * Returns true if there was a wake-up, perhaps for something else. */
bool fluxbp__inbox_run(fluxbp__inbox_t *inbox, fluxbp_hub_t *hub, const fluxbp__turn_t *turn);

/* Whether the last run has left some. */
bool fluxbp__inbox_has_more(const fluxbp__inbox_t *inbox);

/* Refuse further tasks, also after `cb`, until the inbox is destroyed. Tasks that were taken are still to be run. `cb`
 * is uv_close's. */
void fluxbp__inbox_close(fluxbp__inbox_t *inbox, uv_close_cb cb);

/* Give the lock back: after `cb` and the last run, and when no thread posts any more. */
void fluxbp__inbox_destroy(fluxbp__inbox_t *inbox);

#endif
