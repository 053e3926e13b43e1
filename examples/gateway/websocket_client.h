/* SPDX-License-Identifier: MIT */
/*
 * websocket_client: a client that has changed from HTTP to WebSocket.
 */
#ifndef GATEWAY_WEBSOCKET_CLIENT_H
#define GATEWAY_WEBSOCKET_CLIENT_H

#include "clients.h"
#include "http_reader.h"

/** GET /ws: answers, and changes the protocol if that was in order. */
void websocket_client_begin(struct client *client, const struct http_request *request);

#endif
