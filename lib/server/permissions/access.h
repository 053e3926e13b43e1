/* SPDX-License-Identifier: MIT */
/*
 * access: what those may do who show no token.
 */
#ifndef FLUXBP_SERVER_ACCESS_H
#define FLUXBP_SERVER_ACCESS_H

#include "server/server.h"

#include <sys/socket.h>

/** Return the roles of a client without a token at an address that is listened on, if no token exists for them. */
unsigned access_free_roles(const fluxbp_server_t *server, const struct sockaddr *address);

#endif
