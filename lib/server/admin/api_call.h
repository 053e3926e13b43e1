/* SPDX-License-Identifier: MIT */
/*
 * api_call: a request that is answered after a survey.
 */
#ifndef FLUXBP_SERVER_API_CALL_H
#define FLUXBP_SERVER_API_CALL_H

#include "server/http/http_client.h"
#include "server/session/session.h"
#include "server/shards.h"

#include <jansson.h>

struct api_call {
  struct survey survey;                  /* `visit` may be NULL: then the server's loop alone is asked */
  void (*finish)(struct api_call *call); /* on the server's loop: sets the answer */
  void (*free)(struct api_call *call);   /* what the request has besides; NULL: nothing */
  void *request;
  bool is_asking; /* `finish` has asked further */

  /* the answer: an object, or text */
  int status;
  json_t *object;
  const char *type;
  struct text *text;

  fluxbp_server_t *server;

  /* of the thread that the request came on */
  struct shard *origin;
  struct http_due due;
};

/** Have a request answered by a call. If that can't be done it is refused, and `free` was called. */
void api_call_start(fluxbp_session_t *session, struct api_call call);

/** In `finish`: ask all hubs as well, and set the answer in another one. */
void api_call_ask(struct api_call *call, void (*visit)(struct shard *shard, struct survey *survey),
                  void (*finish)(struct api_call *call));
#endif
