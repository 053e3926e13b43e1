/* SPDX-License-Identifier: MIT */
/*
 * seed_baseline PORT [bare]: the design that libfluxbp began from, as a peer: epoll, and for each connection a ring of
 * 256 slots of 1 KB into which every message is copied, and from which each is written by a call of its own. With
 * `bare` there are no rings: a message is sent to all as it comes, which is the floor for a call per message. See
 * relay.h.
 */
#define _GNU_SOURCE /* accept4 */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOTS = 256, SLOT_BYTES = 1024, CONNECTIONS_MAX = 20000, EVENTS = 256, BACKLOG = 1024, READ_BYTES = 65536 };

typedef struct connection {
  bool is_subscriber;
  bool is_waiting; /* for its socket to be writable */
  unsigned head, count;
  size_t head_written;
  struct {
    size_t len;
    char data[SLOT_BYTES];
  } ring[SLOTS];
} connection_t;

static connection_t *connections[CONNECTIONS_MAX]; /* by descriptor */
static int last_fd, epoll;
static bool is_bare;

static void must(bool is_well, const char *what) {
  if (is_well) return;
  perror(what);
  exit(1);
}

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  must(epoll_ctl(epoll, operation, fd, &event) == 0, "epoll_ctl");
}

static void forget(int fd) {
  free(connections[fd]);
  connections[fd] = NULL;
  (void) close(fd);
}

static void write_out(int fd) {
  connection_t *connection = connections[fd];
  while (connection->count > 0) {
    size_t len = connection->ring[connection->head].len - connection->head_written;
    ssize_t sent = send(fd, connection->ring[connection->head].data + connection->head_written, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return; /* reading will tell */
    if (sent > 0) connection->head_written += (size_t) sent;
    if (sent < (ssize_t) len) break;
    connection->head = (connection->head + 1) % SLOTS;
    connection->head_written = 0;
    connection->count--;
  }
  bool has_to_wait = connection->count > 0;
  if (has_to_wait != connection->is_waiting) watch(fd, EPOLL_CTL_MOD, has_to_wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
  connection->is_waiting = has_to_wait;
}

static void queue(int fd, const char *data, size_t len) {
  connection_t *connection = connections[fd];
  if (connection->count == SLOTS) return; /* lost */
  unsigned slot = (connection->head + connection->count++) % SLOTS;
  memcpy(connection->ring[slot].data, data, len);
  connection->ring[slot].len = len;
  if (!connection->is_waiting) write_out(fd);
}

static void broadcast(const char *data, size_t len) {
  for (int fd = 0; fd <= last_fd; fd++) {
    if (connections[fd] == NULL || !connections[fd]->is_subscriber) continue;
    if (is_bare)
      (void) send(fd, data, len, MSG_NOSIGNAL);
    else
      queue(fd, data, len);
  }
}

static void on_readable(int fd) {
  static char data[READ_BYTES], partial[RELAY_BYTES];
  static size_t filled;
  ssize_t len = recv(fd, data, sizeof data, 0);
  if (len == 0 || (len < 0 && errno != EAGAIN)) forget(fd);
  if (len <= 0) return;

  connections[fd]->is_subscriber = false;
  for (ssize_t i = 0; i < len; i++) {
    partial[filled++] = data[i];
    if (filled < sizeof partial) continue;
    broadcast(partial, sizeof partial);
    filled = 0;
  }
}

static void on_connection(int listener) {
  int on = 1;
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  must(fd >= 0 && fd < CONNECTIONS_MAX, "accept");
  (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connections[fd] = calloc(1, sizeof *connections[fd]);
  must(connections[fd] != NULL, "memory");
  connections[fd]->is_subscriber = true;
  if (fd > last_fd) last_fd = fd;
  watch(fd, EPOLL_CTL_ADD, EPOLLIN);
}

int main(int argc, char **argv) {
  struct epoll_event events[EVENTS];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (argc < 2) return 2;
  is_bare = argc > 2 && strcmp(argv[2], "bare") == 0;
  address.sin_port = htons((uint16_t) atoi(argv[1]));
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(listener >= 0, "socket");
  must(bind(listener, (struct sockaddr *) &address, sizeof address) == 0, "bind");
  must(listen(listener, BACKLOG) == 0, "listen");
  epoll = epoll_create1(EPOLL_CLOEXEC);
  must(epoll >= 0, "epoll");
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    must(count >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        on_connection(listener);
        continue;
      }
      if ((events[i].events & EPOLLOUT) != 0) write_out(fd);
      if ((events[i].events & ~(uint32_t) EPOLLOUT) != 0) on_readable(fd);
    }
  }
}
