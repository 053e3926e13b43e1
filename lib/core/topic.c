/* SPDX-License-Identifier: MIT */
/*
 * topic: the members of a topic. Names are in topics.c, publishing is in topic_publish.c, and what a topic has of the
 * past in topic_past.c.
 *
 * Members stand in one dense array, because publishing walks it. A connection knows its index in each of its topics
 * that aren't short (catch_up.c), so leaving is one exchange with the last member. Nothing that publishing calls
 * changes membership.
 */
#include "topic.h"

#include "catch_up.h"
#include "fluxbp/pattern.h"
#include "pool.h"
#include "replay.h"
#include "subscriptions.h"
#include "topic_codecs.h"
#include "topic_events.h"
#include "topic_patterns.h"

#include <string.h>

/* From so many members on room is made for an eighth more: of thousands that is less. */
enum { SLOWLY_FROM = 256 };

int fluxbp_topic_forget(fluxbp_topic_t *topic, uint64_t key) {
  int64_t place = topic->state != NULL ? fluxbp__state_find(topic->state, key) : UV_ENOENT;
  if (place < 0 || fluxbp__state_is_removed(topic->state, (uint32_t) place)) return 0;
  fluxbp__catch_up_forget(topic, (uint32_t) place);
  return fluxbp__state_forget(topic->state, key);
}

/* Whether the connection has subscribed to the topic itself. */
static bool is_direct(const fluxbp__subscription_t *subscription) {
  return subscription != NULL && (subscription->topic->state == NULL || !subscription->is_implied);
}

int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn) {
  return is_direct(fluxbp__conn_subscription(conn, topic));
}

/* The room for members that is next. Half as much more, as most topics have few members: 10 of them leave one place
 * unused. Odd, so that an allocator that has 8 bytes before each piece wastes none. */
static uint32_t next_capacity(uint32_t capacity) {
  if (capacity < 3) return 3;
  return capacity < SLOWLY_FROM ? (capacity + capacity / 2) | 1 : fluxbp__pool_next_capacity(capacity, 1);
}

/* Make room for one more member. The first one needs no memory. */
static int grow_members(fluxbp_topic_t *topic) {
  fluxbp_pool_t *pool = topic->topics->engine.pool;
  if (fluxbp__topic_member_count(topic) < topic->member_capacity) return 0;
  uint32_t capacity = next_capacity(topic->member_capacity);
  fluxbp_conn_t **members = fluxbp__pool_alloc_object(pool, capacity * sizeof *members);
  if (members == NULL) return UV_ENOMEM;
  memcpy(members, fluxbp__topic_members(topic), topic->member_count * sizeof *members);
  if (topic->member_capacity > 1)
    fluxbp__pool_free_object(pool, topic->members, topic->member_capacity * sizeof *members);
  topic->members = members;
  topic->member_capacity = capacity;
  return 0;
}

/* All that a state topic keeps can be had in this codec from now on: publishing sees to it while a member uses it. */
static int prepare_codec(const fluxbp_topic_t *topic, uint32_t codec) {
  if (topic->state == NULL || fluxbp__topic_uses(topic, codec)) return 0;
  return fluxbp__state_encode(topic->state, codec, topic->topics->engine.codecs[codec], fluxbp__topic_name(topic));
}

/* Add a connection that isn't a member. 0 or an error. */
static int add_member(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  /* a connection that isn't started isn't live: what comes until then is kept for it, too */
  bool catches_up = topic->state != NULL && (fluxbp__state_live(topic->state) > 0 || conn->state == FLUXBP__CONN_NEW);
  if (grow_members(topic) != 0 || fluxbp__subscriptions_reserve(conn) != 0) return UV_ENOMEM;
  if (catches_up && fluxbp__catch_up_reserve(topic) != 0) return UV_ENOMEM;
  int err = fluxbp__topic_codecs_reserve(topic, conn->codec, fluxbp__topic_member_count(topic));
  if (!err) err = prepare_codec(topic, conn->codec);
  if (err) return err;

  fluxbp__topic_codecs_add(topic, conn->codec);
  fluxbp__subscription_t *subscription = fluxbp__subscriptions_add(conn, topic);
  if (catches_up)
    fluxbp__catch_up_begin(conn, subscription);
  else
    fluxbp__catch_up_add_live(topic, conn, subscription);
  if (topic->state == NULL) fluxbp__replay_joined(conn, subscription);
  return 0;
}

