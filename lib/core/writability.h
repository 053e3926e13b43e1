/* SPDX-License-Identifier: MIT */
/*
 * Internal side of writability: which connections hold the publisher up.
 */
#ifndef FLUXBP_LIB_WRITABILITY_H
#define FLUXBP_LIB_WRITABILITY_H

#include "conn.h"

/* The ring is at or above its high watermark: hold the publisher up, if there is patience left. */
void fluxbp__writability_high(fluxbp_conn_t *conn);

/* The ring is at its low watermark, or the connection is going. */
void fluxbp__writability_release(fluxbp_conn_t *conn);

/* The sweep is at a connection that the kernel refuses. */
void fluxbp__writability_swept(fluxbp_conn_t *conn, uint64_t now_ms);

/* Why a connection goes whose ring is full, by the rule EVICT. */
fluxbp_evict_reason_t fluxbp__writability_overflow_reason(const fluxbp_conn_t *conn);

/* Move the bucket of patience into a new pressure block, and out of one that is about to be freed. */
void fluxbp__writability_take_up(fluxbp_conn_t *conn, uint64_t now_ms);
void fluxbp__writability_put_away(fluxbp_conn_t *conn);

/* Free what was kept for one bucket that is full by now. Return false if there is none. */
bool fluxbp__writability_forget_full(fluxbp__engine_t *engine);

#endif
