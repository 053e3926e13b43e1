/* SPDX-License-Identifier: MIT */
/*
 * access: a client of a loopback address is a program of this machine. It may still speak for somebody else: a proxy
 * passes clients of other machines on, and need not say so. Only the operator knows, and says by --trust-loopback that
 * there is none. Publishing and administration take a token everywhere else.
 */
#include "access.h"

#include <netinet/in.h>

static bool is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr) >> 24 == 127;
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) (const void *) address)->sin6_addr);
}

unsigned access_free_roles(const fluxbp_server_t *server, const struct sockaddr *address) {
  bool is_trusted = server->options.trusts_loopback && is_loopback(address);
  return is_trusted ? FLUXBP_ROLE_SUBSCRIBE | FLUXBP_ROLE_PUBLISH | FLUXBP_ROLE_ADMIN : FLUXBP_ROLE_SUBSCRIBE;
}
