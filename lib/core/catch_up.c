/* SPDX-License-Identifier: MIT */
/*
 * catch_up: how a connection that is behind a state topic gets the newest value of each key, at its own pace.
 *
 * Design notes
 *
 * A value of a state topic is never lost for one connection. The members of a topic are in two arrays. Publishing
 * stages a value for those that are live, and doesn't visit those that are behind, so a connection that is behind costs
 * the publisher nothing, however many topics it is behind. A live member whose ring has no room for a value moves to
 * the other array; nothing is counted. A member that is behind walks over what it misses: in batches up to the high
 * watermark, one batch a visit of its flush. It is live again when it has come to the newest change.
 *
 * - Each change of a topic has a number. A walk goes along the record of changes (state.c), from the oldest change that
 *   the connection misses to the newest, and stages a value where it comes to the newest change of its key.
 * - Where the record doesn't reach back, and for a new subscription, there is a scan first: over all values, from the
 *   cursor to the end. It stages what has changed since `since`; for a new subscription that is everything. At its end
 *   the connection has all changes up to the one that was the newest when the scan began (`begun`), and goes on along
 *   the record from there.
 * - Each key gets its turn, however often others change: nothing that is published sends a cursor back. A walk that
 *   hasn't come to its end when as many changes have been made since it began as the record holds becomes a scan.
 *   Without that a key that changes all the time would always be ahead of a walk that follows the record at the pace of
 *   the publisher.
 * - A scan may stage a value that the walk comes to again, because it has changed since the scan began. Values replace
 *   each other, so that is harmless; to know better would cost a bit for each key and connection.
 * - A value that leaves a ring to make room for a message of a log topic is missed from then on: `since` or `begun`
 *   goes back.
 * - While the kernel refuses a connection that is behind, values in its ring grow old. When the kernel takes something
 *   again, those that have a newer one are replaced (fluxbp__catch_up_refresh), right before they are written. The walk
 *   comes to the newer one once more, as it does after a scan.
 * - A removal is the newest value of its key like any other, and keeps the key's place while a connection may have yet
 *   to get it: while one of the topic is behind, or anything is queued on the hub. First scans leave it out. Removals
 *   beside values are limited: when there are as many as there may be values, all of them are forgotten, as below.
 * - A key that one connection alone has set (`origin` of the value) is never staged for that connection, by publishing
 *   or by a walk: it knows the newest value, and an older one that came later would be taken for the newest. As soon
 *   as another origin, or none, has set the key, the connection gets its values like every subscriber, its own
 *   included: only their order in its stream says which one is the newest. For the same reason a key that was
 *   forgotten doesn't begin again as the key of a connection that may have yet to receive an old value
 *   (shared_until).
 * - A key that is forgotten has no value any more that a walk could come to. Its last one becomes an ordinary message
 *   for each connection that has yet to get it.
 */
#include "catch_up.h"

#include "conn_blocks.h"
#include "conn_end.h"
#include "conn_pressure.h"
#include "conn_stage.h"
#include "conn_write.h"
#include "pool.h"
#include "subscriptions.h"

enum {
  LOOKED_AT_MAX =
      1024,       /* places or changes at which a visit looks, however few of them have something for the connection */
  BEHIND_MIN = 4, /* an array for more members is given back when none of them is behind any more */

  /* A live member that takes the place of another one is told its new index if so many are left. Of fewer, the one
   * that leaves is searched for: that reads two cache lines, and doesn't touch the other connection and its list. So
   * not more than so many members have an outdated index, however long the topic becomes. */
  INDEXED_FROM = 16
};

/* ---- members that are live, and members that are behind ---- */

void fluxbp__catch_up_add_live(fluxbp_topic_t *topic, fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  subscription->index = topic->member_count;
  fluxbp__topic_members(topic)[topic->member_count++] = conn;
}

/* Return the place of a live member. Its index may be outdated since the topic was short (INDEXED_FROM). */
static uint32_t live_place(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn,
                           const fluxbp__subscription_t *subscription) {
  fluxbp_conn_t *const *members = fluxbp__topic_members(topic);
  if (subscription->index < topic->member_count && members[subscription->index] == conn) return subscription->index;
  uint32_t place = 0;
  while (members[place] != conn) place++;
  return place;
}

