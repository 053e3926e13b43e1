/* SPDX-License-Identifier: MIT */
/*
 * conn_look: what is seen of a connection when it is looked at for a verdict.
 */
#ifndef FLUXBP_LIB_CONN_LOOK_H
#define FLUXBP_LIB_CONN_LOOK_H

#include "conn.h"

/* Ask the kernel about a connection with a pressure block, if the last answer is old enough. */
void fluxbp__conn_take_sample(fluxbp_conn_t *conn, uint64_t now_ms);

/* Count the bytes that the kernel has of a refused or closing connection. Returns what the peer hasn't acknowledged. */
uint64_t fluxbp__conn_note_kernel_bytes(fluxbp_conn_t *conn);

/* Return what the policy judges by. */
fluxbp__observation_t fluxbp__conn_observe(fluxbp_conn_t *conn, uint64_t now_ms);

/* What was written to the connection isn't acknowledged: have the sweep judge it by that until it is. */
void fluxbp__conn_watch(fluxbp_conn_t *conn);

#endif
