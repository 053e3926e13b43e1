/* SPDX-License-Identifier: MIT */
/*
 * sockets: what is said about addresses is said here.
 */
#include "sockets.h"

#include "bench.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

struct sockaddr_in sockets_loopback(uint32_t host, uint16_t port) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl((127u << 24) + host);
  address.sin_port = htons(port);
  return address;
}

int sockets_listen(uint64_t backlog, uint16_t *port) {
  struct sockaddr_in address = sockets_loopback(1, 0);
  socklen_t length = sizeof address;
  int fd = bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  (void) bench_check(bind(fd, (struct sockaddr *) &address, length), "bind");
  (void) bench_check(listen(fd, (int) backlog), "listen");
  (void) bench_check(getsockname(fd, (struct sockaddr *) &address, &length), "getsockname");
  *port = ntohs(address.sin_port);
  return fd;
}

void sockets_accept(int listener, int *fds, size_t count) {
  int on = 1;
  for (size_t i = 0; i < count; i++) {
    fds[i] = bench_check(accept(listener, NULL, NULL), "accept");
    (void) setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

void sockets_say(int fd, const char *text, size_t len) {
  while (len > 0) {
    ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) bench_die("send", uv_translate_sys_error(errno));
    if (sent <= 0) continue;
    text += sent;
    len -= (size_t) sent;
  }
}

uint64_t sockets_dropped_packets(void) {
  unsigned long long dropped, sum = 0;
  FILE *file = fopen("/proc/net/softnet_stat", "re"); /* a line for each processor; the second number */
  if (file == NULL) return 0;
  while (fscanf(file, "%*x %llx %*[^\n]", &dropped) == 1) sum += dropped;
  (void) fclose(file);
  return sum;
}
