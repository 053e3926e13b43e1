/* SPDX-License-Identifier: MIT */
/*
 * networks: which addresses are meant by ADDRESS or ADDRESS/BITS, such as 10.0.0.0/8. An IPv4 address is the same when
 * it comes by way of an IPv6 socket.
 */
#ifndef FLUXBP_SERVER_NETWORKS_H
#define FLUXBP_SERVER_NETWORKS_H

#include <fluxbp/server/settings.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct network {
  uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
  unsigned bits;
  bool is_ipv4;
};

/** @return whether the text is one; bits behind the length have to be 0, since they hint at a mistake */
bool network_parse(const char *text, struct network *network);

/** Read an address with or without a port, 192.0.2.1:80 or [2001:db8::1]:80, as a network of one address. @return
 * whether it is one */
bool network_parse_address(const char *text, struct network *network);

bool network_has(const struct network *network, const struct sockaddr *address);

/** The 16 bytes of an IPv4 or IPv6 address. @return false: it is of another family */
bool network_address(const struct sockaddr *address, uint8_t bytes[16]);

/** Return a number for an IPv4 address, or for the /64 prefix of an IPv6 address: a client that has one address of a
 * prefix has all of them. */
uint64_t network_key(const struct sockaddr *address);

/** Return whether an address is one of loopback. */
bool network_is_loopback(const struct sockaddr *address);

#endif
