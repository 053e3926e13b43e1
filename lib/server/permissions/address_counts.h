/* SPDX-License-Identifier: MIT */
/*
 * address_counts: how many clients each address has, behind proxies: the listener sees the proxy's address only, so
 * that
 * --max-per-address is counted here where there is --proxy-from. By IPv4 address or IPv6 /64 prefix, as the listener
 * does. Any thread.
 */
#ifndef FLUXBP_SERVER_ADDRESS_COUNTS_H
#define FLUXBP_SERVER_ADDRESS_COUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address_counts;

/** @param most clients of one address. @return NULL: out of memory */
struct address_counts *address_counts_create(uint32_t most);
void address_counts_free(struct address_counts *counts);

/** One more of that address. @return false: there are as many as may be, or memory is used up; nothing was counted */
bool address_counts_add(struct address_counts *counts, const struct sockaddr *address);

/** One less, which was added. */
void address_counts_remove(struct address_counts *counts, const struct sockaddr *address);

#endif
