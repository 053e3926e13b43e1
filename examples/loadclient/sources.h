/* SPDX-License-Identifier: MIT */
/*
 * sources: the addresses that clients connect from. Each has ports of its own, so many of them make more connections
 * possible than one address has ports for.
 */
#ifndef LOADCLIENT_SOURCES_H
#define LOADCLIENT_SOURCES_H

#include <stdint.h>
#include <sys/socket.h>

struct sources {
  uint32_t count;                 /* 0: the kernel chooses */
  uint32_t first_ipv4;            /* in the host's order */
  struct sockaddr_storage single; /* with a count of 1 */
};

/** Read 127.0.0.2, 127.0.0.2-127.0.0.9 or ::1. @return NULL, or what is wrong */
const char *sources_parse(struct sources *sources, const char *text);

/** The address of the client with this index, port 0. Only if there are any. */
void sources_pick(const struct sources *sources, uint32_t index, struct sockaddr_storage *address);

#endif
