/* SPDX-License-Identifier: MIT */
/*
 * backbone_outbox: what was published here and isn't confirmed by the backbone yet, in its order, and who waits for
 * that. Bounded. Messages have numbers, from 1 on without a hole. Knows nothing of NATS and threads.
 */
#ifndef FLUXBP_NATS_BACKBONE_OUTBOX_H
#define FLUXBP_NATS_BACKBONE_OUTBOX_H

#include "server/waiter.h"

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox_entry {
  fluxbp_msg_t *msg; /* a reference; NULL: it is confirmed */
  char *topic;       /* its name, */
  const char *key;   /* and behind that the key, of a state topic; or NULL */
  bool was_sent;
  uint64_t above;        /* its id is: the newest known when it was sent first; or 0: any is believed */
  struct waiter *waiter; /* or NULL */
};

struct outbox {
  struct outbox_entry *entries; /* by number modulo capacity */
  size_t capacity;
  uint64_t first;          /* the oldest that isn't confirmed */
  uint64_t next;           /* to be sent */
  uint64_t end;            /* the number of the next to come */
  struct waiters answered; /* those who waited, and whose message's fate is known; in the order in which it was */
};

/** @return 0 or UV_ENOMEM */
int outbox_init(struct outbox *outbox, size_t capacity);

/** Nobody may wait any more: outbox_give_up. */
void outbox_free(struct outbox *outbox);

/**
 * Takes a reference of its own, copies of the texts, and the waiter, which may be NULL.
 *
 * @return 0, UV_EAGAIN (it is full) or UV_ENOMEM
 */
int outbox_push(struct outbox *outbox, const char *topic, const char *key, fluxbp_msg_t *msg, struct waiter *waiter);

/** The next to be sent, and its number; or NULL: there is none. */
const struct outbox_entry *outbox_next(struct outbox *outbox, uint64_t *number);

/** What outbox_next has returned is sent; `newest` is the newest id that the backbone is known to have given, or 0. */
void outbox_sent(struct outbox *outbox, uint64_t newest);

/** What was sent last, back to that number, wasn't after all. */
void outbox_unsend(struct outbox *outbox, uint64_t number);

/**
 * Whether a message of that number is likely to have got that id: who gives ids gives higher ones to what comes later.
 * If it isn't, see whether they are still given by the same one, and send it again: then what comes is believed. Any
 * number.
 */
bool outbox_believes(struct outbox *outbox, uint64_t number, uint64_t id);

/** The backbone has it, under that id. Any number; those that aren't there do nothing. */
void outbox_confirm(struct outbox *outbox, uint64_t number, uint64_t id);

/** The backbone will never have it, or nobody knows (UV_ECONNABORTED); `problem` says so to who waits, and is
 * copied. */
void outbox_refuse(struct outbox *outbox, uint64_t number, int err, const char *problem);

/** Send everything again that was sent and not confirmed. */
void outbox_rewind(struct outbox *outbox);

/** Forget what was sent and not confirmed: nobody knows what became of it. @return how many that were */
uint64_t outbox_forget_sent(struct outbox *outbox, const char *problem);

/** Forget everything: those who wait are answered with UV_ECONNABORTED. */
void outbox_give_up(struct outbox *outbox, const char *problem);

static inline bool outbox_is_empty(const struct outbox *outbox) {
  return outbox->first == outbox->end;
}

/** How many are sent and not confirmed, or behind such. */
static inline uint64_t outbox_in_flight(const struct outbox *outbox) {
  return outbox->next - outbox->first;
}

#endif
