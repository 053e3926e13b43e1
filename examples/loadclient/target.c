/* SPDX-License-Identifier: MIT */
/*
 * target: the target is looked up once, for all clients. Ranges of sources are for IPv4, where loopback has 16 million
 * addresses; an IPv6 loopback has one.
 */
#include "target.h"

#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

const char *target_parse(struct target *target, const char *text) {
  static const char nats[] = "nats://";
  fluxbp_client_url_t url;
  const char *problem;
  memset(target, 0, sizeof *target);
  target->text = text;
  target->path = "";
  if (text[0] == '-') {
    target->kind = TARGET_STDOUT;
    return text[1] == '\0' ? NULL : "standard output is '-' and nothing else";
  }
  if (strncmp(text, nats, sizeof nats - 1) == 0) {
    const char *authority = text + sizeof nats - 1;
    size_t length = strcspn(authority, "/");
    target->kind = TARGET_NATS;
    target->protocol = FLUXBP_CLIENT_LINES;
    target->path = authority + length;
    return address_parse_peer(authority, length, &target->address);
  }
  if (fluxbp_client_url_parse(text, &url, &problem) != 0) return problem;
  target->protocol = url.protocol;
  target->path = url.path;
  return address_parse_peer(url.authority, url.authority_length, &target->address);
}

bool target_is_feed(const struct target *target) {
  return target->kind == TARGET_URL && target->protocol != FLUXBP_CLIENT_HTTP;
}

bool target_takes_messages(const struct target *target) {
  return target->kind != TARGET_URL || target_is_text(target) || target->protocol == FLUXBP_CLIENT_HTTP;
}

static const uint32_t max_sources = 65536;

static void set_ipv4(struct sockaddr_storage *address, uint32_t host_order) {
  struct sockaddr_in *ipv4 = (struct sockaddr_in *) address;
  memset(address, 0, sizeof *address);
  ipv4->sin_family = AF_INET;
  ipv4->sin_addr.s_addr = htonl(host_order);
}

static const char *parse_range(struct sources *sources, const char *text, const char *dash) {
  static const char form[] = "expected an address or a range of IPv4 addresses, such as 127.0.0.2-127.0.0.9";
  char first_text[INET_ADDRSTRLEN];
  struct in_addr first, last;
  size_t length = (size_t) (dash - text);
  if (length >= sizeof first_text) return form;
  memcpy(first_text, text, length);
  first_text[length] = '\0';
  if (inet_pton(AF_INET, first_text, &first) != 1 || inet_pton(AF_INET, dash + 1, &last) != 1) return form;
  uint32_t from = ntohl(first.s_addr), to = ntohl(last.s_addr);
  if (to < from) return "the smaller address comes first";
  if (to - from >= max_sources) return "there may be 65536 addresses at most";
  sources->count = to - from + 1;
  sources->first_ipv4 = from;
  set_ipv4(&sources->single, from);
  return NULL;
}

const char *sources_parse(struct sources *sources, const char *text) {
  memset(sources, 0, sizeof *sources);
  const char *dash = strchr(text, '-');
  if (dash != NULL) return parse_range(sources, text, dash);
  sources->count = 1;
  if (uv_ip4_addr(text, 0, (struct sockaddr_in *) &sources->single) == 0) return NULL;
  if (uv_ip6_addr(text, 0, (struct sockaddr_in6 *) &sources->single) == 0) return NULL;
  return "expected an address or a range of IPv4 addresses, such as 127.0.0.2-127.0.0.9";
}

void sources_pick(const struct sources *sources, uint32_t index, struct sockaddr_storage *address) {
  if (sources->count == 1)
    *address = sources->single;
  else
    set_ipv4(address, sources->first_ipv4 + index % sources->count);
}
