/* SPDX-License-Identifier: MIT */
/*
 * target: the address that clients connect to or messages are published to, and the addresses that clients connect
 * from. Targets are the URLs of fluxbp/client.h, and besides
 *
 *   nats://HOST:PORT[/SUBJECT]    publishing to a backbone
 *   -                             publishing to standard output
 *
 * Each source address has ports of its own, so many of them make more connections possible than one address has ports
 * for.
 */
#ifndef LOADCLIENT_TARGET_H
#define LOADCLIENT_TARGET_H

#include <fluxbp/client.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum target_kind {
  TARGET_TEXT,   /* lines or length frames: for clients and for publishing */
  TARGET_STREAM, /* WebSocket or SSE: for clients only */
  TARGET_HTTP,   /* SSE for clients, POST for publishing */
  TARGET_NATS,   /* this and the rest: for publishing only */
  TARGET_STDOUT
};

struct target {
  const char *text; /* as given */
  enum target_kind kind;
  bool is_secure; /* by TLS */
  struct sockaddr_storage address;
  const char *path; /* with the query; "" where there is none */
};

/** Read a URL and look its name up. `text` has to stay. @return NULL, or a sentence on what is wrong */
const char *target_parse(struct target *target, const char *text);

struct sources {
  uint32_t count; /* 0: the kernel chooses; above 1 only for IPv4 */
  struct sockaddr_storage first;
};

/** Read 127.0.0.2, 127.0.0.2-127.0.0.9 or ::1. @return NULL, or a sentence on what is wrong */
const char *sources_parse(void *sources, const char *text);

/** Write the address of the client with this index, port 0. There must be sources. */
void sources_pick(const struct sources *sources, uint32_t index, struct sockaddr_storage *address);

#endif
