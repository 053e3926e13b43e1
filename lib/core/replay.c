/* SPDX-License-Identifier: MIT */
/*
 * replay: how a connection gets what it missed, exactly once and in order, at its own pace.
 *
 * Design notes
 *
 * A replaying connection has a place in the history. Each visit of its flush stages what comes next there, up to its
 * high watermark; live messages of its log topics aren't staged meanwhile, as its place will come to them too. When it
 * has reached the end it is live again. So there is one order, and nothing to compare or to filter at the seam.
 *
 * - Each of its subscriptions says how much from the replay's base on isn't for it (skips). A topic that was live
 *   before has had everything up to the moment in which the replay began. The base moves up whenever something is added
 *   to that, so a number of skips is never larger than the history is long, however long a replay lasts.
 * - The history doesn't wait for slow connections. When it forgets what a connection was still to get, that is a loss
 *   like any other: a gap marker in its ring, a count in its books. Of several topics that the connection has, one may
 *   forget from the middle, ahead of the connection's place; then the connection loses what lies before that, too, so
 *   that its messages and gaps stay in order.
 * - Closing up the places of what was forgotten gives a connection's place, and those of its skips, other numbers.
 * - What can't be encoded for a connection (no memory, or its codec refuses) is lost to it in the same way.
 * - What is live comes first. Connections that replay have their turns behind the flush of all others, for a part of
 *   the slice, by address and by connection (fair_queue.c). What one of them costs is mostly the kernel's work with its
 *   bytes: a flush of a ring that is filled from the history takes as long as that of many live connections.
 * - A connection passes over the publications of which it is the origin: they are never staged for it, and no loss when
 *   they are forgotten. Its place moves on as over those of other topics, so no id is missing from its order.
 */
#include "replay.h"

#include "conn_blocks.h"
#include "conn_pressure.h"
#include "conn_stage.h"
#include "conn_write.h"
#include "input.h"
#include "pool.h"
#include "subscriptions.h"
#include "topic_patterns.h"

#include <assert.h>

/* A visit looks at so many publications at most, however few of them are for the connection. */
enum { LOOKED_AT_MAX = 1024 };

/* All visits of an iteration together have this part of the slice, and that has so many quanta. At least one visit is
 * made. */
enum { SLICE_PART = 4, QUANTA = 4 };

/* A publication, by its number in the history, that may be for a connection. */
typedef struct wanted {
  const fluxbp__replay_t *replay;
  uint64_t number;
} wanted_t;

static bool is_for(const wanted_t *wanted, const fluxbp_topic_t *topic) {
  const fluxbp__subscription_t *subscription = fluxbp__conn_subscription(wanted->replay->conn, topic);
  return subscription != NULL && wanted->number >= wanted->replay->base + subscription->skips;
}

static bool is_not_for(void *pattern, void *wanted) {
  return !is_for(wanted, pattern);
}

/* Whether the connection has yet to get a publication of that origin on the topic, which has or is going to have that
 * number in the history: by the topic's subscription, or by that of a pattern. */
static bool wants(const fluxbp__replay_t *replay, fluxbp_topic_t *topic, uint64_t number, uint64_t origin) {
  wanted_t wanted = {.replay = replay, .number = number};
  if (origin != 0 && origin == fluxbp__conn_origin(replay->conn)) return false;
  if (is_for(&wanted, topic)) return true;
  (void) fluxbp__patterns_resolve(topic); /* makes it faster, if there is memory */
  return !fluxbp__patterns_visit(topic, is_not_for, &wanted);
}

void fluxbp__replay_lose(fluxbp_conn_t *conn, uint64_t id) {
  fluxbp_frame_t lost = {.kind = FLUXBP__FRAME_MESSAGE, .id = id, .time_ms = fluxbp__conn_engine(conn)->observed_ms};
  fluxbp__conn_lose(conn, &lost);
}

/* Have its subscriptions count from `base` on. They have had everything before `had`, whatever they say. Many topics
 * that resume together have one base: they aren't looked at for each of them. */
