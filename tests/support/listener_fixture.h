/* SPDX-License-Identifier: MIT */
/*
 * listener_fixture: a loop, a counting pool and a listener with a virtual clock, that keep what was accepted and
 * refused; and clients to connect to it. At the end it proves that nothing is left: no memory, handle or descriptor.
 */
#ifndef TESTS_SUPPORT_LISTENER_FIXTURE_H
#define TESTS_SUPPORT_LISTENER_FIXTURE_H

#include "listener_accept.h"
#include "support/alloc_hook.h"
#include "support/shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FIXTURE_PEERS_MAX = 4096 };

typedef struct accepted {
  fluxbp_listener_t *listener;
  int fd;
  fluxbp_permit_t permit;
} accepted_t;

typedef struct fixture fixture_t;

struct fixture {
  uv_loop_t loop;
  uv_timer_t tick; /* keeps fixture_run_until from sleeping for long */
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_listener_options_t options; /* may be changed before fixture_open */
  fluxbp_listener_t *listener;       /* NULL after its close callback */
  uint64_t now_ms;                   /* the listener's clock */
  int calls;                         /* how deep we are in calls of ours: no callback may come then */
  int descriptors;                   /* open before all this */

  accepted_t accepted[FIXTURE_PEERS_MAX]; /* those that are still there */
  size_t count;
  size_t total;                 /* ever accepted */
  struct sockaddr_storage peer; /* the last one's address */
  void (*on_accept)(fixture_t *f);

  accepted_t taken[FIXTURE_PEERS_MAX]; /* refused ones that were taken and are still there */
  size_t taken_count;
  size_t refused; /* calls of on_refused */
  fluxbp_refusal_t reason;
  bool takes_refused;
  void (*on_refused)(fixture_t *f);

  int errors; /* calls of on_error */
  int error;

  int clients[FIXTURE_PEERS_MAX];
  size_t client_count;
};

/* The defaults, with a virtual clock and a pool that counts. */
void fixture_init(fixture_t *f);
void fixture_open_loop(fixture_t *f); /* everything but the listener */
void fixture_open(fixture_t *f);      /* and a listener on 127.0.0.1 */
void fixture_open_unix(fixture_t *f, const char *path);

/* Drop everybody, close everything, and prove that nothing is left. */
void fixture_close(fixture_t *f);
void fixture_close_listener(fixture_t *f);
void fixture_close_loop(fixture_t *f);

/* Connect a client, from a loopback address of its own if `from` isn't NULL. Returns its socket. */
int fixture_connect(fixture_t *f);
int fixture_connect_from(fixture_t *f, const char *from);
int fixture_connect_unix(fixture_t *f, const char *path);

/* A few iterations that don't wait; iterations until `total` were accepted in all. */
void fixture_turns(fixture_t *f, int turns);
typedef bool (*fixture_condition)(fixture_t *f, size_t number);
#define fixture_run_until(f, is_done, number) fixture_run_until_at(f, is_done, number, #is_done, __FILE__, __LINE__)
void fixture_run_until_at(fixture_t *f, fixture_condition is_done, size_t number, const char *what, const char *file,
                          int line);
void fixture_accepts(fixture_t *f, size_t total);
void fixture_refuses(fixture_t *f, size_t refused); /* counted by the listener, of any reason */

/* Let it rest, if it has accepted a full batch, and another one, until it doesn't any more. */
void fixture_rest(fixture_t *f);

/* Some turns, in which nobody is accepted, and accept4 isn't even called. */
void fixture_stays_paused(fixture_t *f, uint32_t reasons);

/* Let virtual time pass, and the listener's timer look at it. */
void fixture_advance(fixture_t *f, uint64_t ms);

/* Close the newest of the accepted, or of the taken ones, and release it. */
void fixture_drop(fixture_t *f);
void fixture_drop_taken(fixture_t *f);

fluxbp_listener_stats_t fixture_stats(const fixture_t *f);

/* What a client reads next: a count of bytes, 0 at the end, or a negative errno. Waits for it. */
int client_reads(int fd);

#endif
