/* SPDX-License-Identifier: MIT */
/*
 * clock: one timer for every deadline of a client. Received bytes don't move the timer: when it rings, the age of the
 * last ones is looked at.
 */
#include "client.h"

#include "websocket.h"

uint64_t fluxbp__client_now(const fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  return options->clock_ms != NULL ? options->clock_ms(options->arg) : uv_now(client->loop);
}

static bool can_ping(const fluxbp_client_t *client) {
  if (client->options.ping_interval_ms == 0) return false;
  if (client->options.protocol == FLUXBP_CLIENT_WEBSOCKET) return true;
  return !fluxbp__client_speaks_http(client) && !fluxbp__client_is_plain(client);
}

static uint64_t sooner(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* When something has to be looked at; UINT64_MAX: never. */
static uint64_t next_deadline(const fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  uint64_t deadline = client->due_ms;
  if (client->state == FLUXBP__CLIENT_HANDSHAKING && !client->is_reading) return UINT64_MAX;
  if (client->state != FLUXBP__CLIENT_OPEN || !client->is_reading) return deadline;
  if (options->silence_ms > 0) deadline = sooner(deadline, client->heard_ms + options->silence_ms);
  if (options->answer_timeout_ms > 0 && client->has_request)
    deadline = sooner(deadline, client->asked_ms + options->answer_timeout_ms);
  if (!can_ping(client)) return deadline;
  if (!client->has_pinged) return sooner(deadline, client->heard_ms + options->ping_interval_ms);
  return options->ping_timeout_ms > 0 ? sooner(deadline, client->pinged_ms + options->ping_timeout_ms) : deadline;
}

static void send_ping(fluxbp_client_t *client, uint64_t now) {
  bool is_sent = client->options.protocol == FLUXBP_CLIENT_WEBSOCKET
                     ? fluxbp__websocket_append(&client->stream, &client->waiting, FLUXBP__PING, NULL, 0)
                     : fluxbp__client_append_command(client, "PING", 4);
  if (!is_sent) return; /* no memory: at the next look */
  if (client->options.protocol != FLUXBP_CLIENT_WEBSOCKET) client->swallowed_pongs++;
  client->has_pinged = true;
  client->pinged_ms = now;
  fluxbp__client_wake_flusher(client);
}

static void look_at_open(fluxbp_client_t *client, uint64_t now) {
  const fluxbp_client_options_t *options = &client->options;
  if (!client->is_reading) return; /* nothing can be heard while reading is paused */
  if (options->silence_ms > 0 && now >= client->heard_ms + options->silence_ms) {
    fluxbp__client_lose(client, UV_ETIMEDOUT, "nothing was heard of the server for too long");
  } else if (options->answer_timeout_ms > 0 && client->has_request &&
             now >= client->asked_ms + options->answer_timeout_ms) {
    fluxbp__client_lose(client, UV_ETIMEDOUT, "the answer does not come in time");
  } else if (can_ping(client) && client->has_pinged) {
    if (options->ping_timeout_ms > 0 && now >= client->pinged_ms + options->ping_timeout_ms)
      fluxbp__client_lose(client, UV_ETIMEDOUT, "the server does not answer a ping");
  } else if (can_ping(client) && now >= client->heard_ms + options->ping_interval_ms) {
    send_ping(client, now);
  }
}

static void look(fluxbp_client_t *client) {
  uint64_t now = fluxbp__client_now(client);
  bool is_due = now >= client->due_ms;
  switch (client->state) {
  case FLUXBP__CLIENT_WAITING:
    if (is_due) fluxbp__client_begin_attempt(client);
    break;
  case FLUXBP__CLIENT_CONNECTING:
    if (is_due) fluxbp__client_connect_timed_out(client);
    break;
  case FLUXBP__CLIENT_HANDSHAKING:
    if (is_due && client->is_reading)
      fluxbp__client_lose(client, UV_ETIMEDOUT, "the server does not answer the handshake");
    break;
  case FLUXBP__CLIENT_OPEN:
    look_at_open(client, now);
    break;
  case FLUXBP__CLIENT_LEAVING:
    if (is_due) fluxbp__client_lose(client, UV_ETIMEDOUT, "the server does not end the connection");
    break;
  default:
    fluxbp__client_look_at_end(client);
    break;
  }
}

static void on_timer(uv_timer_t *timer) {
  fluxbp_client_t *client = timer->data;
  look(client);
  if (client->state != FLUXBP__CLIENT_ENDING) fluxbp__client_schedule(client);
}

void fluxbp__client_wake_timer(fluxbp_client_t *client) {
  if (client->state != FLUXBP__CLIENT_ENDING) uv_timer_start(&client->timer, on_timer, 0, 0);
}

void fluxbp__client_schedule(fluxbp_client_t *client) {
  bool is_pending = client->state == FLUXBP__CLIENT_LOSING || client->state == FLUXBP__CLIENT_SLEEPING;
  if (client->state == FLUXBP__CLIENT_ENDING || is_pending || client->options.clock_ms != NULL) return;
  uint64_t deadline = next_deadline(client), now = fluxbp__client_now(client);
  if (deadline == UINT64_MAX)
    uv_timer_stop(&client->timer);
  else
    uv_timer_start(&client->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

void fluxbp__client_set_due(fluxbp_client_t *client, uint64_t ms) {
  client->due_ms = ms > 0 ? fluxbp__client_now(client) + ms : UINT64_MAX;
  fluxbp__client_schedule(client);
}

void fluxbp_client_tick(fluxbp_client_t *client) {
  fluxbp__client_wake_timer(client);
}
