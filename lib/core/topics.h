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
#include "table.h"

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

  fluxbp__table_t names;   /* topics by name, patterns excepted */
  fluxbp__table_t numbers; /* state topics by number */
  size_t dormant;          /* of `names`: not open */
  uint64_t seed;           /* of the hash */
  uint64_t generation;     /* changes with the table, and with the patterns */
  fluxbp_topic_t **kept;   /* dormant topics; NULL, or FLUXBP__TOPICS_KEPT places, of which some are NULL */
  uint32_t next_kept;      /* the place of the oldest one */
  fluxbp__link_t states;   /* state topics, by their links */
  fluxbp__patterns_t patterns;
  fluxbp__visits_t *visits;   /* under way, the innermost ones */
  fluxbp__conn_set_t reached; /* while a message is published: the connections that have it already */

  fluxbp_bus_t *bus;         /* that publishes on the topics; NULL: publishing is by calls */
  uint64_t epoch;            /* of the ids */
  uint64_t last_id;          /* of a publication */
  uint64_t last_state_topic; /* number of the newest state topic */
  uint64_t shared_until;     /* connections with larger ids have got nothing of a state topic that was removed */
  fluxbp__history_t history;
  uint32_t history_ms;               /* older messages are forgotten; 0: there is no such limit */
  fluxbp__link_t replays;            /* connections that read from the history */
  fluxbp__fair_queue_t replay_turns; /* those of them that wait for their turn with that */
  fluxbp__link_t replay_due;         /* in the turn's list, while there are any */
  uint64_t replay_ns;                /* of an iteration */
  fluxbp__broadcast_t broadcast;
  fluxbp_members_cb on_members; /* the program's; NULL: no topic has a fluxbp__members_event_t */
} fluxbp__topics_t;

struct fluxbp_topic {
  /* Of patterns, too. */
  fluxbp__topics_t *topics;
  union { /* see fluxbp__topic_members */
    fluxbp_conn_t *member;
    fluxbp_conn_t **members;
  };
  uint32_t member_count;    /* those that publishing visits: all but the ones that are behind (fluxbp__state_topic_t) */
  uint32_t member_capacity; /* no less than all members of the topic, those that are behind included */
  uint32_t implied_count;   /* members of a state topic that are subscribed by patterns alone */
  uint8_t codec;            /* of all members, if there is no codec_members; see topic_codecs.h */
  bool is_pattern : 1;
  bool is_dormant : 1; /* not open: the history has messages of it, or it is kept */
  bool is_kept : 1;    /* dormant, and in topics->kept */
  uint8_t name_length;
  uint32_t *codec_members; /* how many members use each of the loop's codecs; or NULL */
  void *user;
  fluxbp__state_t *state; /* NULL: a log topic or a pattern; see fluxbp__topic_state */
  union {
    fluxbp__link_t link;       /* of a state topic, in topics->states; of a pattern, in topics->patterns.all */
    fluxbp__topic_past_t past; /* of a log topic */
  };

  /* A pattern has nothing of this: its memory goes on with its name, behind the link. */
  fluxbp__matches_t *matches; /* of a log topic, as of that generation of the patterns; NULL: there are none */
  uint64_t matches_generation;
  fluxbp__table_link_t named; /* in topics->names; next to the name, with which it is looked at */
  char name[];                /* see fluxbp__topic_name */
};

/* A member of a state topic that is behind; see catch_up.c. */
typedef struct fluxbp__behind {
  fluxbp_conn_t *conn;
  uint64_t since;   /* the connection has all values up to this change, or newer ones; a scan looks for newer ones */
  uint64_t begun;   /* while the scan goes on: the newest change when it began; then `since` at its end */
  uint32_t cursor;  /* the place to which the scan has come, or FLUXBP__CURSOR_END: it has ended */
  bool is_newcomer; /* it is the first one, for which every value is new */
} fluxbp__behind_t;

#define FLUXBP__CURSOR_END UINT32_MAX

/* What only a state topic has. */
typedef struct fluxbp__state_topic {
  fluxbp__state_t kept; /* first: fluxbp_topic_t.state points here */
  fluxbp_topic_t *topic;
  fluxbp__table_link_t numbered; /* in topics->numbers */
  fluxbp__behind_t *behind;      /* members that publishing doesn't visit */
  uint32_t behind_count;
  uint32_t behind_capacity;
} fluxbp__state_topic_t;

