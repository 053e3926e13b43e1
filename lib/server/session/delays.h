/* SPDX-License-Identifier: MIT */
/*
 * delays: sessions whose clients are faster than their rates, in the order of the times at which they may go on. Until
 * then such a client isn't read; see intake.h. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_DELAYS_H
#define FLUXBP_SERVER_DELAYS_H

#include "expiries.h"

#include <stdint.h>
#include <uv.h>

/* The place of one. All zero: it doesn't wait. */
struct delay {
  struct expiry expiry; /* in nanoseconds of the loop's time */
  void (*go_on)(struct delay *delay);
};

struct delays {
  struct expiries waiting;
  uv_timer_t timer;
};

void delays_init(struct delays *delays, uv_loop_t *loop);

/** Close the timer. What waits has to be removed all the same. */
void delays_stop(struct delays *delays);

/** Free what is left when nothing waits. */
void delays_free(struct delays *delays);

/** Have `go_on` called in `wait_ns`, 1 or more; it waits no longer then. @return 0, or UV_ENOMEM: it doesn't wait */
int delays_add(struct delays *delays, struct delay *delay, uint64_t wait_ns);

/** It doesn't wait any more. May be called again. */
void delays_remove(struct delays *delays, struct delay *delay);

#endif
