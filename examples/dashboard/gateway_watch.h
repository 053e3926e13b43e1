/* SPDX-License-Identifier: MIT */
/*
 * gateway_watch: follows one gateway's watch stream and puts it on a board. A gateway that goes away is tried again
 * until it is back, ever more rarely, with pauses that differ from those of other dashboards.
 */
#ifndef DASHBOARD_GATEWAY_WATCH_H
#define DASHBOARD_GATEWAY_WATCH_H

#include "board.h"
#include "options.h"

#include <fluxbp/client.h>

struct gateway_watch {
  const struct gateway_target *target;
  struct board board;
  uv_loop_t *loop;
  fluxbp_client_t *client; /* NULL: closed */
  bool has_begun;          /* an event has come over this connection */
  bool is_stopped;
  bool is_token_needed;    /* there is no --token-file, and the gateway doesn't let the dashboard watch without it */
  bool is_token_refused;   /* the gateway doesn't take `token` */
  char token[TOKEN_BYTES]; /* with which a browser has logged in, or "" */
};

/** Begin to watch gateway `number`. @return 0, or an error of libuv's */
int gateway_watch_init(struct gateway_watch *watch, const struct gateway_target *target, uv_loop_t *loop,
                       fluxbp_server_t *server, size_t number);

/** Return the token for requests to the gateway, or NULL. */
const char *gateway_watch_token(const struct gateway_watch *watch);

/** Watch with another token from now on; "": with none. Only where there is no --token-file. */
void gateway_watch_use_token(struct gateway_watch *watch, const char *token);

/** Make no more attempts. The loop has to run until the connection is closed. */
void gateway_watch_stop(struct gateway_watch *watch);

#endif
