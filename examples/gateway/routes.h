/* SPDX-License-Identifier: MIT */
/*
 * routes: which request is answered by what, and who may ask.
 */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "clients.h"
#include "http_reader.h"

#include <stdbool.h>

/** Whether a request may be made at all, before its body comes; if not, it has been refused. */
bool routes_check(struct client *client, const struct http_request *request);

/** Answer a request, have it answered, or change the client's protocol. */
void routes_run(struct client *client, const struct http_request *request);

#endif
