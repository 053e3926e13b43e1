/* SPDX-License-Identifier: MIT */
/*
 * proxy_protocol: 12 bytes of signature, a byte each of version and command, family and protocol, two of the length of
 * what follows; then the addresses, and anything else that the proxy wants to say.
 */
#include "proxy_protocol.h"

#include <stdbool.h>
#include <string.h>

enum { VERSION_AT = 12, FAMILY_AT = 13, LENGTH_AT = 14, FIXED_BYTES = 16 };
enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { TCP_OVER_IPV4 = 0x11, TCP_OVER_IPV6 = 0x21 };
enum { IPV4_BYTES = 12, IPV6_BYTES = 36 }; /* two addresses, two ports */

static const unsigned char signature[VERSION_AT] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* Of the whole header, as far as it is known. */
static size_t length_of(const struct proxy_header *header) {
  if (header->taken < FIXED_BYTES) return FIXED_BYTES;
  return FIXED_BYTES + (size_t) (header->bytes[LENGTH_AT] << 8 | header->bytes[LENGTH_AT + 1]);
}

static bool is_proxy(const struct proxy_header *header) {
  return header->bytes[VERSION_AT] == COMMAND_PROXY;
}

/* How many bytes the addresses take that are of use to us. */
static size_t addresses_of(const struct proxy_header *header) {
  if (!is_proxy(header)) return 0;
  switch (header->bytes[FAMILY_AT]) {
  case TCP_OVER_IPV4:
    return IPV4_BYTES;
  case TCP_OVER_IPV6:
    return IPV6_BYTES;
  default:
    return 0;
  }
}

static bool is_right(const struct proxy_header *header) {
  size_t known = header->taken < sizeof header->bytes ? header->taken : sizeof header->bytes;
  if (memcmp(header->bytes, signature, known < sizeof signature ? known : sizeof signature) != 0) return false;
  if (known > VERSION_AT && !is_proxy(header) && header->bytes[VERSION_AT] != COMMAND_LOCAL) return false;
  if (known < FIXED_BYTES) return true;
  size_t length = length_of(header);
  return length <= PROXY_HEADER_BYTES_MAX && length >= FIXED_BYTES + addresses_of(header);
}

static enum proxy_outcome read_address(struct proxy_header *header) {
  const unsigned char *from = header->bytes + FIXED_BYTES;
  memset(&header->client, 0, sizeof header->client);
  if (!is_proxy(header)) return PROXY_LOCAL;
  if (addresses_of(header) == 0) return PROXY_UNNAMED;
  if (header->bytes[FAMILY_AT] == TCP_OVER_IPV4) {
    header->client.v4.sin_family = AF_INET;
    memcpy(&header->client.v4.sin_addr, from, 4);
    memcpy(&header->client.v4.sin_port, from + 8, 2); /* behind both addresses; in network order, as it has to be */
  } else {
    header->client.v6.sin6_family = AF_INET6;
    memcpy(&header->client.v6.sin6_addr, from, 16);
    memcpy(&header->client.v6.sin6_port, from + 32, 2);
  }
  return PROXY_ADDRESS;
}

/* As many as there are up to the end of what is known of the header: the fixed part, then the rest. */
static void take_bytes(struct proxy_header *header, const char **data, size_t *length) {
  size_t wanted = length_of(header) - header->taken;
  size_t bytes = *length < wanted ? *length : wanted;
  if (header->taken < sizeof header->bytes) {
    size_t room = sizeof header->bytes - header->taken;
    memcpy(header->bytes + header->taken, *data, bytes < room ? bytes : room);
  }
  header->taken += bytes;
  *data += bytes;
  *length -= bytes;
}

enum proxy_outcome proxy_header_take(struct proxy_header *header, const char **data, size_t *length) {
  while (*length > 0 && header->taken < length_of(header)) {
    take_bytes(header, data, length);
    if (!is_right(header)) return PROXY_WRONG;
  }
  bool is_whole = header->taken >= FIXED_BYTES && header->taken == length_of(header);
  return is_whole ? read_address(header) : PROXY_MORE;
}
