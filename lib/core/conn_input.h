/* SPDX-License-Identifier: MIT */
/*
 * conn_input: what comes from the peer of a connection.
 */
#ifndef FLUXBP_LIB_CONN_INPUT_H
#define FLUXBP_LIB_CONN_INPUT_H

#include "conn.h"
#include "transport.h"

/* What transports tell connections. */
extern const struct fluxbp__carried fluxbp__conn_carried;

/* Have the transport hand over what it has read and kept, unless reading is paused or the connection is closing. */
void fluxbp__conn_deliver_input(fluxbp_conn_t *conn);

/* Whether there is no paused connection to look at. */
bool fluxbp__paused_is_empty(const fluxbp__engine_t *engine);

/* Begin a look at all paused connections. */
void fluxbp__paused_begin_look(fluxbp__engine_t *engine);

/* Go on with that look. Returns false if some connections are left, as the sweep's share of the iteration is used
 * up. */
bool fluxbp__paused_look(fluxbp__engine_t *engine, bool within_budget);

#endif
