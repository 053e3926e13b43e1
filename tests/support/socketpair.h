/* SPDX-License-Identifier: MIT */
/*
 * socketpair: connected sockets with a client's end to be used raw.
 */
#ifndef FLUXBP_TESTS_SOCKETPAIR_H
#define FLUXBP_TESTS_SOCKETPAIR_H

#include "fluxbp/conn.h"

#include <netinet/in.h>
#include <stdbool.h>

/* Both ends non-blocking: fds[0] for the library, fds[1] for the client. `is_small`: the kernel takes little. */
int socketpair_make(const fluxbp_transport_t *transport, bool is_small, int fds[2]);

/* Let calls on a client's end wait. */
void socketpair_block(int fd);
/* Connect a TCP socket to one that listens on an address of this host for just so long. 0 or -1 and errno; both ends
 * block still. */
int socketpair_join(int client, struct in_addr server_address, int *server);
void socketpair_unblock(const int fds[2]);

/* Open the library's end into the connection's stream. The stream owns it then. */
int socketpair_open(fluxbp_conn_t *conn, const fluxbp_transport_t *transport, int fd);

#endif
