/* SPDX-License-Identifier: MIT */
/*
 * api_call: from the client's thread to the server's loop, from there to all hubs and back, and back to the client's
 * thread. Only there it is known whether the client is still there.
 */
#include "api_call.h"

#include "server/text.h"

#include <stdlib.h>
#include <string.h>

static void free_call(struct api_call *call) {
  if (call->free != NULL) call->free(call);
  if (call->text != NULL) text_free(call->text);
  free(call->text);
  json_decref(call->object);
  free(call);
}

/* On the client's thread. */
static void deliver_answer(fluxbp_hub_t *hub, void *arg) {
  struct api_call *call = arg;
  fluxbp_session_t *session = call->due.session;
  (void) hub;
  if (session != NULL) {
    http_is_answered(session);
    if (call->text != NULL && !call->text->is_broken)
      http_answer(session, call->status, call->type, call->text->data, call->text->length, NULL);
    else if (call->text == NULL && call->object != NULL)
      http_answer_json(session, call->status, json_incref(call->object));
    else
      http_refuse(session, 503, "out of memory; try again later", NULL);
    http_go_on(session);
  }
  free_call(call);
}

/* On the server's loop. A hub that is closing takes no tasks, and has no clients that could wait. */
static void on_surveyed(struct survey *survey) {
  struct api_call *call = (struct api_call *) survey;
  call->is_asking = false;
  call->finish(call);
  if (call->is_asking) return;
  bool has_stopped = call->server->shards.has_stopped; /* and its clients are gone */
  if (has_stopped || post_surely(call->origin->hub, deliver_answer, call) != 0) free_call(call);
}

void api_call_ask(struct api_call *call, void (*visit)(struct shard *shard, struct survey *survey),
                  void (*finish)(struct api_call *call)) {
  call->is_asking = true;
  call->finish = finish;
  call->survey.visit = visit;
  shards_ask(&call->server->shards, &call->survey);
}

static void begin_survey(fluxbp_hub_t *control, void *arg) {
  struct api_call *call = arg;
  struct shards *shards = &call->server->shards;
  (void) control;
  if (shards->has_stopped)
    free_call(call);
  else if (call->survey.visit != NULL)
    shards_ask(shards, &call->survey);
  else
    on_surveyed(&call->survey);
}

void api_call_start(fluxbp_session_t *session, struct api_call call) {
  struct shard *shard = session_shard(session);
  struct api_call *started = malloc(sizeof *started);
  if (started != NULL) {
    *started = call;
    started->status = 200;
    started->survey.done = on_surveyed;
    started->server = shard->server;
    started->origin = shard;
    if (fluxbp_hub_post(shard->server->control, begin_survey, started) == 0) {
      http_wait(session, &started->due);
      return;
    }
    free_call(started);
  } else if (call.free != NULL) {
    call.free(&call);
  }
  http_refuse(session, 503, "out of memory; try again later", NULL);
}
