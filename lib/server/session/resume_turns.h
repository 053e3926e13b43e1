/* SPDX-License-Identifier: MIT */
/*
 * resume_turns: whose turn it is to be resumed. A resume costs what it replays. The thread has a rate for that, and so
 * has each client, address and subject; sessions that wait are taken in the order of what their clients have had
 * already, so a client that resumes again and again holds up nobody but itself. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_RESUME_TURNS_H
#define FLUXBP_SERVER_RESUME_TURNS_H

#include "expiries.h"

#include <fluxbp/server.h>

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* The place of a session that waits. All zero: it doesn't. */
struct resume_turn {
  struct expiry expiry; /* its place in the order; see resume_turns.c */
  fluxbp_session_t *session;
  uint64_t since_ns; /* when it began to wait */

  /* Its turn, for which it has left the queue. */
  void (*go_on)(struct resume_turn *turn);
};

struct resume_turns {
  struct expiries waiting;
  uv_timer_t timer;
  uint64_t full_ns; /* the thread's bucket; see bucket.h */
  bool is_running;  /* somebody has a turn now */
};

void resume_turns_init(struct resume_turns *turns, uv_loop_t *loop);

/** Close the timer. What waits has to be removed all the same. */
void resume_turns_stop(struct resume_turns *turns);

/** Free what is left when nothing waits. */
void resume_turns_free(struct resume_turns *turns);

/** Have `go_on` called when it is the turn of this session, now or later; session and go_on were set. @return 0, or
 * UV_ENOMEM: it doesn't wait */
int resume_turns_wait(struct resume_turns *turns, struct resume_turn *turn);

/** It doesn't wait any more. May be called again. */
void resume_turns_leave(struct resume_turns *turns, struct resume_turn *turn);

static inline bool resume_turn_is_awaited(const struct resume_turn *turn) {
  return turn->expiry.place != 0;
}

/** Take from all buckets what is replayed for a session. */
void resume_turns_pay(fluxbp_session_t *session, uint64_t messages, uint64_t bytes);

/** Return whether a session, which has had its turn, may be given more now. */
bool resume_turns_allow_more(const fluxbp_session_t *session);

#endif
