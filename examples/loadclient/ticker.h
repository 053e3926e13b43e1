/* SPDX-License-Identifier: MIT */
/*
 * ticker: wakes a loop at a time in nanoseconds. libuv's timers round to milliseconds, which would be most of what an
 * unloaded server needs for a message.
 */
#ifndef LOADCLIENT_TICKER_H
#define LOADCLIENT_TICKER_H

#include <uv.h>

struct ticker;
typedef void (*ticker_cb)(struct ticker *ticker);

struct ticker {
  ticker_cb on_tick;
  void *data; /* the owner's */
#ifdef __linux__
  int fd;
  uv_poll_t handle;
#else
  uv_timer_t handle;
#endif
};

/** @return 0, or libuv's error */
int ticker_init(struct ticker *ticker, uv_loop_t *loop, ticker_cb on_tick);

/** Call back once, at that time of uv_hrtime(), or at once if it has passed; instead of the time before. */
void ticker_set(struct ticker *ticker, uint64_t at_ns);

void ticker_close(struct ticker *ticker);

#endif
