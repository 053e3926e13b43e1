/* SPDX-License-Identifier: MIT */
/*
 * forwards: requests of browsers that a gateway has to answer. The token goes with them here, and never to a browser.
 */
#ifndef DASHBOARD_FORWARDS_H
#define DASHBOARD_FORWARDS_H

#include "options.h"

#include <fluxbp/client.h>
#include <stdbool.h>

/** Take the answer: the gateway's, or one of the dashboard's (502, 504, 503 at its end) if there is none. `body` is
 * valid until the function returns. */
typedef void (*forward_cb)(void *user, int status, const char *body, size_t length);

struct forward;

struct forwards {
  uv_loop_t *loop;
  struct forward *first; /* those under way */
  size_t count;
};

/**
 * Send a request to a gateway, with a token unless that is NULL. `on_answer` is called once, from the loop.
 *
 * @return false: too many requests are under way, or there is no memory; `on_answer` isn't called
 */
bool forwards_ask(struct forwards *forwards, const struct gateway_target *target, const char *token,
                  const fluxbp_client_request_t *request, forward_cb on_answer, void *user);

/** Give up all requests. The loop has to run until their connections are closed. */
void forwards_stop(struct forwards *forwards);

#endif
