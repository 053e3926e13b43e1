/* SPDX-License-Identifier: MIT */
/*
 * Internal side of catch_up: connections that are behind their state topics.
 */
#ifndef FLUXBP_LIB_CATCH_UP_H
#define FLUXBP_LIB_CATCH_UP_H

#include "topics.h"

/* A new subscription of a state topic: have the connection walk over what the topic keeps. */
void fluxbp__catch_up_begin(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* The subscription ends. Nothing happens to one that has everything. */
void fluxbp__catch_up_cancel(fluxbp_conn_t *conn, fluxbp__subscription_t *subscription);

/* The value at `place` has changed just now, and the connection is catching up. True: a walk will come to the value, so
 * it isn't to be staged. */
bool fluxbp__catch_up_will_come(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn, uint32_t place);

/* The value at `place` has no room in the ring of an open connection: see to it that a walk comes to it. Nothing
 * happens if the connection isn't open any more. */
void fluxbp__catch_up_miss(const fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint32_t place);

/* Go on with the walks of a connection, as far as its ring has room. The subscription with the index `first` has all
 * the room, and the others what that leaves. */
void fluxbp__catch_up_walk(fluxbp_conn_t *conn, uint32_t first);

/* If all walks over changed values have ended, begin those that waited for that. */
void fluxbp__catch_up_begin_next(fluxbp_conn_t *conn);

/* Remove the values of state topics from the ring of a connection which the topics can give it again later. */
void fluxbp__catch_up_take_values_back(fluxbp_conn_t *conn);

/* The value at `place` is going to be forgotten: queue it now for the connections that are yet to get it. */
void fluxbp__catch_up_forget(const fluxbp_topic_t *topic, uint32_t place);

#endif
