/* SPDX-License-Identifier: MIT */
/*
 * access: what those may do who show no token.
 */
#ifndef FLUXBP_SERVER_ACCESS_H
#define FLUXBP_SERVER_ACCESS_H

#include "server/server.h"

#include <sys/socket.h>

/** The roles that take no token at an address that is listened on. */
unsigned access_free_roles(const fluxbp_server_t *server, const struct sockaddr *address);

#endif
