/* SPDX-License-Identifier: MIT */
/*
 * access: whoever can reach a loopback address is on this machine already. On any other address nobody publishes and
 * nobody administers without a token.
 */
#include "access.h"

#include <netinet/in.h>

static bool is_loopback(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) return ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr) >> 24 == 127;
  return address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) address)->sin6_addr);
}

void access_set(struct server *server) {
  const struct options *options = server->options;
  const struct sockaddr_storage *const addresses[DOOR_COUNT] = {&options->tcp, &options->tcp_length, &options->http};
  unsigned guarded = tokens_guarded(server->tokens);
  for (int door = 0; door < DOOR_COUNT; door++) {
    unsigned roles = is_loopback(addresses[door]) ? ROLE_SUBSCRIBE | ROLE_PUBLISH | ROLE_ADMIN : ROLE_SUBSCRIBE;
    server->free_roles[door] = roles & ~guarded;
  }
}
