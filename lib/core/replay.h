/* SPDX-License-Identifier: MIT */
/*
 * Internal side of replay: connections that read from the history.
 */
#ifndef FLUXBP_LIB_REPLAY_H
#define FLUXBP_LIB_REPLAY_H

#include "topics.h"

/* What only a connection owns that is behind its log topics; from the pool. */
typedef struct fluxbp__replay {
  fluxbp__link_t link; /* in topics->replays */
  fluxbp__fair_item_t turn;
  fluxbp_conn_t *conn;
  uint64_t next; /* number in the history of what it is to get next; the history's first, if that is more */
  uint64_t base; /* and of what its subscriptions count from; not above `next` */
} fluxbp__replay_t;

/* A message was published on a log topic: keep it, at the cost of older ones. The connection of that origin never gets
 * it. A dormant topic may be removed then. */
void fluxbp__replay_record(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin);

/* The same for a topic that the hub doesn't have, for connections that come for it later. */
void fluxbp__replay_record_unknown(fluxbp__topics_t *topics, const char *name, fluxbp_msg_t *msg, uint64_t id,
                                   uint64_t origin);

/* Forget the oldest publication (there must be one), and record the loss of each connection that was to get it. */
void fluxbp__replay_forget_oldest(fluxbp__topics_t *topics);

/* Forget what is older than history_ms, and see to it that the next one is forgotten in time. */
void fluxbp__replay_forget_old(fluxbp__topics_t *topics);

/* Let a subscription get what comes after `since_id` from the history; its connection's live topics go on where they
 * are. 0 or an error. */
int fluxbp__replay_begin(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint64_t since_id);

/* A subscription of a log topic was added that is live. */
void fluxbp__replay_joined(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* Set up the turns of an iteration with slices of `slice_ns`. */
void fluxbp__replay_init(fluxbp__topics_t *topics, uint64_t slice_ns);

/* Have the connection flushed with what comes next, when it has its turn. */
void fluxbp__replay_wait(fluxbp_conn_t *conn);

/* Give connections that wait their turns, for a part of the slice. */
void fluxbp__replay_run(fluxbp__topics_t *topics);

/* Stage what comes next, as far as the ring has room. */
void fluxbp__replay_refill(fluxbp_conn_t *conn);

/* The message of that id is lost to the connection: it can't be had any more. */
void fluxbp__replay_lose(fluxbp_conn_t *conn, uint64_t id);

/* It is leaving. Nothing happens if it isn't replaying. */
void fluxbp__replay_cancel(fluxbp_conn_t *conn);

/* Forget everything. */
void fluxbp__replay_destroy(fluxbp__topics_t *topics);

#endif
