/* SPDX-License-Identifier: MIT */
/*
 * own_request: requests for routes of the program's own.
 */
#ifndef FLUXBP_SERVER_OWN_REQUEST_H
#define FLUXBP_SERVER_OWN_REQUEST_H

#include "http_client.h"
#include "http_reader.h"

#include <fluxbp/server/request.h>

#include <stdatomic.h>
#include <stdbool.h>

struct fluxbp_request {
  struct http_due due;
  fluxbp_session_t *session;       /* to be asked until the handler has returned */
  const struct http_request *http; /* the same */
  unsigned roles;

  /* Of on_request alone: two own it, the client's part and the program, and it goes with the second of them. */
  struct reach *reach;
  atomic_uint owners;
  bool is_in_handler;
  bool is_answered; /* inside of the handler */

  int status; /* the answer, on its way to the session's thread */
  char *type;
  char *headers;        /* whole lines, or NULL */
  fluxbp_msg_t *answer; /* made by http_answer_create, or NULL */
  size_t length;        /* of its body */
};

/** Hand a request to the program's on_request. */
void own_request_run(fluxbp_session_t *session, const struct http_request *request);

#endif
