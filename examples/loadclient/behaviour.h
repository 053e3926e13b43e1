/* SPDX-License-Identifier: MIT */
/*
 * behaviour: the clients that don't simply read. Slow clients get an allowance of bytes at each visit, bursty ones read
 * and pause in turns, reconnecting ones are cut and come back. Stalled ones never read and are not given to the loop,
 * which so can't see their reset: all of their sockets are polled at once, without waiting, and asked how much has
 * arrived. The last growth of that is the time when a client stalled.
 */
#ifndef LOADCLIENT_BEHAVIOUR_H
#define LOADCLIENT_BEHAVIOUR_H

#include "client.h"

#include <poll.h>

/** It has just been connected. */
void behaviour_begin(struct client *client, uint64_t now_ns);

/** Look after one client, every WORKER_TICK_MS. */
void behaviour_visit(struct client *client, uint64_t now_ns);

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
