/* SPDX-License-Identifier: MIT */
/*
 * conn_sent: a note that goes with a frame, and becomes an event when the frame is given back. The flush gives back
 * what is written; the ring and the lane give back what is dropped or thrown away, with a status. A connection outlives
 * its notes: all of them are told before on_close.
 */
#include "conn_sent.h"

#include "pool.h"

typedef struct note {
  fluxbp__watch_t watch; /* the frame's */
  fluxbp__link_t due;
  fluxbp_conn_t *conn;
  fluxbp_sent_cb on_sent;
  void *arg;
  int status;
} note_t;

static void on_frame_gone(fluxbp__watch_t *watch, int status) {
  note_t *note = FLUXBP__CONTAINER(watch, note_t, watch);
  note->status = status;
  fluxbp__turn_add(&fluxbp__conn_engine(note->conn)->turn, FLUXBP__DUE_SENT, &note->due);
}

int fluxbp__sent_watch(fluxbp_conn_t *conn, fluxbp_frame_t *frame, fluxbp_sent_cb on_sent, void *arg) {
  void *memory;
  int err = fluxbp__pool_alloc(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, sizeof(note_t), &memory);
  if (err) return err;
  note_t *note = memory;
  *note = (note_t){.watch.on_gone = on_frame_gone, .conn = conn, .on_sent = on_sent, .arg = arg};
  frame->sole.watch = &note->watch;
  return 0;
}

void fluxbp__sent_forget(fluxbp_conn_t *conn, fluxbp_frame_t *frame) {
  note_t *note = FLUXBP__CONTAINER(frame->sole.watch, note_t, watch);
  frame->sole.watch = NULL;
  fluxbp__pool_free(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, note, sizeof *note);
}

void fluxbp__sent_deliver(fluxbp__link_t *link) {
  const note_t *note = FLUXBP__CONTAINER(link, note_t, due);
  note_t told = *note;
  fluxbp__pool_free(fluxbp__conn_engine(told.conn)->pool, FLUXBP__CONTROL, (void *) (uintptr_t) note, sizeof *note);
  told.on_sent(told.conn, told.arg, told.status);
}

void fluxbp__sent_deliver_all(fluxbp__engine_t *engine) {
  fluxbp__link_t batch; /* without those that a callback adds: it might add one each time */
  fluxbp__list_take(&batch, &engine->turn.due[FLUXBP__DUE_SENT]);
  while (!fluxbp__list_is_empty(&batch)) {
    fluxbp__link_t *link = batch.next;
    fluxbp__link_remove(link);
    fluxbp__sent_deliver(link);
  }
}
