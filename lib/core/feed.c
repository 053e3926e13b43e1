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
  if (fluxbp__conn_behind_count(conn) > 0) fluxbp__catch_up_walk(conn, drawn / 2);
  if (!is_replay_first && fluxbp__conn_replay(conn) != NULL) fluxbp__replay_refill(conn);
}

const fluxbp__feed_t fluxbp__topics_feed = {
    .refill = refill,
    .detach = fluxbp__topic_leave_all,
    .recode = fluxbp__topic_recode_all,
    .take_values_back = fluxbp__catch_up_take_values_back,
    .refresh = fluxbp__catch_up_refresh,
};
