/* SPDX-License-Identifier: MIT */
/*
 * socket_options: whether a socket has what a connection of the library wants of TCP on Linux (lib/core/probe_linux.c).
 */
#ifndef FLUXBP_TESTS_SOCKET_OPTIONS_H
#define FLUXBP_TESTS_SOCKET_OPTIONS_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

static inline int socket_option(int fd, int level, int name) {
  int value;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

static inline bool socket_has_options(int fd) {
  static const int wanted[][3] = {
      {IPPROTO_TCP, TCP_NODELAY, 1},   {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384}, {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, 60}, {IPPROTO_TCP, TCP_KEEPINTVL, 15},        {IPPROTO_TCP, TCP_KEEPCNT, 4},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    if (socket_option(fd, wanted[i][0], wanted[i][1]) != wanted[i][2]) return false;
  return true;
}

#endif
