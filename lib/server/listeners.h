/* SPDX-License-Identifier: MIT */
/*
 * listeners: the addresses of a server, and the sockets that the program has accepted itself. Each new socket is handed
 * to a shard. Thread: the server's loop, for each function that doesn't say otherwise.
 */
#ifndef FLUXBP_LIB_SERVER_LISTENERS_H
#define FLUXBP_LIB_SERVER_LISTENERS_H

#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>

#include <stdbool.h>

struct listener {
  fluxbp_server_t *server;
  const struct protocol *protocol; /* that clients begin with */
  fluxbp_listener_t *listener;     /* stays for the permits that are given back to it, when it was closed, too. NULL:
                                    * the entry stands for clients whose sockets the program has accepted */
  unsigned free_roles;             /* that take no token here */
  bool is_tls;
  bool is_closed;
};

/** Give a permit back to the listener that has issued it. Does nothing if the program has accepted the socket. Any
 * thread. */
void listener_release(const struct listener *listener, fluxbp_permit_t permit);

/** Let no more subscribers in. HTTP goes on: it says that the server isn't ready. */
void listeners_close_subscribers(fluxbp_server_t *server);

/** Close all. May be called at any time, and again. */
void listeners_close(fluxbp_server_t *server);

#endif
