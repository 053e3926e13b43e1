/* SPDX-License-Identifier: MIT */
/*
 * address: parsing and formatting. Names are looked up by getaddrinfo, whose first answer is taken.
 */
#include "address.h"

#include <fluxbp/server/session.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HOST_BYTES 256 /* a DNS name has at most 253 */
#define PORT_DIGITS_MAX 5
#define PORT_MAX 65535

static int look_up(const char *host, const char *port, struct sockaddr_storage *address) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  if (getaddrinfo(host, port, &hints, &found) != 0) return UV_EINVAL;
  memcpy(address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return 0;
}

int server_address_parse(const char *text, struct sockaddr_storage *address) {
  char host[HOST_BYTES];
  const char *colon = strrchr(text, ':');
  memset(address, 0, sizeof *address);
  if (colon == NULL) return UV_EINVAL;
  const char *port = colon + 1;
  size_t digits = strlen(port);
  if (digits == 0 || digits > PORT_DIGITS_MAX || strspn(port, "0123456789") != digits) return UV_EINVAL;
  size_t length = (size_t) (colon - text);
  if (*text == '[' && length > 1 && colon[-1] == ']') {
    text++;
    length -= 2;
  } else if (memchr(text, ':', length) != NULL) {
    return UV_EINVAL; /* an IPv6 address stands in brackets */
  }
  int number = atoi(port);
  if (number > PORT_MAX || length == 0 || length >= HOST_BYTES) return UV_EINVAL;
  memcpy(host, text, length);
  host[length] = '\0';
  if (uv_ip4_addr(host, number, (struct sockaddr_in *) address) == 0) return 0;
  if (uv_ip6_addr(host, number, (struct sockaddr_in6 *) address) == 0) return 0;
  return look_up(host, port, address);
}

void server_address_format(const struct sockaddr *address, char *text) {
  char host[FLUXBP_ADDRESS_TEXT_BYTES - 8]; /* less the brackets, the colon and the port */
  if (uv_ip_name(address, host, sizeof host) != 0)
    snprintf(text, FLUXBP_ADDRESS_TEXT_BYTES, "unknown");
  else if (address->sa_family == AF_INET6)
    snprintf(text, FLUXBP_ADDRESS_TEXT_BYTES, "[%s]:%u", host,
             (unsigned) ntohs(((const struct sockaddr_in6 *) (const void *) address)->sin6_port));
  else
    snprintf(text, FLUXBP_ADDRESS_TEXT_BYTES, "%s:%u", host,
             (unsigned) ntohs(((const struct sockaddr_in *) (const void *) address)->sin_port));
}
