/* SPDX-License-Identifier: MIT */
/*
 * address: parsing and formatting. Names are looked up by getaddrinfo, whose first answer is taken.
 */
#include "common/address.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HOST_BYTES 256 /* a DNS name has at most 253 */

static bool parse_port(const char *text, int *port) {
  size_t digits = strlen(text);
  if (digits == 0 || digits > 5) return false;
  for (const char *digit = text; *digit != '\0'; digit++)
    if (!isdigit((unsigned char) *digit)) return false;
  *port = (int) strtol(text, NULL, 10);
  return *port <= 65535;
}

/* Takes the host out of HOST:PORT or [HOST]:PORT, and sets *port to what follows. */
static const char *split(const char *text, char host[HOST_BYTES], const char **port) {
  static const char form[] = "expected HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000";
  const char *end;
  if (*text == '[') {
    text++;
    end = strchr(text, ']');
    if (end == NULL || end[1] != ':') return form;
    *port = end + 2;
  } else {
    end = strrchr(text, ':');
    if (end == NULL) return form;
    if (memchr(text, ':', (size_t) (end - text)) != NULL)
      return "an IPv6 address goes into brackets, such as [::1]:9000";
    *port = end + 1;
  }
  size_t length = (size_t) (end - text);
  if (length == 0) return "the host is missing; for all interfaces write 0.0.0.0:PORT or [::]:PORT";
  if (length >= HOST_BYTES) return "the host is too long";
  memcpy(host, text, length);
  host[length] = '\0';
  return NULL;
}

static const char *look_up(const char *host, const char *port, struct sockaddr_storage *address) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  int err = getaddrinfo(host, port, &hints, &found);
  if (err != 0) return gai_strerror(err);
  memcpy(address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return NULL;
}

const char *address_parse(const char *text, struct sockaddr_storage *address) {
  char host[HOST_BYTES];
  const char *port_text;
  int port;
  memset(address, 0, sizeof *address);
  const char *problem = split(text, host, &port_text);
  if (problem != NULL) return problem;
  if (!parse_port(port_text, &port)) return "the port must be a number from 0 to 65535";
  if (uv_ip4_addr(host, port, (struct sockaddr_in *) address) == 0) return NULL;
  if (uv_ip6_addr(host, port, (struct sockaddr_in6 *) address) == 0) return NULL;
  return look_up(host, port_text, address);
}

const char *address_parse_peer(const char *text, size_t length, struct sockaddr_storage *address) {
  char copy[HOST_BYTES + sizeof "[]:65535"];
  if (length >= sizeof copy) return "the host is too long";
  memcpy(copy, text, length);
  copy[length] = '\0';
  const char *problem = address_parse(copy, address);
  if (problem != NULL) return problem;
  bool has_port = address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *) address)->sin6_port != 0
                                                 : ((const struct sockaddr_in *) address)->sin_port != 0;
  return has_port ? NULL : "the port must be a number from 1 to 65535";
}

bool address_is_loopback(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) address)->sin6_addr);
  return ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr) >> 24 == 127;
}

void address_format(const struct sockaddr *address, char *text, size_t size) {
  char host[ADDRESS_TEXT_BYTES - 8]; /* less the brackets, the colon and the port */
  if (uv_ip_name(address, host, sizeof host) != 0)
    snprintf(text, size, "unknown");
  else if (address->sa_family == AF_INET6)
    snprintf(text, size, "[%s]:%u", host, (unsigned) ntohs(((const struct sockaddr_in6 *) address)->sin6_port));
  else
    snprintf(text, size, "%s:%u", host, (unsigned) ntohs(((const struct sockaddr_in *) address)->sin_port));
}