static void count_from(fluxbp__replay_t *replay, uint64_t base, uint64_t had) {
  if (base == replay->base && had <= base) return;
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(replay->conn);
  for (uint32_t i = 0; i < replay->conn->subscription_count; i++) {
    fluxbp__subscription_t *subscription = &subscriptions[i];
    if (subscription->topic->state != NULL) continue;
    uint64_t first = replay->base + subscription->skips;
    if (first < had) first = had;
    subscription->skips = first > base ? (uint32_t) (first - base) : 0;
  }
  replay->base = base;
}

static fluxbp_topic_t *topic_of(const fluxbp__past_t *past) {
  return FLUXBP__CONTAINER(past->of, fluxbp_topic_t, past);
}

/* Whether the connection has yet to get the publication of that number, which may be one that was forgotten. */
static bool wants_at(const fluxbp__replay_t *replay, const fluxbp__history_t *history, uint64_t number) {
  const fluxbp__past_t *past = fluxbp__history_at(history, number);
  return past->msg != NULL && wants(replay, topic_of(past), number, fluxbp__history_origin(history, number));
}

/* What lies before the history's first publication was forgotten, and wasn't for it. */
static void come_to_first(fluxbp__replay_t *replay, const fluxbp__history_t *history) {
  if (replay->next < history->first) replay->next = history->first;
}

/* It loses everything before that number that it has yet to get. */
static void lose_until(fluxbp__replay_t *replay, const fluxbp__history_t *history, uint64_t number) {
  come_to_first(replay, history);
  for (; replay->next < number; replay->next++)
    if (wants_at(replay, history, replay->next))
      fluxbp__replay_lose(replay->conn, fluxbp__history_at(history, replay->next)->id);
}

/* The publication with that number is going to be forgotten. A connection that has yet to get it loses it, and what it
 * has yet to get before that: so a loss has its place in the order, and closing up drops nothing that has to be
 * told. */
static void overtake(const fluxbp__topics_t *topics, uint64_t number) {
  for (fluxbp__link_t *link = topics->replays.next; link != &topics->replays; link = link->next) {
    fluxbp__replay_t *replay = FLUXBP__CONTAINER(link, fluxbp__replay_t, link);
    if (replay->next <= number && wants_at(replay, &topics->history, number))
      lose_until(replay, &topics->history, number + 1);
  }
}

/* Forget the oldest publication of a topic, for the sake of that limit. */
static void forget_first_of(fluxbp_topic_t *topic, fluxbp__forgotten_for_t limit) {
  fluxbp__topics_t *topics = topic->topics;
  overtake(topics, topic->past.first);
  fluxbp__history_forget(&topics->history, &topic->past);
  fluxbp__ledger_forget(&topics->engine.ledger, 1, limit);
}

static fluxbp_topic_t *topic_of_first(const fluxbp__history_t *history) {
  return topic_of(fluxbp__history_at(history, history->first));
}

void fluxbp__replay_forget_oldest(fluxbp__topics_t *topics) {
  fluxbp_topic_t *topic = topic_of_first(&topics->history);
  forget_first_of(topic, FLUXBP__FORGOTTEN_FOR_ALL);
  fluxbp__topics_past_gone(topic);
}

void fluxbp__replay_forget_old(fluxbp__topics_t *topics) {
  fluxbp__history_t *history = &topics->history;
  uint32_t most_ms = topics->history_ms;
  uint32_t sweep_ms = topics->engine.sweep_ms;
  if (most_ms == 0) return;
  uint64_t now_ms = fluxbp__engine_clock_ms(&topics->engine);
  while (!fluxbp__history_is_empty(history)) {
    uint32_t age_ms = (uint32_t) now_ms - fluxbp__history_at(history, history->first)->time_ms;
    if (age_ms < most_ms) { /* not a sweep for each message */
      fluxbp__engine_sweep_by(&topics->engine, now_ms + (most_ms - age_ms > sweep_ms ? most_ms - age_ms : sweep_ms));
      return;
    }
    fluxbp_topic_t *topic = topic_of_first(history);
    forget_first_of(topic, FLUXBP__FORGOTTEN_FOR_AGE);
    fluxbp__topics_past_gone(topic);
  }
}

