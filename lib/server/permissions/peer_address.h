/* SPDX-License-Identifier: MIT */
/*
 * peer_address: the IP address and port of a client, in 20 bytes: there is one for each of a hundred thousand, and a
 * socket address takes 28. What only a local interface gives a meaning to (scope, flow) isn't kept: nobody is shown or
 * limited by it. Any thread.
 */
#ifndef FLUXBP_SERVER_PEER_ADDRESS_H
#define FLUXBP_SERVER_PEER_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

struct peer_address {
  uint8_t bytes[16]; /* of IPv4 the first four */
  in_port_t port;    /* in network order */
  uint8_t family;    /* AF_INET, AF_INET6, or AF_UNSPEC for any other */
};

/** Keep an address. One that is of neither family becomes AF_UNSPEC, which address_format calls "unknown". */
struct peer_address peer_address_of(const struct sockaddr *address);

/** Write it as the socket address that it was, for what takes one. */
void peer_address_get(const struct peer_address *peer, struct sockaddr_storage *address);

#endif
