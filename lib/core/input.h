/* SPDX-License-Identifier: MIT */
/*
 * Internal side of input.h: connections that wait until it is their turn to be read, or to have done what they have
 * sent.
 */
#ifndef FLUXBP_LIB_INPUT_H
#define FLUXBP_LIB_INPUT_H

#include "conn.h"

/* Read no more from an open or draining connection until it is its turn. Nothing happens without memory. */
void fluxbp__conn_hold(fluxbp_conn_t *conn);

/* The connection was read, which has taken so long. A built-in transport asks before it reads; another one is held here
 * if it has read for long enough. */
void fluxbp__conn_note_read(fluxbp_conn_t *conn, uint64_t used_ns);

/* Return the key of the address with which the connection shares its turns. */
uint64_t fluxbp__conn_input_key(fluxbp_conn_t *conn);

/* Give connections their turns, as long as the iteration's share lasts. Returns whether some are left. */
bool fluxbp__input_run(fluxbp__engine_t *engine);

/* The queue has let go of the connection that `item` is a part of. */
void fluxbp__conn_left_queue(fluxbp__fair_item_t *item);

#endif
