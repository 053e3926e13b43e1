/* SPDX-License-Identifier: MIT */
/*
 * topic_publish: one publication for all members of a topic. A message is encoded once for each codec that a member uses, and
 * put into the ring of each member; nothing here writes to a transport or calls the user.
 */
#include "topic_publish.h"

#include "catch_up.h"
#include "conn_stage.h"
#include "msg.h"
#include "replay.h"

#include <string.h>

enum { REMOVALS_MIN = 16 };

static void unref_frames(fluxbp_frame_t *const *frames) {
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++)
    if (frames[i] != NULL) fluxbp__frame_unref(frames[i]);
}

/* One frame for each codec that a member uses, before anything is queued: all get it, or none. */
static int encode_for_members(const fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, fluxbp_frame_t **frames) {
  fluxbp__engine_t *engine = &topic->topics->engine;
  uint64_t now_ms = fluxbp__engine_observe(engine);
  memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
  for (size_t i = 0; i < engine->codec_count; i++) {
    if (topic->codec_members[i] == 0) continue;
    int err = fluxbp__frame_create(engine->pool, msg, engine->codecs[i], topic->name, id, &frames[i]);
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

  topic->topics->last_id = id;
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
  bool is_needed = topic->catching_up > 0 || topic->topics->engine.ledger.totals.queued > 0;
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
  fluxbp__state_set(state, (uint32_t) place, ++topic->topics->last_change, msg, frames);
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
  fluxbp__topics_t *topics = topic->topics;
  fluxbp__broadcast_begin(&topics->broadcast, &topics->engine.turn);
  int receivers = topic->state == NULL ? publish_log(topic, msg, id, frames) : publish_state(topic, msg, frames);
  if (receivers < 0) return receivers;
  fluxbp__ledger_publish(&topics->engine.ledger); /* a dormant topic may be gone */
  fluxbp__broadcast_staged(&topics->broadcast, &topics->engine.turn);
  unref_frames(frames);
  return receivers;
}

int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg) {
  fluxbp__topics_t *topics = topic->topics;
  if (topics->engine.is_closing) return UV_ECANCELED;
  if (topics->bus != NULL) return UV_EPERM;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  return fluxbp__topic_deliver(topic, msg, topics->last_id + 1);
}

/* Publish a message, and give up its only reference. */
static int publish_and_unref(fluxbp_topic_t *topic, fluxbp_msg_t *msg) {
  int result = fluxbp_topic_publish(topic, msg);
  fluxbp_msg_unref(msg);
  return result;
}

int fluxbp_topic_publish_bytes(fluxbp_topic_t *topic, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  int err = fluxbp_msg_create(topic->topics->engine.pool, data, length, &msg);
  return err ? err : publish_and_unref(topic, msg);
}

int fluxbp_topic_publish_bytes_keyed(fluxbp_topic_t *topic, uint64_t key, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  int err = fluxbp_msg_create_keyed(topic->topics->engine.pool, key, data, length, &msg);
  return err ? err : publish_and_unref(topic, msg);
}

/* The frame of each codec that takes the message; there is nobody who could be told of the others. */
static void encode_where_possible(const fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id,
                                  fluxbp_frame_t **frames) {
  const fluxbp__engine_t *engine = &topic->topics->engine;
  memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
  for (size_t i = 0; i < engine->codec_count; i++) {
    if (topic->codec_members[i] == 0) continue;
    int err = fluxbp__frame_create(engine->pool, msg, engine->codecs[i], topic->name, id, &frames[i]);
    if (err) frames[i] = NULL;
    if (frames[i] != NULL) frames[i]->time_ms = engine->observed_ms;
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
  lost.time_ms = fluxbp__engine_observe(&topic->topics->engine);
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
  fluxbp__ledger_publish(&topic->topics->engine.ledger);
  unref_frames(frames);
  if (is_log) fluxbp__replay_record(topic, msg, id); /* others may come whose codec can carry it */
}
