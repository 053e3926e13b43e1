/* SPDX-License-Identifier: MIT */
/*
 * submission: see submission.h. Decides which connections are flushed together; conn_write.c does what a flush does,
 * and uring_linux.c calls the kernel.
 *
 * Design notes
 *
 * - Nothing of the user's runs between the first connection that is collected and the last one that is completed. So a
 *   connection can't be closed, dropped from or written to meanwhile. Connections with a transport of the user's, and
 *   those for which topics have more, are put aside, and flushed after the call; so are those that need more
 *   buffers than the call has left.
 * - Each completion is treated as what uv_try_write would have returned.
 * - The turn doesn't read its clock within a call. So a call has a limit of connections and of bytes: 0.1 ms or so.
 */
#include "submission.h"

#include "conn_write.h"

/* A call for long messages takes as long as copying them does. */
enum { CALL_BYTES_MAX = 65536 };

/* Buffers of one call. Bursts have one buffer for each connection (the run), so more are seldom needed. */
enum { CALL_BUFFERS_MAX = 256 };

/* So many connections have to be due at once before the kernel's ring is made: small programs don't pay for it. */
enum { MADE_FOR = 8 };

/* What is collected for one call. */
typedef struct call {
  unsigned count;
  fluxbp_conn_t *conns[FLUXBP__URING_SENDS_MAX];
  size_t bytes[FLUXBP__URING_SENDS_MAX];
  fluxbp__send_t sends[FLUXBP__URING_SENDS_MAX];
  uv_buf_t buffers[CALL_BUFFERS_MAX];
} call_t;

static fluxbp_conn_t *conn_of(fluxbp__link_t *link) {
  return FLUXBP__CONTAINER(link, fluxbp_conn_t, due);
}

static void give_up(fluxbp__engine_t *engine, int err) {
  fluxbp__submission_free(engine);
  engine->submission.status = err;
  engine->turn.flush_together = NULL;
}

/* Whether the list has so many links that a call may be worth it. The kernel's ring is made when that is so for the
 * first time. */
static bool is_worth_it(fluxbp__engine_t *engine, const fluxbp__link_t *list, const fluxbp__link_t *end) {
  fluxbp__submission_t *submission = &engine->submission;
  unsigned wanted = submission->uring != NULL ? 2 : MADE_FOR;
  const fluxbp__link_t *link = list->next;
  for (unsigned i = 0; i < wanted; i++, link = link->next)
    if (link == list || link == end) return false;
  if (submission->uring != NULL) return true;
  int err = fluxbp__uring_open(engine->pool, &submission->uring);
  if (err) {
    give_up(engine, err);
    return false;
  }
  submission->status = 1;
  return true;
}

/* Begin the flush of connections until the call is full. */
static void collect_call(call_t *call, fluxbp__link_t *list, const fluxbp__link_t *end, fluxbp__link_t *aside) {
  unsigned count = 0;
  unsigned room = CALL_BUFFERS_MAX;
  uint64_t bytes = 0;
  fluxbp__link_t *link = list->next;
  for (int i = 0; i < FLUXBP__URING_SENDS_MAX && bytes < CALL_BYTES_MAX && room > 0; i++, link = list->next) {
    if (link == list || link == end) break;
    fluxbp_conn_t *conn = conn_of(link);
    fluxbp__link_remove(link);
    fluxbp__send_t *send = &call->sends[count];
    uv_buf_t *buffers = &call->buffers[CALL_BUFFERS_MAX - room];
    send->buffers = buffers;
    send->count = fluxbp__conn_begin_flush(conn, buffers, room, &call->bytes[count]);
    if (send->count == 0) {
      fluxbp__list_append(aside, link);
      continue;
    }
    (void) uv_fileno(&conn->uv.handle, &send->fd); /* a connection that was started has one */
    bytes += call->bytes[count];
    call->conns[count++] = conn;
    room -= send->count;
  }
  call->count = count;
}

/* Carry out the sends. One that isn't done by io_uring is done by uv_try_write. */
static void send_call(fluxbp__engine_t *engine, call_t *call) {
  if (call->count > 1) {
    int err = fluxbp__uring_send(engine->submission.uring, call->sends, call->count);
    if (!err) {
      fluxbp__ledger_submit(&engine->ledger, call->count);
      return;
    }
    give_up(engine, err);
  } else {
    call->sends[0].taken = FLUXBP__SEND_NOT_DONE;
  }
  for (unsigned i = 0; i < call->count; i++) {
    fluxbp__send_t *send = &call->sends[i];
    if (send->taken == FLUXBP__SEND_NOT_DONE)
      send->taken = uv_try_write(&call->conns[i]->uv.stream, send->buffers, send->count);
  }
}

bool fluxbp__submission_flush(fluxbp__engine_t *engine, fluxbp__link_t *list, const fluxbp__link_t *end) {
  if (!is_worth_it(engine, list, end)) return false;
  fluxbp__link_t aside;
  call_t call;
  fluxbp__list_init(&aside);
  collect_call(&call, list, end, &aside);
  send_call(engine, &call);
  engine->run.is_lent = false;
  for (unsigned i = 0; i < call.count; i++) fluxbp__conn_end_flush(call.conns[i], call.bytes[i], call.sends[i].taken);
  while (!fluxbp__list_is_empty(&aside)) {
    fluxbp__link_t *link = aside.next;
    fluxbp__link_remove(link);
    fluxbp__conn_flush(conn_of(link));
  }
  return true;
}

void fluxbp__submission_free(fluxbp__engine_t *engine) {
  fluxbp__uring_close(engine->pool, engine->submission.uring);
  engine->submission.uring = NULL;
}
