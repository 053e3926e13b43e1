/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the ways in which a connection ends.
 */
#ifndef FLUXBP_LIB_CONN_CLOSE_H
#define FLUXBP_LIB_CONN_CLOSE_H

#include "conn.h"

/* Evict it now and give back what it holds; a closing one is reset. Calls the user's callbacks: from the loop only. */
void fluxbp__conn_evict_for_room(fluxbp_conn_t *conn);

/* The verdict's execution; calls the user's callbacks. */
void fluxbp__conn_execute(fluxbp_conn_t *conn);

/* The peer has sent FIN. */
void fluxbp__conn_peer_closed(fluxbp_conn_t *conn);

/* The closing deadline has passed. */
void fluxbp__conn_expire(fluxbp_conn_t *conn);

#endif
