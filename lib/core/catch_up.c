/* SPDX-License-Identifier: MIT */
/*
 * catch_up: how a connection that is behind a state topic gets the newest value of each key, at its own pace.
 *
 * Design notes
 *
 * A value of a state topic is never lost for one connection. Either it is in the connection's ring, or a walk over the
 * topic's values is going to stage it: from the subscription's cursor to the end, in batches up to the high watermark,
 * one batch a visit. A publication that the cursor has yet to reach isn't staged. One that has no room in the ring
 * needs another walk after this one (is_missing), and counts nowhere until that walk stages it.
 *
 * - The first walk of a subscription stages every value. Later ones stage only what has changed since the oldest change
 *   that the connection missed; every publication on a state topic has a number for that (last_change of the hub).
 * - Walks end where the values end, and a miss never sends a cursor back. So each walk gives every key its turn,
 *   however often others change, and a miss costs the publisher a comparison.
 * - The number from which on changes are missing belongs to the connection, not to the subscription, of which there are
 *   too many for that. So the next walks of all its subscriptions begin together, when their present ones have ended.
 *   First walks don't wait for others, nor do others wait for them.
 * - A walk may stage a value a second time that has changed after the oldest miss and was staged since. Values replace
 *   each other, so that is harmless; to know better would cost a bit for each key and connection.
 * - A value that leaves a ring to make room for a message of a log topic is a miss like any other.
 * - A removal is the newest value of its key like any other, and keeps the key's place while a connection may have yet
 *   to get it: while one of the topic is behind, or anything is queued on the hub. First walks leave it out. Removals
 *   beside values are limited: when there are as many as there may be values, all of them are forgotten, as below.
 * - A key that one connection alone has set (`origin` of the value) is never staged for that connection, by publishing
 *   or by a walk: it knows the newest value, and an older one that came later would be taken for the newest. As soon
 *   as another origin, or none, has set the key, the connection gets its values like every subscriber, its own
 *   included: only their order in its stream says which one is the newest. For the same reason a key that was
 *   forgotten after several had set it must not begin again as one of a connection that may have yet to receive the
 *   old values (shared_until).
 * - A key that is forgotten has no value any more that a walk could come to. Its last one becomes an ordinary message
 *   for each connection that has yet to get it.
 */
#include "catch_up.h"

#include "conn_blocks.h"
#include "conn_end.h"
#include "conn_pressure.h"
#include "conn_stage.h"
#include "conn_write.h"
#include "subscriptions.h"

/* A visit looks at so many places at most, however few of them have something for the connection. */
enum { LOOKED_AT_MAX = 1024 };

static bool is_walking(const fluxbp__subscription_t *subscription) {
  return subscription->topic->state != NULL && subscription->cursor != FLUXBP__CURSOR_END;
}

static bool is_catching_up(const fluxbp__subscription_t *subscription) {
  return is_walking(subscription) || (subscription->topic->state != NULL && subscription->is_missing);
}

/* Its walk stages values with changes after this one. */
static uint64_t changed_since(const fluxbp_conn_t *conn, const fluxbp__subscription_t *subscription) {
  return subscription->is_newcomer ? 0 : conn->rare->changed_since;
}

/* Whether the present walk is going to stage what was changed by `change` at `place`. */
static bool is_ahead(const fluxbp_conn_t *conn, const fluxbp__subscription_t *subscription, uint32_t place,
                     uint64_t change) {
  return subscription->cursor <= place && change > changed_since(conn, subscription);
}

static void note_catching_up(fluxbp_conn_t *conn, const fluxbp__subscription_t *subscription) {
  subscription->topic->catching_up++;
  conn->catching_up++;
  fluxbp__conn_catch_up(conn);
}

static void note_up_to_date(fluxbp_conn_t *conn, const fluxbp__subscription_t *subscription) {
  subscription->topic->catching_up--;
  conn->catching_up--;
  fluxbp__conn_release_rare(conn);
}

void fluxbp__catch_up_begin(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  subscription->cursor = 0;
  subscription->is_newcomer = true;
  note_catching_up(conn, subscription);
}

void fluxbp__catch_up_cancel(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  if (!is_catching_up(subscription)) return;
  if (is_walking(subscription) && !subscription->is_newcomer) conn->rare->walks--;
  if (subscription->is_missing) conn->rare->missing--;
  subscription->cursor = FLUXBP__CURSOR_END;
  subscription->is_missing = false;
  note_up_to_date(conn, subscription);
}

bool fluxbp__catch_up_will_come(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn, uint32_t place) {
  const fluxbp__subscription_t *subscription = fluxbp__conn_subscription(conn, topic);
  if (subscription->cursor <= place) return true;
  /* what is queued of its key while the kernel refuses can be brought up to date; otherwise the next walk is soon
   * enough */
  return subscription->is_missing && !conn->is_writing;
}

/* Whether the connection alone has set the key of the value. */
static bool has_set_alone(const fluxbp_conn_t *conn, const fluxbp__state_value_t *value) {
  return value->origin != 0 && value->origin == fluxbp__conn_origin(conn);
}

