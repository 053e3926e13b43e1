/* SPDX-License-Identifier: MIT */
/*
 * Internal side of state: what a state topic keeps, the newest message of each key and its frames.
 */
#ifndef FLUXBP_LIB_STATE_H
#define FLUXBP_LIB_STATE_H

#include "fluxbp/hub.h"
#include "frame.h"

#include <stdbool.h>

typedef struct fluxbp__state_value {
  uint64_t key;
  uint64_t change;   /* the number of its last change */
  uint64_t origin;   /* the only one that has set the key since it exists; 0: others have, or publishers without one */
  fluxbp_msg_t *msg; /* NULL: the place is free; a removal: the key has no value any more */
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX]; /* encoded for each codec that was asked for */
} fluxbp__state_value_t;

/*
 * A value keeps its place as long as it is there, so that a connection can walk over them while others come and go.
 * Changes have numbers, and the newest ones are recorded, so that a connection finds what has changed since it looked
 * last.
 */
typedef struct fluxbp__state {
  fluxbp_pool_t *pool;
  uint64_t number;               /* of the topic; a secret, too: it begins at random */
  fluxbp__state_value_t *values; /* `end` places, of `capacity` */
  uint32_t end;
  uint32_t capacity;
  uint32_t count;     /* places that aren't free */
  uint32_t removed;   /* of them, those that hold a removal: connections may have yet to get it */
  uint32_t max_count; /* of values; removals are no more */
  /* Connections with larger ids have got no value of a key that was forgotten (see `origin` of a value). */
  uint64_t shared_until;
  size_t frame_bytes;  /* in blocks of frames */
  uint32_t free_place; /* one that may be free, if count < end */
  uint32_t *table;     /* place + 1 of each key, 0 is empty; twice `capacity` entries */

  uint64_t last_change;    /* the number of the newest change; 0: there was none */
  uint64_t recorded_since; /* changes up to this one aren't in `record` */
  uint32_t *record;        /* the place of each change, by its number; a ring of record_capacity, a power of two */
  uint32_t record_capacity;
} fluxbp__state_t;

/* Empty; what it needs comes from the pool's budget. */
void fluxbp__state_init(fluxbp__state_t *state, fluxbp_pool_t *pool, uint64_t number, uint32_t max_count);
void fluxbp__state_clear(fluxbp__state_t *state);

/*
 * The place of `key` for a value, which is reserved if the key is new: fluxbp__state_set follows, or
 * fluxbp__state_forget. The place (>= 0), or UV_ENOSPC (max_count keys have a value), UV_ENOBUFS, UV_ENOMEM.
 */
int64_t fluxbp__state_reserve(fluxbp__state_t *state, uint64_t key);

/* Let `msg` be the newest of that place: the next change. `origin`: see fluxbp__state_value_t. `frames` by codec, NULL
 * where no member uses it; references are taken. Frames of the older one that rings still hold are marked as
 * outdated. */
void fluxbp__state_set(fluxbp__state_t *state, uint32_t place, uint64_t origin, fluxbp_msg_t *msg,
                       fluxbp_frame_t *const *frames);

/* Whether all changes after that one are recorded. */
static inline bool fluxbp__state_is_recorded(const fluxbp__state_t *state, uint64_t since) {
  return since >= state->recorded_since && state->last_change - since <= state->record_capacity;
}

/* Return the value that a recorded change was of, or NULL if there is a newer one of the key, or none any more. */
const fluxbp__state_value_t *fluxbp__state_changed(const fluxbp__state_t *state, uint64_t change);

/* The place of `key`, which may hold a removal, or UV_ENOENT. */
int64_t fluxbp__state_find(const fluxbp__state_t *state, uint64_t key);

/* False if the key isn't there. */
bool fluxbp__state_forget(fluxbp__state_t *state, uint64_t key);

/* Whether the place holds a removal. */
static inline bool fluxbp__state_is_removed(const fluxbp__state_t *state, uint32_t place) {
  const fluxbp_msg_t *msg = state->values[place].msg;
  return msg != NULL && fluxbp_msg_is_removal(msg);
}

/* Keys that have a value. */
static inline uint32_t fluxbp__state_live(const fluxbp__state_t *state) {
  return state->count - state->removed;
}

/* Bytes in frames and arrays. */
size_t fluxbp__state_bytes(const fluxbp__state_t *state);

/* Encode what hasn't been encoded for this codec yet: all of it, or an error. */
int fluxbp__state_encode(fluxbp__state_t *state, uint32_t codec_index, const fluxbp_codec_t *codec, const char *topic);

/* What a frame of this topic has to say of itself. */
static inline void fluxbp__state_mark(const fluxbp__state_t *state, uint64_t key, fluxbp_frame_t *frame) {
  frame->state.topic = state->number;
  frame->state.key = key;
}

#endif
