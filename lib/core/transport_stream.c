/* SPDX-License-Identifier: MIT */
/*
 * transport_stream: the built-in transports, TCP and UNIX sockets, which are libuv's streams as they are.
 *
 * The rest of a message that the kernel refused is handed to libuv by uv_write, whose callback says that the socket has
 * room again. uv_try_write answers UV_EAGAIN while a uv_write is queued.
 */
#include "transport_stream.h"

#include "probe.h"
#include "transport.h"

#include <sys/socket.h>

static int tcp_open(fluxbp_conn_t *conn) {
  uv_os_fd_t fd;
  int err = uv_fileno(&conn->uv.handle, &fd);
  return err ? err : fluxbp__probe_prepare(fd);
}

static int stream_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  return uv_try_write(&conn->uv.stream, buffers, count);
}

static void on_written(uv_write_t *req, int status) {
  fluxbp_conn_t *conn = fluxbp__conn_of(req->handle);
  ssize_t rest = (ssize_t) (uintptr_t) req->data;
  fluxbp_transport_writable(conn, status == 0 ? rest : status);
}

static int stream_want_writable(fluxbp_conn_t *conn, const uv_buf_t *rest) {
  uv_write_t *req = &conn->pressure->req.write; /* a connection that is refused has the block */
  req->data = (void *) (uintptr_t) rest->len;
  return uv_write(req, &conn->uv.stream, rest, 1, on_written);
}

static size_t stream_unwritten(const fluxbp_conn_t *conn) {
  return uv_stream_get_write_queue_size(&conn->uv.stream);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void) suggested;
  fluxbp_transport_read_buffer(fluxbp__conn_of(handle), buf);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
  if (count != 0) fluxbp_transport_received(fluxbp__conn_of(stream), buf->base, count);
}

static int stream_read_start(fluxbp_conn_t *conn) {
  return uv_read_start(&conn->uv.stream, on_alloc, on_read);
}

static void stream_read_stop(fluxbp_conn_t *conn) {
  (void) uv_read_stop(&conn->uv.stream); /* always 0 */
}

static void on_shutdown(uv_shutdown_t *req, int status) {
  fluxbp_transport_shut(fluxbp__conn_of(req->handle), status);
}

static int stream_shutdown(fluxbp_conn_t *conn) {
  return uv_shutdown(&conn->pressure->req.shutdown, &conn->uv.stream, on_shutdown);
}

static void tcp_close(fluxbp_conn_t *conn, int by_reset) {
  /* uv_tcp_close_reset does the same, but refuses while a shutdown is pending, which is when a deadline needs it */
  uv_os_fd_t fd;
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  if (by_reset && uv_fileno(&conn->uv.handle, &fd) == 0)
    (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fluxbp_transport_closed(conn);
}

static void pipe_close(fluxbp_conn_t *conn, int by_reset) {
  (void) by_reset; /* a close is all that a UNIX socket has */
  fluxbp_transport_closed(conn);
}

static const fluxbp_transport_t tcp_transport = {
    .size = sizeof(fluxbp_transport_t),
    .name = "tcp",
    .stream = FLUXBP_STREAM_TCP,
    .open = tcp_open,
    .try_write = stream_try_write,
    .want_writable = stream_want_writable,
    .unwritten = stream_unwritten,
    .read_start = stream_read_start,
    .read_stop = stream_read_stop,
    .shutdown = stream_shutdown,
    .close = tcp_close,
};

static const fluxbp_transport_t pipe_transport = {
    .size = sizeof(fluxbp_transport_t),
    .name = "pipe",
    .stream = FLUXBP_STREAM_PIPE,
    .try_write = stream_try_write,
    .want_writable = stream_want_writable,
    .unwritten = stream_unwritten,
    .read_start = stream_read_start,
    .read_stop = stream_read_stop,
    .shutdown = stream_shutdown,
    .close = pipe_close,
};

const fluxbp_transport_t *fluxbp_transport_tcp(void) {
  return &tcp_transport;
}

const fluxbp_transport_t *fluxbp_transport_pipe(void) {
  return &pipe_transport;
}

void fluxbp__transport_stream_init(fluxbp__engine_t *engine) {
  engine->transports[FLUXBP__TRANSPORT_TCP] = &tcp_transport;
  engine->transports[FLUXBP__TRANSPORT_PIPE] = &pipe_transport;
  engine->transport_count = FLUXBP__TRANSPORTS_BUILT_IN;
}