/* So many messages are too much for the limits of their topic. Without a history there are none. */
static void note_passed_over(fluxbp__topics_t *topics, uint64_t count) {
  if (topics->history.limits.messages > 0)
    fluxbp__ledger_forget(&topics->engine.ledger, count, FLUXBP__FORGOTTEN_FOR_TOPIC);
}

/* The publication isn't kept, nor is what came before it on its topic. It was staged only for connections that are
 * live. */
static void pass_over(fluxbp_topic_t *topic, uint64_t id, uint64_t origin) {
  fluxbp__topics_t *topics = topic->topics;
  fluxbp__history_t *history = &topics->history;
  note_passed_over(topics, topic->past.count + 1);
  for (fluxbp__link_t *link = topics->replays.next; link != &topics->replays; link = link->next) {
    fluxbp__replay_t *replay = FLUXBP__CONTAINER(link, fluxbp__replay_t, link);
    if (!wants(replay, topic, history->end, origin)) continue;
    lose_until(replay, history, history->end);
    fluxbp__replay_lose(replay->conn, id);
  }
  fluxbp__history_pass_over(history, &topic->past, id);
}

static void renumber(fluxbp__replay_t *replay, const fluxbp__history_t *history) {
  fluxbp__subscription_t *subscriptions = fluxbp__conn_subscriptions(replay->conn);
  come_to_first(replay, history);
  count_from(replay, replay->next, replay->next);
  uint64_t next = fluxbp__history_planned(history, replay->next);
  for (uint32_t i = 0; i < replay->conn->subscription_count; i++) {
    fluxbp__subscription_t *subscription = &subscriptions[i];
    if (subscription->topic->state != NULL) continue;
    uint64_t first = fluxbp__history_planned(history, replay->next + subscription->skips);
    subscription->skips = (uint32_t) (first - next);
  }
  replay->next = replay->base = next;
}

static void close_up(fluxbp__topics_t *topics) {
  fluxbp__history_plan(&topics->history);
  for (fluxbp__link_t *link = topics->replays.next; link != &topics->replays; link = link->next)
    renumber(FLUXBP__CONTAINER(link, fluxbp__replay_t, link), &topics->history);
  fluxbp__history_close_up(&topics->history);
}

/* Try to have a place at the end, with room for the origin. */
static bool grow_for(fluxbp__history_t *history, uint64_t origin) {
  bool has_place = !fluxbp__history_is_full(history) || fluxbp__history_grow(history);
  return has_place && fluxbp__history_note_origin(history, origin);
}

/* Make a place at the end for a publication of that origin. False: there is no memory for one, and nothing that could
 * be forgotten for it. */
static bool make_place(fluxbp__topics_t *topics, const fluxbp_topic_t *topic, uint64_t origin) {
  fluxbp__history_t *history = &topics->history;
  if (fluxbp__history_is_full(history) && fluxbp__history_is_sparse(history)) close_up(topics);
  while (!grow_for(history, origin)) {
    if (fluxbp__history_is_empty(history)) return false;
    fluxbp_topic_t *oldest = topic_of_first(history);
    forget_first_of(oldest, FLUXBP__FORGOTTEN_FOR_ALL);
    if (oldest != topic) fluxbp__topics_past_gone(oldest);
  }
  return true;
}

