/* SPDX-License-Identifier: MIT */
/*
 * topics: a flat table. The library finds a topic by its name; a pointer is found here by looking at all of them, which
 * for 1024 takes less than a microsecond and happens only when a client subscribes, unsubscribes or goes.
 *
 * Holders are counted here rather than by fluxbp_topic_subscribers: a connection that is being closed isn't subscribed
 * any more, but its client keeps the pointer until on_close.
 */
#include "topics.h"

#include <string.h>

bool topics_is_name(const char *name, size_t length) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
  if (length == 0 || length > TOPICS_NAME_BYTES) return false;
  for (size_t i = 0; i < length; i++)
    if (memchr(allowed, name[i], sizeof allowed - 1) == NULL) return false;
  return true;
}

int topics_init(struct topics *topics, fluxbp_hub_t *hub, const char *default_name) {
  topics->hub = hub;
  topics->count = 0;
  fluxbp_topic_t *first;
  return topics_hold(topics, default_name, &first); /* for ever */
}

/* Its place in the table, or `count` if it isn't there. */
static size_t place_of(const struct topics *topics, const fluxbp_topic_t *topic) {
  size_t place = 0;
  while (place < topics->count && topics->all[place] != topic) place++;
  return place;
}

static void add(struct topics *topics, fluxbp_topic_t *topic) {
  topics->all[topics->count] = topic;
  topics->holders[topics->count] = 1;
  topics->count++;
}

int topics_hold_state(struct topics *topics, const char *name, uint32_t max_keys) {
  fluxbp_topic_t *topic;
  if (topics->count == TOPICS_MAX) return UV_EMFILE;
  int err = fluxbp_topic_open_state(topics->hub, name, max_keys, &topic);
  if (err == 0) add(topics, topic);
  return err;
}

int topics_hold(struct topics *topics, const char *name, fluxbp_topic_t **topic) {
  *topic = fluxbp_topic_find(topics->hub, name);
  if (*topic != NULL) {
    topics->holders[place_of(topics, *topic)]++;
    return 0;
  }
  if (topics->count == TOPICS_MAX) return UV_EMFILE;
  int err = fluxbp_topic_open(topics->hub, name, topic);
  if (err != 0) return err;
  add(topics, *topic);
  return 0;
}

void topics_release(struct topics *topics, fluxbp_topic_t *topic) {
  size_t place = place_of(topics, topic);
  if (--topics->holders[place] > 0) return;
  topics->count--;
  topics->all[place] = topics->all[topics->count];
  topics->holders[place] = topics->holders[topics->count];
  fluxbp_topic_destroy(topic);
}
