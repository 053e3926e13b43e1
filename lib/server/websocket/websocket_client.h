/* SPDX-License-Identifier: MIT */
/*
 * websocket_client: a client that has changed from HTTP to WebSocket.
 */
#ifndef FLUXBP_SERVER_WEBSOCKET_CLIENT_H
#define FLUXBP_SERVER_WEBSOCKET_CLIENT_H

#include "server/http/http_reader.h"
#include "server/session/session.h"

/** GET /ws: answers, and changes the protocol if that was in order. */
void websocket_client_begin(fluxbp_session_t *session, const struct http_request *request);

#endif
