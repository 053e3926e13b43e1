/* SPDX-License-Identifier: MIT */
/*
 * visits: calling a function of the user's for each member of a topic, each topic of a connection, and each
 * topic of a hub. Changes no membership; the function may.
 *
 * The function may do anything, so each call walks over a copy: members change their places when others leave, and
 * topics of a hub when its table grows. Before a visit the copy is compared with what there is now. A connection isn't
 * freed before the loop goes on, so a pointer to it is good. A topic may be freed at once: freeing a topic deletes it
 * from all copies.
 */
#include "fluxbp/visits.h"

#include "pool.h"
#include "subscriptions.h"
#include "topics.h"

static size_t visits_size(size_t capacity) {
  return sizeof(fluxbp__visits_t) + capacity * sizeof(fluxbp_topic_t *);
}

/* Begin visits of up to `capacity` topics, none of which is listed yet. NULL: the allocator refused. */
static fluxbp__visits_t *begin_visits(fluxbp__topics_t *topics, size_t capacity) {
  fluxbp__visits_t *visits = fluxbp__pool_alloc_object(topics->engine.pool, visits_size(capacity));
  if (visits == NULL) return NULL;
  *visits =
      (fluxbp__visits_t){.topics = (fluxbp_topic_t **) (visits + 1), .capacity = capacity, .outer = topics->visits};
  topics->visits = visits;
  return visits;
}

static void end_visits(fluxbp__topics_t *topics) {
  fluxbp__visits_t *visits = topics->visits;
  topics->visits = visits->outer;
  fluxbp__pool_free_object(topics->engine.pool, visits, visits_size(visits->capacity));
}

/* Return the next topic that hasn't been freed, or NULL. */
static fluxbp_topic_t *next_topic(fluxbp__visits_t *visits) {
  while (visits->next < visits->count) {
    fluxbp_topic_t *topic = visits->topics[visits->next++];
    if (topic != NULL) return topic;
  }
  return NULL;
}

/* `members`: a copy of the topic's members. */
static int visit_members(fluxbp_topic_t *topic, fluxbp_conn_t *const *members, size_t count,
                         int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg) {
  fluxbp__topics_t *topics = topic->topics;
  fluxbp_topic_t *place = topic;
  fluxbp__visits_t visits = {.topics = &place, .count = 1, .outer = topics->visits};
  int result = 0;
  topics->visits = &visits;
  for (size_t i = 0; i < count && place != NULL && result == 0; i++)
    if (fluxbp_topic_has(topic, members[i])) result = visit(members[i], arg);
  topics->visits = visits.outer;
  return result;
}

int fluxbp_topic_each_member(fluxbp_topic_t *topic, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg) {
  fluxbp_pool_t *pool = topic->topics->engine.pool;
  uint32_t count = fluxbp__topic_member_count(topic);
  if (count == 0) return 0;
  fluxbp_conn_t **members = fluxbp__pool_alloc_object(pool, count * sizeof *members);
  if (members == NULL) return UV_ENOMEM;
  for (uint32_t i = 0; i < count; i++) members[i] = fluxbp__topic_member(topic, i);
  int result = visit_members(topic, members, count, visit, arg);
  fluxbp__pool_free_object(pool, members, count * sizeof *members);
  return result;
}

int fluxbp_conn_each_topic(fluxbp_conn_t *conn, int (*visit)(fluxbp_topic_t *topic, void *arg), void *arg) {
  fluxbp__topics_t *topics = fluxbp__conn_topics(conn);
  if (conn->subscription_count == 0) return 0;
  fluxbp__visits_t *visits = begin_visits(topics, conn->subscription_count);
  if (visits == NULL) return UV_ENOMEM;
  const fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  while (visits->count < visits->capacity) {
    visits->topics[visits->count] = subscriptions[visits->count].topic;
    visits->count++;
  }
  int result = 0;
  for (fluxbp_topic_t *topic; result == 0 && (topic = next_topic(visits)) != NULL;)
    if (fluxbp_topic_has(topic, conn)) result = visit(topic, arg);
  end_visits(topics);
  return result;
}

int fluxbp_hub_each_topic(fluxbp_hub_t *hub, int (*visit)(fluxbp_topic_t *topic, void *arg), void *arg) {
  fluxbp__topics_t *topics = fluxbp__topics_of(hub);
  size_t count = fluxbp__topics_list_open(topics, NULL);
  if (count == 0) return 0;
  fluxbp__visits_t *visits = begin_visits(topics, count);
  if (visits == NULL) return UV_ENOMEM;
  visits->count = fluxbp__topics_list_open(topics, visits->topics);
  int result = 0;
  for (fluxbp_topic_t *topic; result == 0 && (topic = next_topic(visits)) != NULL;)
    if (!topic->is_dormant) result = visit(topic, arg);
  end_visits(topics);
  return result;
}
