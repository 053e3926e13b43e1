/* SPDX-License-Identifier: MIT */
/*
 * clients: they read at intervals, all in turn, rather than when something comes: to wake a sleeping reader is work for
 * the sender's kernel, as often as chance wants it, and would be measured with what the sender does.
 */
#include "clients.h"

#include "bench.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { CLIENTS_OF_AN_ADDRESS = 5000, READ_MS = 20, READ_BYTES = 1 << 20 };

static int make_socket(uint32_t host, size_t buffer_bytes) {
  struct sockaddr_in address = sockets_loopback(host, 0);
  int on = 1;
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  int fd = bench_check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
#ifdef IP_BIND_ADDRESS_NO_PORT
  (void) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
  (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  int bytes = (int) buffer_bytes;
  if (bytes > 0) (void) bench_check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), "SO_RCVBUF");
  (void) bench_check(bind(fd, (struct sockaddr *) &address, sizeof address), "bind");
  return fd;
}

void clients_prepare(clients_t *clients, size_t count) {
  clients->count = count;
  clients->fds = bench_alloc(count, sizeof clients->fds[0]);
  for (size_t i = 0; i < count; i++)
    clients->fds[i] = make_socket(2 + (uint32_t) (i / CLIENTS_OF_AN_ADDRESS), clients->buffer_bytes);
}

static void wait_until_connected(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
  int error;
  socklen_t length = sizeof error;
  (void) bench_check(poll(&poll_fd, 1, -1), "poll");
  (void) bench_check(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), "getsockopt");
  bench_must(uv_translate_sys_error(error), "connect");
}

static void wait_for_window(const clients_window_t *window, size_t connecting) {
  while (window != NULL && connecting >= atomic_load(&window->accepted) + window->most) uv_sleep(1);
}

void clients_connect(clients_t *clients, uint16_t port, const clients_window_t *window) {
  struct sockaddr_in address = sockets_loopback(1, port);
  for (size_t i = 0; i < clients->count; i++) {
    wait_for_window(window, i);
    if (connect(clients->fds[i], (struct sockaddr *) &address, sizeof address) != 0 && errno != EINPROGRESS)
      bench_die("connect", uv_translate_sys_error(errno));
  }
  for (size_t i = 0; i < clients->count; i++) wait_until_connected(clients->fds[i]);
}

void clients_reset(clients_t *clients) {
  for (size_t i = 0; i < clients->count; i++) (void) close(clients->fds[i]);
  free(clients->fds);
  clients->fds = NULL;
  clients->count = 0;
}

uint64_t clients_read(const clients_t *clients) {
  static char unread[READ_BYTES];
  uint64_t sum = 0;
  for (size_t i = 0; i < clients->count; i++) {
    ssize_t len = recv(clients->fds[i], unread, sizeof unread, MSG_TRUNC); /* the kernel throws it away */
    if (len == 0) bench_die("a client", UV_EOF);
    if (len < 0 && errno != EAGAIN) bench_die("recv", uv_translate_sys_error(errno));
    if (len > 0) sum += (uint64_t) len;
  }
  return sum;
}

void clients_receive(const clients_t *clients, uint64_t bytes) {
  uint64_t received = clients_read(clients);
  for (; received < bytes; received += clients_read(clients)) uv_sleep(READ_MS);
  if (received > bytes) bench_die("clients were sent too much", UV_EPROTO);
}

/* ---- in a child ---- */

/* Until somebody says something on the channel. */
static void read_until_told(const clients_t *clients, int channel) {
  struct pollfd poll_fd = {.fd = channel, .events = POLLIN};
  do (void) clients_read(clients);
  while (bench_check(poll(&poll_fd, 1, READ_MS), "poll") == 0);
}

typedef enum what { BUFFER, PREPARE, CONNECT, RECEIVE, READ, STOP, RESET } what_t;

typedef struct request {
  what_t what;
  uint64_t number; /* of clients, of the port, of bytes */
} request_t;

static void serve(clients_t *clients, int channel, request_t request, const clients_window_t *window) {
  switch (request.what) {
  case BUFFER:
    clients->buffer_bytes = request.number;
    break;
  case PREPARE:
    clients_prepare(clients, request.number);
    break;
  case CONNECT:
    clients_connect(clients, (uint16_t) request.number, window);
    break;
  case RECEIVE:
    clients_receive(clients, request.number);
    break;
  case READ:
    read_until_told(clients, channel);
    break;
  case STOP:
    break;
  case RESET:
    clients_reset(clients);
    break;
  }
}

void clients_serve(int channel, void *window) {
  clients_t clients = {0};
  request_t request;
  while (child_hear(channel, &request, sizeof request)) {
    serve(&clients, channel, request, window);
    child_tell(channel, &request, sizeof request);
  }
  clients_reset(&clients);
}

static void begin(child_t *child, what_t what, uint64_t number) {
  request_t request;
  memset(&request, 0, sizeof request); /* its padding, too */
  request.what = what;
  request.number = number;
  child_tell(child->channel, &request, sizeof request);
}

void clients_child_wait(child_t *child) {
  request_t done;
  if (!child_hear(child->channel, &done, sizeof done)) bench_die("the clients' process", UV_EOF);
}

void clients_child_prepare(child_t *child, size_t count) {
  begin(child, PREPARE, count);
  clients_child_wait(child);
}

void clients_child_buffer(child_t *child, size_t bytes) {
  begin(child, BUFFER, bytes);
  clients_child_wait(child);
}

void clients_child_begin_connecting(child_t *child, uint16_t port) {
  begin(child, CONNECT, port);
}

void clients_child_begin_receiving(child_t *child, uint64_t bytes) {
  begin(child, RECEIVE, bytes);
}

void clients_child_begin_reading(child_t *child) {
  begin(child, READ, 0);
}

void clients_child_stop_reading(child_t *child) {
  begin(child, STOP, 0);
  clients_child_wait(child); /* for the reading */
  clients_child_wait(child);
}

void clients_child_reset(child_t *child) {
  begin(child, RESET, 0);
  clients_child_wait(child);
}

void clients_child_seat(child_t *child, int *fds, size_t count) {
  uint16_t port;
  int listener = sockets_listen(count, &port);
  clients_child_prepare(child, count);
  clients_child_begin_connecting(child, port);
  sockets_accept(listener, fds, count);
  clients_child_wait(child);
  (void) close(listener);
}
