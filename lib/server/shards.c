/* SPDX-License-Identifier: MIT */
/*
 * shards: what the server's loop wants of the hubs is posted to each of them, and whoever is the last to be done posts
 * the answer back.
 */
#include "shards.h"

#include "server/log.h"
#include "server/reach.h"
#include "server/server.h"
#include "server/session/session.h"

#include <stdlib.h>

#define MEMORY_RETRY_MS 1

/* A survey on its way to one hub. */
struct question {
  struct survey *survey;
  struct shard *shard;
  bool is_answered_later;
};

static int start_shard(struct shards *shards, size_t index, fluxbp_hub_t *hub) {
  struct shard *shard = &shards->list[index];
  shard->server = shards->server;
  shard->index = index;
  return shard_init(shard, hub);
}

static int on_start(fluxbp_hub_t *hub, size_t index, void *arg) {
  return start_shard(arg, index, hub);
}

static void on_stop(fluxbp_hub_t *hub, size_t index, void *arg) {
  struct shards *shards = arg;
  (void) hub;
  shard_stop(&shards->list[index]);
}

static int start_threads(struct shards *shards, const fluxbp_hub_options_t *hub_options) {
  fluxbp_workers_options_t options;
  fluxbp_workers_options_init(&options);
  options.threads = (uint32_t) shards->count;
  options.hub = hub_options;
  options.on_start = on_start;
  options.on_stop = on_stop;
  options.arg = shards;
  return fluxbp_workers_start(&options, &shards->workers);
}

static int start_on_loop(struct shards *shards, const fluxbp_hub_options_t *hub_options) {
  int err = fluxbp_hub_create(shards->server->options.loop, hub_options, &shards->hub);
  return err == 0 ? start_shard(shards, 0, shards->hub) : err;
}

int shards_start(struct shards *shards, fluxbp_server_t *server, const fluxbp_hub_options_t *hub_options) {
  shards->server = server;
  shards->count = server->shard_count;
  shards->list = calloc(shards->count, sizeof shards->list[0]);
  if (shards->list == NULL) return UV_ENOMEM;
  return server->options.threads > 0 ? start_threads(shards, hub_options) : start_on_loop(shards, hub_options);
}

static void arrive(fluxbp_hub_t *hub, void *arg) {
  shard_take(fluxbp_hub_user(hub), arg);
  free(arg);
}

void shards_take(struct shards *shards, const struct arrival *arrival) {
  struct arrival *copy = malloc(sizeof *copy);
  int err = UV_ENOMEM;
  if (copy != NULL) {
    *copy = *arrival;
    err = shards->workers != NULL ? fluxbp_workers_hand_over(shards->workers, arrive, copy)
                                  : fluxbp_hub_post(shards->hub, arrive, copy);
  }
  if (err == 0) return;
  server_log(shards->server, FLUXBP_LOG_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
  arrival_give_up(shards->server, arrival);
  free(copy);
}

int post_surely(fluxbp_hub_t *hub, fluxbp_task_cb task, void *arg) {
  int err;
  while ((err = fluxbp_hub_post(hub, task, arg)) == UV_ENOMEM) uv_sleep(MEMORY_RETRY_MS);
  return err;
}

static void tell_answered(fluxbp_hub_t *control, void *arg) {
  struct survey *survey = arg;
  (void) control;
  survey->done(survey);
}

void shards_answer(struct survey *survey) {
  if (atomic_fetch_sub(&survey->unanswered, 1) > 1) return;
  (void) post_surely(survey->shards->server->control, tell_answered, survey); /* it is closed after us */
}

static void put_question(fluxbp_hub_t *hub, void *arg) {
  struct question *question = arg;
  struct survey *survey = question->survey;
  bool is_answered_later = question->is_answered_later;
  (void) hub;
  survey->visit(question->shard, survey);
  free(question);
  if (!is_answered_later) shards_answer(survey);
}

static fluxbp_hub_t *hub_of(const struct shards *shards, size_t index) {
  return shards->workers != NULL ? fluxbp_workers_hub(shards->workers, index) : shards->hub;
}

static void ask(struct shards *shards, struct survey *survey, bool is_answered_later) {
  survey->shards = shards;
  atomic_store(&survey->unanswered, shards->count);
  for (size_t i = 0; i < shards->count; i++) {
    struct question *question = malloc(sizeof *question);
    int err = UV_ENOMEM;
    if (question != NULL) {
      *question = (struct question){survey, &shards->list[i], is_answered_later};
      err = fluxbp_hub_post(hub_of(shards, i), put_question, question);
    }
    if (err == 0) continue;
    free(question); /* it has nothing new to say */
    shards_answer(survey);
  }
}

void shards_ask(struct shards *shards, struct survey *survey) {
  ask(shards, survey, false);
}

void shards_ask_later(struct shards *shards, struct survey *survey) {
  ask(shards, survey, true);
}

static void end_shard(struct shard *shard) {
  fluxbp_tls_transport_free(shard->tls);
  codecs_end(&shard->codecs);
  inflater_destroy(shard->inflater);
  cells_reset(&shard->cells);
  expiries_free(&shard->expiries);
  delays_free(&shard->delays);
  resume_turns_free(&shard->resume_turns);
  reach_unref(shard->reach);
}

static void end_threads(struct shards *shards) {
  shards->workers = NULL;
  shards->hub = NULL;
  shards->has_stopped = true;
  for (size_t i = 0; shards->list != NULL && i < shards->count; i++) end_shard(&shards->list[i]);
  free(shards->list);
  shards->list = NULL;
  shards->count = 0;
  shards->on_stopped(shards);
}

static void on_hub_closed(fluxbp_hub_t *hub) {
  const struct shard *shard = fluxbp_hub_user(hub);
  end_threads(&shard->server->shards);
}

void shards_stop(struct shards *shards, shards_cb cb) {
  shards->on_stopped = cb;
  if (shards->hub == NULL) {
    fluxbp_workers_stop(shards->workers, 0);
    end_threads(shards);
    return;
  }
  if (!shards->list[0].hub_is_closing)
    shard_stop(&shards->list[0]); /* it was stopped already if it couldn't be started */
  fluxbp_hub_close(shards->hub, on_hub_closed);
}
