/* SPDX-License-Identifier: MIT */
/*
 * conn_write: from the ring of a connection to the kernel.
 */
#ifndef FLUXBP_LIB_CONN_WRITE_H
#define FLUXBP_LIB_CONN_WRITE_H

#include "conn.h"

/* State topics or the history have something for the connection: have it visited, unless it waits for the kernel. */
void fluxbp__conn_catch_up(fluxbp_conn_t *conn);

/* Stage what state topics still have for the connection, and offer the kernel what is staged, unless a write is on its
 * way. No callback of the user's runs. */
void fluxbp__conn_flush(fluxbp_conn_t *conn);

/* The same with what the history still has for it. */
void fluxbp__conn_flush_with_past(fluxbp_conn_t *conn);

/* The same as fluxbp__conn_flush for a connection that isn't linked, in two halves, between which the caller sends. The
 * first half collects what is to be sent into at most `room` buffers. Returns their number, and sets `bytes` to their
 * sum; 0: the connection isn't one for that, and nothing was done. Between the halves nothing else is done with the
 * connection. The run may be lent: when all has been sent the caller takes it back (`is_lent`). */
unsigned fluxbp__conn_begin_flush(fluxbp_conn_t *conn, uv_buf_t *buffers, unsigned room, size_t *bytes);

/* `taken`: what uv_try_write would have returned. */
void fluxbp__conn_end_flush(fluxbp_conn_t *conn, size_t bytes, int taken);

/* Write the replies and what is in the ring of an open or draining connection now, unless a write is on its way. */
void fluxbp__conn_offer(fluxbp_conn_t *conn);

/* The fill of the ring has changed: the dropping may end, watermarks may have been crossed. */
void fluxbp__conn_settle(fluxbp_conn_t *conn);

/* The transport has room again, and has taken so many bytes of the head's rest; or writing failed. */
void fluxbp__conn_writable(fluxbp_conn_t *conn, ssize_t taken);

/* Throw away what is queued, a pinned head excepted, and count it. */
void fluxbp__conn_discard(fluxbp_conn_t *conn);

#endif
