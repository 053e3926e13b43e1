/* SPDX-License-Identifier: MIT */
/*
 * dashboard: the program as a whole. One loop with a server of libfluxbp-server; it watches gateways and shows them to
 * browsers.
 */
#ifndef DASHBOARD_DASHBOARD_H
#define DASHBOARD_DASHBOARD_H

#include "forwards.h"
#include "gateway_watch.h"
#include "options.h"

#include <fluxbp/server.h>
#include <stdbool.h>
#include <uv.h>

struct dashboard {
  const struct options *options;
  uv_loop_t loop;
  uv_signal_t on_sigterm, on_sigint;
  uv_timer_t ticker;
  fluxbp_server_t *server;
  size_t gateway_count; /* of those that are watched */
  struct gateway_watch gateways[GATEWAYS_MAX];
  struct forwards forwards;
  fluxbp_logins_t *logins;
  char cookie[32]; /* its name: browsers have one jar for all ports of a host */
  bool is_stopping;
};

#endif
