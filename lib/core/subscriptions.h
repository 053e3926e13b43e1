/* SPDX-License-Identifier: MIT */
/*
 * Internal side of subscriptions: the list of a connection. Topics and their members are topic.c's.
 */
#ifndef FLUXBP_LIB_SUBSCRIPTIONS_H
#define FLUXBP_LIB_SUBSCRIPTIONS_H

#include "conn.h"

/* Return the connection's subscription of the topic, or NULL. */
fluxbp__subscription_t *fluxbp__conn_subscription(const fluxbp_conn_t *conn, const struct fluxbp_topic *topic);

/* Make room for one more, so that the next fluxbp__subscriptions_add can't fail. 0 or UV_ENOMEM. */
int fluxbp__subscriptions_reserve(fluxbp_conn_t *conn);

/* Add one for a topic that isn't in the list; all else of it is zero. Pointers to others stay good until the next
 * reserve. */
fluxbp__subscription_t *fluxbp__subscriptions_add(fluxbp_conn_t *conn, struct fluxbp_topic *topic);

/* Remove one. The last of the list takes its place. */
void fluxbp__subscriptions_remove(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* Free the memory of a list that is empty, or not needed any more. */
void fluxbp__subscriptions_free(fluxbp_conn_t *conn);

#endif
