/* SPDX-License-Identifier: MIT */
/*
 * stalled: clients that never read are not given to the loop, so it can't tell that they were reset. Here all of their
 * sockets are polled at once, without waiting, and asked how much has arrived: when that grew last, a client stalled.
 */
#ifndef LOADCLIENT_STALLED_H
#define LOADCLIENT_STALLED_H

#include "client.h"

#include <poll.h>

struct stalled_entry {
  struct client *client;
  int unread_bytes;
  uint64_t grew_ns; /* when they last became more */
};

struct stalled {
  nfds_t count;
  struct pollfd *sockets;
  struct stalled_entry *entries; /* in the same order */
};

/** Make room for so many. @return false: out of memory */
bool stalled_init(struct stalled *stalled, uint32_t capacity);
void stalled_free(struct stalled *stalled);

void stalled_add(struct stalled *stalled, struct client *client, uint64_t now_ns);

/** See what has come, and who was reset or closed: those are evicted, counted, and closed. */
void stalled_look(struct stalled *stalled, uint64_t now_ns);

#endif
