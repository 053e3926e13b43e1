/* SPDX-License-Identifier: MIT */
/*
 * conn_read: having a connection read or not: pauses, and their end.
 */
#ifndef FLUXBP_LIB_CONN_READ_H
#define FLUXBP_LIB_CONN_READ_H

#include "conn.h"

/* Read on if reading is paused, whatever the state of the connection. */
void fluxbp__conn_read_on(fluxbp_conn_t *conn);

#endif
