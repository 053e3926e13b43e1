/* SPDX-License-Identifier: MIT */
/*
 * api: what administrators ask for and change. Most of it is known to all hubs together, so an answer takes a survey: the
 * request waits on its own thread, the main loop asks the others, and posts the answer back.
 */
#ifndef GATEWAY_API_H
#define GATEWAY_API_H

#include "clients.h"
#include "http_reader.h"

void api_metrics(struct client *client, const struct http_request *request);
void api_stats(struct client *client, const struct http_request *request);
void api_connections(struct client *client, const struct http_request *request);
void api_evictions(struct client *client, const struct http_request *request);
void api_evict(struct client *client, const struct http_request *request);
void api_get_policy(struct client *client, const struct http_request *request);
void api_set_policy(struct client *client, const struct http_request *request);

#endif