void fluxbp__replay_record(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin) {
  fluxbp__topics_t *topics = topic->topics;
  fluxbp__history_t *history = &topics->history;
  fluxbp__topic_past_t *over;
  size_t bytes = fluxbp_msg_length(msg);
  bool is_kept = fluxbp__history_may_keep(history, bytes);
  while (is_kept && (over = fluxbp__history_over(history, &topic->past, bytes)) != NULL) {
    fluxbp_topic_t *payer = FLUXBP__CONTAINER(over, fluxbp_topic_t, past);
    bool is_topic_over = fluxbp__history_is_topic_over(history, &topic->past, bytes);
    forget_first_of(payer, is_topic_over ? FLUXBP__FORGOTTEN_FOR_TOPIC : FLUXBP__FORGOTTEN_FOR_ALL);
    if (payer != topic)
      fluxbp__topics_past_gone(payer); /* this one is needed until the new publication has its place */
  }
  if (is_kept && make_place(topics, topic, origin)) {
    fluxbp__history_add(history, &topic->past, msg, id, fluxbp__engine_clock_ms(&topics->engine));
    fluxbp__replay_forget_old(topics);
    return;
  }
  pass_over(topic, id, origin);
  fluxbp__topics_past_gone(topic);
}

void fluxbp__replay_record_unknown(fluxbp__topics_t *topics, const char *name, fluxbp_msg_t *msg, uint64_t id,
                                   uint64_t origin) {
  bool is_kept = fluxbp__history_may_keep(&topics->history, fluxbp_msg_length(msg));
  fluxbp_topic_t *topic = is_kept ? fluxbp__topics_make_dormant(topics, name) : NULL;
  if (topic != NULL) {
    fluxbp__replay_record(topic, msg, id, origin);
    return;
  }
  if (!is_kept) note_passed_over(topics, 1);
  fluxbp__history_lose_unknown(&topics->history, id);
}

static void end_replay(fluxbp__replay_t *replay) {
  fluxbp_conn_t *conn = replay->conn;
  fluxbp__fair_queue_remove(&fluxbp__conn_topics(conn)->replay_turns, &replay->turn);
  fluxbp__link_remove(&replay->link);
  fluxbp__pool_free(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, replay, sizeof *replay);
  conn->rare->replay = NULL;
  fluxbp__conn_release_rare(conn);
  conn->catching_up--;
}

void fluxbp__replay_cancel(fluxbp_conn_t *conn) {
  if (fluxbp__conn_replay(conn) != NULL) end_replay(fluxbp__conn_replay(conn));
}

/* Give it a place in the history: the end, where its live topics are. */
static int take_place(fluxbp_conn_t *conn) {
  fluxbp__topics_t *topics = fluxbp__conn_topics(conn);
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  void *memory;
  int err = fluxbp__pool_alloc(topics->engine.pool, FLUXBP__CONTROL, sizeof(fluxbp__replay_t), &memory);
  if (err) {
    fluxbp__conn_release_rare(conn);
    return err;
  }
  fluxbp__replay_t *replay = conn->rare->replay = memory;
  *replay = (fluxbp__replay_t){.conn = conn, .next = topics->history.end};
  count_from(replay, replay->next, replay->next); /* whatever is left of a replay before: that lies further back */
  fluxbp__list_append(&topics->replays, &replay->link);
  conn->catching_up++;
  return 0;
}

int fluxbp__replay_begin(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription, uint64_t since_id) {
  fluxbp__topics_t *topics = fluxbp__conn_topics(conn);
  uint64_t next = fluxbp__history_after(&topics->history, since_id);
  bool is_live = conn->state == FLUXBP__CONN_OPEN && fluxbp__conn_replay(conn) == NULL;
  if (is_live && next == topics->history.end) return 0; /* it hasn't missed anything, and will not */
  int err = fluxbp__conn_replay(conn) == NULL ? take_place(conn) : 0;
  if (err) return err;
  fluxbp__replay_t *replay = fluxbp__conn_replay(conn);
  come_to_first(replay, &topics->history);
  uint64_t base = next < replay->next ? next : replay->next; /* it may be sent back to what comes after that id */
  count_from(replay, base, replay->next);
  subscription->skips = (uint32_t) (next - base);
  replay->next = base;
  fluxbp__conn_catch_up(conn);
  return 0;
}

void fluxbp__replay_joined(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription) {
  fluxbp__replay_t *replay = fluxbp__conn_replay(conn);
  const fluxbp__history_t *history = &fluxbp__conn_topics(conn)->history;
  if (replay == NULL) return;
  come_to_first(replay, history);
  count_from(replay, replay->next, replay->next);
  subscription->skips = (uint32_t) (history->end - replay->next);
}

