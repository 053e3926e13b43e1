/* SPDX-License-Identifier: MIT */
/*
 * forwards: requests of browsers that a gateway has to answer. The token goes with them here, and never to a browser.
 */
#ifndef DASHBOARD_FORWARDS_H
#define DASHBOARD_FORWARDS_H

#include "gateway_call.h"

/** The answer: the gateway's, or one of ours (502, 504) when there is none. Valid until it returns. */
typedef void (*forward_cb)(void *user, int status, const char *body, size_t length);

struct forward;

struct forwards {
  fluxbp_hub_t *hub;
  struct forward *first; /* those under way */
  size_t count;
};

/**
 * Ask. `on_answer` is called once, from the loop, unless forward_cancel comes first.
 *
 * @return NULL if too many are under way, or there is no memory
 */
struct forward *forwards_ask(struct forwards *forwards, const struct gateway_target *target,
                             const struct gateway_question *question, forward_cb on_answer, void *user);

/** Nobody waits for it any more. */
void forward_cancel(struct forward *forward);

/** To be called some times a second: gives up what takes too long. */
void forwards_tick(struct forwards *forwards);

#endif
