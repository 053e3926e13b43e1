/* SPDX-License-Identifier: MIT */
/*
 * state_keys: which keys of the state topics have a value, so that a publisher is told of a key too many before
 * anything is on the bus. Any thread.
 *
 * All changes of state topics are put on the bus between state_keys_begin and state_keys_end, under one lock. So the
 * order here is the order of the bus, and every hub keeps the same keys.
 */
#ifndef FLUXBP_SERVER_STATE_KEYS_H
#define FLUXBP_SERVER_STATE_KEYS_H

#include "server/quotas/accounts.h"

#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state_keys;

/* A change of one key: it gets a value, or its value is taken back. */
struct state_change {
  size_t topic;    /* its place among the state topics */
  const char *key; /* the text, */
  uint64_t number; /* and the number that stands for it */
  bool removes;
  size_t bytes;         /* of the value */
  struct payers payers; /* for a key that is new */
  const char *refusal;  /* with UV_ENFILE: the words for the client */
};

/** @return NULL: there is no memory */
struct state_keys *state_keys_create(size_t topics, uint32_t max_keys);
void state_keys_free(struct state_keys *keys);

/**
 * Begin a change: the caller puts it on the bus, then calls state_keys_end.
 *
 * @return 0: all other changes wait for state_keys_end, or
 *   UV_ENOSPC the topic has max_keys keys, and this would be one more
 *   UV_ENFILE a payer has as many keys as it may
 *   UV_ENOMEM
 */
int state_keys_begin(struct state_keys *keys, struct state_change *change);

/** End a change. `is_published`: it is on the bus, else nothing has changed. */
void state_keys_end(struct state_keys *keys, const struct state_change *change, bool is_published, uint64_t now_ms);

/**
 * A value is about to be sent to the backbone: keep a place for its key until the value comes back, for ten seconds at
 * most. Errors as state_keys_begin.
 */
int state_keys_promise(struct state_keys *keys, struct state_change *change, uint64_t now_ms);

/**
 * Begin the removal of a key whose value was set at `until_ms` or before.
 *
 * @param change says what to remove; `key` gets the text
 * @return false: there is none, and nothing has begun
 */
bool state_keys_begin_expiry(struct state_keys *keys, uint64_t until_ms, struct state_change *change,
                             char key[FLUXBP_SERVER_KEY_BYTES + 1]);

/** Bytes of all values. */
uint64_t state_keys_bytes(struct state_keys *keys);

/** How many keys of that topic have a value. */
uint32_t state_keys_count(struct state_keys *keys, size_t topic);

#endif
