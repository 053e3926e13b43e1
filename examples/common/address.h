/* SPDX-License-Identifier: MIT */
/*
 * address: HOST:PORT as people write it, to a socket address and back.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* The longest text of an address with its zero: [IPv6%interface]:65535. */
#define ADDRESS_TEXT_BYTES 72

/**
 * Read 127.0.0.1:9000, [::1]:9000 or localhost:9000. A name is looked up, which may block: for the start of a program.
 *
 * @return NULL, or what is wrong with it, for a message to the user
 */
const char *address_parse(const char *text, struct sockaddr_storage *address);

/** Read `length` bytes in the same way as an address to connect to, whose port isn't 0. */
const char *address_parse_peer(const char *text, size_t length, struct sockaddr_storage *address);

/** Return whether an address is of the loopback network. */
bool address_is_loopback(const struct sockaddr_storage *address);

/** Write an IPv4 or IPv6 address and its port to `text`; "unknown" for any other. */
void address_format(const struct sockaddr *address, char *text, size_t size);

#endif
