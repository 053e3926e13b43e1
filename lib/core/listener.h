/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the listener. listener.c has its life and what is for any thread, listener_accept.c the accepting.
 */
#ifndef FLUXBP_LIB_LISTENER_H
#define FLUXBP_LIB_LISTENER_H

#include "address_table.h"
#include "fluxbp/listener.h"
#include "listener_socket.h"
#include "permits.h"
#include "token_bucket.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
  FLUXBP__ACCEPTS_PER_WAKEUP = 32, /* some 10 µs each: the loop serves others after 0.3 ms; */
  FLUXBP__ACCEPT_REST_MS = 1,      /* and after so many it rests, see listener_accept.c */
  FLUXBP__ACCEPT_RETRY_MS = 100    /* after an error that doesn't go away by itself */
};

struct fluxbp_listener {
  fluxbp_listener_options_t options;
  fluxbp_pool_t *pool;
  uv_loop_t *loop;
  fluxbp__listener_socket_t socket;
  uv_poll_t poll;   /* active while nothing is in `paused`, and it doesn't rest */
  uv_timer_t timer; /* active while a token or a retry is waited for */
  uv_timer_t rest;  /* active while it rests; by the loop's own time */
  uv_async_t async; /* there is room again, says a thread */
  uint64_t due_ms;  /* the clock's time that the timer waits for */
  fluxbp__token_bucket_t bucket;
  int open_handles;
  fluxbp_listener_cb close_cb;
  bool owns_pool;
  bool is_closing;

  atomic_bool is_woken; /* the async was sent and has not been answered */

  uv_mutex_t lock; /* over everything below; never held in a callback of the user's */
  fluxbp__permits_t permits;
  fluxbp__address_table_t addresses; /* used if there is a max_per_address */
  fluxbp_listener_stats_t stats;     /* `paused` is written by the loop's thread only, which may read it without lock */
  uint64_t references;               /* one of the loop, one of each permit that is out */
  bool takes_wakeups;                /* the async is open */
};

/* Return the clock's time, as the options say. */
static inline uint64_t fluxbp__listener_clock_ms(const fluxbp_listener_t *listener) {
  const fluxbp_listener_options_t *options = &listener->options;
  return options->clock_ms != NULL ? options->clock_ms(options->clock_arg) : uv_now(listener->loop);
}

#endif
