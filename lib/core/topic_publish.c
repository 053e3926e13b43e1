/* SPDX-License-Identifier: MIT */
/*
 * topic_publish: one publication for all members of a topic. A message is encoded once for each codec that a member
 * uses, and put into the ring of each member; nothing here writes to a transport or calls the user.
 */
#include "topic_publish.h"

#include "catch_up.h"
#include "conn_stage.h"
#include "msg.h"
#include "replay.h"
#include "topic_codecs.h"
#include "topic_patterns.h"

#include <string.h>

enum { REMOVALS_MIN = 16 };

static void unref_frames(fluxbp_frame_t *const *frames) {
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++)
    if (frames[i] != NULL) fluxbp__frame_unref(frames[i]);
}

/* ---- the members of patterns that match ---- */

/* Return the codecs of the connections that get what is published on the topic: a bit for each. */
static uint16_t codecs_of_receivers(const fluxbp_topic_t *topic) {
  uint16_t set = fluxbp__topic_codecs(topic);
  for (uint32_t i = 0; topic->matches != NULL && i < topic->matches->count; i++)
    set |= fluxbp__topic_codecs(topic->matches->patterns[i]);
  return set;
}

/* Whether a publication may reach a connection in more than one way. */
static bool has_several_ways(const fluxbp_topic_t *topic) {
  return topic->matches != NULL && topic->matches->count + (topic->member_count > 0) > 1;
}

/* Find the patterns that match, and have a set for connections that they share. 0 or UV_ENOMEM. */
static int prepare_matches(fluxbp_topic_t *topic) {
  fluxbp__topics_t *topics = topic->topics;
  int err = fluxbp__patterns_resolve(topic);
  if (err || !has_several_ways(topic)) return err;
  return fluxbp__conn_set_reserve(&topics->reached, topics->engine.pool, topics->engine.conn_capacity);
}

static void forget_reached(fluxbp__conn_set_t *reached, const fluxbp_topic_t *topic) {
  fluxbp_conn_t *const *members = fluxbp__topic_members(topic);
  for (uint32_t i = 0; i < topic->member_count; i++) fluxbp__conn_set_clear(reached, members[i]->index);
}

/* Called for a connection that a pattern brings. Returns how many receivers that makes: 0 or 1. */
typedef int (*reach_t)(fluxbp_conn_t *conn, void *arg);

/* Visit each member of the patterns that match the topic, once, unless the connection is a member of the topic, too.
 * The topic is prepared (prepare_matches). */
static inline int visit_members_of_patterns(const fluxbp_topic_t *topic, reach_t visit, void *arg) {
  const fluxbp__matches_t *matches = topic->matches;
  fluxbp__conn_set_t *reached = has_several_ways(topic) ? &topic->topics->reached : NULL;
  int receivers = 0;
  for (uint32_t i = 0; reached != NULL && i < topic->member_count; i++)
    (void) fluxbp__conn_set_add(reached, fluxbp__topic_members(topic)[i]->index);
  for (uint32_t i = 0; matches != NULL && i < matches->count; i++) {
    const fluxbp_topic_t *pattern = matches->patterns[i];
    fluxbp_conn_t *const *members = fluxbp__topic_members(pattern);
    for (uint32_t j = 0; j < pattern->member_count; j++) {
      fluxbp_conn_t *conn = members[j];
      if (reached == NULL || fluxbp__conn_set_add(reached, conn->index)) receivers += visit(conn, arg);
    }
  }
  if (reached == NULL) return receivers;
  forget_reached(reached, topic);
  for (uint32_t i = 0; i < matches->count; i++) forget_reached(reached, matches->patterns[i]);
  return receivers;
}

/* ---- publishing ---- */

/* One frame for each codec that a member uses, before anything is queued: all get it, or none. */
static int encode_for_members(const fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, fluxbp_frame_t **frames) {
  fluxbp__engine_t *engine = &topic->topics->engine;
  uint64_t now_ms = fluxbp__engine_observe(engine);
  memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
  for (unsigned set = codecs_of_receivers(topic); set != 0; set &= set - 1) {
    unsigned i = (unsigned) __builtin_ctz(set);
    int err = fluxbp__frame_create(engine->pool, msg, engine->codecs[i], fluxbp__topic_name(topic), id, &frames[i]);
    if (err) {
      frames[i] = NULL;
      unref_frames(frames);
      return err;
    }
    frames[i]->time_ms = now_ms;
  }
  return 0;
}

static inline int stage_for_one(fluxbp_conn_t *conn, void *arg) {
  fluxbp_frame_t *const *frames = arg;
  if (conn->state != FLUXBP__CONN_OPEN) return 0;
  if (fluxbp__conn_replay(conn) == NULL) (void) fluxbp__conn_stage(conn, frames[conn->codec]);
  return 1;
}

/* Stage a log topic's frames for the members of patterns, as publish_log does for the topic's own. Apart from it,
 * because the loop there takes an instruction more for each member if both are in one function. */
