/* SPDX-License-Identifier: MIT */
/*
 * access: a client of a loopback address is a program of this machine. It may still speak for somebody else: a proxy
 * passes clients of other machines on, and need not say so. Only the operator knows, and says by --trust-loopback that
 * there is none. Publishing and administration take a token everywhere else.
 */
#include "access.h"

#include "networks.h"

unsigned access_free_roles(const fluxbp_server_t *server, const struct sockaddr *address) {
  bool is_trusted = server->options.trusts_loopback && network_is_loopback(address);
  return is_trusted ? FLUXBP_ROLE_SUBSCRIBE | FLUXBP_ROLE_PUBLISH | FLUXBP_ROLE_ADMIN : FLUXBP_ROLE_SUBSCRIBE;
}
