/* SPDX-License-Identifier: MIT */
/*
 * conn_reply: fills the lane of replies, and holds the peer up while the lane is full. conn_write.c takes from the
 * lane.
 */
#include "conn_reply.h"

#include "conn_lane.h"
#include "conn_pressure.h"
#include "conn_read.h"

/* Reading goes on, and the user is told, when so many places of a lane that was full are free. */
enum { PLACES_TO_READ_ON = FLUXBP_REPLIES_MAX / 2 };

/* The last place is going to be taken: there has to be a pressure block for the event that follows. */
static int fill_lane(fluxbp_conn_t *conn) {
  int err = fluxbp__conn_take_pressure(conn);
  if (err) return err;
  conn->is_lane_full = true;
  return fluxbp__conn_update_reading(conn); /* can't fail: the block for what is rare is there */
}

int fluxbp__reply_push(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  if (conn->is_lane_full && conn->rare->lane->count == FLUXBP_REPLIES_MAX) return UV_EAGAIN;
  int err = fluxbp__lane_take(conn);
  if (err) return err;
  fluxbp__lane_t *lane = conn->rare->lane;
  if (lane->count + 1 == FLUXBP_REPLIES_MAX) err = fill_lane(conn);
  if (err) return err;
  lane->frames[lane->count++] = frame;
  lane->bytes += frame->len;
  frame->refs++;
  return 0;
}

void fluxbp__reply_settle(fluxbp_conn_t *conn) {
  const fluxbp__lane_t *lane = conn->rare->lane;
  if (conn->is_lane_full && lane->count <= FLUXBP_REPLIES_MAX - PLACES_TO_READ_ON) {
    conn->is_lane_full = false;
    conn->pressure->has_reply_room = true;
    fluxbp__conn_note_event(conn);
    (void) fluxbp__conn_update_reading(conn); /* to read on needs no memory */
  }
  fluxbp__lane_release(conn);
}