void fluxbp__catch_up_remove_live(fluxbp_topic_t *topic, fluxbp_conn_t *conn,
                                  const fluxbp__subscription_t *subscription) {
  uint32_t place = live_place(topic, conn, subscription);
  fluxbp_conn_t **members = fluxbp__topic_members(topic);
  fluxbp_conn_t *last = members[--topic->member_count];
  members[place] = last;
  if (topic->member_count >= INDEXED_FROM && last != conn) fluxbp__conn_subscription(last, topic)->index = place;
}

int fluxbp__catch_up_reserve(fluxbp_topic_t *topic) {
  fluxbp__state_topic_t *state = fluxbp__topic_state(topic);
  if (state->behind_count < state->behind_capacity) return 0;
  uint32_t capacity = fluxbp__pool_next_capacity(state->behind_capacity, BEHIND_MIN);
  fluxbp__behind_t *behind = fluxbp__pool_grow_array(topic->topics->engine.pool, state->behind, sizeof *behind,
                                                     state->behind_capacity, capacity);
  if (behind == NULL) return UV_ENOMEM;
  state->behind = behind;
  state->behind_capacity = capacity;
  return 0;
}

fluxbp__behind_t *fluxbp__catch_up_of(const fluxbp__subscription_t *subscription) {
  if (subscription->topic->state == NULL || !subscription->is_behind) return NULL;
  return &fluxbp__topic_state(subscription->topic)->behind[subscription->index];
}

/* Add a member that is behind, for which there is room. */
static void add_behind(fluxbp__subscription_t *subscription, const fluxbp__behind_t *behind) {
  fluxbp__state_topic_t *state = fluxbp__topic_state(subscription->topic);
  subscription->is_behind = true;
  subscription->index = state->behind_count;
  state->behind[state->behind_count++] = *behind;
  behind->conn->catching_up++;
  fluxbp__conn_catch_up(behind->conn);
}

static void remove_behind(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  fluxbp__state_topic_t *state = fluxbp__topic_state(subscription->topic);
  const fluxbp__behind_t *last = &state->behind[--state->behind_count];
  if (subscription->index != state->behind_count) {
    state->behind[subscription->index] = *last;
    fluxbp__conn_subscription(last->conn, subscription->topic)->index = subscription->index;
  }
  if (state->behind_count == 0 && state->behind_capacity > BEHIND_MIN) {
    fluxbp__pool_free_object(state->topic->topics->engine.pool, state->behind,
                             state->behind_capacity * sizeof *state->behind);
    state->behind = NULL;
    state->behind_capacity = 0;
  }
  subscription->is_behind = false;
  conn->catching_up--;
}

void fluxbp__catch_up_begin(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  const fluxbp__behind_t behind = {.conn = conn, .is_newcomer = true};
  add_behind(subscription, &behind);
}

void fluxbp__catch_up_cancel(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  remove_behind(conn, subscription);
}

/* A live member misses that change, and what came after it. False: there is no memory, and the connection is evicted.
 */
static bool fall_behind(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint64_t change) {
  const fluxbp__behind_t behind = {
      .conn = conn, .since = change - 1, .begun = change - 1, .cursor = FLUXBP__CURSOR_END};
  if (fluxbp__catch_up_reserve(subscription->topic) != 0) {
    fluxbp__conn_evict(conn, FLUXBP_EVICT_BUDGET);
    return false;
  }
  fluxbp__catch_up_remove_live(subscription->topic, conn, subscription);
  add_behind(subscription, &behind);
  return true;
}

static void become_live(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  remove_behind(conn, subscription);
  fluxbp__catch_up_add_live(subscription->topic, conn, subscription);
}

bool fluxbp__catch_up_miss(fluxbp_topic_t *topic, fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN) return false;
  return fall_behind(conn, fluxbp__conn_subscription(conn, topic), topic->state->last_change);
}

/* ---- walks ---- */

static bool is_scanning(const fluxbp__behind_t *behind) {
  return behind->cursor != FLUXBP__CURSOR_END;
}

/* Whether the scan under way is going to stage what was changed by `change` at `place`. */
static bool is_ahead(const fluxbp__behind_t *behind, uint32_t place, uint64_t change) {
  return is_scanning(behind) && behind->cursor <= place && change > behind->since;
}

