/* SPDX-License-Identifier: MIT */
/*
 * topics: which topics there are on this server. A topic exists as long as a client holds it; the default one and
 * those that keep a state always, and those don't count. The number of the others is limited (--max-topics), so that
 * clients can't fill the memory with names.
 */
#ifndef FLUXBP_SERVER_TOPICS_H
#define FLUXBP_SERVER_TOPICS_H

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
  uint32_t count;   /* that clients hold, without those that are always there */
  uint64_t refused; /* as there were `max` */
};

/** Make the default topic, if there is one; `max` and `full` were set. @return 0 or a libuv error */
int topics_init(struct topics *topics, fluxbp_hub_t *hub, const char *default_name);

/** Return whether a text that may be subscribed to is a pattern. */
bool topics_is_pattern(const char *name);

/** Return the topic or the pattern of that name, or NULL. */
fluxbp_topic_t *topics_find(const struct topics *topics, const char *name);

/**
 * Find or make a topic or a pattern, and hold it.
 *
 * @return 0, UV_EMFILE (there are `max` already; counted), or what fluxbp_topic_open returns
 */
int topics_hold(struct topics *topics, const char *name, fluxbp_topic_t **topic);

/** Make a state topic, and hold it for ever. @return 0 or a libuv error */
int topics_hold_state(struct topics *topics, const char *name, uint32_t max_keys);

/** Let go of it; the last one to do so destroys it. */
void topics_release(struct topics *topics, fluxbp_topic_t *topic);

#endif
