/* SPDX-License-Identifier: MIT */
/*
 * gateway_watch: a client of the watch stream, whose events go to the board.
 */
#include "gateway_watch.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

#define SILENCE_MS 5000 /* snapshots come four times a second */
#define PAUSE_FIRST_MS 250
#define PAUSE_LONGEST_MS 4000

static void on_message(fluxbp_client_t *client, const fluxbp_client_event_t *event) {
  struct gateway_watch *watch = fluxbp_client_user(client);
  char name[32] = "message";
  if (event->name_length >= sizeof name) return; /* none of ours */
  if (event->name != NULL) snprintf(name, sizeof name, "%.*s", (int) event->name_length, event->name);
  if (strcmp(name, "closing") == 0) return; /* in a stream with nothing else in it */
  if (!watch->has_begun) {
    board_begin_session(&watch->board);
    log_event(LOG_LEVEL_INFO, "gateway_connected", log_word("gateway", watch->target->name));
  }
  watch->has_begun = true;
  if (gateway_watch_token(watch) == NULL) watch->is_token_needed = false;
  board_show_event(&watch->board, name, event->data, event->length, uv_now(watch->loop));
}

/* In words that need no escaping in JSON: those of the library have no quotes, unless a status says it all. */
static const char *problem_of(const fluxbp_client_disconnect_t *disconnect) {
  switch (disconnect->status) {
  case 0:
    break;
  case 401:
  case 403:
    return "it wants the admin token: start the dashboard with --token-file";
  case 404:
    return "it has no watch stream: is that the gateway's --http address?";
  default:
    return "it answered with an error";
  }
  switch (disconnect->error) {
  case UV_EOF:
    return disconnect->was_open ? "it ended the stream" : "it closed the connection";
  case UV_ETIMEDOUT:
    return "nothing was heard for 5 s";
  case UV_EPROTO:
    return disconnect->problem;
  default:
    return uv_strerror(disconnect->error);
  }
}

const char *gateway_watch_token(const struct gateway_watch *watch) {
  if (watch->target->token != NULL) return watch->target->token;
  return watch->token[0] != '\0' ? watch->token : NULL;
}

/* 403 without a token is about something else: the name of the gateway, for example. */
static void note_refused_token(struct gateway_watch *watch, int status) {
  if (watch->target->token != NULL) return;
  if (watch->token[0] == '\0')
    watch->is_token_needed |= status == 401;
  else
    watch->is_token_refused |= status == 401 || status == 403;
}

static void on_disconnect(fluxbp_client_t *client, const fluxbp_client_disconnect_t *disconnect) {
  struct gateway_watch *watch = fluxbp_client_user(client);
  const char *problem = problem_of(disconnect);
  uint64_t retry_ms = (uint64_t) disconnect->retry_ms;
  watch->has_begun = false;
  note_refused_token(watch, disconnect->status);
  board_show_away(&watch->board, problem, retry_ms);
  log_event(LOG_LEVEL_WARN, "gateway_away", log_word("gateway", watch->target->name), log_phrase("problem", problem),
            log_number("retry_ms", retry_ms));
}

static int start_client(struct gateway_watch *watch);

static void on_close(fluxbp_client_t *client, int status) {
  struct gateway_watch *watch = fluxbp_client_user(client);
  (void) status;
  watch->client = NULL;
  watch->has_begun = false;
  int err = watch->is_stopped ? 0 : start_client(watch); /* with another token */
  if (err == 0) return;
  log_event(LOG_LEVEL_ERROR, "gateway_lost", log_word("gateway", watch->target->name),
            log_phrase("error", uv_strerror(err)));
  board_show_away(&watch->board, uv_strerror(err), 0);
}

static const fluxbp_client_handlers_t handlers = {
    .size = sizeof handlers, .on_message = on_message, .on_disconnect = on_disconnect, .on_close = on_close};

static int start_client(struct gateway_watch *watch) {
  char url[GATEWAY_NAME_BYTES + 32];
  fluxbp_client_options_t options;
  snprintf(url, sizeof url, "%s://%s/api/v1/watch", watch->target->scheme, watch->target->name);
  fluxbp_client_options_init(&options);
  options.url = url;
  options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  options.address = (const struct sockaddr *) &watch->target->address;
  options.tls = watch->target->tls;
  options.token = gateway_watch_token(watch);
  options.handlers = &handlers;
  options.user = watch;
  options.resumes = 0;
  options.is_persistent = options.ignores_retry_hints = 1;
  options.retry_first_ms = PAUSE_FIRST_MS;
  options.retry_max_ms = PAUSE_LONGEST_MS;
  options.connect_timeout_ms = options.handshake_timeout_ms = options.silence_ms = SILENCE_MS;
  options.max_message_bytes = BOARD_DATA_BYTES_MAX;
  int err = fluxbp_client_create(watch->loop, &options, &watch->client);
  if (err != 0) return err;
  board_show_connecting(&watch->board);
  return fluxbp_client_connect(watch->client);
}

int gateway_watch_init(struct gateway_watch *watch, const struct gateway_target *target, uv_loop_t *loop,
                       fluxbp_server_t *server, size_t number) {
  *watch = (struct gateway_watch){.target = target, .loop = loop};
  board_init(&watch->board, server, number);
  return start_client(watch);
}

void gateway_watch_use_token(struct gateway_watch *watch, const char *token) {
  snprintf(watch->token, sizeof watch->token, "%s", token);
  watch->is_token_refused = false;
  if (watch->client != NULL) fluxbp_client_reset(watch->client); /* on_close starts another one */
}

void gateway_watch_stop(struct gateway_watch *watch) {
  watch->is_stopped = true;
  if (watch->client != NULL) fluxbp_client_reset(watch->client);
}
