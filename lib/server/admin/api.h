/* SPDX-License-Identifier: MIT */
/*
 * api: what administrators ask for and change. Most of it is known to all hubs together, so an answer takes a survey:
 * the request waits on its own thread, the server's loop asks the others, and posts the answer back.
 */
#ifndef FLUXBP_SERVER_API_H
#define FLUXBP_SERVER_API_H

#include "server/http/http_reader.h"
#include "server/session/session.h"

void api_metrics(fluxbp_session_t *session, const struct http_request *request);
void api_stats(fluxbp_session_t *session, const struct http_request *request);
void api_connections(fluxbp_session_t *session, const struct http_request *request);
void api_evictions(fluxbp_session_t *session, const struct http_request *request);
void api_evict(fluxbp_session_t *session, const struct http_request *request);
void api_get_policy(fluxbp_session_t *session, const struct http_request *request);
void api_set_policy(fluxbp_session_t *session, const struct http_request *request);
void api_revoke(fluxbp_session_t *session, const struct http_request *request);

#endif