/* Return what only a state topic has; the topic is one. */
static inline fluxbp__state_topic_t *fluxbp__topic_state(const fluxbp_topic_t *topic) {
  return FLUXBP__CONTAINER(topic->state, fluxbp__state_topic_t, kept);
}

/* Where the name begins in the memory of a topic, or of a pattern. */
static inline size_t fluxbp__topic_name_offset(bool is_pattern) {
  return is_pattern ? offsetof(fluxbp_topic_t, link) + sizeof(fluxbp__link_t) : offsetof(fluxbp_topic_t, name);
}

static inline const char *fluxbp__topic_name(const fluxbp_topic_t *topic) {
  return (const char *) topic + fluxbp__topic_name_offset(topic->is_pattern);
}

/* Return the members that publishing visits. The place for one is in the topic. */
static inline fluxbp_conn_t **fluxbp__topic_members(const fluxbp_topic_t *topic) {
  if (topic->member_capacity > 1) return topic->members;
  return (fluxbp_conn_t **) (uintptr_t) &topic->member; /* the members aren't what is constant */
}

/* Return the number of members that are behind. */
static inline uint32_t fluxbp__topic_behind_count(const fluxbp_topic_t *topic) {
  return topic->state != NULL ? fluxbp__topic_state(topic)->behind_count : 0;
}

/* Return the number of all members, those that are subscribed by patterns included. */
static inline uint32_t fluxbp__topic_member_count(const fluxbp_topic_t *topic) {
  return topic->member_count + fluxbp__topic_behind_count(topic);
}

/* Return a member by its number, from 0 to before fluxbp__topic_member_count. The numbers change with the membership,
 * and when a member falls behind or has caught up. */
static inline fluxbp_conn_t *fluxbp__topic_member(const fluxbp_topic_t *topic, uint32_t number) {
  if (number < topic->member_count) return fluxbp__topic_members(topic)[number];
  return fluxbp__topic_state(topic)->behind[number - topic->member_count].conn;
}

/* Stands behind the name of a topic, if the program wants to be told of subscribers; see topic_events.c. */
typedef struct fluxbp__members_event {
  fluxbp__link_t link; /* while the program is to be told */
  fluxbp_topic_t *topic;
  size_t before; /* subscribers when the first change was noted */
} fluxbp__members_event_t;

/* Where that begins in the memory of a topic, or of a pattern, with such a name. */
static inline size_t fluxbp__topic_event_offset(bool is_pattern, size_t name_length) {
  size_t end = fluxbp__topic_name_offset(is_pattern) + name_length + 1;
  return (end + alignof(fluxbp__members_event_t) - 1) / alignof(fluxbp__members_event_t) *
         alignof(fluxbp__members_event_t);
}

/* Return the topic's event; the program wants to be told. */
static inline fluxbp__members_event_t *fluxbp__topic_members_event(fluxbp_topic_t *topic) {
  return (fluxbp__members_event_t *) (void *) ((char *) topic +
                                               fluxbp__topic_event_offset(topic->is_pattern, topic->name_length));
}

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

/* Set up what is empty at first. The caller has set up the engine. `limits`: those of the history. 0 or a libuv
 * error. */
int fluxbp__topics_init(fluxbp__topics_t *topics, const fluxbp__history_limits_t *limits);

/* Forget all topics. Their connections are gone, the history is empty, and no topic is kept. */
void fluxbp__topics_destroy(fluxbp__topics_t *topics);

/* Return the topic of that name, dormant ones included, or NULL. */
fluxbp_topic_t *fluxbp__topics_find_any(const fluxbp__topics_t *topics, const char *name);

/* Return the state topic with that number, or NULL. */
fluxbp_topic_t *fluxbp__topics_find_state(const fluxbp__topics_t *topics, uint64_t number);

/* Make a dormant log topic of a name that isn't there yet; NULL without memory. */
fluxbp_topic_t *fluxbp__topics_make_dormant(fluxbp__topics_t *topics, const char *name);

/* The same, and keep the topic even while the history has no message of it: until it is opened, or FLUXBP__TOPICS_KEPT
 * others have been kept since, or fluxbp__topics_keep_none. */
fluxbp_topic_t *fluxbp__topics_keep(fluxbp__topics_t *topics, const char *name);
void fluxbp__topics_keep_none(fluxbp__topics_t *topics);

/* Allocate a topic or a pattern with that name, which is in no table; NULL without memory. */
fluxbp_topic_t *fluxbp__topics_allocate(fluxbp__topics_t *topics, const char *name, size_t length, bool is_pattern);

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
