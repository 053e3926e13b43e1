/* SPDX-License-Identifier: MIT */
/*
 * delays: see the header. One timer runs until the first of them is due.
 */
#include "delays.h"

#define MS_NS ((uint64_t) 1000 * 1000)

/* In one iteration of the loop; the others have their turn in the next one. */
#define AT_ONCE 64

static void on_timer(uv_timer_t *timer);

static uint64_t now_ns(const struct delays *delays) {
  return uv_now(delays->timer.loop) * MS_NS;
}

static void start_timer(struct delays *delays) {
  if (delays->waiting.count == 0 || uv_is_closing((uv_handle_t *) &delays->timer)) {
    (void) uv_timer_stop(&delays->timer);
    return;
  }
  uint64_t due_ns = delays->waiting.heap[0]->at_s, at_ns = now_ns(delays);
  uint64_t wait_ns = due_ns > at_ns ? due_ns - at_ns : 1;
  (void) uv_timer_start(&delays->timer, on_timer, (wait_ns + MS_NS - 1) / MS_NS, 0);
}

static void on_timer(uv_timer_t *timer) {
  struct delays *delays = timer->data;
  struct expiry *due;
  for (int i = 0; i < AT_ONCE && (due = expiries_first_due(&delays->waiting, now_ns(delays))) != NULL; i++) {
    struct delay *delay = (struct delay *) (void *) due;
    expiries_remove(&delays->waiting, due);
    delay->go_on(delay);
  }
  start_timer(delays);
}

void delays_init(struct delays *delays, uv_loop_t *loop) {
  *delays = (struct delays){0};
  (void) uv_timer_init(loop, &delays->timer);
  delays->timer.data = delays;
}

void delays_stop(struct delays *delays) {
  uv_close((uv_handle_t *) &delays->timer, NULL);
}

void delays_free(struct delays *delays) {
  expiries_free(&delays->waiting);
}

int delays_add(struct delays *delays, struct delay *delay, uint64_t wait_ns) {
  int err = expiries_set(&delays->waiting, &delay->expiry, now_ns(delays) + wait_ns);
  if (err == 0 && delays->waiting.heap[0] == &delay->expiry) start_timer(delays);
  return err;
}

void delays_remove(struct delays *delays, struct delay *delay) {
  expiries_remove(&delays->waiting, &delay->expiry);
  if (delays->waiting.count == 0) (void) uv_timer_stop(&delays->timer);
}
