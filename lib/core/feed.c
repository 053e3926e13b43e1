/* SPDX-License-Identifier: MIT */
/*
 * feed: fills in the table by which connections reach their topics: whose turn it is to be staged, and leaving.
 */
#include "feed.h"

#include "catch_up.h"
#include "hash.h"
#include "replay.h"
#include "topic.h"

/* The first one gets all the room: with each batch that was written it is another, and the replay has its half of
 * them, for which the room is left until it has its turn. */
static void refill(fluxbp_conn_t *conn, bool has_turn) {
  uint32_t drawn = (uint32_t) fluxbp__hash_key(conn->written);
  bool is_replay_first = fluxbp__conn_replay(conn) != NULL && drawn % 2 == 0;
  if (is_replay_first && !has_turn) return;
  if (is_replay_first) fluxbp__replay_refill(conn);
  if (fluxbp__conn_behind_count(conn) > 0) fluxbp__catch_up_walk(conn, drawn / 2);
  if (!is_replay_first && has_turn && fluxbp__conn_replay(conn) != NULL) fluxbp__replay_refill(conn);
}

/* A replay waits for its turn, behind what is live; everything else for the next flush. */
static void wait_for_more(fluxbp_conn_t *conn) {
  bool is_replaying = fluxbp__conn_replay(conn) != NULL;
  if (is_replaying) fluxbp__replay_wait(conn);
  if (conn->catching_up > (is_replaying ? 1U : 0U)) fluxbp__conn_mark_dirty(conn);
}

const fluxbp__feed_t fluxbp__topics_feed = {
    .refill = refill,
    .wait = wait_for_more,
    .detach = fluxbp__topic_leave_all,
    .recode = fluxbp__topic_recode_all,
    .take_values_back = fluxbp__catch_up_take_values_back,
    .refresh = fluxbp__catch_up_refresh,
};
