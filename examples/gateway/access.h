/* SPDX-License-Identifier: MIT */
/*
 * access: what those may do who show no token.
 */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include "server.h"

#include <sys/socket.h>

/** The roles that nobody needs a token for at an address that is listened on. */
unsigned access_free_roles(const struct server *server, const struct sockaddr *address);

#endif
