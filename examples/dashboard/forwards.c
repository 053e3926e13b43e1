/* SPDX-License-Identifier: MIT */
/*
 * forwards: each is a client of its own, with one request.
 */
#include "forwards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARDS_MAX 32
#define SILENCE_MS 5000
#define ANSWER_BYTES_MAX 65536

struct forward {
  struct forwards *forwards;
  struct forward *next;
  fluxbp_client_t *client;
  forward_cb on_answer; /* NULL: it was called */
  void *user;
};

static void answer_forward(struct forward *forward, int status, const char *body, size_t length) {
  forward_cb on_answer = forward->on_answer;
  forward->on_answer = NULL;
  if (on_answer != NULL) on_answer(forward->user, status, body, length);
}

static void answer_problem(struct forward *forward, int status, const char *problem) {
  char text[512];
  int length = snprintf(text, sizeof text, "{\"error\":\"The gateway gave no answer: %s\"}", problem);
  answer_forward(forward, status, text, (size_t) length);
}

static void on_event(fluxbp_client_t *client, const fluxbp_client_event_t *event) {
  answer_forward(fluxbp_client_user(client), event->code, event->data != NULL ? event->data : "", event->length);
  fluxbp_client_close(client, 0, NULL, 0);
}

static void on_disconnect(fluxbp_client_t *client, const fluxbp_client_disconnect_t *disconnect) {
  bool is_late = disconnect->error == UV_ETIMEDOUT;
  const char *problem = disconnect->error == UV_EMSGSIZE ? "its answer is too long"
                        : disconnect->error == UV_EPROTO ? disconnect->problem
                        : disconnect->error == UV_EOF    ? "it closed the connection"
                        : is_late                        ? "it did not answer within 5 s"
                                                         : uv_strerror(disconnect->error);
  answer_problem(fluxbp_client_user(client), is_late ? 504 : 502, problem);
}

static void on_close(fluxbp_client_t *client, int status) {
  struct forward *forward = fluxbp_client_user(client);
  struct forward **place = &forward->forwards->first;
  (void) status;
  while (*place != forward) place = &(*place)->next;
  *place = forward->next;
  forward->forwards->count--;
  free(forward);
}

static const fluxbp_client_handlers_t handlers = {
    .size = sizeof handlers, .on_event = on_event, .on_disconnect = on_disconnect, .on_close = on_close};

static int create_client(struct forward *forward, const struct gateway_target *target, const char *token) {
  char url[GATEWAY_NAME_BYTES + 16];
  fluxbp_client_options_t options;
  snprintf(url, sizeof url, "%s://%s", target->scheme, target->name);
  fluxbp_client_options_init(&options);
  options.url = url;
  options.protocol = FLUXBP_CLIENT_HTTP;
  options.address = (const struct sockaddr *) &target->address;
  options.tls = target->tls;
  options.token = token;
  options.headers = "Content-Type: application/json\r\nConnection: close\r\n";
  options.handlers = &handlers;
  options.user = forward;
  options.reconnects = 0;
  options.connect_timeout_ms = options.silence_ms = SILENCE_MS;
  options.max_message_bytes = ANSWER_BYTES_MAX;
  return fluxbp_client_create(forward->forwards->loop, &options, &forward->client);
}

bool forwards_ask(struct forwards *forwards, const struct gateway_target *target, const char *token,
                  const fluxbp_client_request_t *request, forward_cb on_answer, void *user) {
  if (forwards->count == FORWARDS_MAX) return false;
  struct forward *forward = malloc(sizeof *forward);
  if (forward == NULL) return false;
  *forward = (struct forward){.forwards = forwards, .next = forwards->first, .on_answer = on_answer, .user = user};
  if (create_client(forward, target, token) != 0) {
    free(forward);
    return false;
  }
  forwards->first = forward;
  forwards->count++;
  fluxbp_client_connect(forward->client);
  if (fluxbp_client_send_request(forward->client, request) == 0) return true;
  forward->on_answer = NULL;
  fluxbp_client_reset(forward->client);
  return false;
}

void forwards_stop(struct forwards *forwards) {
  for (struct forward *forward = forwards->first; forward != NULL; forward = forward->next) {
    answer_problem(forward, 503, "the dashboard is shutting down");
    fluxbp_client_reset(forward->client);
  }
}
