/* SPDX-License-Identifier: MIT */
/*
 * api_call: from the client's thread to the main loop, from there to all hubs and back, and back to the client's thread.
 * Only there it is known whether the client is still there.
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
static void deliver(fluxbp_hub_t *hub, void *arg) {
  struct api_call *call = arg;
  struct client *client = call->due.client;
  (void) hub;
  if (client != NULL) {
    http_is_answered(client);
    if (call->text != NULL && !call->text->is_broken)
      http_answer(client, call->status, call->type, call->text->data, call->text->length, NULL);
    else if (call->text == NULL && call->object != NULL)
      http_answer_json(client, call->status, json_incref(call->object));
    else
      http_refuse(client, 503, "out of memory; try again later", NULL);
    http_go_on(client);
  }
  free_call(call);
}

/* On the main loop. A hub that is closing takes no tasks, and has no clients that could wait. */
static void on_surveyed(struct survey *survey) {
  struct api_call *call = (struct api_call *) survey;
  call->is_asking = false;
  call->finish(call);
  if (call->is_asking) return;
  bool has_stopped = call->server->shards->workers == NULL; /* and its clients are gone */
  if (has_stopped || post_surely(call->origin->hub, deliver, call) != 0) free_call(call);
}

void api_call_ask(struct api_call *call, void (*visit)(struct clients *clients, struct survey *survey),
                  void (*finish)(struct api_call *call)) {
  call->is_asking = true;
  call->finish = finish;
  call->survey.visit = visit;
  shards_ask(call->server->shards, &call->survey);
}

static void begin(fluxbp_hub_t *control, void *arg) {
  struct api_call *call = arg;
  struct shards *shards = call->server->shards;
  (void) control;
  if (shards->workers == NULL)
    free_call(call);
  else if (call->survey.visit != NULL)
    shards_ask(shards, &call->survey);
  else
    on_surveyed(&call->survey);
}

void api_call_start(struct client *client, struct api_call call) {
  struct clients *clients = client_clients(client);
  struct api_call *started = malloc(sizeof *started);
  if (started != NULL) {
    *started = call;
    started->status = 200;
    started->survey.done = on_surveyed;
    started->server = clients->server;
    started->origin = clients;
    if (fluxbp_hub_post(clients->server->control, begin, started) == 0) {
      http_wait(client, &started->due);
      return;
    }
    free_call(started);
  } else if (call.free != NULL) {
    call.free(&call);
  }
  http_refuse(client, 503, "out of memory; try again later", NULL);
}
