/* SPDX-License-Identifier: MIT */
/*
 * client: one client of the load, on a client of fluxbp/client.h. It behaves as its class says, checks its messages,
 * and keeps its failure until it is freed. Thread: the loop's.
 */
#ifndef LOADCLIENT_CLIENT_H
#define LOADCLIENT_CLIENT_H

#include "results.h"

#include <fluxbp/client.h>

struct worker;

enum client_state {
  CLIENT_UNOPENED,
  CLIENT_CONNECTING,
  CLIENT_OPEN, /* its socket is connected */
  CLIENT_CUT,  /* comes back */
  CLIENT_CLOSED
};

enum client_failure {
  CLIENT_NO_FAILURE,
  CLIENT_DISCONNECTED, /* see error */
  CLIENT_EVICTED,
  CLIENT_REFUSED, /* the server said no, in HTTP or by a close frame */
  CLIENT_PROTOCOL /* the server broke the protocol: see notice */
};

#define CLIENT_NOTICE_BYTES 96

struct client {
  struct worker *worker;
  struct class_counts *results; /* of its class */
  struct class_times *times;
  enum client_class class;
  uint32_t index; /* over all processes, in the order of connecting */
  enum client_state state;
  enum client_failure failure; /* the first one */
  int error;                   /* why it was disconnected: libuv's, or the status or close code of a refusal */

  bool was_connected;
  bool is_ready;        /* subscribed, or as good as; for the first time */
  bool is_finished;     /* nothing more is expected of it */
  bool has_fault;       /* a message was lost, twice, out of order or corrupt */
  bool has_got_message; /* since it was connected */
  bool is_reading;      /* bursty */
  bool is_mid_message;  /* it was disconnected there */
  bool says_evicted, says_closing;

  uint64_t connect_ns;              /* when connecting began */
  uint64_t due_ns;                  /* slow: last visit; stalled: last growth of the unread bytes; bursty: of the next
                                       change; reconnect: of the next cut */
  int unread_bytes;                 /* stalled */
  char notice[CLIENT_NOTICE_BYTES]; /* the server's last notice, or its fault */

  fluxbp_client_t *stream; /* NULL: not opened, or closed */
  struct integrity integrity;
};

/** Fill in a new client, whose `integrity` is to be freed. @return false: out of memory */
bool client_init(struct client *client, struct worker *worker, enum client_class class, uint32_t index);

/** Connect. @return 0, or libuv's error */
int client_open(struct client *client);

/** Close the connection, in any state. The client doesn't come back. */
void client_close(struct client *client);

/** Note that a client is subscribed, or supposed to be. */
void client_become_ready(struct client *client);

/** Close the client and note its failure, or that it has none. */
void client_finish(struct client *client, enum client_failure failure);

/** Return whether the client has to get every message. */
static inline bool client_is_lossless(const struct client *client) {
  return mix_is_lossless(client->class);
}

/** After the end, add the client's faults to the results of its class, with a sentence about its failure. */
void client_judge(struct client *client);

/* Behaviours (behaviour.c) */

/** Begin the behaviour of a client that has just been connected. */
void behaviour_begin(struct client *client, uint64_t now_ns);

/** Carry on the behaviour of a client that isn't healthy; called every WORKER_TICK_MS. */
void behaviour_visit(struct client *client, uint64_t now_ns);

#endif
