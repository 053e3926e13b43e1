/* SPDX-License-Identifier: MIT */
/*
 * shards: what the main loop wants of the hubs is posted to each of them, and whoever is the last to be done posts the
 * answer back.
 */
#include "shards.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

struct handover {
  struct shards *shards;
  struct arrival arrival;
};

static struct shard *shard_of(const struct shards *shards, const fluxbp_hub_t *hub) {
  struct shard *shard = shards->list;
  while (shard->clients.hub != hub) shard++;
  return shard;
}

static int on_start(fluxbp_hub_t *hub, size_t index, void *arg) {
  struct shards *shards = arg;
  struct shard *shard = &shards->list[index];
  shard->shards = shards;
  shard->clients.served = &shards->served;
  shard->clients.on_connected = shards->on_connected;
  shard->clients.user = shards->user;
  return clients_init(&shard->clients, hub, shards->topic);
}

static void on_stop(fluxbp_hub_t *hub, size_t index, void *arg) {
  struct shards *shards = arg;
  (void) hub;
  shards->list[index].clients.hub_is_closing = true;
}

int shards_start(struct shards *shards, size_t threads, const fluxbp_hub_options_t *hub_options) {
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
  struct handover *handover = arg;
  clients_take(&shard_of(handover->shards, hub)->clients, &handover->arrival);
  free(handover);
}

void shards_take(struct shards *shards, const struct arrival *arrival) {
  struct handover *handover = malloc(sizeof *handover);
  int err = UV_ENOMEM;
  if (handover != NULL) {
    *handover = (struct handover){.shards = shards, .arrival = *arrival};
    err = fluxbp_workers_hand_over(shards->workers, arrive, handover);
  }
  if (err == 0) return;
  log_event(LOG_LEVEL_WARN, "connect_failed", log_phrase("error", uv_strerror(err)));
  arrival_give_up(arrival);
  free(handover);
}

static void tell_answered(fluxbp_hub_t *control, void *arg) {
  struct shards *shards = arg;
  (void) control;
  shards->on_answered(shards);
}

/* On the thread of the shard, which has brought its part up to date. */
static void answer(struct shards *shards) {
  if (atomic_fetch_sub(&shards->unanswered, 1) > 1) return;
  int err = fluxbp_hub_post(shards->control, tell_answered, shards);
  if (err != 0) log_event(LOG_LEVEL_ERROR, "answer_lost", log_phrase("error", uv_strerror(err)));
}

static void answer_metrics(fluxbp_hub_t *hub, void *arg) {
  struct shard *shard = arg;
  fluxbp_hub_get_metrics(hub, &shard->metrics);
  answer(shard->shards);
}

static void on_drained(fluxbp_hub_t *hub) {
  struct shards *shards = fluxbp_hub_user(hub);
  answer_metrics(hub, shard_of(shards, hub));
}

static void drain(fluxbp_hub_t *hub, void *arg) {
  const uint32_t *deadline_ms = arg;
  fluxbp_hub_drain(hub, *deadline_ms, on_drained);
}

/* Have `task` run on each hub; it, or what it begins, leads to an answer. */
static void ask(struct shards *shards, shards_cb on_answered, fluxbp_task_cb task, void *arg) {
  shards->on_answered = on_answered;
  atomic_store(&shards->unanswered, shards->count);
  for (size_t i = 0; i < shards->count; i++) {
    int err = fluxbp_hub_post(fluxbp_workers_hub(shards->workers, i), task, arg != NULL ? arg : &shards->list[i]);
    if (err != 0) answer(shards); /* out of memory: it has nothing new to say */
  }
}

void shards_ask_metrics(struct shards *shards, shards_cb on_answered) {
  ask(shards, on_answered, answer_metrics, NULL);
}

void shards_drain(struct shards *shards, uint32_t deadline_ms, shards_cb on_answered) {
  shards->deadline_ms = deadline_ms;
  ask(shards, on_answered, drain, &shards->deadline_ms);
}

fluxbp_metrics_t shards_metrics(const struct shards *shards) {
  fluxbp_metrics_t sum = {0};
  for (size_t i = 0; i < shards->count; i++) fluxbp_metrics_add(&sum, &shards->list[i].metrics);
  return sum;
}

void shards_stop(struct shards *shards) {
  fluxbp_workers_stop(shards->workers, 0);
  shards->workers = NULL;
  free(shards->list);
  shards->list = NULL;
  shards->count = 0;
}
