/* SPDX-License-Identifier: MIT */
/*
 * routes: which request is answered by what, and who may ask.
 */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "clients.h"
#include "http_reader.h"

/** Answer a request, have it answered, or change the client's protocol. */
void routes_run(struct client *client, const struct http_request *request);

#endif
