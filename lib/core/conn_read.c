/* SPDX-License-Identifier: MIT */
/*
 * conn_read: the reading side of a connection: received data, the peer's FIN, and the pauses that the user makes.
 *
 * Design notes
 *
 * libuv sees neither FIN nor reset while reading is stopped. So a paused connection is in a list of the hub, by a link in its
 * rare block, and each sweep asks the kernel about the sockets in that list, a batch with one poll(). A reset fails the
 * connection at once, whatever is unread. A FIN waits until all that the peer sent before it is read.
 *
 * Only an OPEN connection is paused. One that begins to drain reads on, and what comes is thrown away (conn_close.c says why).
 * The paused list holds a reference to the loop through the sweep's timer, as a stream that reads does by itself.
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "conn_close.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#ifndef POLLRDHUP /* then a FIN is seen when reading is resumed */
#define POLLRDHUP 0
#endif

enum { POLL_BATCH = 64 };

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  const fluxbp_hub_t *hub = fluxbp__conn_hub(fluxbp__conn_of(handle));
  (void) suggested;
  *buf = uv_buf_init(hub->read_buffer, (unsigned) hub->options.read_buffer_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
  fluxbp_conn_t *conn = fluxbp__conn_of(stream);
  if (count == UV_EOF) {
    fluxbp__conn_peer_closed(conn);
    return;
  }
  if (count < 0) {
    fluxbp__conn_fail(conn, (int) count);
    return;
  }
  fluxbp__conn_hub(conn)->totals.received_bytes += (uint64_t) count;
  if (count == 0 || conn->state != FLUXBP__CONN_OPEN) return;
  const fluxbp_conn_handlers_t *handlers = conn->handlers;
  if (handlers != NULL && handlers->on_data != NULL) handlers->on_data(conn, buf->base, (size_t) count);
}

int fluxbp__conn_read_start(fluxbp_conn_t *conn) {
  return uv_read_start(&conn->uv.stream, on_alloc, on_read);
}

/* Pausing. */

void fluxbp__paused_init(fluxbp_hub_t *hub) {
  fluxbp__list_init(&hub->paused.conns);
  fluxbp__list_init(&hub->paused.unseen);
}

bool fluxbp__paused_is_empty(const fluxbp_hub_t *hub) {
  return hub->paused.count == 0;
}

static void set_paused(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  conn->is_read_paused = true;
  conn->rare->conn = conn;
  fluxbp__list_append(&hub->paused.conns, &conn->rare->paused);
  if (hub->paused.count++ == 0) uv_ref((uv_handle_t *) &hub->sweep.timer);
  fluxbp__sweep_by(hub, fluxbp__hub_clock_ms(hub) + hub->options.sweep_ms);
}

void fluxbp__conn_forget_pause(fluxbp_conn_t *conn) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (!conn->is_read_paused) return;
  conn->is_read_paused = false;
  fluxbp__link_remove(&conn->rare->paused);
  if (--hub->paused.count == 0) uv_unref((uv_handle_t *) &hub->sweep.timer);
  fluxbp__conn_release_rare(conn);
}

int fluxbp_conn_pause_read(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (conn->is_read_paused) return 0;
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  (void) uv_read_stop(&conn->uv.stream); /* always 0 */
  set_paused(conn);
  return 0;
}

void fluxbp_conn_resume_read(fluxbp_conn_t *conn) {
  /* a doomed connection is read again when it begins to drain; without a farewell it is closed */
  if (!conn->is_read_paused || conn->state == FLUXBP__CONN_DOOMED) return;
  fluxbp__conn_forget_pause(conn);
  if (conn->has_peer_closed) return; /* there is nothing more to read */
  int err = fluxbp__conn_read_start(conn);
  if (err) fluxbp__conn_fail(conn, err);
}

/* The watch over paused connections. */

static int socket_of(const fluxbp_conn_t *conn) {
  uv_os_fd_t fd;
  return uv_fileno(&conn->uv.handle, &fd) == 0 ? fd : -1; /* poll() passes over a negative one */
}

static int error_of(int fd) {
  int err = 0;
  socklen_t length = sizeof err;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) == 0 ? uv_translate_sys_error(err) : 0;
}

/* Whether the peer's FIN is the next thing to read. */
static bool is_at_fin(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void look_at(fluxbp_conn_t *conn, const struct pollfd *seen) {
  if (!conn->is_read_paused || conn->state != FLUXBP__CONN_OPEN) return; /* a callback of another one has changed it */
  int err = (seen->revents & POLLERR) != 0 ? error_of(seen->fd) : 0;
  if (err != 0)
    fluxbp__conn_fail(conn, err);
  else if ((seen->revents & POLLRDHUP) != 0 && !conn->has_peer_closed && is_at_fin(seen->fd))
    fluxbp__conn_peer_closed(conn);
}

static void look_at_batch(fluxbp_hub_t *hub) {
  fluxbp_conn_t *conns[POLL_BATCH]; /* none is freed before the loop comes to its closing handles */
  struct pollfd sockets[POLL_BATCH];
  nfds_t count = 0;
  for (; count < POLL_BATCH && !fluxbp__list_is_empty(&hub->paused.unseen); count++) {
    fluxbp__link_t *link = hub->paused.unseen.next;
    fluxbp__link_remove(link);
    fluxbp__list_append(&hub->paused.conns, link);
    fluxbp_conn_t *conn = FLUXBP__CONTAINER(link, fluxbp__rare_t, paused)->conn;
    conns[count] = conn;
    sockets[count] = (struct pollfd){.fd = socket_of(conn), .events = conn->has_peer_closed ? 0 : POLLRDHUP};
  }
  if (poll(sockets, count, 0) <= 0) return;
  for (nfds_t i = 0; i < count; i++)
    if (sockets[i].revents != 0) look_at(conns[i], &sockets[i]);
}

void fluxbp__paused_begin_look(fluxbp_hub_t *hub) {
  fluxbp__list_take(&hub->paused.unseen, &hub->paused.conns);
}

bool fluxbp__paused_look(fluxbp_hub_t *hub, bool within_budget) {
  while (!fluxbp__list_is_empty(&hub->paused.unseen)) {
    if (within_budget && !fluxbp__turn_has_share(&hub->turn, 2)) return false;
    look_at_batch(hub);
  }
  return true;
}
