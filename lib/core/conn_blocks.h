/* SPDX-License-Identifier: MIT */
/*
 * conn_blocks: memory that few connections own besides their struct: the block for what is rare, and a policy of their
 * own.
 */
#ifndef FLUXBP_LIB_CONN_BLOCKS_H
#define FLUXBP_LIB_CONN_BLOCKS_H

#include "conn.h"

/* Take the block for what is rare, or keep the one that is there. Returns false without memory. */
bool fluxbp__conn_take_rare(fluxbp_conn_t *conn);

/* Give the block for what is rare back, unless something is in it. */
void fluxbp__conn_release_rare(fluxbp_conn_t *conn);

/* Put the connection, which has a block for what is rare, into the list of those whose reading is paused. */
void fluxbp__conn_note_pause(fluxbp_conn_t *conn);

/* Take the connection out of that list, without reading on. Nothing happens if it isn't there. */
void fluxbp__conn_forget_pause(fluxbp_conn_t *conn);

/* Have the loop ask the transport for what it has read and kept. 0 or UV_ENOMEM. */
int fluxbp__conn_note_input(fluxbp_conn_t *conn);

/* Cancel that. Nothing happens if nothing is due. */
void fluxbp__conn_forget_input(fluxbp_conn_t *conn);

/* Take the connection out of the queue of those that wait for their turn. Nothing happens if it isn't there. */
void fluxbp__conn_forget_turn(fluxbp_conn_t *conn);

/* Give a policy of its own up: the hub's is its policy again. */
void fluxbp__conn_free_policy(fluxbp_conn_t *conn);

#endif
