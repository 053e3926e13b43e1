/* SPDX-License-Identifier: MIT */
/*
 * topic: names, members, and one publication for all of them.
 *
 * Members stand in one dense array, because publishing walks it; a connection knows its index in each of its topics, so
 * leaving is one exchange with the last member. Nothing that publishing calls changes membership.
 */
#include "topic.h"

#include "catch_up.h"
#include "conn_stage.h"
#include "hash.h"
#include "msg.h"
#include "pool.h"
#include "replay.h"
#include "subscriptions.h"

#include <assert.h>
#include <string.h>

enum { BUCKETS_MIN = 16, MEMBERS_MIN = 8, REMOVALS_MIN = 16 };

static size_t topic_size(size_t name_len) {
  return sizeof(fluxbp_topic_t) + name_len + 1;
}

static fluxbp_topic_t **bucket_of(const fluxbp__topics_t *topics, uint64_t hash) {
  return &topics->buckets[hash & (topics->bucket_count - 1)];
}

/* Keep the chains short; without memory for it they get longer. */
static int rehash(fluxbp_hub_t *hub) {
  fluxbp__topics_t *topics = &hub->topics;
  size_t count = topics->bucket_count ? topics->bucket_count * 2 : BUCKETS_MIN;
  fluxbp_topic_t **buckets = fluxbp__pool_alloc_object(hub->pool, count * sizeof *buckets);
  if (buckets == NULL) return topics->bucket_count ? 0 : UV_ENOMEM;

  fluxbp__topics_t old = *topics;
  topics->buckets = buckets;
  topics->bucket_count = count;
  for (size_t i = 0; i < old.bucket_count; i++) {
    for (fluxbp_topic_t *topic = old.buckets[i], *next; topic != NULL; topic = next) {
      next = topic->next;
      topic->next = *bucket_of(topics, topic->hash);
      *bucket_of(topics, topic->hash) = topic;
    }
  }
  fluxbp__pool_free_object(hub->pool, old.buckets, old.bucket_count * sizeof *buckets);
  return 0;
}

fluxbp_topic_t *fluxbp__topic_find_any(const fluxbp_hub_t *hub, const char *name) {
  if (hub->topics.bucket_count == 0) return NULL;
  uint64_t hash = fluxbp__hash_name(hub->topics.seed, name, strlen(name));
  fluxbp_topic_t *topic = *bucket_of(&hub->topics, hash);
  while (topic != NULL && (topic->hash != hash || strcmp(topic->name, name) != 0)) topic = topic->next;
  return topic;
}

fluxbp_topic_t *fluxbp_topic_find(fluxbp_hub_t *hub, const char *name) {
  fluxbp_topic_t *topic = fluxbp__topic_find_any(hub, name);
  return topic != NULL && !topic->is_dormant ? topic : NULL;
}

/* A log topic that was destroyed lives on as long as the history has messages of it. */
static void revive(fluxbp_topic_t *topic) {
  topic->is_dormant = false;
  topic->hub->topics.dormant--;
}

/* Find it, a dormant one included, or make a log topic. */
static int open_topic(fluxbp_hub_t *hub, const char *name, fluxbp_topic_t **out, bool *is_new) {
  size_t len = name != NULL ? strnlen(name, FLUXBP_TOPIC_NAME_MAX + 1) : 0;
  if (len == 0 || len > FLUXBP_TOPIC_NAME_MAX || out == NULL) return UV_EINVAL;
  if (hub->is_closing) return UV_ECANCELED;

  fluxbp_topic_t *topic = fluxbp__topic_find_any(hub, name);
  *is_new = topic == NULL;
  if (topic == NULL) {
    if (hub->topics.count >= hub->topics.bucket_count && rehash(hub) != 0) return UV_ENOMEM;
    topic = fluxbp__pool_alloc_object(hub->pool, topic_size(len));
    if (topic == NULL) return UV_ENOMEM;
    topic->hub = hub;
    topic->hash = fluxbp__hash_name(hub->topics.seed, name, len);
    topic->past.lost_id = hub->history.unknown_lost_id;
    topic->name_len = len;
    memcpy(topic->name, name, len + 1);
    topic->next = *bucket_of(&hub->topics, topic->hash);
    *bucket_of(&hub->topics, topic->hash) = topic;
    hub->topics.count++;
    hub->topics.generation++;
  }
  *out = topic;
  return 0;
}

int fluxbp_topic_open(fluxbp_hub_t *hub, const char *name, fluxbp_topic_t **topic) {
  bool is_new;
  int err = open_topic(hub, name, topic, &is_new);
  if (!err && (*topic)->is_dormant) revive(*topic);
  return err;
}

