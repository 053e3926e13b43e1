/* SPDX-License-Identifier: MIT */
/*
 * peer_address: see the header.
 */
#include "peer_address.h"

#include <string.h>

_Static_assert(sizeof(struct peer_address) == 20, "every byte of it is there for each client");
_Static_assert(AF_INET <= UINT8_MAX && AF_INET6 <= UINT8_MAX, "a family has a byte");

struct peer_address peer_address_of(const struct sockaddr *address) {
  struct peer_address peer = {.family = AF_UNSPEC};
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const void *) address;
    peer.family = AF_INET;
    peer.port = v4->sin_port;
    memcpy(peer.bytes, &v4->sin_addr, sizeof v4->sin_addr);
  } else if (address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const void *) address;
    peer.family = AF_INET6;
    peer.port = v6->sin6_port;
    memcpy(peer.bytes, &v6->sin6_addr, sizeof v6->sin6_addr);
  }
  return peer;
}

void peer_address_get(const struct peer_address *peer, struct sockaddr_storage *address) {
  memset(address, 0, sizeof *address);
  address->ss_family = peer->family;
  if (peer->family == AF_INET) {
    struct sockaddr_in *v4 = (void *) address;
    v4->sin_port = peer->port;
    memcpy(&v4->sin_addr, peer->bytes, sizeof v4->sin_addr);
  } else if (peer->family == AF_INET6) {
    struct sockaddr_in6 *v6 = (void *) address;
    v6->sin6_port = peer->port;
    memcpy(&v6->sin6_addr, peer->bytes, sizeof v6->sin6_addr);
  }
}