/* Whether the connection alone has set the key of the value. */
static bool has_set_alone(const fluxbp_conn_t *conn, const fluxbp__state_value_t *value) {
  return value->origin != 0 && value->origin == fluxbp__conn_origin(conn);
}

/* Stage a value to which a walk has come. False: there is no room for it. */
static bool stage_next(fluxbp_conn_t *conn, const fluxbp__state_value_t *value) {
  fluxbp_frame_t *frame = value->frames[conn->codec];
  if (has_set_alone(conn, value)) return true;
  return fluxbp__conn_has_room_for(conn, frame) && fluxbp__conn_stage_state(conn, frame);
}

static void begin_scan(fluxbp__behind_t *behind, const fluxbp__state_t *state) {
  behind->begun = state->last_change;
  behind->cursor = 0;
}

static void end_scan(fluxbp__behind_t *behind) {
  if (behind->is_newcomer) fluxbp__conn_begin_grace(behind->conn);
  behind->is_newcomer = false;
  behind->since = behind->begun;
  behind->cursor = FLUXBP__CURSOR_END;
}

/* Go on with the scan. False: the visit ends here, because there is no room, or it has looked at enough. */
static bool scan(fluxbp__behind_t *behind, const fluxbp__state_t *state, uint32_t *looked_at) {
  for (; behind->cursor < state->end; behind->cursor++, ++*looked_at) {
    if (*looked_at == LOOKED_AT_MAX) return false;
    const fluxbp__state_value_t *value = &state->values[behind->cursor];
    if (value->msg == NULL || value->change <= behind->since) continue;
    if (behind->is_newcomer && fluxbp_msg_is_removal(value->msg)) continue; /* it never had the key */
    if (!stage_next(behind->conn, value)) return false;
  }
  end_scan(behind);
  return true;
}

/* Go on along the record of changes. False as above. */
static bool follow(fluxbp__behind_t *behind, const fluxbp__state_t *state, uint32_t *looked_at) {
  for (; behind->since < state->last_change; behind->since++, ++*looked_at) {
    if (*looked_at == LOOKED_AT_MAX) return false;
    const fluxbp__state_value_t *value = fluxbp__state_changed(state, behind->since + 1);
    if (value != NULL && !stage_next(behind->conn, value)) return false;
  }
  return true;
}

/* Go on with the walk of one subscription. False as above. */
static bool walk(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint32_t *looked_at) {
  const fluxbp__state_t *state = subscription->topic->state;
  fluxbp__behind_t *behind = fluxbp__catch_up_of(subscription);
  if (behind->is_newcomer && behind->cursor == 0) begin_scan(behind, state); /* its first visit */
  while (is_scanning(behind) || !fluxbp__state_is_recorded(state, behind->begun)) {
    if (!is_scanning(behind)) begin_scan(behind, state);
    if (!scan(behind, state, looked_at)) return false;
  }
  if (!follow(behind, state, looked_at)) return false;
  become_live(conn, subscription);
  return true;
}

void fluxbp__catch_up_walk(fluxbp_conn_t *conn, uint32_t first) {
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(conn);
  uint32_t count = conn->subscription_count;
  uint32_t looked_at = 0;
  for (uint32_t i = 0, index = first % count; i < count && fluxbp__conn_behind_count(conn) > 0; i++) {
    fluxbp__subscription_t *subscription = &subscriptions[index];
    if (++index == count) index = 0;
    bool is_behind = subscription->topic->state != NULL && subscription->is_behind;
    if (is_behind && !walk(conn, subscription, &looked_at)) return;
  }
}

/* ---- values that leave their ring, or their topic ---- */

/* Whether the connection has yet to get the value at `place`, with that change, and knows the key. */
static bool is_due(const fluxbp__behind_t *behind, uint32_t place, uint64_t change) {
  if (!is_scanning(behind)) return change > behind->since;
  return is_ahead(behind, place, change) ? !behind->is_newcomer : change > behind->begun;
}

