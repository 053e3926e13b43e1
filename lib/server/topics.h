/* SPDX-License-Identifier: MIT */
/*
 * topics: which topics there are on this server. A topic exists as long as a client holds it; the default one and
 * those that keep a state always, and those don't count. The number of the others is limited (--max-topics), so that
 * clients can't fill the memory with names.
 */
#ifndef FLUXBP_SERVER_TOPICS_H
#define FLUXBP_SERVER_TOPICS_H

#include "server/queue.h"
#include "server/quotas/accounts.h"

#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topics {
  uint32_t max;
  atomic_size_t *full; /* counts the tables that have `max` */
  fluxbp_hub_t *hub;
  uint32_t count;        /* that clients hold, without those that are always there */
  uint64_t refused;      /* as there were `max` */
  const char *refusal;   /* with UV_ENFILE: the words for the client */
  struct queue holdings; /* of all topics; see topics.c */
  bool has_ended;
};

/** Make the default topic, if there is one; `max` and `full` were set. @return 0 or a libuv error */
int topics_init(struct topics *topics, fluxbp_hub_t *hub, const char *default_name);

/** Return whether a text that may be subscribed to is a pattern. */
bool topics_is_pattern(const char *name);

/** Return the topic or the pattern of that name, or NULL. */
fluxbp_topic_t *topics_find(const struct topics *topics, const char *name);

/**
 * Hold a topic or a pattern, which is made if it isn't there.
 *
 * @param topic  what topics_find has returned for the name; if that is NULL, it gets the new one
 * @param payers a topic that is made is counted there, until it is destroyed
 * @return 0, UV_EMFILE (there are `max` already; counted), UV_ENFILE (a payer has made as many as it may: see
 *   `refusal`), UV_ENOMEM, or what fluxbp_topic_open returns
 */
int topics_hold(struct topics *topics, const char *name, const struct payers *payers, fluxbp_topic_t **topic);

/** Make a state topic, and hold it for ever. @return 0 or a libuv error */
int topics_hold_state(struct topics *topics, const char *name, uint32_t max_keys);

/** Let go of it; the last one to do so destroys it. */
void topics_release(struct topics *topics, fluxbp_topic_t *topic);

/** The hub is going to destroy all topics: nothing is held any more. */
void topics_end(struct topics *topics);

#endif
