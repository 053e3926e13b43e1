/* SPDX-License-Identifier: MIT */
/*
 * topics: which topics there are on this server. A topic exists as long as a client holds it; the default one and
 * those that keep a state always.
 * Their number is limited, so that clients can't fill the memory with names.
 */
#ifndef FLUXBP_SERVER_TOPICS_H
#define FLUXBP_SERVER_TOPICS_H

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPICS_MAX 1024
#define TOPICS_NAME_BYTES 64
#define TOPICS_NAME_RULE "1 to 64 of A-Z a-z 0-9 . _ : -"

struct topics {
  fluxbp_hub_t *hub;
  size_t count;
  fluxbp_topic_t *all[TOPICS_MAX];
  size_t holders[TOPICS_MAX]; /* of the topic at the same place */
};

/** Whether a topic may have that name. */
bool topics_is_name(const char *name, size_t length);

/** Make the default topic. @return 0 or a libuv error */
int topics_init(struct topics *topics, fluxbp_hub_t *hub, const char *default_name);

/**
 * Find or make a topic, and hold it.
 *
 * @return 0, UV_EMFILE (there are TOPICS_MAX already), or what fluxbp_topic_open returns
 */
int topics_hold(struct topics *topics, const char *name, fluxbp_topic_t **topic);

/** Make a state topic, and hold it for ever. @return 0 or a libuv error */
int topics_hold_state(struct topics *topics, const char *name, uint32_t max_keys);

/** Let go of it; the last one to do so destroys it. */
void topics_release(struct topics *topics, fluxbp_topic_t *topic);

#endif
