/* SPDX-License-Identifier: MIT */
/*
 * forwards: requests of browsers that a gateway has to answer. The token goes with them here, and never to a browser.
 */
#ifndef DASHBOARD_FORWARDS_H
#define DASHBOARD_FORWARDS_H

#include "options.h"

#include <fluxbp/client.h>

/** The answer: the gateway's, or one of ours (502, 504) when there is none. Valid until it returns. */
typedef void (*forward_cb)(void *user, int status, const char *body, size_t length);

struct forward;

struct forwards {
  uv_loop_t *loop;
  struct forward *first; /* those under way */
  size_t count;
};

/**
 * Ask. `on_answer` is called once, from the loop, unless forward_cancel comes first.
 *
 * @return NULL if too many are under way, or there is no memory
 */
struct forward *forwards_ask(struct forwards *forwards, const struct gateway_target *target,
                             const fluxbp_client_request_t *request, forward_cb on_answer, void *user);

/** The answer isn't wanted any more. */
void forward_cancel(struct forward *forward);

/** Give up requests that take too long. To be called some times a second. */
void forwards_tick(struct forwards *forwards);

#endif
