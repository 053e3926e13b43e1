/* SPDX-License-Identifier: MIT */
/*
 * board: what browsers see of one gateway, a state topic of the server. The topic keeps the newest message of each
 * key: a new browser gets these, and a slow browser gets them instead of a queue of old ones. A message is an object of
 * JSON, {"event":NAME,"session":SESSION,"data":DATA}:
 *
 *   gateway    the state of the connection to the gateway: {"state":"connected"}, or "connecting" or "away" with
 *              "problem" and "retry_ms"
 *   snapshot   as the gateway sent it
 *   slow       as the gateway sent it
 *   evicted    as the gateway sent them, the last 256
 *   past       a snapshot from every two seconds, the last 150: the charts show them
 *
 * SESSION rises with each connection to the gateway. Evictions belong to a session, as a gateway that begins anew
 * counts anew.
 */
#ifndef DASHBOARD_BOARD_H
#define DASHBOARD_BOARD_H

#include <fluxbp/server.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_KEYS_MAX 1024 /* a board has some 410; rings with twice as many slots have room for all */
#define BOARD_NAME_BYTES 16

/* The longest DATA: `slow` with half a million connections. */
#define BOARD_DATA_BYTES_MAX ((size_t) 8 << 20)

/* Bytes of a message around its DATA, at most. */
#define BOARD_FRAME_BYTES 96

struct board {
  fluxbp_server_t *server;
  char topic[BOARD_NAME_BYTES];
  uint64_t session;
  uint64_t evictions;   /* of this session */
  uint64_t past_points; /* of all sessions */
  uint64_t past_ms;     /* time of the last point, by the loop's clock */
};

/** Write the name of the topic of gateway `number`. The server has to keep it as a state topic. */
void board_name(size_t number, char name[BOARD_NAME_BYTES]);

void board_init(struct board *board, fluxbp_server_t *server, size_t number);

/** Begin a session: the gateway is connected, and the evictions of earlier sessions are removed. */
void board_begin_session(struct board *board);

/** Show that the dashboard tries to reach the gateway. */
void board_show_connecting(struct board *board);

/** Show that the gateway is away. `problem` needs no escaping in JSON. */
void board_show_away(struct board *board, const char *problem, uint64_t retry_ms);

/** Show an event of the watch stream at `now_ms`. Events that the page doesn't know are dropped. */
void board_show_event(struct board *board, const char *name, const char *data, size_t length, uint64_t now_ms);

#endif
