/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: which topics a client holds, and is subscribed to.
 */
#ifndef FLUXBP_SERVER_SUBSCRIPTIONS_H
#define FLUXBP_SERVER_SUBSCRIPTIONS_H

#include "clients.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How many topics it holds; and one of them, by its place below that. */
size_t client_topic_count(const struct client *client);
fluxbp_topic_t *client_topic(const struct client *client, size_t place);

/**
 * Hold a topic, so that it is there to subscribe to.
 *
 * @return 1, 0 if it was held, UV_E2BIG (--max-topics-per-client is reached), or what topics_hold returns
 */
int client_hold(struct client *client, const char *name);

/** Subscribe to what it holds, live. @return 0 or a libuv error */
int client_subscribe_held(struct client *client);

/** Hold a topic and subscribe to it, live. @return as client_hold, and what fluxbp_topic_subscribe returns */
int client_subscribe(struct client *client, const char *name);

/** @return whether it held that topic */
bool client_unsubscribe(struct client *client, const char *name);

/** Let go of all. */
void subscriptions_end(struct client *client);

#endif
