/* SPDX-License-Identifier: MIT */
/*
 * gateway_watch: follows one gateway's watch stream and puts it on a board. A gateway that goes away is tried again,
 * ever more rarely and never at the same moment as by others, until it is back.
 */
#ifndef DASHBOARD_GATEWAY_WATCH_H
#define DASHBOARD_GATEWAY_WATCH_H

#include "board.h"
#include "options.h"

#include <fluxbp/client.h>

struct gateway_watch {
  const struct gateway_target *target;
  struct board board;
  fluxbp_client_t *client; /* NULL: closed */
  bool has_begun;          /* an event has come: it watches */
};

int gateway_watch_init(struct gateway_watch *watch, const struct gateway_target *target, fluxbp_hub_t *hub,
                       const char *topic);

/** The hub is about to be closed: no more attempts. */
void gateway_watch_stop(struct gateway_watch *watch);

#endif
