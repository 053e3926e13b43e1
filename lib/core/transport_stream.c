/* SPDX-License-Identifier: MIT */
/*
 * transport_stream: the built-in transports, TCP and UNIX sockets, which are libuv's streams as they are.
 *
 * The rest of a message that the kernel refused is handed to libuv by uv_write, whose callback says that the socket has
 * room again. uv_try_write answers UV_EAGAIN while a uv_write is queued. Bytes that the program has read from an
 * adopted socket lie in the connection's rare block; the socket is read when they have been handed over.
 */
#include "transport_stream.h"

#include "conn_blocks.h"
#include "probe.h"
#include "transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Without a buffer libuv doesn't read: it says UV_ENOBUFS to on_read. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  const fluxbp_conn_t *conn = fluxbp__conn_of(handle);
  (void) suggested;
  if (fluxbp__input_may_read(&fluxbp__conn_engine(conn)->input, conn))
    fluxbp_transport_read_buffer(conn, buf);
  else
    *buf = uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
  fluxbp_conn_t *conn = fluxbp__conn_of(stream);
  if (count == UV_ENOBUFS && buf->len == 0)
    fluxbp__conn_engine(conn)->carried->readable(conn);
  else if (count != 0)
    fluxbp_transport_received(conn, buf->base, count);
}

ssize_t fluxbp__stream_read(fluxbp_conn_t *conn, size_t most) {
  const fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  uv_os_fd_t fd;
  ssize_t count;
  int err = uv_fileno(&conn->uv.handle, &fd);
  if (err) return err;
  while ((count = read(fd, engine->read_buffer, most)) < 0 && errno == EINTR) {
  }
  if (count > 0) return count;
  if (count == 0) return UV_EOF;
  return errno == EWOULDBLOCK ? UV_EAGAIN : uv_translate_sys_error(errno);
}

static int stream_preread(fluxbp_conn_t *conn, const void *data, size_t length) {
  void *memory;
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  int err = fluxbp_transport_alloc(conn, length, &memory);
  if (err) return err;
  conn->rare->preread = memcpy(memory, data, length);
  conn->rare->preread_length = length;
  return 0;
}

/* Return the bytes of the program's that weren't handed over, which the caller frees now; a length of 0: there are
 * none. */
static uv_buf_t take_preread(fluxbp_conn_t *conn) {
  if (conn->rare == NULL || conn->rare->preread == NULL) return uv_buf_init(NULL, 0);
  uv_buf_t preread = {.base = conn->rare->preread, .len = conn->rare->preread_length};
  conn->rare->preread = NULL;
  return preread;
}

static void forget_preread(fluxbp_conn_t *conn) {
  uv_buf_t preread = take_preread(conn);
  fluxbp_transport_free(conn, preread.base, preread.len);
}

static bool has_preread(const fluxbp_conn_t *conn) {
  return conn->rare != NULL && conn->rare->preread != NULL;
}

static int stream_read_start(fluxbp_conn_t *conn) {
  if (has_preread(conn)) return fluxbp_transport_deliver_later(conn);
  return uv_read_start(&conn->uv.stream, on_alloc, on_read);
}

static void stream_read_stop(fluxbp_conn_t *conn) {
  (void) uv_read_stop(&conn->uv.stream); /* always 0 */
}

static void stream_deliver(fluxbp_conn_t *conn) {
  uv_buf_t preread = take_preread(conn);
  if (preread.len > 0) fluxbp_transport_received(conn, preread.base, (ssize_t) preread.len);
  fluxbp_transport_free(conn, preread.base, preread.len);
  if (conn->state == FLUXBP__CONN_CLOSING || conn->is_read_paused || conn->is_held) return; /* in a copy of the table */
  int err = uv_read_start(&conn->uv.stream, on_alloc, on_read);
  if (err && err != UV_EALREADY) fluxbp_transport_received(conn, NULL, err); /* it may have been paused and resumed */
}

static int stream_is_at_end(fluxbp_conn_t *conn) {
  uv_os_fd_t fd;
  char byte;
  if (has_preread(conn) || uv_fileno(&conn->uv.handle, &fd) != 0) return 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
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
  forget_preread(conn);
  fluxbp_transport_closed(conn);
}

static void pipe_close(fluxbp_conn_t *conn, int by_reset) {
  (void) by_reset; /* a close is all that a UNIX socket has */
  forget_preread(conn);
  fluxbp_transport_closed(conn);
}

static const fluxbp_transport_t tcp_transport = {
    .size = sizeof(fluxbp_transport_t),
    .name = "tcp",
    .stream = FLUXBP_STREAM_TCP,
    .open = tcp_open,
    .preread = stream_preread,
    .try_write = stream_try_write,
    .want_writable = stream_want_writable,
    .unwritten = stream_unwritten,
    .read_start = stream_read_start,
    .read_stop = stream_read_stop,
    .deliver = stream_deliver,
    .is_at_end = stream_is_at_end,
    .shutdown = stream_shutdown,
    .close = tcp_close,
};

static const fluxbp_transport_t pipe_transport = {
    .size = sizeof(fluxbp_transport_t),
    .name = "pipe",
    .stream = FLUXBP_STREAM_PIPE,
    .preread = stream_preread,
    .try_write = stream_try_write,
    .want_writable = stream_want_writable,
    .unwritten = stream_unwritten,
    .read_start = stream_read_start,
    .read_stop = stream_read_stop,
    .deliver = stream_deliver,
    .is_at_end = stream_is_at_end,
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
