/* SPDX-License-Identifier: MIT */
/*
 * backbone_outbox: what was published here and isn't confirmed by the backbone yet, in its order. Bounded. Messages have
 * numbers, from 1 on without a hole. Knows nothing of NATS and threads.
 */
#ifndef GATEWAY_BACKBONE_OUTBOX_H
#define GATEWAY_BACKBONE_OUTBOX_H

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox_entry {
  fluxbp_msg_t *msg; /* a reference; NULL: it is confirmed */
  char *key;         /* of a state topic, or NULL */
  uint32_t topic;    /* as the bus counts them */
};

struct outbox {
  struct outbox_entry *entries; /* by number modulo capacity */
  size_t capacity;
  uint64_t first; /* the oldest that isn't confirmed */
  uint64_t next;  /* to be sent */
  uint64_t end;   /* the number of the next to come */
};

/** @return 0 or UV_ENOMEM */
int outbox_init(struct outbox *outbox, size_t capacity);
void outbox_free(struct outbox *outbox);

/** Takes a reference of its own, and a copy of the key. @return 0, UV_EAGAIN (it is full) or UV_ENOMEM */
int outbox_push(struct outbox *outbox, uint32_t topic, const char *key, fluxbp_msg_t *msg);

/** The next to be sent, and its number; or NULL: there is none. */
const struct outbox_entry *outbox_next(struct outbox *outbox, uint64_t *number);

/** What outbox_next has returned is sent. */
void outbox_sent(struct outbox *outbox);

/** The backbone has it, or never will. Any number; those that aren't waited for do nothing. */
void outbox_confirm(struct outbox *outbox, uint64_t number);

/** Send everything again that was sent and not confirmed. */
void outbox_rewind(struct outbox *outbox);

/** Forget what was sent and not confirmed. @return how many that were */
uint64_t outbox_forget_sent(struct outbox *outbox);

static inline bool outbox_is_empty(const struct outbox *outbox) {
  return outbox->first == outbox->end;
}

/** How many are sent and not confirmed, or behind such. */
static inline uint64_t outbox_in_flight(const struct outbox *outbox) {
  return outbox->next - outbox->first;
}

#endif
