/* SPDX-License-Identifier: MIT */
/*
 * access: what those may do who show no token.
 */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include "server.h"

/** Set the server's free_roles, by its tokens and its addresses. */
void access_set(struct server *server);

#endif