int fluxbp_topic_open_state(fluxbp_hub_t *hub, const char *name, uint32_t max_keys, fluxbp_topic_t **out) {
  fluxbp_topic_t *topic;
  bool is_new;
  if (max_keys == 0 || max_keys > FLUXBP_TOPIC_KEYS_MAX || out == NULL) return UV_EINVAL;
  int err = open_topic(hub, name, &topic, &is_new);
  if (err) return err;
  if (is_new) {
    topic->state = fluxbp__pool_alloc_object(hub->pool, sizeof *topic->state);
    if (topic->state == NULL) {
      fluxbp_topic_destroy(topic);
      return UV_ENOMEM;
    }
    fluxbp__state_init(topic->state, hub->pool, ++hub->last_state_topic, max_keys);
  }
  if (topic->state == NULL || topic->state->max_count != max_keys) return UV_EEXIST;
  *out = topic;
  return 0;
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

int fluxbp_topic_forget(fluxbp_topic_t *topic, uint64_t key) {
  int64_t place = topic->state != NULL ? fluxbp__state_find(topic->state, key) : UV_ENOENT;
  if (place < 0 || fluxbp__state_is_removed(topic->state, (uint32_t) place)) return 0;
  fluxbp__catch_up_forget(topic, (uint32_t) place);
  return fluxbp__state_forget(topic->state, key);
}

void *fluxbp_topic_user(const fluxbp_topic_t *topic) {
  return topic->user;
}

void fluxbp_topic_set_user(fluxbp_topic_t *topic, void *user) {
  topic->user = user;
}

const char *fluxbp_topic_name(const fluxbp_topic_t *topic) {
  return topic->name;
}

size_t fluxbp_topic_subscribers(const fluxbp_topic_t *topic) {
  return topic->member_count;
}

int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn) {
  return fluxbp__conn_subscription(conn, topic) != NULL;
}

static int grow_members(fluxbp_topic_t *topic) {
  if (topic->member_count < topic->member_capacity) return 0;
  uint32_t capacity = fluxbp__pool_next_capacity(topic->member_capacity, MEMBERS_MIN);
  fluxbp_conn_t **members =
      fluxbp__pool_grow_array(topic->hub->pool, topic->members, sizeof *members, topic->member_capacity, capacity);
  if (members == NULL) return UV_ENOMEM;
  topic->members = members;
  topic->member_capacity = capacity;
  return 0;
}

/* All that a state topic keeps can be had in this codec from now on: publishing sees to it while a member uses it. */
static int prepare_codec(const fluxbp_topic_t *topic, uint32_t codec) {
  if (topic->state == NULL || topic->codec_members[codec] > 0) return 0;
  return fluxbp__state_encode(topic->state, codec, topic->hub->codecs[codec], topic->name);
}

int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  if (topic->hub != fluxbp__conn_hub(conn)) return UV_EINVAL;
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

int fluxbp_topic_subscribe_since(fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint64_t epoch, uint64_t since_id) {
  fluxbp_hub_t *hub = topic->hub;
  if (topic->state != NULL) return UV_EINVAL;
  if (epoch != hub->epoch) return UV_ENOENT;
  if (since_id > hub->last_id) return fluxbp__hub_will_read(hub, since_id) ? UV_EAGAIN : UV_EINVAL;
  fluxbp__replay_forget_old(hub);
  if (!fluxbp__replay_reaches(topic, since_id)) return UV_ERANGE;
  int result = fluxbp_topic_subscribe(topic, conn);
  if (result != 1) return result;

  int err = fluxbp__replay_begin(conn, fluxbp__conn_subscription(conn, topic), since_id);
  if (err) {
    (void) fluxbp_topic_unsubscribe(topic, conn);
    return err;
  }
  return 1;
}

