/* SPDX-License-Identifier: MIT */
/*
 * access: whoever reaches a loopback address is on this machine already, unless a proxy there passes others on; routes
 * looks for its headers. On any other address nobody publishes and nobody administers without a token.
 */
#include "access.h"

#include <netinet/in.h>

static bool is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr) >> 24 == 127;
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) (const void *) address)->sin6_addr);
}

unsigned access_free_roles(const struct server *server, const struct sockaddr *address) {
  unsigned roles = is_loopback(address) ? ROLE_SUBSCRIBE | ROLE_PUBLISH | ROLE_ADMIN : ROLE_SUBSCRIBE;
  return roles & ~tokens_guarded(server->tokens);
}
