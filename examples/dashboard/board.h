/* SPDX-License-Identifier: MIT */
/*
 * board: what browsers see of one gateway, a state topic. It keeps the newest of each of these, which is what a
 * newcomer gets and what a slow browser gets instead of a queue of old ones:
 *
 *   event: gateway    the state of the connection to the gateway: {"state":"connected"}, or "connecting" or "away" with
 *                     "problem" and "retry_ms"
 *   event: snapshot   as the gateway sent it
 *   event: slow       as the gateway sent it
 *   event: evicted    as the gateway sent them, the last 256
 *   event: past       a snapshot from every two seconds, the last 150: what the charts are drawn of
 *
 * Each has `id: SESSION`, a number that rises with each connection to the gateway: evictions belong to a session.
 * Counting begins anew with a gateway that begins anew.
 */
#ifndef DASHBOARD_BOARD_H
#define DASHBOARD_BOARD_H

#include <fluxbp/fluxbp.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_KEYS_MAX 1024 /* it has some 410; rings with twice as many slots as that have room for all */

struct board {
  fluxbp_hub_t *hub;
  fluxbp_topic_t *topic;
  uint64_t session;
  uint64_t evictions;   /* of this session */
  uint64_t past_points; /* of all sessions */
  uint64_t past_ms;     /* when the last one was kept, by the loop's clock */
};

int board_init(struct board *board, fluxbp_hub_t *hub, const char *topic);

/** We hear from the gateway: evictions of an earlier session are forgotten. */
void board_begin_session(struct board *board);

/** Say that we try to reach it. */
void board_tell_connecting(struct board *board);

/** Say that it is away. `problem` needs no escaping in JSON. */
void board_tell_away(struct board *board, const char *problem, uint64_t retry_ms);

/** Pass an event of the watch stream on; those that the page doesn't know are dropped. */
void board_take_event(struct board *board, const char *name, const char *data, size_t length);

#endif
