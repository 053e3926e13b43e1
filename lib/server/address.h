/* SPDX-License-Identifier: MIT */
/*
 * address: HOST:PORT as people write it, to a socket address and back.
 */
#ifndef FLUXBP_LIB_SERVER_ADDRESS_H
#define FLUXBP_LIB_SERVER_ADDRESS_H

#include <sys/socket.h>

/** Read 127.0.0.1:9000, [::1]:9000 or localhost:9000. A name is looked up, which may block. @return 0 or UV_EINVAL */
int server_address_parse(const char *text, struct sockaddr_storage *address);

/** Write an IPv4 or IPv6 address and its port, in FLUXBP_ADDRESS_TEXT_BYTES; "unknown" for any other. */
void server_address_format(const struct sockaddr *address, char *text);

#endif
