/* SPDX-License-Identifier: MIT */
/*
 * topics: the library finds a topic by its name, and keeps the number of its holders for us, as the topic's user
 * pointer.
 *
 * Holders are counted here rather than by fluxbp_topic_subscribers: a connection that is being closed isn't subscribed
 * any more, but its client keeps the pointer until on_close.
 */
#include "topics.h"

#include <string.h>

static bool is_name_byte(unsigned char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '.' ||
         byte == '_' || byte == ':' || byte == '-';
}

int fluxbp_server_topic_is_right(const char *name, size_t length) {
  size_t right = 0;
  while (right < length && is_name_byte((unsigned char) name[right])) right++;
  return length > 0 && length <= FLUXBP_SERVER_TOPIC_BYTES && right == length;
}

static uintptr_t holders_of(const fluxbp_topic_t *topic) {
  return (uintptr_t) fluxbp_topic_user(topic);
}

static void set_holders(fluxbp_topic_t *topic, uintptr_t holders) {
  fluxbp_topic_set_user(topic, (void *) holders);
}

int topics_init(struct topics *topics, fluxbp_hub_t *hub, const char *default_name) {
  fluxbp_topic_t *topic;
  topics->hub = hub;
  topics->count = 0;
  topics->refused = 0;
  if (default_name == NULL) return 0;
  int err = fluxbp_topic_open(hub, default_name, &topic);
  if (err == 0) set_holders(topic, 1);
  return err;
}

int topics_hold_state(struct topics *topics, const char *name, uint32_t max_keys) {
  fluxbp_topic_t *topic;
  int err = fluxbp_topic_open_state(topics->hub, name, max_keys, &topic);
  if (err == 0) set_holders(topic, 1);
  return err;
}

bool topics_is_pattern(const char *name) {
  return strpbrk(name, "*>") != NULL;
}

fluxbp_topic_t *topics_find(const struct topics *topics, const char *name) {
  return topics_is_pattern(name) ? fluxbp_topic_find_pattern(topics->hub, name) : fluxbp_topic_find(topics->hub, name);
}

int topics_hold(struct topics *topics, const char *name, fluxbp_topic_t **topic) {
  *topic = topics_find(topics, name);
  if (*topic != NULL) {
    set_holders(*topic, holders_of(*topic) + 1);
    return 0;
  }
  if (topics->count >= topics->max) {
    topics->refused++;
    return UV_EMFILE;
  }
  int err = topics_is_pattern(name) ? fluxbp_topic_open_pattern(topics->hub, name, topic)
                                    : fluxbp_topic_open(topics->hub, name, topic);
  if (err != 0) return err;
  set_holders(*topic, 1);
  if (++topics->count == topics->max) (void) atomic_fetch_add(topics->full, 1);
  return 0;
}

void topics_release(struct topics *topics, fluxbp_topic_t *topic) {
  set_holders(topic, holders_of(topic) - 1);
  if (holders_of(topic) > 0) return;
  if (topics->count-- == topics->max) (void) atomic_fetch_sub(topics->full, 1);
  fluxbp_topic_destroy(topic);
}
