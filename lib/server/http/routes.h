/* SPDX-License-Identifier: MIT */
/*
 * routes: which request is answered by what, and who may ask.
 */
#ifndef FLUXBP_SERVER_ROUTES_H
#define FLUXBP_SERVER_ROUTES_H

#include "http_reader.h"
#include "server/session/session.h"

#include <stdbool.h>

/** Whether a request may be made at all, before its body comes; if not, it has been refused. */
bool routes_check(fluxbp_session_t *session, const struct http_request *request);

/** Whether the request that has begun is one for a stream of events, which ends for good with a status that isn't
 * 200. */
bool routes_is_for_events(const struct http_reader *reader);

/** Answer a request, have it answered, or change the client's protocol. */
void routes_run(fluxbp_session_t *session, const struct http_request *request);

#endif
