/* SPDX-License-Identifier: MIT */
/*
 * shards: what the main loop wants of the hubs is posted to each of them, and whoever is the last to be done posts the
 * answer back.
 */
#include "shards.h"

#include "common/log.h"

#include <stdlib.h>

#define MEMORY_RETRY_MS 1

/* A survey on its way to one hub. */
struct question {
  struct survey *survey;
  struct shard *shard;
  bool is_answered_later;
};

static int on_start(fluxbp_hub_t *hub, size_t index, void *arg) {
  struct shards *shards = arg;
  struct shard *shard = &shards->list[index];
  shard->server = shards->server;
  shard->index = index;
  shard->on_connected = shards->on_connected;
  shard->user = shards->user;
  return shard_init(shard, hub);
}

static void on_stop(fluxbp_hub_t *hub, size_t index, void *arg) {
  struct shards *shards = arg;
  (void) hub;
  shard_stop(&shards->list[index]);
}

int shards_start(struct shards *shards, const fluxbp_hub_options_t *hub_options) {
  size_t threads = shards->server->options->threads;
  shards->list = calloc(threads, sizeof shards->list[0]);
  if (shards->list == NULL) return UV_ENOMEM;
  shards->count = threads;
  fluxbp_workers_options_t options;
  fluxbp_workers_options_init(&options);
  options.threads = (uint32_t) threads;
  options.hub = hub_options;
  options.on_start = on_start;
  options.on_stop = on_stop;
  options.arg = shards;
  return fluxbp_workers_start(&options, &shards->workers);
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
    err = fluxbp_workers_hand_over(shards->workers, arrive, copy);
  }
  if (err == 0) return;
  log_event(LOG_LEVEL_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
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

static void ask(struct shards *shards, struct survey *survey, bool is_answered_later) {
  survey->shards = shards;
  atomic_store(&survey->unanswered, shards->count);
  for (size_t i = 0; i < shards->count; i++) {
    struct question *question = malloc(sizeof *question);
    int err = UV_ENOMEM;
    if (question != NULL) {
      *question = (struct question){survey, &shards->list[i], is_answered_later};
      err = fluxbp_hub_post(fluxbp_workers_hub(shards->workers, i), put_question, question);
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

void shards_stop(struct shards *shards) {
  fluxbp_workers_stop(shards->workers, 0);
  shards->workers = NULL;
  for (size_t i = 0; i < shards->count; i++) cells_reset(&shards->list[i].cells);
  free(shards->list);
  shards->list = NULL;
  shards->count = 0;
}
