/* SPDX-License-Identifier: MIT */
/*
 * listeners: the gateway's addresses, one for each door. What comes in is handed to the shards. Main loop.
 */
#ifndef GATEWAY_LISTENERS_H
#define GATEWAY_LISTENERS_H

#include "server/server.h"
#include "server/shards.h"

#include <fluxbp/fluxbp.h>

#include <uv.h>

/* Connections for administrators when the gateway is full of clients. */
#define HTTP_RESERVE 64

struct listeners {
  fluxbp_server_t *server;
  struct shards *shards;
  struct door_listener {
    struct listeners *listeners;
    enum door door;
    fluxbp_listener_t *listener; /* NULL: not open */
  } doors[DOOR_COUNT];
};

/**
 * Open those that the options name, and print the ready line. Server and shards were set.
 *
 * @return 0 or a libuv error, which was told on standard error; those that are open stay so until they are closed
 */
int listeners_open(struct listeners *listeners, uv_loop_t *loop);

/** Let no more subscribers in. HTTP goes on: it says that the gateway isn't ready. */
void listeners_close_subscribers(struct listeners *listeners);

/** Close all. May be called at any time, and again. */
void listeners_close(struct listeners *listeners);

#endif
