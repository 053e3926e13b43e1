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
 * them. */
static void refill(fluxbp_conn_t *conn) {
  uint32_t drawn = (uint32_t) fluxbp__hash_key(conn->written);
  bool is_replay_first = drawn % 2 == 0;
  if (is_replay_first && fluxbp__conn_replay(conn) != NULL) fluxbp__replay_refill(conn);
  uint32_t others = (fluxbp__conn_replay(conn) != NULL ? 1U : 0U) + (fluxbp__conn_lane(conn) != NULL ? 1U : 0U);
  bool has_walks = conn->catching_up > others;
  if (has_walks && conn->subscription_count > 0) fluxbp__catch_up_walk(conn, drawn / 2);
  if (!is_replay_first && fluxbp__conn_replay(conn) != NULL) fluxbp__replay_refill(conn);
  fluxbp__catch_up_begin_next(conn);
}

const fluxbp__feed_t fluxbp__topics_feed = {
    .refill = refill,
    .detach = fluxbp__topic_leave_all,
    .recode = fluxbp__topic_recode_all,
    .take_values_back = fluxbp__catch_up_take_values_back,
};
