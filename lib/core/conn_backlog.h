/* SPDX-License-Identifier: MIT */
/*
 * conn_backlog: what waits in the ring of a connection, for how long, and what the kernel has of it.
 */
#ifndef FLUXBP_LIB_CONN_BACKLOG_H
#define FLUXBP_LIB_CONN_BACKLOG_H

#include "conn.h"

/* Bytes of the head that the kernel has taken, what libuv wrote of it included. */
uint32_t fluxbp__conn_head_written(const fluxbp_conn_t *conn);

/* Return the bytes that the transport has taken and the kernel hasn't. */
uint64_t fluxbp__conn_kept_bytes(const fluxbp_conn_t *conn);

/* Return the bytes that the kernel has taken, what the transport wrote of the head in flight included. */
uint64_t fluxbp__conn_written_bytes(const fluxbp_conn_t *conn);

/* Return the bytes that the peer's kernel has acknowledged. A transport may send more than it was given, so the socket
 * may have more bytes that aren't acknowledged than were written; then it is 0. Pure. */
uint64_t fluxbp__conn_acked_bytes(uint64_t written_bytes, uint64_t unacked_bytes);

/* Bytes that the peer's kernel hasn't acknowledged; 0 where nothing is known of it. */
uint64_t fluxbp__conn_unacked_bytes(const fluxbp_conn_t *conn);

/* What waits in the ring. */
fluxbp__backlog_t fluxbp__conn_backlog(const fluxbp_conn_t *conn);

/* How full the ring is (fluxbp__backlog_fill), where full is full, however many times over. */
uint32_t fluxbp__conn_fill(const fluxbp_conn_t *conn);

/* How long the head of the ring has been waiting, in observed time; 0 if there is none. */
uint64_t fluxbp__conn_head_ms(const fluxbp_conn_t *conn);

/* How long the oldest message of which nothing was written has been waiting; 0 if there is none. */
uint64_t fluxbp__conn_oldest_ms(const fluxbp_conn_t *conn);

#endif
