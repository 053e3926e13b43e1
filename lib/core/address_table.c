/* SPDX-License-Identifier: MIT */
/*
 * address table: open addressing with linear probing, at most half full. An address whose last connection goes leaves
 * no tombstone: those that come after it move up, so a table that has seen a million addresses is as fast as a new one.
 */
#include "address_table.h"

#include "pool.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <uv.h>

enum { BITS_MIN = 6 };

/* IPv4 addresses take keys of the prefix ff00::/32, which is multicast: no peer comes from there. */
static const uint64_t IPV4_KEY = 0xff00000000000000u;

static uint64_t ipv4_key(const void *address) {
  uint32_t number;
  memcpy(&number, address, sizeof number);
  return IPV4_KEY | ntohl(number);
}

static uint64_t ipv6_key(const struct in6_addr *address) {
  if (IN6_IS_ADDR_V4MAPPED(address)) return ipv4_key(&address->s6_addr[12]);
  uint64_t prefix = 0;
  for (int i = 0; i < 8; i++) prefix = prefix << 8 | address->s6_addr[i];
  return prefix;
}

uint64_t fluxbp__address_key(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    struct sockaddr_in ipv4;
    memcpy(&ipv4, address, sizeof ipv4);
    return ipv4_key(&ipv4.sin_addr);
  }
  if (address->sa_family == AF_INET6) {
    struct sockaddr_in6 ipv6;
    memcpy(&ipv6, address, sizeof ipv6);
    return ipv6_key(&ipv6.sin6_addr);
  }
  return FLUXBP__ADDRESS_NONE;
}

void fluxbp__address_table_init(fluxbp__address_table_t *table, fluxbp_pool_t *pool, uint64_t seed) {
  *table = (fluxbp__address_table_t){.pool = pool, .multiplier = seed | 1};
}

static size_t capacity_of(const fluxbp__address_table_t *table) {
  return table->bits == 0 ? 0 : (size_t) 1 << table->bits;
}

void fluxbp__address_table_free(fluxbp__address_table_t *table) {
  fluxbp__pool_free_object(table->pool, table->entries, capacity_of(table) * sizeof *table->entries);
  table->entries = NULL;
  table->bits = 0;
  table->used = 0;
}

/* The high bits of a product with a secret odd number: two addresses collide at most twice as often as by chance. */
static size_t home_of(const fluxbp__address_table_t *table, uint64_t key) {
  return (size_t) (key * table->multiplier >> (64 - table->bits));
}

/* The place of `key`, or the empty one that it would get. There is always one: half of them are empty. */
static size_t place_of(const fluxbp__address_table_t *table, uint64_t key) {
  size_t mask = capacity_of(table) - 1;
  size_t place = home_of(table, key);
  while (table->entries[place].count != 0 && table->entries[place].key != key) place = (place + 1) & mask;
  return place;
}

int fluxbp__address_table_reserve(fluxbp__address_table_t *table) {
  if (table->used < capacity_of(table) / 2) return 0;

  fluxbp__address_table_t grown = *table;
  grown.bits = table->bits == 0 ? BITS_MIN : table->bits + 1;
  grown.entries = fluxbp__pool_alloc_object(table->pool, capacity_of(&grown) * sizeof *grown.entries);
  if (grown.entries == NULL) return UV_ENOMEM;
  for (size_t i = 0; i < capacity_of(table); i++)
    if (table->entries[i].count != 0) grown.entries[place_of(&grown, table->entries[i].key)] = table->entries[i];
  fluxbp__pool_free_object(table->pool, table->entries, capacity_of(table) * sizeof *table->entries);
  *table = grown;
  return 0;
}

uint64_t fluxbp__address_table_count(const fluxbp__address_table_t *table, uint64_t key) {
  return table->bits == 0 ? 0 : table->entries[place_of(table, key)].count;
}

void fluxbp__address_table_add(fluxbp__address_table_t *table, uint64_t key) {
  assert(table->used < capacity_of(table) / 2 && "room was not reserved");
  fluxbp__address_entry_t *entry = &table->entries[place_of(table, key)];
  if (entry->count++ > 0) return;
  entry->key = key;
  table->used++;
}

/* Fill the hole with an entry that probing wouldn't find beyond it, and go on with the hole which that leaves. */
static void close_hole(fluxbp__address_table_t *table, size_t hole) {
  size_t mask = capacity_of(table) - 1;
  for (size_t place = (hole + 1) & mask; table->entries[place].count != 0; place = (place + 1) & mask) {
    size_t distance_from_home = (place - home_of(table, table->entries[place].key)) & mask;
    if (distance_from_home < ((place - hole) & mask)) continue;
    table->entries[hole] = table->entries[place];
    table->entries[place].count = 0;
    hole = place;
  }
}

void fluxbp__address_table_remove(fluxbp__address_table_t *table, uint64_t key) {
  assert(table->bits != 0);
  size_t place = place_of(table, key);
  assert(table->entries[place].count > 0);
  if (--table->entries[place].count > 0) return;
  table->used--;
  close_hole(table, place);
}
