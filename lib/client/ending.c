/* SPDX-License-Identifier: MIT */
/*
 * ending: the end of a connection, the pause until the next one, and the end of the client.
 */
#include "client.h"

#include "backoff.h"
#include "websocket.h"

#include <openssl/rand.h>
#include <stdlib.h>

/* A connection that was open for so long was a success: the pauses begin anew after it. That something came is none:
 * a server that stops, or is full, may still say so to each client that comes back. */
#define SUCCESS_MS 5000

static void report_loss(fluxbp_client_t *client);

static void finish_end(fluxbp_client_t *client) {
  if (client->handles > 0) return;
  fluxbp__client_drop_attempt(client);
  if (client->handlers.on_close != NULL) client->handlers.on_close(client, client->close_status);
  fluxbp__client_free(client);
}

static void on_handle_closed(uv_handle_t *handle) {
  fluxbp_client_t *client = handle->data;
  client->handles--;
  finish_end(client);
}

static void on_socket_closed(uv_handle_t *handle) {
  fluxbp_client_t *client = handle->data;
  client->is_tcp_open = client->is_reading = client->is_writing = false;
  client->handles--;
  switch (client->state) {
  case FLUXBP__CLIENT_CONNECTING:
    fluxbp__client_try_next_address(client);
    break;
  case FLUXBP__CLIENT_ENDING:
    finish_end(client);
    break;
  default:
    fluxbp__client_look_at_end(client);
    break;
  }
}

void fluxbp__client_close_socket(fluxbp_client_t *client) {
  uv_handle_t *handle = (uv_handle_t *) &client->tcp;
  if (!client->is_tcp_open || uv_is_closing(handle)) return;
  client->is_reading = false;
  if (client->secure != NULL) fluxbp__secure_end(client);
  if (!client->resets || uv_tcp_close_reset(&client->tcp, on_socket_closed) != 0) uv_close(handle, on_socket_closed);
}

static void stop_parsers(fluxbp_client_t *client) {
  client->stream.is_stopped = true;
  if (client->http != NULL) fluxbp__http_stop(client->http);
}

/* Without a socket the timer goes on. */
static void leave_socket(fluxbp_client_t *client) {
  stop_parsers(client);
  client->due_ms = UINT64_MAX;
  if (client->is_tcp_open)
    fluxbp__client_close_socket(client);
  else
    fluxbp__client_wake_timer(client);
}

void fluxbp__client_lose(fluxbp_client_t *client, int error, const char *problem) {
  bool has_connection = client->state >= FLUXBP__CLIENT_CONNECTING && client->state <= FLUXBP__CLIENT_OPEN;
  if (!has_connection && client->state != FLUXBP__CLIENT_LEAVING) return;
  bool has_close_frame = client->loss.code != 0;
  client->loss.error = has_close_frame ? UV_EOF : error;
  client->loss.problem = has_close_frame ? "the server closed the WebSocket" : problem;
  client->loss.is_mid_message = fluxbp__stream_is_mid_message(&client->stream) || fluxbp__secure_is_mid_record(client);
  client->state = FLUXBP__CLIENT_LOSING;
  leave_socket(client);
}

void fluxbp__client_lose_for_good(fluxbp_client_t *client, int error, const char *problem) {
  client->loss.is_final = true;
  fluxbp__client_lose(client, error, problem);
}

void fluxbp__client_sleep(fluxbp_client_t *client) {
  client->state = FLUXBP__CLIENT_SLEEPING;
  leave_socket(client);
}

void fluxbp__client_look_at_end(fluxbp_client_t *client) {
  if (client->is_tcp_open) return;
  if (client->state == FLUXBP__CLIENT_LOSING) report_loss(client);
  if (client->state != FLUXBP__CLIENT_SLEEPING) return;
  fluxbp__http_free(client->http);
  client->http = NULL;
  if (client->has_request) fluxbp__client_begin_attempt(client);
}

/* Free and reset the state of one connection, but for what on_disconnect tells: see forget_loss. */
static void forget_connection(fluxbp_client_t *client) {
  fluxbp__stream_reset(&client->stream);
  client->stream.is_stopped = false;
  fluxbp__buffer_free(&client->waiting);
  fluxbp__buffer_free(&client->writing);
  client->write_error = 0;
  client->is_resuming = client->has_request = client->wants_drain = client->has_ended = false;
}

/* Free the texts of a loss. */
static void forget_loss(fluxbp_client_t *client) {
  fluxbp__http_free(client->http);
  client->http = NULL;
  free(client->loss.reason);
  client->loss.reason = NULL;
}

static uint64_t random_bits(const fluxbp_client_t *client) {
  uint64_t random = 0;
  if (client->options.random != NULL) return client->options.random(client->options.arg);
  if (RAND_bytes((unsigned char *) &random, sizeof random) != 1) random = uv_hrtime();
  return random;
}

/* A refusal of a token isn't final for another one. */
static bool is_final(const fluxbp_client_t *client) {
  const fluxbp__loss_t *loss = &client->loss;
  if (!loss->is_final || client->options.is_persistent) return false;
  return !client->has_new_token || !fluxbp__backoff_is_about_token(loss->status, loss->code);
}

