/* SPDX-License-Identifier: MIT */
/*
 * conn_stage: putting frames into the ring of a connection.
 */
#ifndef FLUXBP_LIB_CONN_STAGE_H
#define FLUXBP_LIB_CONN_STAGE_H

#include "conn.h"

/* Queue a frame for an open connection. 1, or 0 if it was lost. */
int fluxbp__conn_stage(fluxbp_conn_t *conn, fluxbp_frame_t *frame);

/* The same for a value of a state topic: while the kernel refuses the connection, the value takes the place of the
 * queued one of its key. 0: there is no room now, and nothing was counted. */
int fluxbp__conn_stage_state(fluxbp_conn_t *conn, fluxbp_frame_t *frame);

/* Whether a frame of the past may be staged: below the high watermark, or into an empty ring. */
bool fluxbp__conn_has_room_for(const fluxbp_conn_t *conn, const fluxbp_frame_t *frame);

/* Count `lost` as lost, and put a marker in its place: the frame was due to the connection and can't be had any more.
 * The connection may be one that hasn't been started. */
void fluxbp__conn_lose(fluxbp_conn_t *conn, const fluxbp_frame_t *lost);

/* Queue a frame behind everything, whatever the limits say: the farewell. 0, or UV_ENOBUFS or UV_ENOMEM; behind no more
 * than a pinned head it never fails. */
int fluxbp__conn_stage_last(fluxbp_conn_t *conn, fluxbp_frame_t *frame);

#endif
