/* SPDX-License-Identifier: MIT */
/*
 * worker: the ramp, the tick, and the clients of each process, which gets its share of each class.
 */
#include "worker.h"

#include "message.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The backlog of many servers: requests beyond it are dropped by the kernel, and sent again after a second. Of all
 * processes together. */
static const uint32_t max_connecting = 128;

static const uint64_t ramp_interval_ms = 10;

/* Wait so long for +PONG: a server that doesn't know PING never sends it. */
static const uint64_t answer_patience_ns = 2 * NS_PER_S;

/* Return when the client is due: a random moment of its own interval, so that connections come irregularly. */
static uint64_t due_to_open_ns(struct worker *worker, const struct client *client) {
  uint64_t rate = worker->options->ramp_per_second;
  if (rate == 0) return 0;
  uint64_t jitter = (client->index * UINT64_C(2654435761)) % 1000;
  return worker->results->start_ns + (client->index * UINT64_C(1000) + jitter) * (NS_PER_S / 1000) / rate;
}

void worker_open_more(struct worker *worker) {
  uint64_t now_ns = uv_hrtime();
  while (!worker->is_closed && worker->opened < worker->count && worker->connecting < worker->max_connecting) {
    struct client *client = &worker->clients[worker->opened];
    if (due_to_open_ns(worker, client) > now_ns) return;
    int error = client_open(client);
    if (error != 0 && worker->process->connect_error == 0) worker->process->connect_error = error;
    if (error != 0) return;
    worker->opened++;
  }
  if (worker->opened == worker->count) uv_timer_stop(&worker->ramp);
}

static void on_ramp(uv_timer_t *timer) {
  worker_open_more(timer->data);
}

/* Take clients of a server that doesn't answer PING for subscribed after a while. */
static void look_at_unanswered(struct worker *worker, uint64_t now_ns) {
  if (worker->process->waited_for == 0 || worker->opened < worker->count) return;
  for (uint32_t i = 0; i < worker->count; i++) {
    struct client *client = &worker->clients[i];
    if (client->is_ready || client->state != CLIENT_OPEN || !target_is_text(&worker->options->target)) continue;
    if (now_ns - client->connect_ns < answer_patience_ns) continue;
    worker->process->unanswered++;
    if (client->integrity.first_fault == INTEGRITY_NO_FAULT) integrity_accept_any_first(&client->integrity);
    client_become_ready(client);
  }
}

static void measure(struct worker *worker, uint64_t now_ns) {
  struct process_results *process = worker->process;
  bool is_measuring = results_phase(worker->results) != PHASE_CONNECTING;
  if (is_measuring && !worker->is_measuring) worker->cpu_before_ns = results_cpu_ns();
  worker->is_measuring = is_measuring;
  if (!is_measuring) return;
  process->cpu_ns = results_cpu_ns() - worker->cpu_before_ns;
  uint64_t expected_ns = worker->ticked_ns + WORKER_TICK_MS * NS_PER_MS;
  histogram_record(&process->loop_lag, now_ns > expected_ns ? now_ns - expected_ns : 0);
}

static void look_at_drain(struct worker *worker) {
  const struct publisher_results *publisher = &worker->results->publisher;
  uint64_t draining = 0;
  for (uint32_t i = 0; i < worker->count; i++) {
    const struct client *client = &worker->clients[i];
    if (client->is_finished || !client_is_lossless(client)) continue;
    draining += !integrity_has_all(&client->integrity, publisher->sent, publisher->refused);
  }
  worker->process->draining = draining;
}

static void on_tick(uv_timer_t *timer) {
  struct worker *worker = timer->data;
  uint64_t now_ns = uv_hrtime();
  measure(worker, now_ns);
  worker->ticked_ns = now_ns;
  for (uint32_t i = 0; i < worker->paced_count; i++) behaviour_visit(worker->paced[i], now_ns);
  stalled_look(&worker->stalled, now_ns);
  look_at_unanswered(worker, now_ns);
  enum phase phase = results_phase(worker->results);
  if (phase == PHASE_DRAINING && worker_has_publisher(worker)) look_at_drain(worker);
  if (phase == PHASE_DRAINING) worker->process->drain_looks++;
  bool is_orphan = worker->parent != 0 && getppid() != worker->parent; /* then the phase never changes */
  if (phase == PHASE_OVER || is_orphan) worker_stop(worker);
}

static bool is_paced(const struct client *client) {
  return client->class == CLIENT_SLOW || client->class == CLIENT_BURSTY || client->class == CLIENT_RECONNECT;
}

