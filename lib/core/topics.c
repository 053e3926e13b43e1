/* SPDX-License-Identifier: MIT */
/*
 * topics: a hash table of topics by name, and what is asked of a topic that changes no membership. A topic that is
 * destroyed while the history has messages of it stays in the table, dormant.
 */
#include "topics.h"

#include "hash.h"
#include "pool.h"
#include "topic_codecs.h"

#include <assert.h>
#include <string.h>

int fluxbp__topics_init(fluxbp__topics_t *topics, const fluxbp__history_limits_t *limits) {
  fluxbp__list_init(&topics->replays);
  fluxbp__table_init(&topics->names, topics->engine.pool);
  fluxbp__table_init(&topics->numbers, topics->engine.pool);
  fluxbp__list_init(&topics->states);
  fluxbp__history_init(&topics->history, topics->engine.pool, limits);
  int err = uv_random(NULL, NULL, &topics->seed, sizeof topics->seed, 0, NULL);
  if (!err) err = uv_random(NULL, NULL, &topics->epoch, sizeof topics->epoch, 0, NULL);
  topics->last_state_topic = topics->seed; /* their numbers are part of a hash, too */
  return err;
}

static size_t topic_size(const fluxbp__topics_t *topics, bool is_pattern, size_t name_length) {
  if (topics->on_members == NULL) return fluxbp__topic_name_offset(is_pattern) + name_length + 1;
  return fluxbp__topic_event_offset(is_pattern, name_length) + sizeof(fluxbp__members_event_t);
}

fluxbp_topic_t *fluxbp__topics_allocate(fluxbp__topics_t *topics, const char *name, size_t length, bool is_pattern) {
  fluxbp_topic_t *topic = fluxbp__pool_alloc_object(topics->engine.pool, topic_size(topics, is_pattern, length));
  if (topic == NULL) return NULL;
  topic->topics = topics;
  topic->member_capacity = 1;
  topic->is_pattern = is_pattern;
  topic->name_length = (uint8_t) length;
  memcpy((char *) topic + fluxbp__topic_name_offset(is_pattern), name, length + 1);
  return topic;
}

/* The topic is destroyed: the program isn't told any more of its subscribers. */
static void cancel_event(fluxbp_topic_t *topic) {
  if (topic->topics->on_members != NULL) fluxbp__link_remove(&fluxbp__topic_members_event(topic)->link);
}

/* The topic is going to be freed: no visit comes to it any more. */
static void leave_visits(const fluxbp_topic_t *topic) {
  for (fluxbp__visits_t *visits = topic->topics->visits; visits != NULL; visits = visits->outer) {
    size_t first = visits->next > 0 ? visits->next - 1 : 0; /* nearly always it is the one that is visited */
    while (first < visits->count && visits->topics[first] != topic) first++;
    if (first < visits->count) visits->topics[first] = NULL;
  }
}

static void free_state(fluxbp__state_topic_t *state, fluxbp_pool_t *pool) {
  fluxbp__state_clear(&state->kept);
  fluxbp__pool_free_object(pool, state->behind, state->behind_capacity * sizeof *state->behind);
  fluxbp__pool_free_object(pool, state, sizeof *state);
}

void fluxbp__topics_free(fluxbp_topic_t *topic) {
  fluxbp_pool_t *pool = topic->topics->engine.pool;
  leave_visits(topic);
  cancel_event(topic);
  if (topic->state != NULL) {
    topic->topics->shared_until = topic->topics->engine.last_conn_id;
    free_state(fluxbp__topic_state(topic), pool);
  }
  if (!topic->is_pattern && topic->matches != NULL)
    fluxbp__pool_free_object(pool, topic->matches, fluxbp__matches_size(topic->matches->count));
  if (topic->member_capacity > 1)
    fluxbp__pool_free_object(pool, topic->members, topic->member_capacity * sizeof *topic->members);
  fluxbp__topic_codecs_free(topic);
  fluxbp__pool_free_object(pool, topic, topic_size(topic->topics, topic->is_pattern, topic->name_length));
}

fluxbp_topic_t *fluxbp__topics_find_any(const fluxbp__topics_t *topics, const char *name) {
  uint64_t hash = fluxbp__hash_name(topics->seed, name, strlen(name));
  for (fluxbp__table_link_t *link = fluxbp__table_bucket(&topics->names, hash); link != NULL; link = link->next) {
    fluxbp_topic_t *topic = FLUXBP__CONTAINER(link, fluxbp_topic_t, named);
    if (link->hash == hash && strcmp(topic->name, name) == 0) return topic; /* no pattern */
  }
  return NULL;
}

fluxbp_topic_t *fluxbp__topics_find_state(const fluxbp__topics_t *topics, uint64_t number) {
  uint64_t hash = fluxbp__hash_key(number);
  fluxbp__table_link_t *link = fluxbp__table_bucket(&topics->numbers, hash);
  while (link != NULL && link->hash != hash) link = link->next; /* different numbers have different hashes */
  return link != NULL ? FLUXBP__CONTAINER(link, fluxbp__state_topic_t, numbered)->topic : NULL;
}

