/* SPDX-License-Identifier: MIT */
/*
 * worker: the ramp, the tick, and the clients of each process, which gets its share of each class.
 */
#include "worker.h"

#include "common/message.h"
#include "common/units.h"

#include <stdlib.h>
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
    if (client->is_ready || client->state != CLIENT_OPEN || worker->options->target.kind != TARGET_TEXT) continue;
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

/* Count the clients that lack a message of those that the publisher has sent. */
static void look_at_drain(struct worker *worker) {
  const struct publisher_results *publisher = &worker->results->publisher;
  uint64_t unfinished = 0, clean = 0;
  for (uint32_t i = 0; i < worker->count; i++) {
    const struct client *client = &worker->clients[i];
    if (client->is_finished || !client_is_lossless(client)) continue;
    if (integrity_has_all(&client->integrity, publisher->sent, publisher->refused)) continue;
    unfinished++;
    clean += !client->has_fault;
  }
  worker->process->unfinished = unfinished;
  worker->process->unfinished_clean = clean;
}

static void visit_clients(struct worker *worker, uint64_t now_ns) {
  for (uint32_t i = 0; i < worker->paced_count; i++) behaviour_visit(worker->paced[i], now_ns);
}

static void stop_worker(struct worker *worker) {
  if (worker->is_closed) return;
  worker->is_closed = true;
  visit_clients(worker, uv_hrtime()); /* the last look at stalled ones before they are closed by us */
  if (worker->is_measuring) worker->process->cpu_ns = results_cpu_ns() - worker->cpu_before_ns;
  uv_close((uv_handle_t *) &worker->ramp, NULL);
  uv_close((uv_handle_t *) &worker->tick, NULL);
  for (uint32_t i = 0; i < worker->count; i++) client_close(&worker->clients[i]);
}

static void on_timer(uv_timer_t *timer) {
  struct worker *worker = timer->data;
  uint64_t now_ns = uv_hrtime();
  if (worker->on_tick != NULL) worker->on_tick(worker->arg);
  measure(worker, now_ns);
  worker->ticked_ns = now_ns;
  visit_clients(worker, now_ns);
  look_at_unanswered(worker, now_ns);
  enum phase phase = results_phase(worker->results);
  if (phase == PHASE_DRAINING && worker_has_publisher(worker)) look_at_drain(worker);
  bool is_orphan = worker->parent != 0 && getppid() != worker->parent; /* then the phase never changes */
  if (phase == PHASE_OVER || is_orphan) stop_worker(worker);
}

/* Of each class the first client goes to process 0, the next to 1, and so on. */
static bool init_clients(struct worker *worker, uint32_t number) {
  const struct options *options = worker->options;
  uint32_t given[CLIENT_CLASSES] = {0};
  for (uint32_t i = 0; i < options->connections; i++) {
    enum client_class class = mix_next(&options->mix, given);
    if ((given[class] - 1) % options->processes != number) continue;
    struct client *client = &worker->clients[worker->count++];
    if (!client_init(client, worker, class, i)) return false;
    if (class != CLIENT_HEALTHY) worker->paced[worker->paced_count++] = client;
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

static int init_worker(struct worker *worker, uint32_t number) {
  const struct options *options = worker->options;
  struct process_results *process = worker->process;
  size_t most = options->connections / options->processes + CLIENT_CLASSES; /* each class is rounded up */
  init_rules(worker);
  worker->clients = calloc(most, sizeof *worker->clients);
  worker->paced = calloc(most, sizeof(struct client *));
  worker->buffer = malloc(WORKER_BUFFER_BYTES);
  worker->rules.cache = message_cache_create();
  if (worker->clients == NULL || worker->paced == NULL || worker->buffer == NULL || worker->rules.cache == NULL ||
      !init_clients(worker, number))
    return UV_ENOMEM;
  process->waited_for = worker->count;
  process->unfinished = process->classes[CLIENT_HEALTHY].clients + process->classes[CLIENT_RECONNECT].clients;
  process->unfinished_clean = process->unfinished;
  process->stalled_left = process->classes[CLIENT_STALLED].clients;
  process->progress_ns = worker->ticked_ns = uv_hrtime();
  uv_timer_init(&worker->loop, &worker->ramp);
  uv_timer_init(&worker->loop, &worker->tick);
  worker->ramp.data = worker->tick.data = worker;
  uv_timer_start(&worker->ramp, on_ramp, 0, ramp_interval_ms);
  return uv_timer_start(&worker->tick, on_timer, WORKER_TICK_MS, WORKER_TICK_MS);
}

int worker_run(const struct options *options, struct results *results, uint32_t number, void (*on_tick)(void *arg),
               void *arg) {
  struct worker worker = {.options = options,
                          .results = results,
                          .process = &results->processes[number],
                          .max_connecting = max_connecting / options->processes + 1,
                          .parent = number > 0 ? getppid() : 0,
                          .on_tick = on_tick,
                          .arg = arg,
                          .random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15)};
  int error = uv_loop_init(&worker.loop);
  if (error != 0) return error;
  error = init_worker(&worker, number);
  if (error == 0) uv_run(&worker.loop, UV_RUN_DEFAULT);
  for (uint32_t i = 0; i < worker.count; i++) {
    client_judge(&worker.clients[i]);
    integrity_free(&worker.clients[i].integrity);
  }
  free(worker.clients);
  free(worker.paced);
  free(worker.buffer);
  free(worker.rules.cache);
  uv_loop_close(&worker.loop);
  return error;
}
