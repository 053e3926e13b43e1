/* SPDX-License-Identifier: MIT */
/*
 * room: clients of one hub that have sent what there is no room for, on the bus or in the budget, and requests that
 * wait for the same. They are tried again, one after the other. Those that have only used up their time stand in the
 * hub's queue (fluxbp_conn_wait_turn). Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_ROOM_H
#define FLUXBP_SERVER_ROOM_H

#include "server/queue.h"

#include <stdbool.h>
#include <uv.h>

struct room_waiter {
  struct queue_link link;

  /* Its turn, for which it has left the queue: it goes on, and waits again if it has to. @return whether anything was
   * done */
  bool (*go_on)(struct room_waiter *waiter);
};

struct room {
  struct queue now;  /* have their turn in this round, */
  struct queue next; /* or in the next one */
  uv_idle_t soon;    /* while the last round did something */
  uv_timer_t retry;  /* while it didn't: nobody says when the bus has room */
};

void room_init(struct room *room, uv_loop_t *loop);
void room_stop(struct room *room);

/** Have its turn come, in an iteration after this one. If it waits already, it keeps its place. */
void room_wait(struct room *room, struct room_waiter *waiter);

/** It doesn't wait any more. May be called again. */
void room_leave(struct room_waiter *waiter);

#endif