fluxbp_topic_t *fluxbp_topic_find(fluxbp_hub_t *hub, const char *name) {
  fluxbp_topic_t *topic = fluxbp__topics_find_any(fluxbp__topics_of(hub), name);
  return topic != NULL && !topic->is_dormant ? topic : NULL;
}

/* Take a topic out of those that are kept. */
static void leave_kept(fluxbp_topic_t *topic) {
  fluxbp_topic_t **place = topic->topics->kept;
  if (!topic->is_kept) return;
  while (*place != topic) place++;
  *place = NULL;
  topic->is_kept = false;
}

/* A dormant topic is opened. */
static void revive(fluxbp_topic_t *topic) {
  leave_kept(topic);
  topic->is_dormant = false;
  topic->topics->dormant--;
}

static int make_topic(fluxbp__topics_t *topics, const char *name, size_t length, fluxbp_topic_t **out) {
  fluxbp_topic_t *topic = fluxbp__topics_allocate(topics, name, length, false);
  if (topic == NULL) return UV_ENOMEM;
  topic->named.hash = fluxbp__hash_name(topics->seed, name, length);
  if (fluxbp__table_add(&topics->names, &topic->named) != 0) {
    fluxbp__topics_free(topic);
    return UV_ENOMEM;
  }
  topic->past.lost_id = topics->history.unknown_lost_id;
  topics->generation++;
  *out = topic;
  return 0;
}

/* Find it, a dormant one included, or make a log topic. */
static int open_topic(fluxbp__topics_t *topics, const char *name, fluxbp_topic_t **out, bool *is_new) {
  size_t length = name != NULL ? strnlen(name, FLUXBP_TOPIC_NAME_MAX + 1) : 0;
  if (length == 0 || length > FLUXBP_TOPIC_NAME_MAX || out == NULL) return UV_EINVAL;
  if (topics->engine.is_closing) return UV_ECANCELED;
  fluxbp_topic_t *topic = fluxbp__topics_find_any(topics, name);
  *is_new = topic == NULL;
  if (*is_new) return make_topic(topics, name, length, out);
  *out = topic;
  return 0;
}

int fluxbp_topic_open(fluxbp_hub_t *hub, const char *name, fluxbp_topic_t **topic) {
  bool is_new;
  int err = open_topic(fluxbp__topics_of(hub), name, topic, &is_new);
  if (!err && (*topic)->is_dormant) revive(*topic);
  return err;
}

/* A topic that only patterns need, and of which the history has nothing, makes room for a topic of another kind. */
static void remove_blank(fluxbp__topics_t *topics, const char *name) {
  fluxbp_topic_t *topic = name != NULL ? fluxbp__topics_find_any(topics, name) : NULL;
  if (topic == NULL || !topic->is_kept || topic->past.count > 0) return;
  leave_kept(topic);
  fluxbp__topics_past_gone(topic);
}

/* Make a state topic of a log topic that was made just now. 0 or UV_ENOMEM. */
static int make_state(fluxbp_topic_t *topic, uint32_t max_keys) {
  fluxbp__topics_t *topics = topic->topics;
  fluxbp_pool_t *pool = topics->engine.pool;
  fluxbp__state_topic_t *state = fluxbp__pool_alloc_object(pool, sizeof *state);
  if (state == NULL) return UV_ENOMEM;
  fluxbp__state_init(&state->kept, pool, ++topics->last_state_topic, max_keys);
  state->topic = topic;
  state->numbered.hash = fluxbp__hash_key(state->kept.number);
  if (fluxbp__table_add(&topics->numbers, &state->numbered) != 0) {
    free_state(state, pool);
    return UV_ENOMEM;
  }
  state->kept.shared_until = topics->shared_until;
  topic->state = &state->kept;
  topic->link = (fluxbp__link_t){NULL, NULL};
  fluxbp__list_append(&topics->states, &topic->link);
  return 0;
}

int fluxbp__topics_open_state(fluxbp__topics_t *topics, const char *name, uint32_t max_keys, fluxbp_topic_t **out,
                              bool *is_new) {
  fluxbp_topic_t *topic;
  if (max_keys == 0 || max_keys > FLUXBP_TOPIC_KEYS_MAX) return UV_EINVAL;
  remove_blank(topics, name);
  int err = open_topic(topics, name, &topic, is_new);
  if (err) return err;
  if (*is_new && make_state(topic, max_keys) != 0) {
    fluxbp__topics_remove(topic);
    return UV_ENOMEM;
  }
  if (topic->state == NULL || topic->state->max_count != max_keys) return UV_EEXIST;
  *out = topic;
  return 0;
}

