/* SPDX-License-Identifier: MIT */
/*
 * socketpair: connected sockets with a client's end to be used raw.
 */
#ifndef FLUXBP_TESTS_SOCKETPAIR_H
#define FLUXBP_TESTS_SOCKETPAIR_H

#include "fluxbp/conn.h"

#include <stdbool.h>

/* Both ends non-blocking: fds[0] for the library, fds[1] for the client. `is_small`: the kernel takes little. */
int socketpair_make(fluxbp_transport_t transport, bool is_small, int fds[2]);

/* Let calls on a client's end wait. */
void socketpair_block(int fd);

/* Open the library's end into the connection's stream. The stream owns it then. */
int socketpair_open(fluxbp_conn_t *conn, fluxbp_transport_t transport, int fd);

#endif
