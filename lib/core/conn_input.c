/* SPDX-License-Identifier: MIT */
/*
 * conn_input: received data, the peer's FIN, and the watch over connections whose reading is paused.
 *
 * Design notes
 *
 * libuv sees neither FIN nor reset while reading is stopped. So a paused connection is in a list of the engine, by a
 * link in its rare block, and each sweep asks the kernel about the sockets in that list, a batch with one poll(). A
 * reset fails the connection at once, whatever is unread. A FIN waits until all that the peer sent before it is read,
 * which the transport knows (is_at_end).
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "conn_input.h"

#include "conn_blocks.h"
#include "conn_close.h"
#include "conn_end.h"
#include "conn_write.h"
#include "input.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#ifndef POLLRDHUP /* then a FIN is seen when reading is resumed */
#define POLLRDHUP 0
#endif

enum { POLL_BATCH = 64 };

static void receive(fluxbp_conn_t *conn, const char *data, ssize_t count) {
  if (conn->state == FLUXBP__CONN_CLOSING) return;
  if (count == UV_EOF) {
    if (!conn->has_peer_closed) fluxbp__conn_peer_closed(conn);
    return;
  }
  if (count < 0) {
    fluxbp__conn_fail(conn, (int) count);
    return;
  }
  assert(!conn->is_read_paused && "a transport hands nothing over after read_stop");
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__ledger_receive(&engine->ledger, (uint64_t) count);
  if (count == 0 || conn->state != FLUXBP__CONN_OPEN) return;
  const fluxbp_conn_handlers_t *handlers = conn->handlers;
  if (handlers == NULL || handlers->on_data == NULL) return;
  fluxbp__input_begin(&engine->input, false);
  handlers->on_data(conn, data, (size_t) count);
  fluxbp__conn_note_read(conn, fluxbp__input_end(&engine->input));
}

static void answer_writable(fluxbp_conn_t *conn, ssize_t taken) {
  /* checked here, where it costs the flush nothing */
  assert((!conn->is_writing || taken <= (ssize_t) (fluxbp__ring_at(&conn->ring, 0)->len - conn->head_written)) &&
         "a transport takes no more of `rest` than there is");
  fluxbp__conn_writable(conn, taken);
}

const struct fluxbp__carried fluxbp__conn_carried = {
    .received = receive,
    .readable = fluxbp__conn_hold,
    .writable = answer_writable,
    .shut = fluxbp__conn_shut,
    .closed = fluxbp__conn_closed,
};

void fluxbp__conn_deliver_input(fluxbp_conn_t *conn) {
  if (conn->state == FLUXBP__CONN_CLOSING || conn->is_read_paused || conn->is_held) return;
  const fluxbp_transport_t *transport = fluxbp__conn_transport(conn);
  assert(transport->deliver != NULL && "a transport without the entry `deliver` doesn't ask for it");
  transport->deliver(conn);
  fluxbp__conn_release_rare(conn);
}

bool fluxbp__paused_is_empty(const fluxbp__engine_t *engine) {
  return engine->paused.count == 0;
}

/* The watch over paused connections. */

/* poll() passes over a negative one. */
static int socket_of(const fluxbp_conn_t *conn) {
  uv_os_fd_t fd;
  if (uv_fileno(&conn->uv.handle, &fd) == 0) return fd;
  return fluxbp__transport_fd(conn);
}

static int error_of(int fd) {
  int err = 0;
  socklen_t length = sizeof err;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) == 0 ? uv_translate_sys_error(err) : 0;
}

static void look_at(fluxbp_conn_t *conn, const struct pollfd *seen) {
  if (!conn->is_read_paused || conn->state != FLUXBP__CONN_OPEN) return; /* a callback of another one has changed it */
  int err = (seen->revents & POLLERR) != 0 ? error_of(seen->fd) : 0;
  if (err != 0)
    fluxbp__conn_fail(conn, err);
  else if ((seen->revents & POLLRDHUP) != 0 && !conn->has_peer_closed && fluxbp__conn_transport(conn)->is_at_end(conn))
    fluxbp__conn_peer_closed(conn);
}

static void look_at_batch(fluxbp__engine_t *engine) {
  fluxbp_conn_t *conns[POLL_BATCH]; /* none is freed before the loop comes to its closing handles */
  struct pollfd sockets[POLL_BATCH];
  nfds_t count = 0;
  for (; count < POLL_BATCH && !fluxbp__list_is_empty(&engine->paused.unseen); count++) {
    fluxbp__link_t *link = engine->paused.unseen.next;
    fluxbp__link_remove(link);
    fluxbp__list_append(&engine->paused.conns, link);
    fluxbp_conn_t *conn = FLUXBP__CONTAINER(link, fluxbp__rare_t, paused)->conn;
    conns[count] = conn;
    bool awaits_fin = !conn->has_peer_closed && fluxbp__conn_transport(conn)->is_at_end != NULL;
    sockets[count] = (struct pollfd){.fd = socket_of(conn), .events = awaits_fin ? POLLRDHUP : 0};
  }
  if (poll(sockets, count, 0) <= 0) return;
  for (nfds_t i = 0; i < count; i++)
    if (sockets[i].revents != 0) look_at(conns[i], &sockets[i]);
}

void fluxbp__paused_begin_look(fluxbp__engine_t *engine) {
  fluxbp__list_take(&engine->paused.unseen, &engine->paused.conns);
}

bool fluxbp__paused_look(fluxbp__engine_t *engine, bool within_budget) {
  while (!fluxbp__list_is_empty(&engine->paused.unseen)) {
    if (within_budget && !fluxbp__turn_has_share(&engine->turn, 2)) return false;
    look_at_batch(engine);
  }
  return true;
}
