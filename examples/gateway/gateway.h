/* SPDX-License-Identifier: MIT */
/*
 * gateway: the parts wired together, and their life: start, serve, drain, end.
 *
 * The main loop listens, reads the input and takes signals; the hubs with the clients are on threads of their own
 * (shards). What is published goes over the bus to all of them.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "feed.h"
#include "listeners.h"
#include "options.h"
#include "server/admin/watch.h"
#include "server/server.h"
#include "server/shards.h"

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <uv.h>

struct gateway {
  const struct options *options;
  uv_loop_t loop;
  fluxbp_hub_t *control; /* the main loop's own hub, for tasks; NULL: not made yet, or being closed */

  fluxbp_server_t server;
  fluxbp_policy_t policy;
  struct shards shards;
  struct listeners listeners;
  struct feed feed;
  struct watch watch;

  uv_signal_t on_sigterm, on_sigint;
  uv_timer_t housekeeping;
  uv_timer_t delivery; /* looks whether everything is delivered, when the gateway is about to stop */
  uint64_t drain_until_ms;

  struct survey question;                       /* how much is queued, or: be drained */
  fluxbp_metrics_t metrics[FLUXBP_WORKERS_MAX]; /* of each hub, as of the last answer */
  uint32_t drain_ms;
  bool is_asking; /* how much is queued */

  bool is_stopping;
  enum exit_code exit_code;
};

/**
 * Serve until a signal, the end of the input with --once, or a failure, which is told on standard error.
 *
 * @param max_connections what options and the limit of descriptors allow
 * @return what the process should exit with; everything is freed
 */
enum exit_code gateway_run(struct gateway *gateway, const struct options *options, size_t max_connections);

#endif
