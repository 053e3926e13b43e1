/* SPDX-License-Identifier: MIT */
/*
 * conn_events: telling the user what was noted of a connection. From the loop only.
 */
#ifndef FLUXBP_LIB_CONN_EVENTS_H
#define FLUXBP_LIB_CONN_EVENTS_H

#include "conn.h"

/* Call on_gap, on_backpressure, on_reply_room and on_verdict for what was noted (fluxbp__conn_note_event). */
void fluxbp__conn_deliver_events(fluxbp_conn_t *conn);

#endif
