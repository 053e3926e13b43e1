/* SPDX-License-Identifier: MIT */
/*
 * watch: what the watch stream shows, gathered four times a second while somebody watches, and published on a state
 * topic: a watcher that is slow gets the newest, never a queue of old ones. Main loop.
 */
#ifndef FLUXBP_SERVER_WATCH_H
#define FLUXBP_SERVER_WATCH_H

#include "server/server.h"

#include <fluxbp/fluxbp.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/** Begin to look. The timer is the server's to close. */
void watch_start(fluxbp_server_t *server, uv_loop_t *loop);

/** Publish an event as the newest under its key. @return whether there was room */
bool watch_publish(fluxbp_server_t *server, uint64_t key, const char *event, const json_t *object);

#endif