__attribute__((noinline)) static int stage_for_patterns(const fluxbp_topic_t *topic, fluxbp_frame_t **frames) {
  return visit_members_of_patterns(topic, stage_for_one, frames);
}

/* A message that is staged for all connections but one. */
typedef struct excluding {
  fluxbp_frame_t **frames;
  uint64_t skipped; /* the id of the connection that doesn't get it; not 0 */
} excluding_t;

static int stage_unless_skipped(fluxbp_conn_t *conn, void *arg) {
  const excluding_t *excluding = arg;
  return conn->id != excluding->skipped ? stage_for_one(conn, excluding->frames) : 0;
}

/* Stage a log topic's frames for all members, those by pattern included, except for the connection `skipped`. */
__attribute__((noinline)) static int stage_for_all_but(const fluxbp_topic_t *topic, fluxbp_frame_t **frames,
                                                       uint64_t skipped) {
  excluding_t excluding = {.frames = frames, .skipped = skipped};
  fluxbp_conn_t *const *members = fluxbp__topic_members(topic);
  int receivers = 0;
  for (uint32_t i = 0; i < topic->member_count; i++) receivers += stage_unless_skipped(members[i], &excluding);
  return receivers + visit_members_of_patterns(topic, stage_unless_skipped, &excluding);
}

static int stage_for_all(const fluxbp_topic_t *topic, fluxbp_frame_t **frames) {
  fluxbp_conn_t *const *members = fluxbp__topic_members(topic);
  int receivers = 0;
  for (uint32_t i = 0; i < topic->member_count; i++) {
    fluxbp_conn_t *conn = members[i];
    if (conn->state != FLUXBP__CONN_OPEN) continue;
    if (fluxbp__conn_replay(conn) == NULL) (void) fluxbp__conn_stage(conn, frames[conn->codec]);
    receivers++;
  }
  if (topic->matches != NULL) receivers += stage_for_patterns(topic, frames);
  return receivers;
}

static int publish_log(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin,
                       fluxbp_frame_t **frames) {
  int err = prepare_matches(topic);
  if (!err) err = encode_for_members(topic, msg, id, frames);
  if (err) return err;

  topic->topics->last_id = id;
  uint64_t skipped = fluxbp__engine_conn_id(&topic->topics->engine, origin);
  int receivers = skipped == 0 ? stage_for_all(topic, frames) : stage_for_all_but(topic, frames, skipped);
  fluxbp__replay_record(topic, msg, id, origin);
  return receivers;
}

/* Forget removals that no connection can need any more, when they are an eighth of the places. When there are as many
 * as there may be values, all are forgotten in any case. */
static void drop_removals(fluxbp_topic_t *topic) {
  fluxbp__state_t *state = topic->state;
  bool is_needed = fluxbp__topic_behind_count(topic) > 0 || topic->topics->engine.ledger.totals.queued > 0;
  uint32_t limit = is_needed ? state->max_count : state->end / 8;
  if (state->removed < limit || state->removed < REMOVALS_MIN) return;
  for (uint32_t place = 0; state->removed > 0; place++) {
    if (!fluxbp__state_is_removed(state, place)) continue;
    fluxbp__catch_up_forget(topic, place);
    (void) fluxbp__state_forget(state, state->values[place].key);
  }
}

/* The place of the message's key: what the key has now, or a new one for a value. UV_ENOENT: nothing is to be
 * removed. */
static int64_t place_for(fluxbp_topic_t *topic, const fluxbp_msg_t *msg, uint64_t key) {
  fluxbp__state_t *state = topic->state;
  if (state->removed > 0) drop_removals(topic);
  if (!fluxbp_msg_is_removal(msg)) return fluxbp__state_reserve(state, key);
  int64_t place = fluxbp__state_find(state, key);
  return place >= 0 && !fluxbp__state_is_removed(state, (uint32_t) place) ? place : UV_ENOENT;
}

/* Stage the newest change for each open member that isn't behind, but for the one with the id `skipped`. A member whose
 * ring has no room falls behind, and another one takes its place among those that aren't. Returns how many members get
 * the value, now or later. Inlined for each caller: where `skipped` is a constant 0, no member's id is looked at. */
static inline __attribute__((always_inline)) int stage_state(fluxbp_topic_t *topic, fluxbp_frame_t *const *frames,
                                                             uint64_t skipped) {
  int receivers = (int) fluxbp__topic_behind_count(topic);
  for (uint32_t i = 0; i < topic->member_count;) {
    fluxbp_conn_t *conn = fluxbp__topic_members(topic)[i];
    bool is_meant = conn->state == FLUXBP__CONN_OPEN && (skipped == 0 || conn->id != skipped);
    receivers += is_meant;
    bool has_missed = is_meant && !fluxbp__conn_stage_state(conn, frames[conn->codec]);
    if (!has_missed || !fluxbp__catch_up_miss(topic, conn)) i++;
  }
  return receivers;
}

