/* SPDX-License-Identifier: MIT */
/*
 * target: the target is looked up once, for all clients. Ranges of sources are for IPv4, where loopback has 16 million
 * addresses; an IPv6 loopback has one.
 */
#include "target.h"

#include "common/address.h"

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
    target->path = authority + length;
    return address_parse_peer(authority, length, &target->address);
  }
  if (fluxbp_client_url_parse(text, &url, &problem) != 0) return problem;
  target->kind = url.protocol == FLUXBP_CLIENT_HTTP                                            ? TARGET_HTTP
                 : url.protocol == FLUXBP_CLIENT_LINES || url.protocol == FLUXBP_CLIENT_LENGTH ? TARGET_TEXT
                                                                                               : TARGET_STREAM;
  target->path = url.path;
  target->is_secure = url.is_secure != 0;
  return address_parse_peer(url.authority, url.authority_length, &target->address);
}

static uint32_t ipv4_of(const struct sockaddr_storage *address) {
  return ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr);
}

const char *sources_parse(void *place, const char *text) {
  struct sources *sources = place;
  static const char form[] = "expected an address or a range of IPv4 addresses, such as 127.0.0.2-127.0.0.9";
  char copy[2 * INET6_ADDRSTRLEN], *last_text = copy;
  struct sockaddr_storage last;
  snprintf(copy, sizeof copy, "%s", text);
  const char *first_text = strsep(&last_text, "-");
  *sources = (struct sources){.count = 1};
  if (last_text == NULL && uv_ip6_addr(text, 0, (struct sockaddr_in6 *) &sources->first) == 0) return NULL;
  if (uv_ip4_addr(first_text, 0, (struct sockaddr_in *) &sources->first) != 0) return form;
  if (last_text == NULL) return NULL;
  if (uv_ip4_addr(last_text, 0, (struct sockaddr_in *) &last) != 0) return form;
  if (ipv4_of(&last) < ipv4_of(&sources->first)) return "the smaller address comes first";
  sources->count = ipv4_of(&last) - ipv4_of(&sources->first) + 1;
  return sources->count <= 65536 ? NULL : "there may be 65536 addresses at most";
}

void sources_pick(const struct sources *sources, uint32_t index, struct sockaddr_storage *address) {
  *address = sources->first;
  if (address->ss_family != AF_INET) return;
  ((struct sockaddr_in *) address)->sin_addr.s_addr = htonl(ipv4_of(&sources->first) + index % sources->count);
}