uint64_t fluxbp_topic_oldest_since(fluxbp_topic_t *topic) {
  fluxbp__replay_forget_old(topic->hub);
  return topic->state == NULL ? topic->past.lost_id : 0;
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

void fluxbp__conn_unsubscribe_all(fluxbp_conn_t *conn) {
  fluxbp__replay_cancel(conn);
  while (conn->subscription_count > 0)
    remove_subscription(conn, &fluxbp__conn_subscriptions(conn)[conn->subscription_count - 1]);
  fluxbp__subscriptions_free(conn);
}

int fluxbp__conn_change_codec(fluxbp_conn_t *conn, uint8_t codec) {
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

static void free_topic(fluxbp_topic_t *topic) {
  fluxbp_pool_t *pool = topic->hub->pool;
  if (topic->state != NULL) {
    fluxbp__state_clear(topic->state);
    fluxbp__pool_free_object(pool, topic->state, sizeof *topic->state);
  }
  fluxbp__pool_free_object(pool, topic->members, topic->member_capacity * sizeof *topic->members);
  fluxbp__pool_free_object(pool, topic, topic_size(topic->name_len));
}

static void remove_topic(fluxbp_topic_t *topic) {
  fluxbp__topics_t *topics = &topic->hub->topics;
  fluxbp_topic_t **link = bucket_of(topics, topic->hash);
  while (*link != topic) link = &(*link)->next;
  *link = topic->next;
  topics->count--;
  topics->generation++;
  fluxbp__history_lose_unknown(&topic->hub->history, topic->past.lost_id);
  free_topic(topic);
}

static void make_dormant(fluxbp_topic_t *topic) {
  topic->user = NULL;
  topic->is_dormant = true;
  topic->hub->topics.dormant++;
}

fluxbp_topic_t *fluxbp__topic_make_dormant(fluxbp_hub_t *hub, const char *name) {
  fluxbp_topic_t *topic;
  if (fluxbp_topic_open(hub, name, &topic) != 0) return NULL;
  make_dormant(topic);
  return topic;
}

void fluxbp_topic_destroy(fluxbp_topic_t *topic) {
  while (topic->member_count > 0) (void) fluxbp_topic_unsubscribe(topic, topic->members[topic->member_count - 1]);
  if (topic->past.count == 0) {
    remove_topic(topic);
    return;
  }
  make_dormant(topic);
}

void fluxbp__topic_past_gone(fluxbp_topic_t *topic) {
  if (topic->past.count > 0 || !topic->is_dormant) return;
  topic->hub->topics.dormant--;
  remove_topic(topic);
}

void fluxbp__topics_destroy(fluxbp_hub_t *hub) {
  fluxbp__topics_t *topics = &hub->topics;
  for (size_t i = 0; i < topics->bucket_count; i++)
    while (topics->buckets[i] != NULL) fluxbp_topic_destroy(topics->buckets[i]);
  fluxbp__pool_free_object(hub->pool, topics->buckets, topics->bucket_count * sizeof *topics->buckets);
  topics->buckets = NULL;
  topics->bucket_count = 0;
}

static void unref_frames(fluxbp_frame_t *const *frames) {
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++)
    if (frames[i] != NULL) fluxbp__frame_unref(frames[i]);
}

/* One frame for each codec that a member uses, before anything is queued: all get it, or none. */
static int encode_for_members(const fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, fluxbp_frame_t **frames) {
  fluxbp_hub_t *hub = topic->hub;
  uint64_t now_ms = fluxbp__hub_observe(hub);
  memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
  for (size_t i = 0; i < hub->codec_count; i++) {
    if (topic->codec_members[i] == 0) continue;
    int err = fluxbp__frame_create(hub->pool, msg, hub->codecs[i], topic->name, id, &frames[i]);
    if (err) {
      frames[i] = NULL;
      unref_frames(frames);
      return err;
    }
    frames[i]->time_ms = now_ms;
  }
  return 0;
}

static int publish_log(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, fluxbp_frame_t **frames) {
  int err = encode_for_members(topic, msg, id, frames);
  if (err) return err;

  topic->hub->last_id = id;
  int receivers = 0;
  for (uint32_t i = 0; i < topic->member_count; i++) {
    fluxbp_conn_t *conn = topic->members[i];
    if (conn->state != FLUXBP__CONN_OPEN) continue;
    if (fluxbp__conn_replay(conn) == NULL) (void) fluxbp__conn_stage(conn, frames[conn->codec]);
    receivers++;
  }
  fluxbp__replay_record(topic, msg, id);
  return receivers;
}

/* Forget removals that no connection can need any more, when they are an eighth of the places. When there are as many as
 * there may be values, all are forgotten in any case. */
static void drop_removals(fluxbp_topic_t *topic) {
  fluxbp__state_t *state = topic->state;
  bool is_needed = topic->catching_up > 0 || topic->hub->totals.queued > 0;
  uint32_t limit = is_needed ? state->max_count : state->end / 8;
  if (state->removed < limit || state->removed < REMOVALS_MIN) return;
  for (uint32_t place = 0; state->removed > 0; place++) {
    if (!fluxbp__state_is_removed(state, place)) continue;
    fluxbp__catch_up_forget(topic, place);
    (void) fluxbp__state_forget(state, state->values[place].key);
  }
}

/* The place of the message's key: what the key has now, or a new one for a value. UV_ENOENT: nothing is to be removed. */
static int64_t place_for(fluxbp_topic_t *topic, const fluxbp_msg_t *msg, uint64_t key) {
  fluxbp__state_t *state = topic->state;
  if (state->removed > 0) drop_removals(topic);
  if (!fluxbp_msg_is_removal(msg)) return fluxbp__state_reserve(state, key);
  int64_t place = fluxbp__state_find(state, key);
  return place >= 0 && !fluxbp__state_is_removed(state, (uint32_t) place) ? place : UV_ENOENT;
}

static int publish_state(fluxbp_topic_t *topic, fluxbp_msg_t *msg, fluxbp_frame_t **frames) {
  fluxbp__state_t *state = topic->state;
  uint64_t key;
  if (!fluxbp_msg_key(msg, &key)) return UV_EINVAL;
  int64_t place = place_for(topic, msg, key);
  if (place < 0) {
    memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
    return place == UV_ENOENT ? 0 : (int) place;
  }
  int err = encode_for_members(topic, msg, 0, frames);
  if (err) {
    if (state->values[place].msg == NULL) (void) fluxbp__state_forget(state, key);
    return err;
  }

  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++)
    if (frames[i] != NULL) fluxbp__state_mark(state, key, frames[i]);
  fluxbp__state_set(state, (uint32_t) place, ++topic->hub->last_change, msg, frames);
  int receivers = 0;
  for (uint32_t i = 0; i < topic->member_count; i++) {
    fluxbp_conn_t *conn = topic->members[i];
    if (conn->state != FLUXBP__CONN_OPEN) continue;
    receivers++;
    if (conn->catching_up > 0 && fluxbp__catch_up_will_come(topic, conn, (uint32_t) place)) continue;
    if (!fluxbp__conn_stage_state(conn, frames[conn->codec])) fluxbp__catch_up_miss(topic, conn, (uint32_t) place);
  }
  return receivers;
}