static void remove_member(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  fluxbp_topic_t *topic = subscription->topic;
  if (!is_direct(subscription)) topic->implied_count--;
  fluxbp__topic_codecs_remove(topic, conn->codec);
  if (topic->state != NULL && subscription->is_behind)
    fluxbp__catch_up_cancel(conn, subscription);
  else
    fluxbp__catch_up_remove_live(topic, conn, subscription);
  fluxbp__subscriptions_remove(conn, subscription);
}

/* ---- state topics have the members of patterns as members ---- */

/* Make the connection a member of a state topic because of a pattern, if it isn't one. 0 or an error. */
static int imply_member(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  if (conn->state > FLUXBP__CONN_OPEN || fluxbp__conn_subscription(conn, topic) != NULL) return 0;
  int err = add_member(topic, conn);
  if (err) return err;
  fluxbp__conn_subscription(conn, topic)->is_implied = true;
  topic->implied_count++;
  return 0;
}

/* The connection has subscribed to the pattern. 0 or an error: then some of the state topics are still missing. */
static int join_states(const fluxbp_topic_t *pattern, fluxbp_conn_t *conn) {
  const fluxbp__link_t *states = &pattern->topics->states;
  for (fluxbp__link_t *link = states->next; link != states; link = link->next) {
    fluxbp_topic_t *topic = FLUXBP__CONTAINER(link, fluxbp_topic_t, link);
    if (!fluxbp_pattern_matches(fluxbp__topic_name(pattern), fluxbp__topic_name(topic))) continue;
    int err = imply_member(topic, conn);
    if (err) return err;
  }
  return 0;
}

static bool is_without(void *pattern, void *conn) {
  return fluxbp__conn_subscription(conn, pattern) == NULL;
}

/* Whether the connection has subscribed to a pattern that matches the topic. */
static bool is_implied(const fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  return !fluxbp__patterns_visit(topic, is_without, conn);
}

/* The connection has unsubscribed from the pattern: end a subscription that only this pattern has implied. */
static void leave_if_implied(const fluxbp_topic_t *pattern, fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  if (subscription == NULL || is_direct(subscription)) return;
  const fluxbp_topic_t *topic = subscription->topic;
  if (fluxbp_pattern_matches(fluxbp__topic_name(pattern), fluxbp__topic_name(topic)) && !is_implied(topic, conn))
    remove_member(conn, subscription);
}

/* The connection has unsubscribed from the pattern: leave the state topics that no other subscription gives it. Looks
 * at the state topics or at the connection's subscriptions, whichever are fewer. */
static void leave_states(const fluxbp_topic_t *pattern, fluxbp_conn_t *conn) {
  const fluxbp__topics_t *topics = pattern->topics;
  if (topics->numbers.count <= conn->subscription_count) {
    for (fluxbp__link_t *link = topics->states.next; link != &topics->states; link = link->next) {
      const fluxbp_topic_t *topic = FLUXBP__CONTAINER(link, fluxbp_topic_t, link);
      leave_if_implied(pattern, conn, fluxbp__conn_subscription(conn, topic));
    }
    return;
  }
  for (uint32_t i = conn->subscription_count; i-- > 0;) /* the last one takes the place of one that is removed */
    leave_if_implied(pattern, conn, &fluxbp__conn_subscriptions(conn)[i]);
}

typedef struct joining {
  fluxbp_topic_t *topic;
  int err;
} joining_t;

