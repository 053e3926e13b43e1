/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the ways in which a connection ends.
 */
#ifndef FLUXBP_LIB_CONN_CLOSE_H
#define FLUXBP_LIB_CONN_CLOSE_H

#include "conn.h"

/* Have the loop evict it. Nothing happens if it is ending already. */
void fluxbp__conn_evict(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason);

/* Evict it now and give back what it holds; a closing one is reset. Calls the user's callbacks: from the loop only. */
void fluxbp__conn_evict_for_room(fluxbp_conn_t *conn);

/* The evidence for a verdict that falls now. */
fluxbp_eviction_t fluxbp__conn_record(const fluxbp_conn_t *conn, fluxbp_evict_reason_t reason);

/* Reading or writing failed: have the loop close it. */
void fluxbp__conn_fail(fluxbp_conn_t *conn, int err);

/* The verdict's execution; calls the user's callbacks. */
void fluxbp__conn_execute(fluxbp_conn_t *conn);

/* Everything is written: say FIN, if it is draining. */
void fluxbp__conn_finish(fluxbp_conn_t *conn);

/* Of a connection that is closing: when FIN is said and nothing before it is unacknowledged, shorten the deadline, once. */
void fluxbp__conn_linger(fluxbp_conn_t *conn, uint64_t unacked_bytes);

/* The peer has sent FIN. */
void fluxbp__conn_peer_closed(fluxbp_conn_t *conn);

/* The closing deadline has passed. */
void fluxbp__conn_expire(fluxbp_conn_t *conn);

#endif
