/* SPDX-License-Identifier: MIT */
/*
 * target: the address is looked up once, for all clients.
 */
#include "target.h"

#include "common/address.h"

#include <stdio.h>
#include <string.h>

static const char *look_up(struct target *target, const char *authority, size_t length) {
  char text[300];
  if (length >= sizeof text) return "the host is too long";
  memcpy(text, authority, length);
  text[length] = '\0';
  const char *problem = address_parse(text, &target->address);
  if (problem != NULL) return problem;
  return address_has_port(&target->address) ? NULL : "the port must be a number from 1 to 65535";
}

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
    return look_up(target, authority, length);
  }
  if (fluxbp_client_url_parse(text, &url, &problem) != 0) return problem;
  target->protocol = url.protocol;
  target->path = url.path;
  return look_up(target, url.authority, url.authority_length);
}

bool target_is_feed(const struct target *target) {
  return target->kind == TARGET_URL && target->protocol != FLUXBP_CLIENT_HTTP;
}

bool target_takes_messages(const struct target *target) {
  return target->kind != TARGET_URL || target_is_text(target) || target->protocol == FLUXBP_CLIENT_HTTP;
}
