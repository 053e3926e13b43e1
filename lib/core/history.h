/* SPDX-License-Identifier: MIT */
/*
 * Internal side of history: the last messages of a hub's log topics.
 */
#ifndef FLUXBP_LIB_HISTORY_H
#define FLUXBP_LIB_HISTORY_H

#include "fluxbp/hub.h"
#include "frame.h"

#include <stdbool.h>

/* What the history has of one topic, and what it has forgotten of it. A part of the topic. */
typedef struct fluxbp__topic_past {
  uint64_t first; /* the number of its oldest publication, */
  uint64_t last;  /* and of its newest */
  uint64_t count; /* how many there are; without any, first and last mean nothing */
  uint64_t bytes;
  uint64_t lost_id; /* everything of the topic with a larger id is there */
} fluxbp__topic_past_t;

/* One publication, or the place of one that was forgotten. Frames are made when a connection asks for them, and kept
 * for the next one. The publications of a topic are linked in both directions by one number: the distance to the one
 * before it, XOR the distance to the next one, each 0 if there is none. A walk that comes from one of them learns where
 * the other is. */
typedef struct fluxbp__past {
  fluxbp_msg_t *msg;        /* NULL: forgotten; then only the id means something */
  fluxbp__topic_past_t *of; /* its topic's part */
  uint64_t id;
  uint32_t link;    /* to its topic's others; while places are closed up, from here to where this one goes */
  uint32_t time_ms; /* the clock when it was published; the lower half is enough for a limit of a week */
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX];
} fluxbp__past_t;

typedef struct fluxbp__history_limits {
  uint64_t messages; /* of all topics */
  uint64_t bytes;
  uint64_t topic_messages; /* of each topic */
  uint64_t topic_bytes;
} fluxbp__history_limits_t;

/*
 * Publications have numbers here, from `first` to before `end`, in the order of their ids. The first one isn't
 * forgotten, if there is one. A place that a connection has in the history is a number, too: only closing up changes
 * numbers.
 */
typedef struct fluxbp__history {
  fluxbp_pool_t *pool;
  fluxbp__history_limits_t limits;
  fluxbp__past_t *entries; /* `capacity` of them, a power of two */
  uint64_t *origins;       /* of the entries, or NULL: none of them has one */
  uint64_t capacity;
  uint64_t first;
  uint64_t end;
  uint64_t count; /* of those that aren't forgotten */
  uint64_t bytes; /* of their payloads */
  /* Everything with a larger id is there: */
  uint64_t lost_id;         /* of any topic, */
  uint64_t unknown_lost_id; /* and of those that the hub doesn't have, because they are new or were removed */
} fluxbp__history_t;

/* Empty; it counts against the budget. */
void fluxbp__history_init(fluxbp__history_t *history, fluxbp_pool_t *pool, const fluxbp__history_limits_t *limits);
void fluxbp__history_destroy(fluxbp__history_t *history);

static inline bool fluxbp__history_is_empty(const fluxbp__history_t *history) {
  return history->count == 0;
}

static inline fluxbp__past_t *fluxbp__history_at(const fluxbp__history_t *history, uint64_t number) {
  return &history->entries[number & (history->capacity - 1)];
}

/* Return the origin of a publication (fluxbp_conn_origin), or 0. */
static inline uint64_t fluxbp__history_origin(const fluxbp__history_t *history, uint64_t number) {
  return history->origins != NULL ? history->origins[number & (history->capacity - 1)] : 0;
}

/* A message of so many bytes is within the limits if it is the only one. */
bool fluxbp__history_may_keep(const fluxbp__history_t *history, size_t bytes);

/* One more publication of so many bytes would bring the topic over a limit of its own. */
static inline bool fluxbp__history_is_topic_over(const fluxbp__history_t *history, const fluxbp__topic_past_t *of,
                                                 size_t bytes) {
  const fluxbp__history_limits_t *limits = &history->limits;
  return of->count >= limits->topic_messages || of->bytes + bytes > limits->topic_bytes;
}

/* The topic whose oldest publication has to be forgotten before `of` gets one more of so many bytes; NULL: none. */
fluxbp__topic_past_t *fluxbp__history_over(const fluxbp__history_t *history, fluxbp__topic_past_t *of, size_t bytes);

/* There is no place at the end without growing or closing up. */
static inline bool fluxbp__history_is_full(const fluxbp__history_t *history) {
  return history->end - history->first == history->capacity;
}

/* Half of the places or more are those of forgotten publications: closing up is better than growing. */
static inline bool fluxbp__history_is_sparse(const fluxbp__history_t *history) {
  return history->end - history->first >= 2 * history->count && history->end > history->first;
}

/* Double the places. False: no memory. */
bool fluxbp__history_grow(fluxbp__history_t *history);

/* Find out where each place goes when those of forgotten publications are closed up. The end stays where it is. */
void fluxbp__history_plan(fluxbp__history_t *history);

/* Between plan and close_up: the new number of a place, which may be the end. A forgotten one has that of the next one
 * that isn't. */
static inline uint64_t fluxbp__history_planned(const fluxbp__history_t *history, uint64_t number) {
  return number < history->end ? number + fluxbp__history_at(history, number)->link : number;
}

/* Do what was planned. */
void fluxbp__history_close_up(fluxbp__history_t *history);

/* Remember the origin of the publication that is going to be added to a history that isn't full; 0: it has none.
 * False: no memory. */
bool fluxbp__history_note_origin(fluxbp__history_t *history, uint64_t origin);

/* Add a publication, with a reference of its own, to a history that isn't full. */
void fluxbp__history_add(fluxbp__history_t *history, fluxbp__topic_past_t *of, fluxbp_msg_t *msg, uint64_t id,
                         uint64_t time_ms);

/* Forget the oldest publication of a topic that has one. */
void fluxbp__history_forget(fluxbp__history_t *history, fluxbp__topic_past_t *of);

/* A publication of the topic isn't kept; nor is what came before it, as the rest has to be without holes. */
void fluxbp__history_pass_over(fluxbp__history_t *history, fluxbp__topic_past_t *of, uint64_t id);

/* Topics that the hub doesn't have had publications up to this id that aren't there. */
void fluxbp__history_lose_unknown(fluxbp__history_t *history, uint64_t id);

/* The number of the first place with an id above `id`; history->end if there is none. */
uint64_t fluxbp__history_after(const fluxbp__history_t *history, uint64_t id);

#endif
