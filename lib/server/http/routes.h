/* SPDX-License-Identifier: MIT */
/*
 * routes: which request is answered by what, and who may ask.
 */
#ifndef FLUXBP_SERVER_ROUTES_H
#define FLUXBP_SERVER_ROUTES_H

#include "http_reader.h"
#include "server/session/clients.h"

#include <stdbool.h>

/** Whether a request may be made at all, before its body comes; if not, it has been refused. */
bool routes_check(struct client *client, const struct http_request *request);

/** Answer a request, have it answered, or change the client's protocol. */
void routes_run(struct client *client, const struct http_request *request);

#endif
