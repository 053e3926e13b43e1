/* SPDX-License-Identifier: MIT */
/*
 * address table: how many connections each address has. An IPv4 peer counts by its address, also when it comes by way
 * of an IPv6 socket; an IPv6 peer by its /64 prefix, since a host that has one address of the prefix usually has all of
 * them.
 *
 * Knows nothing of sockets, threads and limits. Its memory is bounded by the connections that are counted in it.
 */
#ifndef FLUXBP_LIB_ADDRESS_TABLE_H
#define FLUXBP_LIB_ADDRESS_TABLE_H

#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The key of peers that aren't counted: those on UNIX sockets. No address has this key. */
#define FLUXBP__ADDRESS_NONE UINT64_MAX

typedef struct fluxbp__address_entry {
  uint64_t key;
  uint64_t count; /* 0: the place is empty */
} fluxbp__address_entry_t;

typedef struct fluxbp__address_table {
  fluxbp_pool_t *pool;
  uint64_t multiplier; /* of the hash; odd */
  fluxbp__address_entry_t *entries;
  unsigned bits; /* there are 2^bits places, or none at all if it is 0 */
  size_t used;   /* places that aren't empty: addresses with a connection */
} fluxbp__address_table_t;

uint64_t fluxbp__address_key(const struct sockaddr *address);

/* `seed` should be a secret: a peer that knows it can choose addresses that collide. Allocates nothing yet. */
void fluxbp__address_table_init(fluxbp__address_table_t *table, fluxbp_pool_t *pool, uint64_t seed);
void fluxbp__address_table_free(fluxbp__address_table_t *table);

/* Make room for one more address, so that the next fluxbp__address_table_add can't fail. 0 or UV_ENOMEM. */
int fluxbp__address_table_reserve(fluxbp__address_table_t *table);

uint64_t fluxbp__address_table_count(const fluxbp__address_table_t *table, uint64_t key);
void fluxbp__address_table_add(fluxbp__address_table_t *table, uint64_t key);
void fluxbp__address_table_remove(fluxbp__address_table_t *table, uint64_t key); /* it must have been added */

#endif