/* The frame of a publication for this connection, made if need be; NULL if that can't be done. */
static fluxbp_frame_t *frame_of(fluxbp_conn_t *conn, fluxbp__past_t *past) {
  fluxbp_frame_t **frame = &past->frames[conn->codec];
  if (*frame != NULL) return *frame;
  const fluxbp__topics_t *topics = fluxbp__conn_topics(conn);
  int err = fluxbp__frame_create(topics->engine.pool, past->msg, topics->engine.codecs[conn->codec],
                                 topic_of(past)->name, past->id, frame);
  if (err) *frame = NULL;
  return *frame;
}

void fluxbp__replay_refill(fluxbp_conn_t *conn) {
  fluxbp__history_t *history = &fluxbp__conn_topics(conn)->history;
  fluxbp__replay_t *replay = fluxbp__conn_replay(conn);
  come_to_first(replay, history);
  for (int looked_at = 0; replay->next < history->end; looked_at++) {
    if (looked_at == LOOKED_AT_MAX) return;
    fluxbp__past_t *past = fluxbp__history_at(history, replay->next);
    if (wants_at(replay, history, replay->next)) {
      fluxbp_frame_t *frame = frame_of(conn, past);
      if (!fluxbp__conn_has_room_for(conn, frame)) return;
      if (frame != NULL)
        (void) fluxbp__conn_stage(conn, frame);
      else
        fluxbp__replay_lose(conn, past->id);
    }
    replay->next++;
  }
  end_replay(replay);
  fluxbp__conn_begin_grace(conn);
}

/* ---- turns ---- */

void fluxbp__replay_init(fluxbp__topics_t *topics, uint64_t slice_ns) {
  topics->replay_ns = slice_ns / SLICE_PART;
  fluxbp__fair_queue_init(&topics->replay_turns, topics->engine.pool, topics->replay_ns / QUANTA, NULL);
}

void fluxbp__replay_wait(fluxbp_conn_t *conn) {
  fluxbp__topics_t *topics = fluxbp__conn_topics(conn);
  fluxbp__fair_item_t *item = &fluxbp__conn_replay(conn)->turn;
  uint64_t key = fluxbp__fair_item_is_out(item) ? fluxbp__conn_input_key(conn) : 0;
  fluxbp__fair_queue_add(&topics->replay_turns, item, key);
  if (!fluxbp__link_is_linked(&topics->replay_due))
    fluxbp__turn_add(&topics->engine.turn, FLUXBP__DUE_REPLAY, &topics->replay_due);
}

void fluxbp__replay_run(fluxbp__topics_t *topics) {
  uint64_t begun_ns = uv_hrtime();
  uint64_t now_ns = begun_ns;
  do {
    fluxbp__fair_item_t *item = fluxbp__fair_queue_next(&topics->replay_turns);
    if (item == NULL) return;
    fluxbp_conn_t *conn = FLUXBP__CONTAINER(item, fluxbp__replay_t, turn)->conn;
    fluxbp__conn_flush_with_past(conn);
    uint64_t visited_ns = uv_hrtime();
    bool is_replaying = fluxbp__conn_replay(conn) != NULL; /* nothing here begins another one */
    if (is_replaying) fluxbp__fair_queue_charge(&topics->replay_turns, item, visited_ns - now_ns);
    now_ns = visited_ns;
  } while (now_ns - begun_ns < topics->replay_ns);
  bool has_more = topics->replay_turns.waiting > 0 && !fluxbp__link_is_linked(&topics->replay_due);
  if (has_more) fluxbp__turn_add(&topics->engine.turn, FLUXBP__DUE_REPLAY, &topics->replay_due);
}

void fluxbp__replay_destroy(fluxbp__topics_t *topics) {
  fluxbp__fair_queue_free(&topics->replay_turns);
  while (!fluxbp__history_is_empty(&topics->history)) fluxbp__replay_forget_oldest(topics);
  fluxbp__history_destroy(&topics->history);
}
