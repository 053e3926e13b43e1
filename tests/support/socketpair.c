/* SPDX-License-Identifier: MIT */
/*
 * socketpair: loopback TCP by way of a listener on a port that the kernel chooses, and UNIX pairs.
 */
#include "support/socketpair.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel doubles it and has a minimum of its own. */
enum { SMALL_BUFFER_BYTES = 4096 };

static int set_buffer(int fd, int option) {
  int bytes = SMALL_BUFFER_BYTES;
  return setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

int socketpair_join(int client, struct in_addr server_address, int *server) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr = server_address;

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int err = listener < 0 ? -1 : 0;
  if (!err) err = bind(listener, (struct sockaddr *) &address, len);
  if (!err) err = listen(listener, 1);
  if (!err) err = getsockname(listener, (struct sockaddr *) &address, &len);
  if (!err) err = connect(client, (struct sockaddr *) &address, len);
  *server = err ? -1 : accept(listener, NULL, NULL);
  if (listener >= 0) (void) close(listener);
  return *server < 0 ? -1 : 0;
}

static int make_tcp(bool is_small, int fds[2]) {
  struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
  fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fds[1] < 0) return -1;
  int err = is_small ? set_buffer(fds[1], SO_RCVBUF) : 0; /* before connect: it decides the window */
  if (!err) err = socketpair_join(fds[1], loopback, &fds[0]);
  if (err) (void) close(fds[1]);
  return err;
}

void socketpair_unblock(const int fds[2]) {
  for (int i = 0; i < 2; i++) (void) fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
}

int socketpair_make(const fluxbp_transport_t *transport, bool is_small, int fds[2]) {
  int err = transport->stream == FLUXBP_STREAM_PIPE ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)
                                                    : make_tcp(is_small, fds);
  if (err) return -errno;
  if (is_small) (void) set_buffer(fds[0], SO_SNDBUF);
  socketpair_unblock(fds);
  return 0;
}

void socketpair_block(int fd) {
  (void) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

int socketpair_open(fluxbp_conn_t *conn, const fluxbp_transport_t *transport, int fd) {
  uv_stream_t *stream = fluxbp_conn_stream(conn);
  return transport->stream == FLUXBP_STREAM_PIPE ? uv_pipe_open((uv_pipe_t *) stream, fd)
                                                 : uv_tcp_open((uv_tcp_t *) stream, fd);
}
