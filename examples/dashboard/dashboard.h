/* SPDX-License-Identifier: MIT */
/*
 * dashboard: the server as a whole. One loop and one hub; it watches gateways and shows them to browsers.
 */
#ifndef DASHBOARD_DASHBOARD_H
#define DASHBOARD_DASHBOARD_H

#include "forwards.h"
#include "gateway_watch.h"
#include "options.h"
#include "visitors.h"

#include <fluxbp/fluxbp.h>
#include <stdbool.h>
#include <uv.h>

struct dashboard {
  const struct options *options;
  uv_loop_t loop;
  uv_signal_t on_sigterm, on_sigint;
  uv_timer_t ticker;
  fluxbp_hub_t *hub;
  fluxbp_listener_t *listener;
  size_t gateway_count;
  struct gateway_watch gateways[GATEWAYS_MAX];
  struct forwards forwards;
  struct visitor *visitors;
  bool is_stopping;
};

/** Serve until a signal comes. */
enum exit_code dashboard_run(struct dashboard *dashboard, const struct options *options);

#endif
