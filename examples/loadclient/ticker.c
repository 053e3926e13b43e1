/* SPDX-License-Identifier: MIT */
/*
 * ticker: a timerfd where there is one. uv_hrtime() is CLOCK_MONOTONIC there.
 */
#include "ticker.h"

#ifdef __linux__

#include <sys/timerfd.h>
#include <unistd.h>

static void on_poll(uv_poll_t *handle, int status, int events) {
  struct ticker *ticker = handle->data;
  uint64_t expirations;
  (void) status;
  (void) events;
  if (read(ticker->fd, &expirations, sizeof expirations) == sizeof expirations) ticker->on_tick(ticker);
}

int ticker_init(struct ticker *ticker, uv_loop_t *loop, ticker_cb on_tick) {
  ticker->on_tick = on_tick;
  ticker->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (ticker->fd < 0) return UV_EMFILE;
  int error = uv_poll_init(loop, &ticker->handle, ticker->fd);
  ticker->handle.data = ticker;
  return error != 0 ? error : uv_poll_start(&ticker->handle, UV_READABLE, on_poll);
}

void ticker_set(struct ticker *ticker, uint64_t at_ns) {
  if (at_ns == 0) at_ns = 1; /* 0 would disarm it */
  struct itimerspec at = {
      .it_value = {.tv_sec = (time_t) (at_ns / 1000000000), .tv_nsec = (long) (at_ns % 1000000000)}};
  timerfd_settime(ticker->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void on_closed(uv_handle_t *handle) {
  struct ticker *ticker = handle->data;
  close(ticker->fd);
}

void ticker_close(struct ticker *ticker) {
  uv_close((uv_handle_t *) &ticker->handle, on_closed);
}

#else

static void on_timer(uv_timer_t *handle) {
  struct ticker *ticker = handle->data;
  ticker->on_tick(ticker);
}

int ticker_init(struct ticker *ticker, uv_loop_t *loop, ticker_cb on_tick) {
  ticker->on_tick = on_tick;
  ticker->handle.data = ticker;
  return uv_timer_init(loop, &ticker->handle);
}

void ticker_set(struct ticker *ticker, uint64_t at_ns) {
  uint64_t now_ns = uv_hrtime();
  uv_timer_start(&ticker->handle, on_timer, at_ns > now_ns ? (at_ns - now_ns + 999999) / 1000000 : 0, 0);
}

void ticker_close(struct ticker *ticker) {
  uv_close((uv_handle_t *) &ticker->handle, NULL);
}

#endif