static void miss(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint32_t place, uint64_t change) {
  if (is_ahead(conn, subscription, place, change)) return;
  if (!fluxbp__conn_take_rare(conn)) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return;
  }
  fluxbp__rare_t *rare = conn->rare;
  if (rare->missing == 0 || change <= rare->missed_since) rare->missed_since = change - 1;
  if (subscription->is_missing) return;
  bool was_up_to_date = !is_walking(subscription);
  subscription->is_missing = true;
  rare->missing++;
  if (was_up_to_date) note_catching_up(conn, subscription);
}

void fluxbp__catch_up_miss(const fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint32_t place) {
  if (conn->state != FLUXBP__CONN_OPEN) return;
  miss(conn, fluxbp__conn_subscription(conn, topic), place, topic->state->values[place].change);
}

/* The walk has come to its end. */
static void finish_walk(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  if (subscription->is_newcomer)
    fluxbp__conn_begin_grace(conn);
  else
    conn->rare->walks--;
  subscription->cursor = FLUXBP__CURSOR_END;
  subscription->is_newcomer = false;
  if (!subscription->is_missing) note_up_to_date(conn, subscription);
}

/* Stage from the cursor on, as far as there is room and `*looked_at` allows. */
static void walk(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint32_t *looked_at) {
  const fluxbp__state_t *state = subscription->topic->state;
  uint64_t since = changed_since(conn, subscription);
  for (; subscription->cursor < state->end; subscription->cursor++, ++*looked_at) {
    if (*looked_at == LOOKED_AT_MAX) return;
    const fluxbp__state_value_t *value = &state->values[subscription->cursor];
    if (value->msg == NULL || value->change <= since || has_set_alone(conn, value)) continue;
    if (subscription->is_newcomer && fluxbp_msg_is_removal(value->msg)) continue; /* it never had the key */
    fluxbp_frame_t *frame = value->frames[conn->codec];
    if (!fluxbp__conn_has_room_for(conn, frame) || !fluxbp__conn_stage_state(conn, frame)) return;
  }
  finish_walk(conn, subscription);
}

/* All walks over changed values have ended: begin those that were waiting for that. */
static void begin_next_walks(fluxbp_conn_t *conn) {
  fluxbp__rare_t *rare = conn->rare;
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  rare->changed_since = rare->missed_since;
  for (uint32_t i = 0; i < conn->subscription_count; i++) {
    fluxbp__subscription_t *subscription = &subscriptions[i];
    if (is_walking(subscription) || !is_catching_up(subscription)) continue;
    subscription->is_missing = false;
    subscription->cursor = 0;
    rare->missing--;
    rare->walks++;
  }
}

void fluxbp__catch_up_walk(fluxbp_conn_t *conn, uint32_t first) {
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  uint32_t looked_at = 0;
  for (uint32_t i = 0; i < conn->subscription_count; i++) {
    fluxbp__subscription_t *subscription = &subscriptions[(first + i) % conn->subscription_count];
    if (is_walking(subscription)) walk(conn, subscription, &looked_at);
  }
}

void fluxbp__catch_up_begin_next(fluxbp_conn_t *conn) {
  if (conn->rare != NULL && conn->rare->missing > 0 && conn->rare->walks == 0) begin_next_walks(conn);
}

void fluxbp__catch_up_forget(const fluxbp_topic_t *topic, uint32_t place) {
  const fluxbp__state_value_t *value = &topic->state->values[place];
  if (value->origin == 0) topic->state->shared_until = topic->topics->engine.last_conn_id;
  for (uint32_t i = 0; topic->catching_up > 0 && i < topic->member_count; i++) {
    fluxbp_conn_t *conn = topic->members[i];
    if (conn->state != FLUXBP__CONN_OPEN || has_set_alone(conn, value)) continue;
    const fluxbp__subscription_t *subscription = fluxbp__conn_subscription(conn, topic);
    bool is_ahead_now = is_ahead(conn, subscription, place, value->change);
    bool is_missed = subscription->is_missing && value->change > conn->rare->missed_since;
    if (is_ahead_now ? subscription->is_newcomer : !is_missed)
      continue; /* it never had the key, or has its last value */
    fluxbp_frame_t *frame = value->frames[conn->codec];
    if (!fluxbp__conn_stage_state(conn, frame) && conn->state == FLUXBP__CONN_OPEN)
      (void) fluxbp__conn_stage(conn, frame);
  }
}

/* Have the topic of a queued value give the value, or a newer one, to the connection again. Returns false if the topic
 * can't. */
static bool take_value_back(void *arg, const fluxbp_frame_t *queued) {
  fluxbp_conn_t *conn = arg;
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  for (uint32_t i = 0; i < conn->subscription_count; i++) {
    const fluxbp__state_t *state = subscriptions[i].topic->state;
    if (state == NULL || state->number != queued->state.topic) continue;
    int64_t place = fluxbp__state_find(state, queued->state.key);
    if (place < 0) return false;
    miss(conn, &subscriptions[i], (uint32_t) place, state->values[place].change);
    return conn->state == FLUXBP__CONN_OPEN;
  }
  return false;
}

void fluxbp__catch_up_take_values_back(fluxbp_conn_t *conn) {
  uint64_t bytes_before = conn->ring.bytes;
  if (!fluxbp__conn_take_rare(conn)) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return;
  }
  uint32_t taken = fluxbp__ring_take_values(&conn->ring, take_value_back, conn);
  conn->rare->conflated += taken;
  fluxbp__ledger_conflate(&fluxbp__conn_engine(conn)->ledger, taken, bytes_before - conn->ring.bytes);
}
