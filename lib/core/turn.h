/* SPDX-License-Identifier: MIT */
/*
 * turn: what one iteration of the loop does for a hub, and how long it may take. Knows links, not what they are in.
 */
#ifndef FLUXBP_LIB_TURN_H
#define FLUXBP_LIB_TURN_H

#include "list.h"

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

/* Where a link waits for its visit, in the order in which the lists are visited. */
typedef enum fluxbp__due {
  FLUXBP__DUE_INPUT,   /* a transport is to hand over what it has read and kept */
  FLUXBP__DUE_EVENT,   /* the user is to be told something */
  FLUXBP__DUE_VERDICT, /* a connection is to be evicted, or has failed */
  FLUXBP__DUE_FLUSH,   /* dirty: something is staged that the kernel hasn't been offered */
  FLUXBP__DUE_REPLAY,  /* connections that read from the history have their turns */
  FLUXBP__DUE_SENT,    /* the user is to be told what became of a message */
  FLUXBP__DUE_MEMBERS, /* the user is to be told of the subscribers of a topic */
  FLUXBP__DUE_COUNT
} fluxbp__due_t;

typedef struct fluxbp__turn fluxbp__turn_t;

/* Visits one link, which has been removed from its list. */
typedef void (*fluxbp__visit_fn)(fluxbp__turn_t *turn, fluxbp__link_t *link);

/* Visits some links of a list that isn't empty, from its front, and removes them. Returns whether that were several. */
typedef bool (*fluxbp__visit_together_fn)(fluxbp__turn_t *turn, fluxbp__link_t *list);

/* Other work that the owner has, done first; true if some is left for the next iteration. */
typedef bool (*fluxbp__work_fn)(fluxbp__turn_t *turn);

struct fluxbp__turn {
  uv_prepare_t prepare; /* just before the loop would sleep */
  uv_idle_t idle;       /* active while something is due: then the loop doesn't sleep */
  fluxbp__link_t due[FLUXBP__DUE_COUNT];
  fluxbp__visit_fn visit[FLUXBP__DUE_COUNT];
  fluxbp__visit_together_fn flush_together; /* instead of the visit of FLUXBP__DUE_FLUSH; NULL: one at a time */
  fluxbp__work_fn work;
  bool is_cut[FLUXBP__DUE_COUNT]; /* the last visit of that list didn't come to its end */
  bool is_woken;                  /* since this iteration's prepare began */
  uint64_t slice_ns;              /* the budget of an iteration */
  uint64_t spent_ns;              /* of it */
  uint64_t begun_ns;              /* when what is being timed began */
  uint64_t longest_ns;            /* that one prepare callback has taken, other people's work in it included */
  uv_thread_t thread;             /* of the loop, as of the first iteration */
  atomic_uint thread_state;       /* what is known of it: see fluxbp__turn_is_here */
};

/* The caller has set `visit`, `work` and `slice_ns`. 0 or what libuv says. */
int fluxbp__turn_init(fluxbp__turn_t *turn, uv_loop_t *loop);

/* Close both handles; `cb` is called for each. */
void fluxbp__turn_close(fluxbp__turn_t *turn, uv_close_cb cb);

/* The loop must not sleep: there is work for it. */
void fluxbp__turn_wake(fluxbp__turn_t *turn);

/* Whether the calling thread is the loop's. Any thread. False, too, before the first iteration, and for good once
 * iterations were run by several threads. */
bool fluxbp__turn_is_here(const fluxbp__turn_t *turn);

/* Have `link` visited. It is in no list. */
static inline void fluxbp__turn_add(fluxbp__turn_t *turn, fluxbp__due_t due, fluxbp__link_t *link) {
  fluxbp__list_append(&turn->due[due], link);
  if (!uv_is_active((const uv_handle_t *) &turn->idle)) fluxbp__turn_wake(turn);
}

/* Flush what is dirty now, without regard to the budget. */
void fluxbp__turn_flush_all(fluxbp__turn_t *turn);

/* Time something that the loop calls outside of the turn (a write callback). False: the budget is spent, leave it. */
bool fluxbp__turn_begin(fluxbp__turn_t *turn);
void fluxbp__turn_end(fluxbp__turn_t *turn);

/* What has been timed so far was somebody else's: the budget begins now. */
void fluxbp__turn_restart(fluxbp__turn_t *turn);

/* Whether what is being timed may go on. */
bool fluxbp__turn_has_time(const fluxbp__turn_t *turn);

/* Whether 1/`divisor` of the budget isn't spent yet, for what mustn't take all of it from writing. */
bool fluxbp__turn_has_share(const fluxbp__turn_t *turn, unsigned divisor);

#endif
