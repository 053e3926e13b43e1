/* SPDX-License-Identifier: MIT */
/*
 * publish_request: POST /api/v1/publish, a message or many; DELETE /api/v1/state, a key of a state topic.
 */
#ifndef FLUXBP_SERVER_PUBLISH_REQUEST_H
#define FLUXBP_SERVER_PUBLISH_REQUEST_H

#include "http_reader.h"
#include "server/session/session.h"

void publish_request_run(fluxbp_session_t *session, const struct http_request *request);
void publish_request_unset(fluxbp_session_t *session, const struct http_request *request);

#endif
