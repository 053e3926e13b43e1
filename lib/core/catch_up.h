/* SPDX-License-Identifier: MIT */
/*
 * Internal side of catch_up: connections that are behind their state topics.
 */
#ifndef FLUXBP_LIB_CATCH_UP_H
#define FLUXBP_LIB_CATCH_UP_H

#include "topics.h"

/* Let the connection be one of the members that publishing visits. The topic has room for it. */
void fluxbp__catch_up_add_live(fluxbp_topic_t *topic, fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* Remove one of the members that publishing visits. */
void fluxbp__catch_up_remove_live(fluxbp_topic_t *topic, fluxbp_conn_t *conn,
                                  const fluxbp__subscription_t *subscription);

/* Make room for one more member that is behind. 0 or UV_ENOMEM. */
int fluxbp__catch_up_reserve(fluxbp_topic_t *topic);

/* A new subscription of a state topic, which has room for it: have the connection walk over what the topic keeps. */
void fluxbp__catch_up_begin(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* The subscription of a connection that is behind ends. */
void fluxbp__catch_up_cancel(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* The topic's newest change has no room in the ring of a member: let it be behind. Returns false if it isn't, because
 * the connection is no longer open. */
bool fluxbp__catch_up_miss(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/* Go on with the walks of a connection, as far as its ring has room. The subscription with the index `first`, modulo
 * their number, has all the room, and the others what that leaves. */
void fluxbp__catch_up_walk(fluxbp_conn_t *conn, uint32_t first);

/* Remove the values of state topics from the ring of a connection which the topics can give it again later. */
void fluxbp__catch_up_take_values_back(fluxbp_conn_t *conn);

/* Replace the values in the ring of a connection that have a newer one, where the connection is behind. */
void fluxbp__catch_up_refresh(fluxbp_conn_t *conn);

/* The value at `place` is going to be forgotten: queue it now for the connections that are yet to get it. */
void fluxbp__catch_up_forget(const fluxbp_topic_t *topic, uint32_t place);

/* Return how far the connection is with a state topic, or NULL if it isn't behind. Good until the membership changes.
 */
fluxbp__behind_t *fluxbp__catch_up_of(const fluxbp__subscription_t *subscription);

#endif
