/* SPDX-License-Identifier: MIT */
/*
 * listener: the TCP socket that clients come in by.
 */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include "clients.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

struct listener {
  struct clients *clients;
  bool is_open;
  uv_tcp_t tcp;
  uv_timer_t retry;
};

/**
 * Listen on `address`, and hand what comes to `clients`.
 *
 * @return 0 or a libuv error, of bind or listen as a rule; listener_close is needed in either case
 */
int listener_open(struct listener *listener, uv_loop_t *loop, struct clients *clients, const struct sockaddr *address);

/** Write the address that it really listens on, which tells the port that was asked for as 0. */
void listener_address(const struct listener *listener, char *text, size_t size);

/** Accept no more. May be called at any time, and again. */
void listener_close(struct listener *listener);

#endif
