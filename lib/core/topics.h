/* SPDX-License-Identifier: MIT */
/*
 * topics: the topics of one loop, by name; and what all of them share: ids, the history, connections that read from it.
 */
#ifndef FLUXBP_LIB_TOPICS_H
#define FLUXBP_LIB_TOPICS_H

#include "broadcast.h"
#include "conn.h"
#include "engine.h"
#include "fluxbp/topic.h"
#include "history.h"
#include "state.h"

typedef struct fluxbp__topics {
  fluxbp__engine_t engine; /* first: see engine.h */

  fluxbp_topic_t **buckets; /* chained, by name */
  size_t bucket_count;
  size_t count;
  size_t dormant;      /* of `count`: destroyed, but the history has messages of them */
  uint64_t seed;       /* of the hash */
  uint64_t generation; /* changes with the table */

  fluxbp_bus_t *bus;         /* that publishes on the topics; NULL: publishing is by calls */
  uint64_t epoch;            /* of the ids */
  uint64_t last_id;          /* of a publication */
  uint64_t last_state_topic; /* number of the newest state topic */
  uint64_t last_change;      /* number of the newest publication on a state topic */
  fluxbp__history_t history;
  uint32_t history_ms;    /* older messages are forgotten; 0: there is no such limit */
  fluxbp__link_t replays; /* connections that read from the history */
  fluxbp__broadcast_t broadcast;
} fluxbp__topics_t;

struct fluxbp_topic {
  fluxbp__topics_t *topics;
  void *user;
  fluxbp_conn_t **members;
  uint32_t member_count;
  uint32_t member_capacity;
  uint32_t codec_members[FLUXBP_CODECS_MAX]; /* how many of them use each of the loop's codecs */
  fluxbp_topic_t *next;                      /* in its bucket */
  fluxbp__state_t *state;                    /* NULL: a log topic */
  uint32_t catching_up;                      /* members whose subscription of a state topic has a walk or needs one */
  bool is_dormant;                           /* destroyed, but the history has messages of it */
  fluxbp__topic_past_t past;                 /* of a log topic */
  uint64_t hash;
  size_t name_len;
  char name[];
};

/* The hub begins with its topics, which hub.h asserts. */
static inline fluxbp__topics_t *fluxbp__topics_of(const fluxbp_hub_t *hub) {
  return (fluxbp__topics_t *) (uintptr_t) hub; /* the hub isn't what is constant */
}

static inline fluxbp__topics_t *fluxbp__conn_topics(const fluxbp_conn_t *conn) {
  return FLUXBP__CONTAINER(fluxbp__conn_engine(conn), fluxbp__topics_t, engine);
}

/* Set up what is empty at first. The caller has set up the engine. `limits`: those of the history. 0 or a libuv error. */
int fluxbp__topics_init(fluxbp__topics_t *topics, const fluxbp__history_limits_t *limits);

/* Forget all topics. Their connections are gone, and the history is empty. */
void fluxbp__topics_destroy(fluxbp__topics_t *topics);

/* Return the topic of that name, dormant ones included, or NULL. */
fluxbp_topic_t *fluxbp__topics_find_any(const fluxbp__topics_t *topics, const char *name);

/* Make a dormant log topic of a name that isn't there yet; NULL without memory. */
fluxbp_topic_t *fluxbp__topics_make_dormant(fluxbp__topics_t *topics, const char *name);

/* A topic without members is destroyed: remove it, or let it be dormant while the history has messages of it. */
void fluxbp__topics_remove(fluxbp_topic_t *topic);

/* The history has forgotten a message of the topic: a dormant one is removed with its last message. */
void fluxbp__topics_past_gone(fluxbp_topic_t *topic);

#endif