void fluxbp__catch_up_forget(const fluxbp_topic_t *topic, uint32_t place) {
  const fluxbp__state_value_t *value = &topic->state->values[place];
  const fluxbp__state_topic_t *state = fluxbp__topic_state(topic);
  topic->state->shared_until = topic->topics->engine.last_conn_id;
  for (uint32_t i = 0; i < state->behind_count; i++) {
    fluxbp_conn_t *conn = state->behind[i].conn;
    if (conn->state != FLUXBP__CONN_OPEN || has_set_alone(conn, value)) continue;
    if (!is_due(&state->behind[i], place, value->change)) continue;
    fluxbp_frame_t *frame = value->frames[conn->codec];
    if (!fluxbp__conn_stage_state(conn, frame) && conn->state == FLUXBP__CONN_OPEN)
      (void) fluxbp__conn_stage(conn, frame);
  }
}

/* The value at `place` leaves the ring: see to it that the connection gets its newest change, which may be that one.
 * False: it can't be seen to. */
static bool take_one_back(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint32_t place) {
  uint64_t change = subscription->topic->state->values[place].change;
  fluxbp__behind_t *behind = fluxbp__catch_up_of(subscription);
  if (behind == NULL) return fall_behind(conn, subscription, change);
  if (is_ahead(behind, place, change)) return true;
  if (behind->begun >= change) behind->begun = change - 1;
  if (!is_scanning(behind) && behind->since >= change) behind->since = change - 1;
  return true;
}

/* Return the connection's subscription of the state topic with that number, or NULL. */
static fluxbp__subscription_t *subscription_of(const fluxbp_conn_t *conn, uint64_t number) {
  const fluxbp_topic_t *topic = fluxbp__topics_find_state(fluxbp__conn_topics(conn), number);
  return topic != NULL ? fluxbp__conn_subscription(conn, topic) : NULL;
}

/* Have the topic of a queued value give the value, or a newer one, to the connection again. False: the topic can't. */
static bool take_value_back(void *arg, const fluxbp_frame_t *queued) {
  fluxbp_conn_t *conn = arg;
  fluxbp__subscription_t *subscription = subscription_of(conn, queued->state.topic);
  if (subscription == NULL) return false;
  int64_t place = fluxbp__state_find(subscription->topic->state, queued->state.key);
  return place >= 0 && take_one_back(conn, subscription, (uint32_t) place);
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

/* Return the newest value of the key of one that is queued, if the connection is behind its topic; or NULL. A key that
 * was forgotten and set anew is left to the first scan: until that has come to it, the connection doesn't know the new
 * one. */
static fluxbp_frame_t *newer_than(const fluxbp_conn_t *conn, const fluxbp_frame_t *queued) {
  const fluxbp__subscription_t *subscription = subscription_of(conn, queued->state.topic);
  const fluxbp__behind_t *behind = subscription != NULL ? fluxbp__catch_up_of(subscription) : NULL;
  if (behind == NULL) return NULL;
  const fluxbp__state_t *state = subscription->topic->state;
  int64_t place = fluxbp__state_find(state, queued->state.key);
  if (place < 0) return NULL;
  const fluxbp__state_value_t *value = &state->values[place];
  if (behind->is_newcomer && is_ahead(behind, (uint32_t) place, value->change)) return NULL;
  if (has_set_alone(conn, value)) return NULL;
  return value->frames[conn->codec];
}

/* From the newest to the oldest, up to one that has no room: so no value of a key comes to stand behind a newer one. */
void fluxbp__catch_up_refresh(fluxbp_conn_t *conn) {
  fluxbp__ledger_t *ledger = &fluxbp__conn_engine(conn)->ledger;
  fluxbp__ring_t *ring = &conn->ring;
  for (uint32_t offset = ring->count; offset-- > (ring->is_head_pinned ? 1U : 0U);) {
    const fluxbp_frame_t *queued = fluxbp__ring_at(ring, offset);
    if (!fluxbp__frame_is_state(queued) || !queued->is_outdated) continue;
    fluxbp_frame_t *newest = newer_than(conn, queued);
    uint64_t bytes_before = ring->bytes;
    if (newest == NULL) continue;
    if (!fluxbp__conn_take_rare(conn)) return; /* it couldn't be counted */
    if (!fluxbp__ring_set(ring, offset, &conn->policy->limits, newest)) return;
    conn->rare->conflated++;
    fluxbp__ledger_replace(ledger, bytes_before, ring->bytes);
  }
}
