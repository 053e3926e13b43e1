/* SPDX-License-Identifier: MIT */
/*
 * conn_sent: telling the user what became of one message to one connection.
 */
#ifndef FLUXBP_LIB_CONN_SENT_H
#define FLUXBP_LIB_CONN_SENT_H

#include "conn.h"

/* Have `on_sent` called for the fate of a frame that belongs to one connection alone. 0, UV_ENOBUFS or UV_ENOMEM. */
int fluxbp__sent_watch(fluxbp_conn_t *conn, fluxbp_frame_t *frame, fluxbp_sent_cb on_sent, void *arg);

/* The frame wasn't queued: nothing is told of it. */
void fluxbp__sent_forget(fluxbp_conn_t *conn, fluxbp_frame_t *frame);

/* Call the user for one that is due. From the loop only. */
void fluxbp__sent_deliver(fluxbp__link_t *link);

/* Call the user for all that are due now. From the loop only. */
void fluxbp__sent_deliver_all(fluxbp__engine_t *engine);

#endif
