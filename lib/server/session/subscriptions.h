/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: which topics a client holds, and is subscribed to.
 */
#ifndef FLUXBP_SERVER_SUBSCRIPTIONS_H
#define FLUXBP_SERVER_SUBSCRIPTIONS_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How many topics it holds; and one of them, by its place below that. */
size_t fluxbp_session_topic_count(const fluxbp_session_t *session);
fluxbp_topic_t *session_topic(const fluxbp_session_t *session, size_t place);

/**
 * Hold a topic, so that it is there to subscribe to.
 *
 * @return 1, 0 if it was held, UV_E2BIG (--max-topics-per-client is reached), UV_ENFILE (see session_quota_problem), or
 *   what topics_hold returns
 */
int session_hold(fluxbp_session_t *session, const char *name);

/** Return the words for a client whose topic was refused just now with UV_ENFILE: its address or its subject has as
 * many subscriptions, or topics, as it may. */
const char *session_quota_problem(const fluxbp_session_t *session);

/** Subscribe to what it holds, live. @return 0 or a libuv error */
int session_subscribe_held(fluxbp_session_t *session);

/** Hold a topic and subscribe to it, live. @return as session_hold, and what fluxbp_topic_subscribe returns */
int session_subscribe(fluxbp_session_t *session, const char *name);

/** @return whether it held that topic */
bool session_unsubscribe(fluxbp_session_t *session, const char *name);

/** Let go of all. */
void subscriptions_end(fluxbp_session_t *session);

#endif