__attribute__((noinline)) static int stage_state_for_all_but(fluxbp_topic_t *topic, fluxbp_frame_t *const *frames,
                                                             uint64_t skipped) {
  int receivers = stage_state(topic, frames, skipped);
  for (uint32_t i = topic->member_count; i < fluxbp__topic_member_count(topic); i++)
    receivers -= fluxbp__topic_member(topic, i)->id == skipped;
  return receivers;
}

/* Return the origin that has set the key alone, this publication included, or 0: see state.h. The connection of a new
 * key must be younger than the last key that was forgotten, or it may have yet to get a value of that key. */
static uint64_t sole_origin(const fluxbp_topic_t *topic, uint32_t place, uint64_t origin) {
  const fluxbp__state_t *state = topic->state;
  const fluxbp__state_value_t *value = &state->values[place];
  if (value->msg != NULL) return value->origin == origin ? origin : 0;
  uint64_t conn_id = fluxbp__engine_conn_id(&topic->topics->engine, origin);
  return conn_id > state->shared_until ? origin : 0;
}

static int publish_state(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t origin, fluxbp_frame_t **frames) {
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
  uint64_t sole = sole_origin(topic, (uint32_t) place, origin);
  fluxbp__state_set(state, (uint32_t) place, sole, msg, frames);
  uint64_t skipped = fluxbp__engine_conn_id(&topic->topics->engine, sole);
  return skipped == 0 ? stage_state(topic, frames, 0) : stage_state_for_all_but(topic, frames, skipped);
}

int fluxbp__topic_deliver(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin) {
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX];
  fluxbp__topics_t *topics = topic->topics;
  fluxbp__broadcast_begin(&topics->broadcast, &topics->engine.turn);
  int receivers =
      topic->state == NULL ? publish_log(topic, msg, id, origin, frames) : publish_state(topic, msg, origin, frames);
  if (receivers < 0) return receivers;
  fluxbp__ledger_publish(&topics->engine.ledger); /* a dormant topic may be gone */
  fluxbp__broadcast_staged(&topics->broadcast, &topics->engine.turn);
  unref_frames(frames);
  return receivers;
}

int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg) {
  return fluxbp_topic_publish_from(topic, msg, 0);
}

int fluxbp_topic_publish_from(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t origin) {
  fluxbp__topics_t *topics = topic->topics;
  if (topics->engine.is_closing) return UV_ECANCELED;
  if (topics->bus != NULL) return UV_EPERM;
  if (topic->is_pattern || !fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  return fluxbp__topic_deliver(topic, msg, topics->last_id + 1, origin);
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

/* Make the frame of each codec that takes the message. An error of another codec is no error of the publication: the
 * members of that codec lose the message. */
static void encode_where_possible(const fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id,
                                  fluxbp_frame_t **frames) {
  const fluxbp__engine_t *engine = &topic->topics->engine;
  memset(frames, 0, FLUXBP_CODECS_MAX * sizeof *frames);
  for (unsigned set = codecs_of_receivers(topic); set != 0; set &= set - 1) {
    unsigned i = (unsigned) __builtin_ctz(set);
    int err = fluxbp__frame_create(engine->pool, msg, engine->codecs[i], fluxbp__topic_name(topic), id, &frames[i]);
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

/* A message that some codecs refuse. */
typedef struct partial {
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX]; /* NULL: the codec refuses it */
  const fluxbp_frame_t *lost;                /* for those connections */
  uint64_t skipped;                          /* the id of the connection that doesn't get it, or 0 */
  bool is_log;
} partial_t;

static int stage_or_lose(fluxbp_conn_t *conn, void *arg) {
  const partial_t *partial = arg;
  bool is_live = conn->state == FLUXBP__CONN_OPEN && (!partial->is_log || fluxbp__conn_replay(conn) == NULL);
  if (!is_live || conn->id == partial->skipped) return 0;
  if (partial->frames[conn->codec] != NULL)
    (void) fluxbp__conn_stage(conn, partial->frames[conn->codec]);
  else
    fluxbp__conn_lose(conn, partial->lost);
  return 1;
}

void fluxbp__topic_deliver_in_part(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin) {
  bool is_log = topic->state == NULL;
  fluxbp_frame_t lost = {.kind = FLUXBP__FRAME_MESSAGE, .id = is_log ? id : 0};
  partial_t partial = {.lost = &lost, .is_log = is_log};
  if (is_log) partial.skipped = fluxbp__engine_conn_id(&topic->topics->engine, origin);
  lost.time_ms = fluxbp__engine_observe(&topic->topics->engine);
  if (is_log) encode_where_possible(topic, msg, id, partial.frames);
  for (uint32_t i = 0; i < fluxbp__topic_member_count(topic); i++)
    (void) stage_or_lose(fluxbp__topic_member(topic, i), &partial);
  if (is_log) (void) visit_members_of_patterns(topic, stage_or_lose, &partial);
  fluxbp__ledger_publish(&topic->topics->engine.ledger);
  unref_frames(partial.frames);
  /* a connection may come whose codec can carry the message */
  if (is_log) fluxbp__replay_record(topic, msg, id, origin);
}
