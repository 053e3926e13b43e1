/* SPDX-License-Identifier: MIT */
/*
 * api_revoke: taking a subject or a token back.
 */
#include "api.h"

#include "api_call.h"
#include "server/http/http_client.h"
#include "server/log.h"

#include <stdlib.h>
#include <string.h>

/* For so long a revocation is kept if the request doesn't say. */
#define SECONDS_DEFAULT (30 * 24 * 3600)

struct revoke_request {
  json_t *body;
  const char *subject, *token; /* one of both is NULL */
  json_int_t seconds;
  char by[FLUXBP_ACTOR_TEXT_BYTES];
};

static void free_revoke(struct api_call *call) {
  struct revoke_request *wanted = call->request;
  json_decref(wanted->body);
  free(wanted);
}

static int status_of(int err) {
  return err == UV_EINVAL ? 400 : 503;
}

/* On the server's loop. */
static void finish_revoke(struct api_call *call) {
  const struct revoke_request *wanted = call->request;
  const char *text = wanted->subject != NULL ? wanted->subject : wanted->token;
  int err = fluxbp_server_revoke(call->server, wanted->subject, wanted->token, (uint64_t) wanted->seconds);
  server_log(call->server, FLUXBP_LOG_INFO, "revoke", log_word(wanted->subject != NULL ? "subject" : "token", text),
             log_word("by", wanted->by), log_phrase("result", err == 0 ? "done" : uv_strerror(err)));
  if (err == 0) {
    call->object = json_pack("{ss}", "revoked", text);
    return;
  }
  call->status = status_of(err);
  const char *problem = "no revocation was kept";
  if (err == UV_EINVAL) problem = "a subject or a token's id has 1 to 255 bytes";
  if (err == UV_ENOSPC) problem = "there are as many revocations as may be kept; tokens should expire sooner";
  if (err == UV_ENOTCONN || err == UV_EAGAIN)
    problem = "revoked at this server, but the backbone couldn't take it: send the request again";
  call->object = json_pack("{ss}", "error", problem);
}

/* @return whether the body says what to revoke */
static bool read_body(struct revoke_request *wanted, struct http_text body) {
  wanted->body = body.length > 0 ? json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  wanted->seconds = SECONDS_DEFAULT;
  return wanted->body != NULL &&
         json_unpack(wanted->body, "{s?s, s?s, s?I !}", "subject", &wanted->subject, "token", &wanted->token, "seconds",
                     &wanted->seconds) == 0 &&
         (wanted->subject == NULL) != (wanted->token == NULL) && wanted->seconds > 0;
}

void api_revoke(fluxbp_session_t *session, const struct http_request *request) {
  struct revoke_request *wanted = calloc(1, sizeof *wanted);
  struct api_call call = {.finish = finish_revoke, .free = free_revoke, .request = wanted};
  if (wanted == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  fluxbp_session_actor(session, FLUXBP_ROLE_ADMIN, wanted->by);
  if (read_body(wanted, request->body)) {
    api_call_start(session, call);
    return;
  }
  free_revoke(&call);
  http_refuse(session, 400, "send {\"subject\": NAME} or {\"token\": ID}, and \"seconds\" for how long it is kept",
              NULL);
}
