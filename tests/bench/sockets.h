/* SPDX-License-Identifier: MIT */
/*
 * sockets: addresses on loopback, a plain socket that listens there, saying something, and what loopback loses.
 */
#ifndef FLUXBP_TESTS_BENCH_SOCKETS_H
#define FLUXBP_TESTS_BENCH_SOCKETS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* 127.0.0.0 + host; port 0: the kernel's choice. */
struct sockaddr_in sockets_loopback(uint32_t host, uint16_t port);

/* Listen on 127.0.0.1, with a backlog that the kernel may cut. Returns the socket. */
int sockets_listen(uint64_t backlog, uint16_t *port);

/* Accept so many connections, and let them send small messages at once. */
void sockets_accept(int listener, int *fds, size_t count);

/* Send all of it, however long the other end takes. */
void sockets_say(int fd, const char *text, size_t len);

/* Packets that the kernel has dropped because too many waited for a processor (net.core.netdev_max_backlog), on
 * loopback too: they come again after 200 ms or more. Of the whole machine; 0 where it isn't known. */
uint64_t sockets_dropped_packets(void);

#endif
