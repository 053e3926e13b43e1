/* SPDX-License-Identifier: MIT */
/*
 * topic_past: what a log topic has of the past, for connections that resume.
 */
#include "topics.h"

#include "bus.h"
#include "conn_stage.h"
#include "fluxbp/pattern.h"
#include "msg.h"
#include "replay.h"
#include "subscriptions.h"

/* Whether the bus may have a message of that id, which this loop hasn't read yet. */
static bool may_come(const fluxbp__topics_t *topics, uint64_t id) {
  return topics->bus != NULL && fluxbp__bus_may_have(topics->bus, id);
}

/* The id up to which something of a topic that the pattern matches may be lost. A topic that the hub doesn't have may
 * come, too. */
static uint64_t lost_id_of_pattern(const fluxbp_topic_t *pattern) {
  const fluxbp__topics_t *topics = pattern->topics;
  uint64_t lost_id = topics->history.unknown_lost_id;
  const fluxbp__table_link_t *link = NULL;
  while ((link = fluxbp__table_next(&topics->names, link)) != NULL) {
    const fluxbp_topic_t *topic = FLUXBP__CONTAINER(link, fluxbp_topic_t, named);
    if (!fluxbp__topic_is_log(topic) || topic->past.lost_id <= lost_id) continue;
    if (fluxbp_pattern_matches(fluxbp__topic_name(pattern), fluxbp__topic_name(topic))) lost_id = topic->past.lost_id;
  }
  return lost_id;
}

static uint64_t lost_id_of(const fluxbp_topic_t *topic) {
  return topic->is_pattern ? lost_id_of_pattern(topic) : topic->past.lost_id;
}

int fluxbp_topic_subscribe_since(fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint64_t epoch, uint64_t since_id) {
  fluxbp__topics_t *topics = topic->topics;
  if (topic->state != NULL) return UV_EINVAL;
  if (epoch != topics->epoch) return UV_ENOENT;
  if (since_id > topics->last_id) return may_come(topics, since_id) ? UV_EAGAIN : UV_EINVAL;
  fluxbp__replay_forget_old(topics);
  if (since_id < lost_id_of(topic)) return UV_ERANGE;
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
  fluxbp__replay_forget_old(topic->topics);
  return topic->state == NULL ? lost_id_of(topic) : 0;
}

/* As fluxbp_topic_since_last: the newest messages of all topics that match. */
static int64_t since_last_of_pattern(const fluxbp_topic_t *pattern, uint32_t count, uint64_t *since_id) {
  const fluxbp__history_t *history = &pattern->topics->history;
  int64_t found = 0;
  *since_id = pattern->topics->last_id;
  for (uint64_t number = history->end; number > history->first && found < count; number--) {
    const fluxbp__past_t *past = fluxbp__history_at(history, number - 1);
    if (past->msg == NULL) continue;
    const fluxbp_topic_t *topic = FLUXBP__CONTAINER(past->of, fluxbp_topic_t, past);
    if (!fluxbp_pattern_matches(fluxbp__topic_name(pattern), fluxbp__topic_name(topic))) continue;
    *since_id = past->id - 1;
    found++;
  }
  return found;
}

int64_t fluxbp_topic_since_last(fluxbp_topic_t *topic, uint32_t count, uint64_t *since_id) {
  fluxbp__topics_t *topics = topic->topics;
  const fluxbp__history_t *history = &topics->history;
  if (topic->state != NULL) return UV_EINVAL;
  fluxbp__replay_forget_old(topics);
  if (topic->is_pattern) return since_last_of_pattern(topic, count, since_id);
  uint64_t found = count < topic->past.count ? count : topic->past.count;
  uint64_t number = topic->past.last;
  uint32_t newer = 0; /* from there to the topic's next one */
  *since_id = topics->last_id;
  for (uint64_t i = 0; i < found; i++) {
    const fluxbp__past_t *past = fluxbp__history_at(history, number);
    *since_id = past->id - 1;
    newer ^= past->link;
    number -= newer;
  }
  return (int64_t) found;
}

void fluxbp_topic_measure_past(fluxbp_topic_t *topic, uint64_t since_id, uint64_t *messages, uint64_t *bytes) {
  const fluxbp__history_t *history = &topic->topics->history;
  fluxbp__replay_forget_old(topic->topics);
  uint64_t count = topic->is_pattern ? history->count : topic->past.count;
  uint64_t all_bytes = topic->is_pattern ? history->bytes : topic->past.bytes;
  uint64_t newer = topic->state == NULL ? history->end - fluxbp__history_after(history, since_id) : 0;
  *messages = newer < count ? newer : count;
  *bytes = *messages < count ? all_bytes / count * *messages : topic->state == NULL ? all_bytes : 0;
}

int fluxbp_topic_send_past(fluxbp_topic_t *topic, fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint64_t id) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_frame_t *frame;
  if (topic->topics != fluxbp__conn_topics(conn) || !fluxbp__topic_is_log(topic)) return UV_EINVAL;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (!fluxbp__conn_has_room_for(conn, NULL)) return UV_EAGAIN;
  int err = fluxbp__frame_create(engine->pool, msg, engine->codecs[conn->codec], fluxbp__topic_name(topic), id, &frame);
  if (err == UV_ENOBUFS || err == UV_ENOMEM) return err;
  if (err) {
    fluxbp__replay_lose(conn, id);
    return 0;
  }
  frame->time_ms = fluxbp__engine_observe(engine);
  int result = fluxbp__conn_has_room_for(conn, frame) ? fluxbp__conn_stage(conn, frame) : UV_EAGAIN;
  fluxbp_frame_unref(frame);
  return result;
}
