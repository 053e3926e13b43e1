/* SPDX-License-Identifier: MIT */
/*
 * topic: the members of a topic. Names are in topics.c, publishing is in topic_publish.c, and what a topic has of the past in
 * topic_past.c.
 *
 * Members stand in one dense array, because publishing walks it; a connection knows its index in each of its topics, so
 * leaving is one exchange with the last member. Nothing that publishing calls changes membership.
 */
#include "topic.h"

#include "catch_up.h"
#include "pool.h"
#include "replay.h"
#include "subscriptions.h"

enum { MEMBERS_MIN = 8 };

int fluxbp_topic_forget(fluxbp_topic_t *topic, uint64_t key) {
  int64_t place = topic->state != NULL ? fluxbp__state_find(topic->state, key) : UV_ENOENT;
  if (place < 0 || fluxbp__state_is_removed(topic->state, (uint32_t) place)) return 0;
  fluxbp__catch_up_forget(topic, (uint32_t) place);
  return fluxbp__state_forget(topic->state, key);
}

int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn) {
  return fluxbp__conn_subscription(conn, topic) != NULL;
}

static int grow_members(fluxbp_topic_t *topic) {
  if (topic->member_count < topic->member_capacity) return 0;
  uint32_t capacity = fluxbp__pool_next_capacity(topic->member_capacity, MEMBERS_MIN);
  fluxbp_conn_t **members = fluxbp__pool_grow_array(topic->topics->engine.pool, topic->members, sizeof *members,
                                                    topic->member_capacity, capacity);
  if (members == NULL) return UV_ENOMEM;
  topic->members = members;
  topic->member_capacity = capacity;
  return 0;
}

/* All that a state topic keeps can be had in this codec from now on: publishing sees to it while a member uses it. */
static int prepare_codec(const fluxbp_topic_t *topic, uint32_t codec) {
  if (topic->state == NULL || topic->codec_members[codec] > 0) return 0;
  return fluxbp__state_encode(topic->state, codec, topic->topics->engine.codecs[codec], topic->name);
}

int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  if (topic->topics != fluxbp__conn_topics(conn)) return UV_EINVAL;
  if (conn->state > FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (fluxbp__conn_subscription(conn, topic) != NULL) return 0;
  if (grow_members(topic) != 0 || fluxbp__subscriptions_reserve(conn) != 0) return UV_ENOMEM;
  int err = prepare_codec(topic, conn->codec);
  if (err) return err;

  /* who isn't started isn't live: what comes until then is kept for it, too */
  bool catches_up = topic->state != NULL && (fluxbp__state_live(topic->state) > 0 || conn->state == FLUXBP__CONN_NEW);
  fluxbp__subscription_t *subscription = fluxbp__subscriptions_add(conn, topic);
  subscription->index = topic->member_count;
  if (topic->state == NULL)
    fluxbp__replay_joined(conn, subscription);
  else
    subscription->cursor = FLUXBP__CURSOR_END;
  topic->members[topic->member_count++] = conn;
  topic->codec_members[conn->codec]++;
  if (catches_up) fluxbp__catch_up_begin(conn, subscription);
  return 1;
}

static void remove_subscription(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  fluxbp_topic_t *topic = subscription->topic;
  fluxbp__catch_up_cancel(conn, subscription);
  fluxbp_conn_t *last = topic->members[--topic->member_count];
  if (last != conn) {
    topic->members[subscription->index] = last;
    fluxbp__conn_subscription(last, topic)->index = subscription->index;
  }
  topic->codec_members[conn->codec]--;
  fluxbp__subscriptions_remove(conn, subscription);
}

int fluxbp_topic_unsubscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  fluxbp__subscription_t *subscription = fluxbp__conn_subscription(conn, topic);
  if (subscription == NULL) return 0;
  remove_subscription(conn, subscription);
  return 1;
}

void fluxbp__topic_leave_all(fluxbp_conn_t *conn) {
  fluxbp__replay_cancel(conn);
  while (conn->subscription_count > 0)
    remove_subscription(conn, &fluxbp__conn_subscriptions(conn)[conn->subscription_count - 1]);
  fluxbp__subscriptions_free(conn);
}

int fluxbp__topic_recode_all(fluxbp_conn_t *conn, uint8_t codec) {
  const fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  for (uint32_t i = 0; i < conn->subscription_count; i++) {
    int err = prepare_codec(subscriptions[i].topic, codec);
    if (err) return err;
  }
  for (uint32_t i = 0; i < conn->subscription_count; i++) {
    subscriptions[i].topic->codec_members[conn->codec]--;
    subscriptions[i].topic->codec_members[codec]++;
  }
  conn->codec = codec;
  return 0;
}

void fluxbp_topic_destroy(fluxbp_topic_t *topic) {
  while (topic->member_count > 0) (void) fluxbp_topic_unsubscribe(topic, topic->members[topic->member_count - 1]);
  fluxbp__topics_remove(topic);
}
