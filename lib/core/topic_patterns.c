/* SPDX-License-Identifier: MIT */
/*
 * topic_patterns: the patterns of one loop, by name, and which of them match the name of a topic.
 *
 * Design notes
 *
 * A pattern is a topic on which nothing is published: it has members and a user's pointer as others have, but is in the
 * tree of patterns instead of the table of names.
 *
 * - A log topic keeps the list of patterns that match it (`matches`), so a publication walks its own members, and then
 *   those of each of these patterns. The list is made at the first publication after a pattern has come or gone, with
 *   one search in the tree; `generation` tells. So a pattern costs nothing for the topics on which nothing is
 *   published, what a connection has of a pattern is one subscription whatever the number of topics, and there is no
 *   list to maintain in two directions.
 * - A state topic has to know how far each member is with its values. So the members of a matching pattern are members
 *   of the state topic as well (topic.c).
 * - A message under a name that no topic has comes from a bus only. If a pattern matches, a dormant topic is made for
 *   it: then ids, history, gaps and resuming are those of any topic. What strangers publish must not fill the memory,
 *   so topics that nothing else needs are kept in a ring of FLUXBP__TOPICS_KEPT places, and the oldest one gives its
 *   place up.
 */
#include "topic_patterns.h"

#include "pattern.h"
#include "pool.h"

#include <assert.h>
#include <string.h>

int fluxbp__patterns_init(fluxbp__topics_t *topics) {
  uint64_t seed;
  int err = uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL);
  fluxbp__pattern_tree_init(&topics->patterns.tree, topics->engine.pool, seed);
  fluxbp__list_init(&topics->patterns.all);
  return err;
}

/* What was known of the matches of topics is not true any more. */
static void note_change(fluxbp__topics_t *topics) {
  topics->patterns.generation++;
  topics->generation++; /* a name without a topic may have a match now */
}

int fluxbp_topic_open_pattern(fluxbp_hub_t *hub, const char *text, fluxbp_topic_t **out) {
  fluxbp__topics_t *topics = fluxbp__topics_of(hub);
  fluxbp__patterns_t *patterns = &topics->patterns;
  if (out == NULL || fluxbp_pattern_check(text) != 0) return UV_EINVAL;
  if (topics->engine.is_closing) return UV_ECANCELED;
  *out = fluxbp__pattern_tree_find(&patterns->tree, text);
  if (*out != NULL) return 0;

  fluxbp_topic_t *pattern = fluxbp__topics_allocate(topics, text, strlen(text), true);
  if (pattern == NULL) return UV_ENOMEM;
  int err = fluxbp__pattern_tree_add(&patterns->tree, fluxbp__topic_name(pattern), pattern);
  if (err) {
    fluxbp__topics_free(pattern);
    return err;
  }
  fluxbp__list_append(&patterns->all, &pattern->link);
  note_change(topics);
  *out = pattern;
  return 0;
}

fluxbp_topic_t *fluxbp_topic_find_pattern(fluxbp_hub_t *hub, const char *text) {
  if (fluxbp_pattern_check(text) != 0) return NULL;
  return fluxbp__pattern_tree_find(&fluxbp__topics_of(hub)->patterns.tree, text);
}

int fluxbp_topic_is_pattern(const fluxbp_topic_t *topic) {
  return topic->is_pattern;
}

void fluxbp__patterns_remove(fluxbp_topic_t *pattern) {
  fluxbp__topics_t *topics = pattern->topics;
  assert(pattern->is_pattern && pattern->member_count == 0);
  (void) fluxbp__pattern_tree_remove(&topics->patterns.tree, fluxbp__topic_name(pattern));
  fluxbp__link_remove(&pattern->link);
  note_change(topics);
  fluxbp__topics_free(pattern);
  if (fluxbp__list_is_empty(&topics->patterns.all)) fluxbp__topics_keep_none(topics);
}

void fluxbp__patterns_destroy(fluxbp__topics_t *topics) {
  fluxbp__link_t *all = &topics->patterns.all;
  while (!fluxbp__list_is_empty(all)) fluxbp__patterns_remove(FLUXBP__CONTAINER(all->next, fluxbp_topic_t, link));
}

/* ---- which of them match ---- */

static bool count_match(void *value, void *arg) {
  (void) value;
  ++*(uint32_t *) arg;
  return true;
}

static bool add_match(void *value, void *arg) {
  fluxbp__matches_t *matches = arg;
  matches->patterns[matches->count++] = value;
  return true;
}

/* Give the topic a list of so many patterns that is empty; NULL for none. */
static int make_list(fluxbp_topic_t *topic, uint32_t capacity) {
  fluxbp__matches_t *matches = NULL;
  fluxbp_pool_t *pool = topic->topics->engine.pool;
  if (capacity > 0) matches = fluxbp__pool_alloc_object(pool, fluxbp__matches_size(capacity));
  if (capacity > 0 && matches == NULL) return UV_ENOMEM;
  if (topic->matches != NULL)
    fluxbp__pool_free_object(pool, topic->matches, fluxbp__matches_size(topic->matches->count));
  topic->matches = matches;
  return 0;
}

int fluxbp__patterns_resolve_anew(fluxbp_topic_t *topic) {
  const fluxbp__patterns_t *patterns = &topic->topics->patterns;
  uint32_t count = 0;
  (void) fluxbp__pattern_tree_search(&patterns->tree, fluxbp__topic_name(topic), count_match, &count);
  uint32_t count_before = topic->matches != NULL ? topic->matches->count : 0;
  if (count != count_before && make_list(topic, count) != 0) return UV_ENOMEM;
  if (count > 0) {
    topic->matches->count = 0;
    (void) fluxbp__pattern_tree_search(&patterns->tree, fluxbp__topic_name(topic), add_match, topic->matches);
  }
  topic->matches_generation = patterns->generation;
  return 0;
}

bool fluxbp__patterns_visit(const fluxbp_topic_t *topic, fluxbp__pattern_visit visit, void *arg) {
  const fluxbp__patterns_t *patterns = &topic->topics->patterns;
  if (topic->matches_generation != patterns->generation)
    return fluxbp__pattern_tree_search(&patterns->tree, fluxbp__topic_name(topic), visit, arg);
  for (uint32_t i = 0; topic->matches != NULL && i < topic->matches->count; i++)
    if (!visit(topic->matches->patterns[i], arg)) return false;
  return true;
}

static bool stop_at_match(void *value, void *arg) {
  (void) value;
  (void) arg;
  return false;
}

int fluxbp__patterns_topic_for(fluxbp__topics_t *topics, const char *name, fluxbp_topic_t **topic) {
  *topic = NULL;
  if (fluxbp__pattern_tree_search(&topics->patterns.tree, name, stop_at_match, NULL)) return 0;
  *topic = fluxbp__topics_keep(topics, name);
  return *topic != NULL ? 0 : UV_ENOMEM;
}
