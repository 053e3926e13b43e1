/* SPDX-License-Identifier: MIT */
/*
 * publish_request: POST /api/v1/publish, a message or many.
 */
#ifndef GATEWAY_PUBLISH_REQUEST_H
#define GATEWAY_PUBLISH_REQUEST_H

#include "clients.h"
#include "http_reader.h"

void publish_request_run(struct client *client, const struct http_request *request);

#endif
