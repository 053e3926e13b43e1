/* SPDX-License-Identifier: MIT */
/*
 * conn_read: the pauses that the user makes, and those for want of a place for replies. What comes from the peer is in
 * conn_input.c, which also watches over paused connections: libuv sees neither FIN nor reset while reading is stopped.
 *
 * Only an OPEN connection is paused. One that begins to drain reads on, and what comes is thrown away (conn_close.c
 * says why). The paused list holds a reference to the loop through the sweep's timer, as a stream that reads does by
 * itself.
 */
#include "conn_read.h"

#include "conn_blocks.h"
#include "conn_end.h"

static int pause_reading(fluxbp_conn_t *conn) {
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  if (!conn->has_peer_closed && !conn->is_held) fluxbp__conn_transport(conn)->read_stop(conn);
  conn->is_held = false; /* it is read again when the pause ends */
  fluxbp__conn_note_pause(conn);
  return 0;
}

void fluxbp__conn_read_on(fluxbp_conn_t *conn) {
  if (!conn->is_read_paused) return;
  fluxbp__conn_forget_pause(conn);
  if (conn->has_peer_closed) return; /* there is nothing more to read */
  int err = fluxbp__conn_transport(conn)->read_start(conn);
  if (err) fluxbp__conn_fail(conn, err);
}

int fluxbp__conn_update_reading(fluxbp_conn_t *conn) {
  bool has_reason = conn->is_pause_wanted || conn->is_lane_full;
  if (has_reason == conn->is_read_paused) return 0;
  if (has_reason) return pause_reading(conn);
  fluxbp__conn_read_on(conn);
  return 0;
}

int fluxbp_conn_pause_read(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  conn->is_pause_wanted = true;
  int err = fluxbp__conn_update_reading(conn);
  if (err) conn->is_pause_wanted = false;
  return err;
}

void fluxbp_conn_resume_read(fluxbp_conn_t *conn) {
  /* a doomed connection is read again when it begins to drain; without a farewell it is closed */
  if (conn->state == FLUXBP__CONN_DOOMED) return;
  conn->is_pause_wanted = false;
  (void) fluxbp__conn_update_reading(conn); /* to read on needs no memory */
}
