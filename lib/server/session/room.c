/* SPDX-License-Identifier: MIT */
/*
 * room: see the header.
 *
 * While rounds get something done, they follow each other with an iteration of the loop in between, so that timers,
 * reads and deliveries have theirs. A round that does nothing is repeated after a millisecond: the bus belongs to many
 * hubs and threads, and doesn't say when it has room. Clients that were blocked go to the end of the queue.
 */
#include "room.h"

#define RETRY_MS 1

/* The bus is full then, most likely for those behind them, too. */
#define BLOCKED_AT_ONCE 16

static bool is_empty(const struct room *room) {
  return queue_first(&room->now) == NULL && queue_first(&room->next) == NULL;
}

static void on_soon(uv_idle_t *idle);
static void on_retry(uv_timer_t *timer);

static void arrange_round(struct room *room, bool is_soon) {
  bool is_waiting = !is_empty(room);
  if (is_waiting && is_soon)
    (void) uv_idle_start(&room->soon, on_soon);
  else
    (void) uv_idle_stop(&room->soon);
  if (is_waiting && !is_soon)
    (void) uv_timer_start(&room->retry, on_retry, RETRY_MS, 0);
  else
    (void) uv_timer_stop(&room->retry);
}

static void run_round(struct room *room) {
  bool has_done = false;
  unsigned blocked = 0;
  if (queue_first(&room->now) == NULL) queue_move(&room->now, &room->next);
  struct queue_link *first;
  while (blocked < BLOCKED_AT_ONCE && (first = queue_first(&room->now)) != NULL) {
    struct room_waiter *waiter = QUEUE_ITEM(first, struct room_waiter, link);
    queue_remove(first);
    if (waiter->go_on(waiter))
      has_done = true;
    else
      blocked++;
  }
  arrange_round(room, has_done);
}

static void on_soon(uv_idle_t *idle) {
  run_round(idle->data);
}

static void on_retry(uv_timer_t *timer) {
  run_round(timer->data);
}

void room_init(struct room *room, uv_loop_t *loop) {
  *room = (struct room){0};
  queue_init(&room->now);
  queue_init(&room->next);
  uv_idle_init(loop, &room->soon);
  uv_timer_init(loop, &room->retry);
  room->soon.data = room->retry.data = room;
}

void room_stop(struct room *room) {
  uv_close((uv_handle_t *) &room->soon, NULL);
  uv_close((uv_handle_t *) &room->retry, NULL);
}

void room_wait(struct room *room, struct room_waiter *waiter) {
  if (queue_is_linked(&waiter->link)) return;
  queue_append(&room->next, &waiter->link);
  bool has_round = uv_is_active((uv_handle_t *) &room->soon) || uv_is_active((uv_handle_t *) &room->retry);
  if (!has_round && !uv_is_closing((uv_handle_t *) &room->soon)) arrange_round(room, true);
}

void room_leave(struct room_waiter *waiter) {
  queue_remove(&waiter->link);
}
