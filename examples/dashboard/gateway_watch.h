/* SPDX-License-Identifier: MIT */
/*
 * gateway_watch: follows one gateway's watch stream and puts it on a board. A gateway that goes away is tried again, ever
 * more rarely and never at the same moment as by others, until it is back.
 */
#ifndef DASHBOARD_GATEWAY_WATCH_H
#define DASHBOARD_GATEWAY_WATCH_H

#include "board.h"
#include "client/sse_reader.h"
#include "gateway_call.h"

struct gateway_watch {
  const struct gateway_target *target;
  struct board board;
  struct gateway_call call;
  struct sse_reader events;
  bool has_begun;     /* an event has come: it watches */
  int status;         /* of the response: 200, or what is wrong with it */
  uint64_t pause_ms;  /* between two attempts, before jitter */
  uint64_t resume_ms; /* when the next attempt is due, by the loop's clock; 0: there is one */
  bool is_stopping;
};

int gateway_watch_init(struct gateway_watch *watch, const struct gateway_target *target, fluxbp_hub_t *hub,
                       const char *topic);

/** To be called some times a second: begins what is due, ends what is silent. */
void gateway_watch_tick(struct gateway_watch *watch);

/** The hub is about to be closed: no more attempts. */
void gateway_watch_stop(struct gateway_watch *watch);

#endif
