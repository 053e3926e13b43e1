/* SPDX-License-Identifier: MIT */
/*
 * closing: the end of a server, in four steps, each begun when the one before is done: nothing new is let in (no
 * clients, no messages), the hubs take what is in the bus, they are drained, everything is closed (server_end).
 */
#include "backbone.h"
#include "server.h"
#include "session/session.h"

#define DELIVERY_CHECK_MS 20

static fluxbp_server_t *server_of(const struct survey *survey) {
  return survey->shards->server;
}

/* On the thread of the hub, which counts on afterwards. */
static void take_figures(struct shard *shard) {
  fluxbp_hub_get_metrics(shard->hub, &shard->figures.metrics);
  shard->figures.commands = shard->commands_total;
  shard->figures.pauses = shard->pauses_total;
}

static void add_figures(fluxbp_server_t *server) {
  server->stats = (fluxbp_server_stats_t){0};
  for (size_t i = 0; i < server->shards.count; i++) {
    const struct shard_figures *figures = &server->shards.list[i].figures;
    fluxbp_metrics_add(&server->stats.metrics, &figures->metrics);
    server->stats.commands += figures->commands;
    server->stats.read_pauses += figures->pauses;
  }
}

void fluxbp_server_get_stats(const fluxbp_server_t *server, fluxbp_server_stats_t *stats) {
  *stats = server->stats;
  struct memory_stats input;
  memory_get_stats(&server->memory, &input);
  memory_get_pool_stats(&server->memory, &stats->pool);
  stats->input_bytes = input.used_bytes;
  stats->input_refused = input.refused;
  stats->sessions = atomic_load(&server->served);
  stats->refused = atomic_load(&server->refused);
}

static void let_nothing_in(fluxbp_server_t *server) {
  atomic_store(&server->is_stopping, true);
  listeners_close_subscribers(server);
}

/* What is under way by the backbone comes back by it. */
static bool is_bus_empty(const fluxbp_server_t *server) {
  fluxbp_backbone_t *backbone = server->options.backbone;
  fluxbp_bus_stats_t stats;
  if (backbone != NULL && !backbone->table->is_idle(backbone)) return false;
  fluxbp_bus_get_stats(server->bus, &stats);
  return stats.lag == 0;
}

/* Draining. */

static void on_drained(struct survey *survey) {
  fluxbp_server_t *server = server_of(survey);
  add_figures(server);
  server_end(server);
}

/* On the thread of a hub. */
static void on_hub_drained(fluxbp_hub_t *hub) {
  struct shard *shard = fluxbp_hub_user(hub);
  take_figures(shard);
  shards_answer(&shard->server->survey);
}

static void visit_drain(struct shard *shard, struct survey *survey) {
  shard_say_goodbye(shard);
  fluxbp_hub_drain(shard->hub, server_of(survey)->drain_ms, on_hub_drained);
}

/* A client that is let in later has to be waited for, too. */
static void on_drain_deadline(uv_timer_t *timer) {
  listeners_close(timer->data);
}

/* Draining a hub leaves in the bus what it hasn't read. */
static void on_bus_check(uv_timer_t *timer) {
  fluxbp_server_t *server = timer->data;
  uint64_t now_ms = uv_now(server->options.loop);
  if (!is_bus_empty(server) && now_ms < server->drain_until_ms) return;
  uint64_t left_ms = now_ms < server->drain_until_ms ? server->drain_until_ms - now_ms : 0;
  uv_timer_start(timer, on_drain_deadline, left_ms, 0);
  server->drain_ms = (uint32_t) left_ms;
  server->survey.visit = visit_drain;
  server->survey.done = on_drained;
  shards_ask_later(&server->shards, &server->survey);
}

static void begin_to_drain(fluxbp_server_t *server) {
  uv_timer_start(&server->delivery, on_bus_check, 0, DELIVERY_CHECK_MS);
}

void fluxbp_server_close(fluxbp_server_t *server, uint32_t drain_ms, fluxbp_server_cb cb) {
  if (server->is_closing) return;
  server->is_closing = true;
  server->on_closed = cb;
  let_nothing_in(server);
  server->drain_until_ms = uv_now(server->options.loop) + drain_ms;
  server->drain_ms = drain_ms;
  if (!server->is_asking) begin_to_drain(server);
}

/* Delivering, without a deadline: every client takes what is queued for it, or is evicted by the policy. */

static void on_delivery_check(uv_timer_t *timer);

static void on_queued_known(struct survey *survey) {
  fluxbp_server_t *server = server_of(survey);
  server->is_asking = false;
  add_figures(server);
  if (server->is_closing) /* that was faster */
    begin_to_drain(server);
  else if (server->stats.metrics.queued > 0)
    uv_timer_start(&server->delivery, on_delivery_check, DELIVERY_CHECK_MS, 0);
  else if (server->on_finished != NULL)
    server->on_finished(server);
}

static void visit_metrics(struct shard *shard, struct survey *survey) {
  (void) survey;
  take_figures(shard);
}

static void on_delivery_check(uv_timer_t *timer) {
  fluxbp_server_t *server = timer->data;
  if (!is_bus_empty(server)) {
    uv_timer_start(timer, on_delivery_check, DELIVERY_CHECK_MS, 0);
    return;
  }
  server->is_asking = true;
  server->survey.visit = visit_metrics;
  server->survey.done = on_queued_known;
  shards_ask(&server->shards, &server->survey);
}

void fluxbp_server_finish(fluxbp_server_t *server, fluxbp_server_cb cb) {
  server->on_finished = cb;
  let_nothing_in(server);
  if (!server->is_closing && !server->is_asking) uv_timer_start(&server->delivery, on_delivery_check, 0, 0);
}
