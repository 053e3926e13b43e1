/* SPDX-License-Identifier: MIT */
/*
 * conn_lane: the block of replies that wait. conn_reply.h has what follows from that for reading.
 */
#ifndef FLUXBP_LIB_CONN_LANE_H
#define FLUXBP_LIB_CONN_LANE_H

#include "conn.h"

/* Take a lane, or keep the one that is there. 0, UV_ENOBUFS or UV_ENOMEM. */
int fluxbp__lane_take(fluxbp_conn_t *conn);

/* Give an empty lane back. */
void fluxbp__lane_release(fluxbp_conn_t *conn);

/* Collect all replies. Returns the number of buffers. */
unsigned fluxbp__lane_collect(const fluxbp__lane_t *lane, uv_buf_t *buffers);

/* Give back the first replies, as many as `*bytes` cover whole, and return their number. `*bytes` becomes the rest: a
 * part of the next reply. */
uint32_t fluxbp__lane_consume(fluxbp__lane_t *lane, size_t *bytes);

/* Remove the first reply, of which there is one. The caller takes over its reference. */
fluxbp_frame_t *fluxbp__lane_pop(fluxbp__lane_t *lane);

/* Throw all replies away. Returns their number; `*bytes` gets their bytes. */
uint32_t fluxbp__lane_discard(fluxbp_conn_t *conn, uint64_t *bytes);

#endif
