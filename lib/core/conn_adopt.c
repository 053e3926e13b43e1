/* SPDX-License-Identifier: MIT */
/*
 * conn_adopt: connections on sockets that the program has accepted or connected itself.
 *
 * A connection gets a duplicate of the program's descriptor, and the program's own is closed when nothing can fail any
 * more. So the descriptor stays the program's after an error, whichever step has failed: libuv doesn't let go of one
 * that a handle has.
 */
#include "conn.h"
#include "conn_end.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Return 0 if `fd` is a connected stream socket of that kind, or a libuv error. */
static int check_socket(int fd, fluxbp_stream_kind_t kind) {
  int type;
  struct sockaddr_storage address;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return uv_translate_sys_error(errno);
  length = sizeof address;
  if (getsockname(fd, (struct sockaddr *) &address, &length) != 0) return uv_translate_sys_error(errno);
  bool is_tcp = address.ss_family == AF_INET || address.ss_family == AF_INET6;
  bool is_of_kind = kind == FLUXBP_STREAM_TCP ? is_tcp : address.ss_family == AF_UNIX;
  if (type != SOCK_STREAM || !is_of_kind) return UV_EPROTOTYPE;
  length = sizeof address;
  return getpeername(fd, (struct sockaddr *) &address, &length) == 0 ? 0 : uv_translate_sys_error(errno);
}

/* Give the stream a duplicate of `fd`. */
static int open_duplicate(fluxbp_conn_t *conn, int fd) {
  bool is_tcp = fluxbp__conn_transport(conn)->stream == FLUXBP_STREAM_TCP;
  int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return uv_translate_sys_error(errno);
  int err = is_tcp ? uv_tcp_open(&conn->uv.tcp, duplicate) : uv_pipe_open(&conn->uv.pipe, duplicate);
  if (err) (void) close(duplicate);
  return err;
}

/* Create a connection on a duplicate of `fd`, and start it. After an error the caller doesn't see the connection, so
 * its handlers don't, either; and the peer isn't reset, as the socket is still the program's. */
static int create_on_duplicate(fluxbp_hub_t *hub, int fd, const void *data, size_t length,
                               const fluxbp_conn_options_t *options, fluxbp_conn_t **out) {
  fluxbp_conn_t *conn;
  if (out == NULL || (data == NULL && length > 0)) return UV_EINVAL;
  int err = fluxbp_conn_create(hub, options, &conn);
  if (err) return err;
  err = check_socket(fd, fluxbp__conn_transport(conn)->stream);
  if (!err) err = open_duplicate(conn, fd);
  if (!err) err = fluxbp__conn_start(conn, data, length);
  if (err) {
    conn->handlers = NULL;
    fluxbp__conn_close_stream(conn, false);
    return err;
  }
  *out = conn;
  return 0;
}

int fluxbp_conn_adopt(fluxbp_hub_t *hub, uv_os_sock_t fd, const void *data, size_t length,
                      const fluxbp_conn_options_t *options, fluxbp_conn_t **conn) {
  int err = create_on_duplicate(hub, fd, data, length, options, conn);
  if (!err) (void) close(fd);
  return err;
}

/* Return 0 if the handle has nothing under way that would be lost. */
static int check_handle(const fluxbp_hub_t *hub, uv_stream_t *stream) {
  if (stream == NULL || uv_is_closing((uv_handle_t *) stream)) return UV_EINVAL;
  if (stream->loop != fluxbp__engine_of(hub)->loop) return UV_EINVAL;
  if (stream->type != UV_TCP && stream->type != UV_NAMED_PIPE) return UV_EINVAL;
  if (stream->type == UV_NAMED_PIPE && ((uv_pipe_t *) stream)->ipc) return UV_EINVAL;
  if (uv_stream_get_write_queue_size(stream) > 0) return UV_EBUSY;
  return 0;
}

int fluxbp_conn_adopt_stream(fluxbp_hub_t *hub, uv_stream_t *stream, uv_close_cb on_handle_closed, const void *data,
                             size_t length, const fluxbp_conn_options_t *options, fluxbp_conn_t **conn) {
  uv_os_fd_t fd;
  int err = check_handle(hub, stream);
  if (!err) err = uv_fileno((uv_handle_t *) stream, &fd);
  if (!err && !uv_is_writable(stream)) err = UV_ENOTCONN;
  if (!err) err = create_on_duplicate(hub, fd, data, length, options, conn);
  if (err) return err;
  uv_close((uv_handle_t *) stream, on_handle_closed); /* which ends its reading, too */
  return 0;
}