int fluxbp__topic_deliver(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id) {
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX];
  fluxbp_hub_t *hub = topic->hub;
  fluxbp__broadcast_begin(&hub->broadcast, &hub->turn);
  int receivers = topic->state == NULL ? publish_log(topic, msg, id, frames) : publish_state(topic, msg, frames);
  if (receivers < 0) return receivers;
  hub->totals.published++; /* a dormant topic may be gone */
  fluxbp__broadcast_staged(&hub->broadcast, &hub->turn);
  unref_frames(frames);
  return receivers;
}

int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg) {
  fluxbp_hub_t *hub = topic->hub;
  if (hub->is_closing) return UV_ECANCELED;
  if (hub->bus.reader.bus != NULL) return UV_EPERM;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  return fluxbp__topic_deliver(topic, msg, hub->last_id + 1);
}

/* The frame of each codec that takes the message; there is nobody who could be told of the others. */
static void encode_where_possible(const fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id,
                                  fluxbp_frame_t **frames) {
  const fluxbp_hub_t *hub = topic->hub;
  memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
  for (size_t i = 0; i < hub->codec_count; i++) {
    if (topic->codec_members[i] == 0) continue;
    int err = fluxbp__frame_create(hub->pool, msg, hub->codecs[i], topic->name, id, &frames[i]);
    if (err) frames[i] = NULL;
    if (frames[i] != NULL) frames[i]->time_ms = hub->observed_ms;
  }
}

bool fluxbp__topic_can_keep(const fluxbp_topic_t *topic, const fluxbp_msg_t *msg) {
  const fluxbp__state_t *state = topic->state;
  uint64_t key;
  if (state == NULL) return true;
  if (!fluxbp_msg_key(msg, &key)) return false;
  int64_t place = fluxbp__state_find(state, key);
  bool has_value = place >= 0 && !fluxbp__state_is_removed(state, (uint32_t) place);
  return has_value || fluxbp__state_live(state) < state->max_count;
}

void fluxbp__topic_deliver_in_part(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id) {
  bool is_log = topic->state == NULL;
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX] = {NULL};
  fluxbp_frame_t lost = {.kind = FLUXBP__FRAME_MESSAGE, .id = is_log ? id : 0};
  lost.time_ms = fluxbp__hub_observe(topic->hub);
  if (is_log) encode_where_possible(topic, msg, id, frames);
  for (uint32_t i = 0; i < topic->member_count; i++) {
    fluxbp_conn_t *conn = topic->members[i];
    bool is_live = conn->state == FLUXBP__CONN_OPEN && (!is_log || fluxbp__conn_replay(conn) == NULL);
    if (!is_live) continue;
    if (frames[conn->codec] != NULL)
      (void) fluxbp__conn_stage(conn, frames[conn->codec]);
    else
      fluxbp__conn_lose(conn, &lost);
  }
  topic->hub->totals.published++;
  unref_frames(frames);
  if (is_log) fluxbp__replay_record(topic, msg, id); /* others may come whose codec can carry it */
}
