/* SPDX-License-Identifier: MIT */
/*
 * Internal side of topic_patterns: the patterns of one loop, and which of them match the name of a topic.
 */
#ifndef FLUXBP_LIB_TOPIC_PATTERNS_H
#define FLUXBP_LIB_TOPIC_PATTERNS_H

#include "topics.h"

/* Set up what is empty at first. The caller has set up the engine. 0 or a libuv error. */
int fluxbp__patterns_init(fluxbp__topics_t *topics);

/* Forget all patterns. Their connections are gone. */
void fluxbp__patterns_destroy(fluxbp__topics_t *topics);

/* Forget a pattern without members. */
void fluxbp__patterns_remove(fluxbp_topic_t *pattern);

/* Find the patterns that match the topic, in the tree. As fluxbp__patterns_resolve, which is called instead. */
int fluxbp__patterns_resolve_anew(fluxbp_topic_t *topic);

/* See to it that `topic->matches` has the patterns that match the topic now. They are looked for only if a pattern has
 * come or gone since the last call. 0, or UV_ENOMEM: `matches` is not to be used. */
static inline int fluxbp__patterns_resolve(fluxbp_topic_t *topic) {
  bool is_resolved = topic->matches_generation == topic->topics->patterns.generation;
  return is_resolved ? 0 : fluxbp__patterns_resolve_anew(topic);
}

/* Visit the patterns that match the topic, until a visit returns false. Return false if one did. Needs no memory. */
bool fluxbp__patterns_visit(const fluxbp_topic_t *topic, fluxbp__pattern_visit visit, void *arg);

/*
 * Find the topic on which a message under a name is delivered that no topic has. If a pattern matches the name, a
 * dormant topic is made, and kept for the next such message (fluxbp__topics_keep).
 *
 * 0, with NULL in `*topic` if no pattern matches; or UV_ENOMEM.
 */
int fluxbp__patterns_topic_for(fluxbp__topics_t *topics, const char *name, fluxbp_topic_t **topic);

#endif
