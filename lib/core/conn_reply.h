/* SPDX-License-Identifier: MIT */
/*
 * conn_reply: replies in a lane of their own. They are written before what is in the ring, and no overflow rule drops
 * them.
 *
 * If the kernel refuses the first reply, that one becomes the head of the ring, where it is pinned like any head that
 * is being written.
 */
#ifndef FLUXBP_LIB_CONN_REPLY_H
#define FLUXBP_LIB_CONN_REPLY_H

#include "conn.h"

/* Queue a reply. The one that takes the last place pauses reading. 0, UV_EAGAIN (there is no place), UV_ENOBUFS or
 * UV_ENOMEM. */
int fluxbp__reply_push(fluxbp_conn_t *conn, fluxbp_frame_t *frame);

/* Replies have left the lane: read on if there is room again, and give an empty lane back. */
void fluxbp__reply_settle(fluxbp_conn_t *conn);

#endif
