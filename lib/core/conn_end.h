/* SPDX-License-Identifier: MIT */
/*
 * conn_end: the steps that every end of a connection is made of: its doom, FIN, and closing the stream. conn_close.h
 * has the ways that lead there.
 */
#ifndef FLUXBP_LIB_CONN_END_H
#define FLUXBP_LIB_CONN_END_H

#include "conn.h"

/* The kernel counts an unacknowledged FIN as one byte. */
enum { FLUXBP__FIN_BYTES = 1 };

/* Enter a state other than OPEN, from whichever it was. */
void fluxbp__conn_set_state(fluxbp_conn_t *conn, fluxbp__conn_state_t state);

/* Return what on_close will be told, as far as it is known. */
int fluxbp__conn_end_status(const fluxbp_conn_t *conn);

/* Have the loop evict the connection. Nothing happens if it is ending already. */
void fluxbp__conn_evict(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason);

/* Reading or writing failed: have the loop close the connection. */
void fluxbp__conn_fail(fluxbp_conn_t *conn, int err);

/* Close the stream, which hasn't been closed. With `resets` the peer gets a reset, where the transport has one. */
void fluxbp__conn_close_stream(fluxbp_conn_t *conn, bool resets);

/* The transport has let go of the stream. */
void fluxbp__conn_closed(fluxbp_conn_t *conn);

/* Say FIN: the connection is draining, and everything is written. */
void fluxbp__conn_finish(fluxbp_conn_t *conn);

/* FIN was said, or couldn't be. */
void fluxbp__conn_shut(fluxbp_conn_t *conn, int status);

/* Of a connection that is closing: when FIN is said and nothing before it is unacknowledged, shorten the deadline,
 * once. */
void fluxbp__conn_linger(fluxbp_conn_t *conn, uint64_t unacked_bytes);

#endif