static bool imply_members_of(void *value, void *arg) {
  const fluxbp_topic_t *pattern = value;
  joining_t *joining = arg;
  for (uint32_t i = 0; i < pattern->member_count && !joining->err; i++)
    joining->err = imply_member(joining->topic, fluxbp__topic_members(pattern)[i]);
  return !joining->err;
}

int fluxbp_topic_open_state(fluxbp_hub_t *hub, const char *name, uint32_t max_keys, fluxbp_topic_t **out) {
  fluxbp_topic_t *topic;
  bool is_new;
  if (out == NULL) return UV_EINVAL;
  int err = fluxbp__topics_open_state(fluxbp__topics_of(hub), name, max_keys, &topic, &is_new);
  if (err) return err;
  joining_t joining = {.topic = topic};
  if (is_new && !fluxbp__patterns_visit(topic, imply_members_of, &joining)) {
    fluxbp_topic_destroy(topic);
    return joining.err;
  }
  *out = topic;
  return 0;
}

/* ---- subscribing ---- */

/* A member by a pattern subscribes to the state topic itself, or a member subscribes again. */
static int subscribe_member(fluxbp__subscription_t *subscription) {
  if (is_direct(subscription)) return 0;
  fluxbp__topic_note_members(subscription->topic);
  subscription->is_implied = false;
  subscription->topic->implied_count--;
  return 1;
}

int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  if (topic->topics != fluxbp__conn_topics(conn)) return UV_EINVAL;
  if (conn->state > FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  fluxbp__subscription_t *subscription = fluxbp__conn_subscription(conn, topic);
  if (subscription != NULL) return subscribe_member(subscription);
  fluxbp__topic_note_members(topic);
  int err = add_member(topic, conn);
  if (!err && topic->is_pattern) {
    err = join_states(topic, conn);
    if (err) (void) fluxbp_topic_unsubscribe(topic, conn);
  }
  return err ? err : 1;
}

int fluxbp_topic_unsubscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  fluxbp__subscription_t *subscription = fluxbp__conn_subscription(conn, topic);
  if (!is_direct(subscription)) return 0;
  fluxbp__topic_note_members(topic);
  if (topic->state != NULL && is_implied(topic, conn)) {
    subscription->is_implied = true;
    topic->implied_count++;
    return 1;
  }
  remove_member(conn, subscription);
  if (topic->is_pattern) leave_states(topic, conn);
  return 1;
}

void fluxbp__topic_leave_all(fluxbp_conn_t *conn) {
  fluxbp__replay_cancel(conn);
  while (conn->subscription_count > 0) {
    fluxbp__subscription_t *last = &fluxbp__conn_subscriptions(conn)[conn->subscription_count - 1];
    if (is_direct(last)) fluxbp__topic_note_members(last->topic);
    remove_member(conn, last);
  }
  fluxbp__subscriptions_free(conn);
}

int fluxbp__topic_recode_all(fluxbp_conn_t *conn, uint8_t codec) {
  const fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  for (uint32_t i = 0; i < conn->subscription_count; i++) {
    fluxbp_topic_t *topic = subscriptions[i].topic;
    int err = fluxbp__topic_codecs_reserve(topic, codec, fluxbp__topic_member_count(topic) - 1);
    if (!err) err = prepare_codec(topic, codec);
    if (err) return err;
  }
  for (uint32_t i = 0; i < conn->subscription_count; i++)
    fluxbp__topic_codecs_change(subscriptions[i].topic, conn->codec, codec);
  fluxbp__conn_use_codec(conn, codec);
  return 0;
}

void fluxbp_topic_destroy(fluxbp_topic_t *topic) {
  for (uint32_t count; (count = fluxbp__topic_member_count(topic)) > 0;) {
    fluxbp_conn_t *conn = fluxbp__topic_member(topic, count - 1);
    remove_member(conn, fluxbp__conn_subscription(conn, topic));
    if (topic->is_pattern) leave_states(topic, conn);
  }
  if (topic->is_pattern)
    fluxbp__patterns_remove(topic);
  else
    fluxbp__topics_remove(topic);
}