size_t fluxbp__topics_list_open(const fluxbp__topics_t *topics, fluxbp_topic_t **list) {
  size_t count = 0;
  const fluxbp__table_link_t *named = NULL;
  while ((named = fluxbp__table_next(&topics->names, named)) != NULL) {
    fluxbp_topic_t *topic = FLUXBP__CONTAINER(named, fluxbp_topic_t, named);
    if (topic->is_dormant) continue;
    if (list != NULL) list[count] = topic;
    count++;
  }
  const fluxbp__link_t *patterns = &topics->patterns.all;
  for (fluxbp__link_t *link = patterns->next; link != patterns; link = link->next) {
    if (list != NULL) list[count] = FLUXBP__CONTAINER(link, fluxbp_topic_t, link);
    count++;
  }
  return count;
}

int fluxbp_topic_is_state(const fluxbp_topic_t *topic) {
  return topic->state != NULL;
}

size_t fluxbp_topic_keys(const fluxbp_topic_t *topic) {
  return topic->state != NULL ? fluxbp__state_live(topic->state) : 0;
}

size_t fluxbp_topic_frame_bytes(const fluxbp_topic_t *topic) {
  return topic->state != NULL ? fluxbp__state_bytes(topic->state) : 0;
}

void *fluxbp_topic_user(const fluxbp_topic_t *topic) {
  return topic->user;
}

void fluxbp_topic_set_user(fluxbp_topic_t *topic, void *user) {
  topic->user = user;
}

const char *fluxbp_topic_name(const fluxbp_topic_t *topic) {
  return fluxbp__topic_name(topic);
}

size_t fluxbp_topic_subscribers(const fluxbp_topic_t *topic) {
  return fluxbp__topic_member_count(topic) - topic->implied_count;
}

static void remove_topic(fluxbp_topic_t *topic) {
  fluxbp__topics_t *topics = topic->topics;
  fluxbp__table_remove(&topics->names, &topic->named);
  topics->generation++;
  if (topic->state == NULL) {
    fluxbp__history_lose_unknown(&topics->history, topic->past.lost_id);
  } else {
    fluxbp__link_remove(&topic->link);
    fluxbp__table_remove(&topics->numbers, &fluxbp__topic_state(topic)->numbered);
  }
  fluxbp__topics_free(topic);
}

static void make_dormant(fluxbp_topic_t *topic) {
  cancel_event(topic);
  topic->user = NULL;
  topic->is_dormant = true;
  topic->topics->dormant++;
}

fluxbp_topic_t *fluxbp__topics_make_dormant(fluxbp__topics_t *topics, const char *name) {
  fluxbp_topic_t *topic;
  bool is_new;
  if (open_topic(topics, name, &topic, &is_new) != 0) return NULL;
  make_dormant(topic);
  return topic;
}

void fluxbp__topics_remove(fluxbp_topic_t *topic) {
  assert(fluxbp__topic_member_count(topic) == 0 && !topic->is_pattern);
  if (topic->state != NULL || topic->past.count == 0)
    remove_topic(topic);
  else
    make_dormant(topic);
}

void fluxbp__topics_past_gone(fluxbp_topic_t *topic) {
  if (topic->past.count > 0 || !topic->is_dormant || topic->is_kept) return;
  topic->topics->dormant--;
  remove_topic(topic);
}

/* Free a place for a topic that is to be kept: the oldest one gives it up. */
static fluxbp_topic_t **free_kept_place(fluxbp__topics_t *topics) {
  fluxbp_topic_t **place = &topics->kept[topics->next_kept++ % FLUXBP__TOPICS_KEPT];
  fluxbp_topic_t *oldest = *place;
  if (oldest == NULL) return place;
  leave_kept(oldest);
  fluxbp__topics_past_gone(oldest);
  return place;
}

fluxbp_topic_t *fluxbp__topics_keep(fluxbp__topics_t *topics, const char *name) {
  size_t size = FLUXBP__TOPICS_KEPT * sizeof(fluxbp_topic_t *);
  if (topics->kept == NULL) topics->kept = fluxbp__pool_alloc_object(topics->engine.pool, size);
  if (topics->kept == NULL) return NULL;
  fluxbp_topic_t *topic = fluxbp__topics_make_dormant(topics, name);
  if (topic == NULL) return NULL;
  *free_kept_place(topics) = topic;
  topic->is_kept = true;
  return topic;
}

void fluxbp__topics_keep_none(fluxbp__topics_t *topics) {
  if (topics->kept == NULL) return;
  for (int i = 0; i < FLUXBP__TOPICS_KEPT; i++) (void) free_kept_place(topics);
  fluxbp__pool_free_object(topics->engine.pool, topics->kept, FLUXBP__TOPICS_KEPT * sizeof(fluxbp_topic_t *));
  topics->kept = NULL;
}

void fluxbp__topics_destroy(fluxbp__topics_t *topics) {
  for (fluxbp__table_link_t *link = fluxbp__table_next(&topics->names, NULL), *next; link != NULL; link = next) {
    next = fluxbp__table_next(&topics->names, link);
    fluxbp__topics_remove(FLUXBP__CONTAINER(link, fluxbp_topic_t, named));
  }
  fluxbp__table_free(&topics->names);
  fluxbp__table_free(&topics->numbers);
  fluxbp__conn_set_free(&topics->reached, topics->engine.pool);
}
