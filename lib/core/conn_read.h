/* SPDX-License-Identifier: MIT */
/*
 * conn_read: having a connection read or not: pauses, and their end.
 */
#ifndef FLUXBP_LIB_CONN_READ_H
#define FLUXBP_LIB_CONN_READ_H

#include "conn.h"

/* Pause reading, or read on, as the reasons for a pause want it. 0 or UV_ENOMEM; to read on needs no memory. */
int fluxbp__conn_update_reading(fluxbp_conn_t *conn);

/* Read on if reading is paused, whatever the state of the connection, and forget the reasons. */
void fluxbp__conn_read_on(fluxbp_conn_t *conn);

#endif
