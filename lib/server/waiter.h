/* SPDX-License-Identifier: MIT */
/*
 * waiter: who has published something by way of the backbone, and waits for what becomes of it. A part of whatever
 * knows what to do then.
 *
 * From when a message was taken its waiter is the backbone's. `done` gives it back: once, in any case, on the thread of
 * the hub that it waits on, or when that thread has ended on the main one. A message that is refused at once leaves it
 * alone.
 */
#ifndef FLUXBP_SERVER_WAITER_H
#define FLUXBP_SERVER_WAITER_H

#include <fluxbp/fluxbp.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct waiter {
  struct waiter *next; /* the backbone's */
  fluxbp_hub_t *hub;   /* whose thread it waits on, */
  size_t hub_index;    /* the how many-th it is */
  void (*done)(struct waiter *waiter);

  /* What has become of the message: */
  int err;       /* 0: the backbone has it. UV_ECONNABORTED: nobody knows; else it hasn't, and never will */
  uint64_t id;   /* then: what it was given */
  char *problem; /* else: why, for the publisher; NULL: there was no memory for it */
};

/** Why it wasn't published. */
static inline const char *waiter_problem(const struct waiter *waiter) {
  return waiter->problem != NULL ? waiter->problem : "it was refused, and there is no memory to say why";
}

/** Free what it holds. */
static inline void waiter_reset(struct waiter *waiter) {
  free(waiter->problem);
  waiter->problem = NULL;
}

/* Waiters in a line. All zero is an empty one. */
struct waiters {
  struct waiter *first, *last;
};

static inline void waiters_append(struct waiters *waiters, struct waiter *waiter) {
  waiter->next = NULL;
  if (waiters->first == NULL)
    waiters->first = waiter;
  else
    waiters->last->next = waiter;
  waiters->last = waiter;
}

/** @return the first, which is taken out; or NULL */
static inline struct waiter *waiters_take(struct waiters *waiters) {
  struct waiter *first = waiters->first;
  if (first != NULL) waiters->first = first->next;
  return first;
}

#endif
