/* SPDX-License-Identifier: MIT */
/*
 * shard: the beginning and the end of all sessions of one hub.
 */
#include "answers.h"
#include "deadlines.h"
#include "intake.h"
#include "server/admin/evictions.h"
#include "server/reach.h"
#include "session.h"
#include "tls_client.h"

static int open_state_topics(struct shard *shard) {
  const fluxbp_server_options_t *options = &shard->server->options;
  for (size_t i = 0; i < options->state_topics.count; i++) {
    int err = topics_hold_state(&shard->topics, options->state_topics.texts[i], options->state_keys);
    if (err != 0) return err;
  }
  return fluxbp_topic_open_state(shard->hub, WATCH_TOPIC, EVICTIONS_KEPT + EVICTIONS_FIRST_KEY, &shard->watch);
}

int shard_init(struct shard *shard, fluxbp_hub_t *hub) {
  shard->hub = hub;
  codecs_init(&shard->codecs, fluxbp_bus_epoch(shard->server->bus), shard->server->options.compress_bytes);
  fluxbp_hub_set_user(hub, shard);
  queue_init(&shard->resumes);
  uv_timer_init(fluxbp_hub_loop(hub), &shard->resume_timer);
  uv_unref((uv_handle_t *) &shard->resume_timer);
  shard->resume_timer.data = shard;
  deadlines_init(shard);
  room_init(&shard->room, fluxbp_hub_loop(hub));
  delays_init(&shard->delays, fluxbp_hub_loop(hub));
  resume_turns_init(&shard->resume_turns, fluxbp_hub_loop(hub));
  shard->topics.max = shard->server->options.max_topics;
  shard->topics.full = &shard->server->full_topic_tables;
  shard->reach = reach_create(hub);
  int err = shard->reach != NULL ? topics_init(&shard->topics, hub, shard->server->options.topic) : UV_ENOMEM;
  if (err == 0) err = open_state_topics(shard);
  if (err == 0) err = tls_client_init(shard);
  if (err != 0) shard_stop(shard); /* nobody else does */
  return err;
}

void shard_stop(struct shard *shard) {
  shard->hub_is_closing = true;
  if (shard->reach != NULL) reach_close(shard->reach);
  if (shard->tls != NULL) fluxbp_tls_transport_close(shard->tls);
  topics_end(&shard->topics);
  uv_close((uv_handle_t *) &shard->timer, NULL);
  uv_close((uv_handle_t *) &shard->resume_timer, NULL);
  room_stop(&shard->room);
  delays_stop(&shard->delays);
  resume_turns_stop(&shard->resume_turns);
}

static int say_goodbye(fluxbp_conn_t *conn, void *arg) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  (void) arg;
  if (session->is_closing) return 0;
  if (session_protocol(session)->give_up != NULL) session_protocol(session)->give_up(session);
  answers_give_up(session);
  intake_go_on(session);
  if (session->is_closing) return 0;
  char text[GOODBYE_BYTES];
  size_t length = session_goodbye(session, FLUXBP_CLOSE_SHUTTING_DOWN, "shutting down", text);
  if (length == 0) return 0;
  session_expect_nothing(session);
  session_drain_with(session, text, length, fluxbp_session_server(session)->drain_ms);
  return 0;
}

void shard_say_goodbye(struct shard *shard) {
  fluxbp_hub_each_conn(shard->hub, say_goodbye, NULL);
}

fluxbp_session_t *shard_session_at(struct shard *shard, uint64_t cell) {
  uint64_t threads = shard->server->shard_count;
  if (cell % threads != shard->index || cell / threads >= shard->cells.count) return NULL;
  return shard->cells.sessions[cell / threads];
}
