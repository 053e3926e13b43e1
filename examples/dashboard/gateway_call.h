/* SPDX-License-Identifier: MIT */
/*
 * gateway_call: one HTTP request to a gateway, and its response, on a connection of its own. It is a libfluxbp connection
 * like those of the visitors, only that we connect it: the library reads, writes and closes.
 */
#ifndef DASHBOARD_GATEWAY_CALL_H
#define DASHBOARD_GATEWAY_CALL_H

#include "client/response_reader.h"

#include <fluxbp/fluxbp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#define GATEWAY_NAME_BYTES 272 /* a host of 255 bytes, and a port */

/* Where a gateway is, and what it takes to be let in. */
struct gateway_target {
  char name[GATEWAY_NAME_BYTES]; /* HOST:PORT, as the user wrote it */
  struct sockaddr_storage address;
  const char *token; /* NULL: none */
};

struct gateway_call;

struct gateway_call_events {
  void (*on_head)(struct gateway_call *call, int status);
  void (*on_body)(struct gateway_call *call, const char *data, size_t length);
  /* The last that is heard of it: `call` may be freed or used again. NULL: the response was complete; otherwise what
   * went wrong, in words. */
  void (*on_end)(struct gateway_call *call, const char *problem);
};

struct gateway_call {
  const struct gateway_call_events *events;
  void *user;

  fluxbp_conn_t *conn; /* NULL before the call and at its end */
  fluxbp_msg_t *request;
  uv_connect_t connect;
  struct response_reader response;
  const char *problem;
  uint64_t heard_ms; /* when something came last, by the loop's clock */
};

/** What is asked. Without a body `body` is NULL. */
struct gateway_question {
  const char *method, *path; /* with the query */
  const char *body;
  size_t length;
};

/**
 * Connect and ask. With 0 on_end follows, from the loop.
 *
 * @return 0, or a code of libuv's: nothing follows
 */
int gateway_call_begin(struct gateway_call *call, fluxbp_hub_t *hub, const struct gateway_target *target,
                       const struct gateway_question *question);

/** Give up, for that reason (a literal); on_end follows. Does nothing when there is no call. */
void gateway_call_stop(struct gateway_call *call, const char *problem);

#endif
