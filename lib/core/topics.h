/* SPDX-License-Identifier: MIT */
/*
 * topics: the topics of one loop, by name; and what all of them share: ids, the history, connections that read from it.
 */
#ifndef FLUXBP_LIB_TOPICS_H
#define FLUXBP_LIB_TOPICS_H

#include "broadcast.h"
#include "conn.h"
#include "conn_set.h"
#include "engine.h"
#include "fluxbp/topic.h"
#include "history.h"
#include "pattern_tree.h"
#include "state.h"

/* So many topics that only patterns need are kept; see fluxbp__topics_keep. */
enum { FLUXBP__TOPICS_KEPT = 256 };

/* The patterns of one loop; see topic_patterns.c. */
typedef struct fluxbp__patterns {
  fluxbp__pattern_tree_t tree;
  fluxbp__link_t all;  /* by their links */
  uint64_t generation; /* changes with each pattern that comes or goes */
} fluxbp__patterns_t;

/* The patterns that match a topic. */
typedef struct fluxbp__matches {
  uint32_t count;
  fluxbp_topic_t *patterns[];
} fluxbp__matches_t;

static inline size_t fluxbp__matches_size(size_t count) {
  return sizeof(fluxbp__matches_t) + count * sizeof(fluxbp_topic_t *);
}

/* Topics that a function of the user's is being called for; see visits.c. */
typedef struct fluxbp__visits {
  fluxbp_topic_t **topics; /* `count` of them; NULL where one was freed */
  size_t count;
  size_t next; /* those before it have been visited */
  size_t capacity;
  struct fluxbp__visits *outer; /* in whose function these visits began, or NULL */
} fluxbp__visits_t;

typedef struct fluxbp__topics {
  fluxbp__engine_t engine; /* first: see engine.h */

  fluxbp_topic_t **buckets; /* chained, by name */
  size_t bucket_count;
  size_t count;
  size_t dormant;        /* of `count`: not open */
  uint64_t seed;         /* of the hash */
  uint64_t generation;   /* changes with the table, and with the patterns */
  fluxbp_topic_t **kept; /* dormant topics; NULL, or FLUXBP__TOPICS_KEPT places, of which some are NULL */
  uint32_t next_kept;    /* the place of the oldest one */
  fluxbp__link_t states; /* state topics, by their links */
  size_t state_count;
  fluxbp__patterns_t patterns;
  fluxbp__visits_t *visits;   /* under way, the innermost ones */
  fluxbp__conn_set_t reached; /* while a message is published: the connections that have it already */

  fluxbp_bus_t *bus;         /* that publishes on the topics; NULL: publishing is by calls */
  uint64_t epoch;            /* of the ids */
  uint64_t last_id;          /* of a publication */
  uint64_t last_state_topic; /* number of the newest state topic */
  uint64_t last_change;      /* number of the newest publication on a state topic */
  uint64_t shared_until;     /* connections with larger ids have got nothing of a state topic that was removed */
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
  fluxbp__state_t *state;                    /* NULL: a log topic or a pattern */
  uint32_t catching_up;                      /* members whose subscription of a state topic has a walk or needs one */
  uint32_t implied_count;                    /* members of a state topic that are subscribed by patterns alone */
  union {
    fluxbp__topic_past_t past; /* of a log topic */
    fluxbp__link_t link;       /* of a state topic, in topics->states; of a pattern, in topics->patterns.all */
  };
  uint64_t hash;
  fluxbp__matches_t *matches; /* of a log topic, as of that generation of the patterns; NULL: there are none */
  uint64_t matches_generation;
  bool is_pattern;
  bool is_dormant; /* not open: the history has messages of it, or it is kept */
  bool is_kept;    /* dormant, and in topics->kept */
  uint8_t name_length;
  char name[];
};

/* Whether the topic is neither a state topic nor a pattern: it has a past. */
static inline bool fluxbp__topic_is_log(const fluxbp_topic_t *topic) {
  return topic->state == NULL && !topic->is_pattern;
}

/* The hub begins with its topics, which hub.h asserts. */
static inline fluxbp__topics_t *fluxbp__topics_of(const fluxbp_hub_t *hub) {
  return (fluxbp__topics_t *) (uintptr_t) hub; /* the hub isn't what is constant */
}

static inline fluxbp__topics_t *fluxbp__conn_topics(const fluxbp_conn_t *conn) {
  return FLUXBP__CONTAINER(fluxbp__conn_engine(conn), fluxbp__topics_t, engine);
}

/* Set up what is empty at first. The caller has set up the engine. `limits`: those of the history. 0 or a libuv error. */
int fluxbp__topics_init(fluxbp__topics_t *topics, const fluxbp__history_limits_t *limits);

/* Forget all topics. Their connections are gone, the history is empty, and no topic is kept. */
void fluxbp__topics_destroy(fluxbp__topics_t *topics);

/* Return the topic of that name, dormant ones included, or NULL. */
fluxbp_topic_t *fluxbp__topics_find_any(const fluxbp__topics_t *topics, const char *name);

/* Make a dormant log topic of a name that isn't there yet; NULL without memory. */
fluxbp_topic_t *fluxbp__topics_make_dormant(fluxbp__topics_t *topics, const char *name);

/* The same, and keep the topic even while the history has no message of it: until it is opened, or FLUXBP__TOPICS_KEPT others
 * have been kept since, or fluxbp__topics_keep_none. */
fluxbp_topic_t *fluxbp__topics_keep(fluxbp__topics_t *topics, const char *name);
void fluxbp__topics_keep_none(fluxbp__topics_t *topics);

/* Allocate a topic with that name, which is in no table; NULL without memory. */
fluxbp_topic_t *fluxbp__topics_allocate(fluxbp__topics_t *topics, const char *name, size_t length);

/* Free a topic that is in no table. */
void fluxbp__topics_free(fluxbp_topic_t *topic);

/* Write all open topics into `list`, and then the patterns. NULL: only count them. Returns how many there are. */
size_t fluxbp__topics_list_open(const fluxbp__topics_t *topics, fluxbp_topic_t **list);

/* Make a state topic, or find the one of that name; see fluxbp_topic_open_state. */
int fluxbp__topics_open_state(fluxbp__topics_t *topics, const char *name, uint32_t max_keys, fluxbp_topic_t **out,
                              bool *is_new);

/* A topic without members is destroyed: remove it, or let it be dormant while the history has messages of it. */
void fluxbp__topics_remove(fluxbp_topic_t *topic);

/* The history has forgotten a message of the topic: a dormant one is removed with its last message. */
void fluxbp__topics_past_gone(fluxbp_topic_t *topic);

#endif
