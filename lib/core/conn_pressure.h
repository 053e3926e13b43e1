/* SPDX-License-Identifier: MIT */
/*
 * conn_pressure: the pressure block of a connection, its clocks, its watermarks, and the events that the user is to be
 * told.
 */
#ifndef FLUXBP_LIB_CONN_PRESSURE_H
#define FLUXBP_LIB_CONN_PRESSURE_H

#include "conn.h"

/* Begin the grace: the connection was started, or brought up to date, just now. The time is kept in 32 bits, which wrap
 * after 49 days and repeat the grace once. */
void fluxbp__conn_begin_grace(fluxbp_conn_t *conn);

/* Something of the connection has moved just now. It has a pressure block. */
void fluxbp__conn_note_progress(fluxbp_conn_t *conn);

/* Take a pressure block, or keep the one that is there. UV_ENOBUFS or UV_ENOMEM. */
int fluxbp__conn_take_pressure(fluxbp_conn_t *conn);

/* Give the pressure block back, unless it is needed: then its clocks begin anew. */
void fluxbp__conn_release_pressure(fluxbp_conn_t *conn);

/* The fill of the ring has changed: the connection may have entered or left backpressure. It has a pressure block. */
void fluxbp__conn_watermarks(fluxbp_conn_t *conn);

/* on_backpressure, on_gap or a shadow verdict have something to say. The connection has a pressure block. */
void fluxbp__conn_note_event(fluxbp_conn_t *conn);

/* A policy that only reports has come to a verdict. */
void fluxbp__conn_shadow(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason);

/* Of the connections with a pressure block: return the one after `conn`, or the first for NULL. NULL: there is no
 * more. */
fluxbp_conn_t *fluxbp__pressured_next(const fluxbp__engine_t *engine, const fluxbp_conn_t *conn);

#endif