/* @return the pause, or -1: the client doesn't come back */
static int64_t choose_pause(fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  bool has_lasted = client->was_open && fluxbp__client_now(client) - client->opened_ms >= SUCCESS_MS;
  if (has_lasted) client->failures = 0;
  if (!options->reconnects || is_final(client)) return -1;
  if (options->max_attempts > 0 && client->failures + 1 >= options->max_attempts) return -1;
  int64_t hint = client->loss.hint_ms >= 0 ? client->loss.hint_ms : client->stream.retry_ms;
  if (options->ignores_retry_hints) hint = 0;
  uint64_t pause = fluxbp__backoff_ms(options->retry_first_ms, options->retry_max_ms, client->failures,
                                      hint > 0 ? (uint64_t) hint : 0, random_bits(client));
  client->failures++;
  return (int64_t) pause;
}

static int64_t begin_pause(fluxbp_client_t *client) {
  int64_t pause_ms = choose_pause(client);
  client->due_ms = pause_ms >= 0 ? fluxbp__client_now(client) + (uint64_t) pause_ms : UINT64_MAX;
  return pause_ms;
}

/* The handler may close the client, send the next request or give another token, so the client waits already when it is
 * called. */
static void report_loss(fluxbp_client_t *client) {
  fluxbp__client_drop_attempt(client);
  if (client->is_closing) {
    fluxbp__client_end(client, client->close_status);
    return;
  }
  int64_t pause_ms = begin_pause(client);
  int error = client->loss.error;
  fluxbp_client_disconnect_t disconnect = {.error = error,
                                           .problem =
                                               client->loss.problem != NULL ? client->loss.problem : uv_strerror(error),
                                           .status = client->loss.status,
                                           .code = client->loss.code,
                                           .reason = client->loss.reason != NULL ? client->loss.reason : "",
                                           .was_connected = client->is_connected,
                                           .was_open = client->was_open,
                                           .is_mid_message = client->loss.is_mid_message,
                                           .retry_ms = pause_ms};
  client->state = FLUXBP__CLIENT_WAITING;
  forget_connection(client);
  if (client->handlers.on_disconnect != NULL) client->handlers.on_disconnect(client, &disconnect);
  if (client->state == FLUXBP__CLIENT_ENDING) return;
  if (pause_ms < 0) pause_ms = begin_pause(client);
  forget_loss(client);
  if (pause_ms < 0)
    fluxbp__client_end(client, error);
  else
    fluxbp__client_schedule(client);
}

void fluxbp__client_end(fluxbp_client_t *client, int status) {
  if (client->state == FLUXBP__CLIENT_ENDING) return;
  client->state = FLUXBP__CLIENT_ENDING;
  client->close_status = status;
  client->is_closing = true;
  stop_parsers(client);
  fluxbp__client_close_socket(client);
  uv_close((uv_handle_t *) &client->timer, on_handle_closed);
  uv_close((uv_handle_t *) &client->flusher, on_handle_closed);
}

/* Closing by the user */

static void on_shutdown(uv_shutdown_t *request, int status) {
  (void) request;
  (void) status; /* the server's end or the deadline follows */
}

void fluxbp__client_finish_sending(fluxbp_client_t *client) {
  if (client->options.protocol == FLUXBP_CLIENT_WEBSOCKET || client->is_shut_down) return; /* the server closes first */
  client->is_shut_down = true;
  if (client->secure != NULL) fluxbp__secure_say_end(client);
  if (!fluxbp__client_prepare_sending(client) ||
      uv_shutdown(&client->sending->shutdown, (uv_stream_t *) &client->tcp, on_shutdown) != 0)
    fluxbp__client_end(client, client->close_status);
}

void fluxbp_client_reset(fluxbp_client_t *client) {
  client->resets = true;
  fluxbp__client_end(client, UV_ECANCELED);
}

void fluxbp_client_reconnect(fluxbp_client_t *client, int resets) {
  if (client->is_closing) return;
  client->resets = resets != 0;
  fluxbp__client_lose(client, UV_ECANCELED, "the program gave the connection up");
}

static bool append_close(fluxbp_client_t *client, int code, const char *reason) {
  char payload[125];
  size_t length = reason != NULL ? strlen(reason) : 0;
  if (code != 1000 && (code < 3000 || code > 4999)) code = 1000;
  if (length > sizeof payload - 2) length = sizeof payload - 2;
  payload[0] = (char) (code >> 8);
  payload[1] = (char) code;
  if (length > 0) memcpy(payload + 2, reason, length);
  return fluxbp__websocket_append(&client->stream, &client->waiting, FLUXBP__CLOSE, payload, length + 2);
}

void fluxbp_client_close(fluxbp_client_t *client, int code, const char *reason, uint32_t deadline_ms) {
  if (client->state == FLUXBP__CLIENT_ENDING) return;
  bool has_something_to_say = client->state == FLUXBP__CLIENT_OPEN && client->options.protocol != FLUXBP_CLIENT_SSE &&
                              client->options.protocol != FLUXBP_CLIENT_HTTP;
  bool is_leaving = client->state == FLUXBP__CLIENT_LEAVING;
  client->is_closing = true;
  client->close_status = 0;
  client->stream.is_stopped = true;
  bool is_websocket = client->options.protocol == FLUXBP_CLIENT_WEBSOCKET;
  if (has_something_to_say && (!is_websocket || append_close(client, code, reason))) {
    client->state = FLUXBP__CLIENT_LEAVING;
    fluxbp__client_wake_flusher(client);
    is_leaving = true;
  }
  if (is_leaving) fluxbp__client_flush_now(client);
  if (!is_leaving || deadline_ms == 0) {
    fluxbp__client_end(client, 0);
    return;
  }
  fluxbp__client_set_due(client, deadline_ms);
  fluxbp__client_update_reading(client);
}
