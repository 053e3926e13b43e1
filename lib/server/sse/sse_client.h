/* SPDX-License-Identifier: MIT */
/*
 * sse_client: a client that reads Server-Sent Events: of topics, or of the watch stream.
 */
#ifndef FLUXBP_SERVER_SSE_CLIENT_H
#define FLUXBP_SERVER_SSE_CLIENT_H

#include "server/http/http_reader.h"
#include "server/session/session.h"

/** GET /sse: answers, and changes the protocol if that was in order. */
void sse_client_begin(fluxbp_session_t *session, const struct http_request *request);

/** GET /api/v1/watch: the same. */
void sse_client_watch(fluxbp_session_t *session, const struct http_request *request);

#endif
