/* SPDX-License-Identifier: MIT */
/*
 * networks: everything is compared as IPv6.
 */
#include "networks.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TEXT_BYTES 64
#define IPV4_AT 12 /* of the 16 bytes */

static const uint8_t mapped[IPV4_AT] = {[10] = 0xff, [11] = 0xff};

static bool parse_bits(const char *text, unsigned most, unsigned *bits) {
  if (*text < '0' || *text > '9' || strlen(text) > 3) return false;
  char *end;
  unsigned long value = strtoul(text, &end, 10);
  *bits = (unsigned) value;
  return *end == '\0' && value <= most;
}

static bool has_bit(const uint8_t *bytes, unsigned bit) {
  return (bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static bool has_bytes(const struct network *network, const uint8_t bytes[16]) {
  for (unsigned bit = 0; bit < network->bits; bit++)
    if (has_bit(network->address, bit) != has_bit(bytes, bit)) return false;
  return true;
}

bool network_parse(const char *text, struct network *network) {
  char address[TEXT_BYTES];
  const char *slash = strchr(text, '/');
  size_t length = slash != NULL ? (size_t) (slash - text) : strlen(text);
  if (length >= sizeof address) return false;
  memcpy(address, text, length);
  address[length] = '\0';

  unsigned skipped = 0;
  memcpy(network->address, mapped, sizeof mapped);
  if (uv_inet_pton(AF_INET, address, network->address + IPV4_AT) == 0)
    skipped = 8 * IPV4_AT;
  else if (uv_inet_pton(AF_INET6, address, network->address) != 0)
    return false;
  unsigned bits = 128 - skipped;
  if (slash != NULL && !parse_bits(slash + 1, bits, &bits)) return false;
  network->bits = skipped + bits;
  network->is_ipv4 = memcmp(network->address, mapped, sizeof mapped) == 0;
  for (unsigned bit = network->bits; bit < 128; bit++)
    if (has_bit(network->address, bit)) return false;
  return true;
}

bool network_parse_address(const char *text, struct network *network) {
  char host[TEXT_BYTES];
  bool has_brackets = *text == '[';
  const char *begin = has_brackets ? text + 1 : text;
  const char *colon = strchr(begin, ':');
  bool has_port = colon != NULL && strchr(colon + 1, ':') == NULL;
  size_t length = has_brackets ? strcspn(begin, "]") : has_port ? (size_t) (colon - begin) : strlen(begin);
  if (length >= sizeof host || memchr(begin, '/', length) != NULL) return false;
  memcpy(host, begin, length);
  host[length] = '\0';
  return network_parse(host, network);
}

int fluxbp_network_has(const char *network_text, const char *address_text) {
  struct network network, address;
  if (!network_parse(network_text, &network) || !network_parse_address(address_text, &address)) return false;
  return has_bytes(&network, address.address);
}

int fluxbp_network_is_right(const char *text) {
  struct network network;
  return network_parse(text, &network);
}

bool network_address(const struct sockaddr *address, uint8_t bytes[16]) {
  if (address->sa_family == AF_INET6) {
    memcpy(bytes, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, 16);
    return true;
  }
  if (address->sa_family != AF_INET) return false;
  memcpy(bytes, mapped, sizeof mapped);
  memcpy(bytes + IPV4_AT, &((const struct sockaddr_in *) (const void *) address)->sin_addr, 4);
  return true;
}

bool network_has(const struct network *network, const struct sockaddr *address) {
  uint8_t bytes[16];
  return network_address(address, bytes) && has_bytes(network, bytes);
}

uint64_t network_key(const struct sockaddr *address) {
  enum { PREFIX_BYTES = 8 };
  uint8_t bytes[16] = {0};
  uint64_t key;
  (void) network_address(address, bytes);
  bool is_ipv4 = memcmp(bytes, mapped, sizeof mapped) == 0;
  memcpy(&key, is_ipv4 ? bytes + PREFIX_BYTES : bytes, sizeof key);
  return key;
}

bool network_is_loopback(const struct sockaddr *address) {
  uint8_t bytes[16];
  static const uint8_t loopback[16] = {[15] = 1};
  if (!network_address(address, bytes)) return false;
  bool is_ipv4 = memcmp(bytes, mapped, sizeof mapped) == 0;
  return is_ipv4 ? bytes[IPV4_AT] == 127 : memcmp(bytes, loopback, sizeof loopback) == 0;
}