static uint32_t count_of(const struct options *options, uint32_t number) {
  uint32_t count = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    uint32_t share = options->mix.shares[i];
    count += share / options->processes + (number < share % options->processes);
  }
  return count;
}

/* Of each class the first client goes to process 0, the next to 1, and so on. */
static bool init_clients(struct worker *worker, uint32_t number) {
  const struct options *options = worker->options;
  struct mix_walk walk;
  uint32_t at = 0;
  mix_walk_init(&walk, &options->mix, options->connections);
  for (uint32_t i = 0; i < options->connections; i++) {
    enum client_class class = mix_walk_next(&walk);
    if ((walk.given_of[class] - 1) % options->processes != number) continue;
    struct client *client = &worker->clients[at++];
    if (!client_init(client, worker, class, i)) return false;
    if (is_paced(client)) worker->paced[worker->paced_count++] = client;
  }
  return true;
}

static void init_rules(struct worker *worker) {
  const struct options *options = worker->options;
  struct integrity_rules *rules = &worker->rules;
  rules->until = options->until;
  if (options->is_unchecked) {
    rules->kind = INTEGRITY_PLAIN;
  } else if (options->until > 0) {
    rules->kind = INTEGRITY_NUMBERS;
  } else if (options->publishes) {
    rules->kind = INTEGRITY_MESSAGES;
    rules->run = worker->results->run;
    rules->publishers = options->publishers;
  }
}

static void count_expectations(struct worker *worker) {
  struct process_results *process = worker->process;
  process->waited_for = worker->count;
  for (int i = 0; i < CLIENT_CLASSES; i++)
    if (mix_is_lossless((enum client_class) i)) process->unfinished += process->classes[i].clients;
  process->unfinished_clean = process->unfinished;
  process->stalled_left = process->classes[CLIENT_STALLED].clients;
  process->progress_ns = uv_hrtime();
}

int worker_start(struct worker *worker, uv_loop_t *loop, const struct options *options, struct results *results,
                 uint32_t number) {
  *worker = (struct worker){.loop = loop,
                            .options = options,
                            .results = results,
                            .process = &results->processes[number],
                            .count = count_of(options, number),
                            .max_connecting = max_connecting / options->processes + 1,
                            .parent = number > 0 ? getppid() : 0,
                            .ticked_ns = uv_hrtime(),
                            .random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15)};
  init_rules(worker);
  worker->clients = calloc((size_t) worker->count + 1, sizeof *worker->clients);
  worker->paced = calloc((size_t) worker->count + 1, sizeof(struct client *));
  worker->buffer = malloc(WORKER_BUFFER_BYTES);
  worker->rules.cache = message_cache_create();
  if (worker->clients == NULL || worker->paced == NULL || worker->buffer == NULL || worker->rules.cache == NULL)
    return UV_ENOMEM;
  if (!init_clients(worker, number)) return UV_ENOMEM;
  if (!stalled_init(&worker->stalled, (uint32_t) worker->process->classes[CLIENT_STALLED].clients)) return UV_ENOMEM;
  count_expectations(worker);
  uv_timer_init(loop, &worker->ramp);
  uv_timer_init(loop, &worker->tick);
  worker->ramp.data = worker->tick.data = worker;
  uv_timer_start(&worker->ramp, on_ramp, 0, ramp_interval_ms);
  return uv_timer_start(&worker->tick, on_tick, WORKER_TICK_MS, WORKER_TICK_MS);
}

void worker_stop(struct worker *worker) {
  if (worker->is_closed) return;
  worker->is_closed = true;
  stalled_look(&worker->stalled, uv_hrtime()); /* the last look before they are closed by us */
  worker->stalled.count = 0;
  if (worker->is_measuring) worker->process->cpu_ns = results_cpu_ns() - worker->cpu_before_ns;
  uv_close((uv_handle_t *) &worker->ramp, NULL);
  uv_close((uv_handle_t *) &worker->tick, NULL);
  for (uint32_t i = 0; i < worker->count; i++) client_close(&worker->clients[i]);
}

void worker_finish(struct worker *worker) {
  for (uint32_t i = 0; worker->clients != NULL && i < worker->count; i++) {
    if (worker->clients[i].worker == NULL) continue; /* memory ran out before it */
    client_judge(&worker->clients[i]);
    client_free(&worker->clients[i]);
  }
  stalled_free(&worker->stalled);
  free(worker->clients);
  free(worker->paced);
  free(worker->buffer);
  message_cache_free(worker->rules.cache);
}
