/* SPDX-License-Identifier: MIT */
/*
 * client: one client's life: connecting, reading in its way, being closed, coming back. Everything belongs to the
 * thread of the loop; what happened can be read off it until it is freed.
 */
#ifndef LOADCLIENT_CLIENT_H
#define LOADCLIENT_CLIENT_H

#include "client/stream.h"
#include "results.h"

#include <uv.h>

struct worker;

enum client_state {
  CLIENT_UNOPENED,
  CLIENT_CONNECTING,
  CLIENT_OPEN,
  CLIENT_CUT, /* closed by ourselves, to come back at `due_ns` */
  CLIENT_CLOSED
};

enum client_failure {
  CLIENT_NO_FAILURE,
  CLIENT_DISCONNECTED, /* see error */
  CLIENT_EVICTED,
  CLIENT_REFUSED, /* the server said no, in HTTP or by a close frame */
  CLIENT_PROTOCOL /* it got what it could not understand: see stream.problem */
};

#define CLIENT_POSITION_BYTES 48
#define CLIENT_NOTICE_BYTES 96

struct client {
  struct worker *worker;
  struct class_results *results; /* of its class */
  enum client_class class;
  uint32_t index; /* over all processes, in the order of connecting */
  enum client_state state;
  enum client_failure failure; /* the first one */
  int error;                   /* why it was disconnected */

  bool was_connected;
  bool is_ready;        /* subscribed, or as good as; for the first time */
  bool is_finished;     /* nothing more is expected of it */
  bool has_fault;       /* its stream isn't what it should be */
  bool is_resuming;     /* lines, frames: what comes before the answer to RESUME is to be thrown away */
  bool has_got_message; /* since it was connected */
  bool is_reading;
  bool is_handle_busy; /* until libuv has closed it */
  bool says_evicted, says_closing;

  uint64_t connect_ns; /* when connecting began */
  uint64_t due_ns;     /* slow: last visit; bursty: of the next change; reconnect: of the next cut or return */
  uint64_t allowance;  /* slow: bytes that may be read now */
  char position[CLIENT_POSITION_BYTES]; /* the id to resume behind; "": none */
  char notice[CLIENT_NOTICE_BYTES];     /* what the server said last about itself */

  struct stream stream;
  struct integrity integrity;
  uv_tcp_t tcp;
  uv_connect_t connect;
};

/** Fill in a new client. @return false: out of memory */
bool client_init(struct client *client, struct worker *worker, enum client_class class, uint32_t index);
void client_free(struct client *client);

/** Connect, for the first time or again. @return 0, or libuv's error: then it is closed */
int client_open(struct client *client);

/** Begin or cease to read. */
void client_read(struct client *client);
void client_pause(struct client *client);

/** End its connection; the server gets a reset, or a FIN. */
void client_cut(struct client *client, bool resets);

/** Close its connection, whatever state it is in, and leave it at that. */
void client_close(struct client *client);

/** It is known to be subscribed, or supposed to be. */
void client_become_ready(struct client *client);

/** End it for good: it has failed, or not. */
void client_finish(struct client *client, enum client_failure failure);

/** Whether it has to get everything. */
static inline bool client_is_lossless(const struct client *client) {
  return mix_is_lossless(client->class);
}

/** After the end: add what it found to its class's results, and say what has gone wrong, if anything. */
void client_judge(struct client *client);

#endif
