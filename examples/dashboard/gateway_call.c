/* SPDX-License-Identifier: MIT */
/*
 * gateway_call: connect, send the request, hand on what comes, and say how it ended. Whatever ends it, on_close is where
 * it ends.
 */
#include "gateway_call.h"

#include <stdio.h>

#define CLOSE_DEADLINE_MS 1000
#define REQUEST_BYTES_MAX 8192

static void on_head(void *user, int status) {
  struct gateway_call *call = user;
  call->events->on_head(call, status);
}

static void on_body(void *user, const char *data, size_t length) {
  struct gateway_call *call = user;
  call->events->on_body(call, data, length);
}

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  struct gateway_call *call = fluxbp_conn_user(conn);
  call->heard_ms = uv_now(fluxbp_hub_loop(fluxbp_conn_hub(conn)));
  if (call->problem != NULL) return;
  if (!response_reader_take(&call->response, data, length))
    gateway_call_stop(call, "what answers there does not speak HTTP");
  else if (call->response.is_complete)
    fluxbp_conn_close(conn, CLOSE_DEADLINE_MS);
}

static void free_parts(struct gateway_call *call) {
  response_reader_free(&call->response);
  fluxbp_msg_unref(call->request);
  call->request = NULL;
  call->conn = NULL;
}

static void on_close(fluxbp_conn_t *conn, int status) {
  struct gateway_call *call = fluxbp_conn_user(conn);
  if (call->problem == NULL && status == UV_EOF) response_reader_end(&call->response);
  if (call->problem == NULL && !call->response.is_complete)
    call->problem = status == UV_EOF ? "it closed the connection" : uv_strerror(status);
  free_parts(call);
  call->events->on_end(call, call->problem);
}

static const fluxbp_conn_handlers_t handlers = {.size = sizeof handlers, .on_data = on_data, .on_close = on_close};

static void on_connected(uv_connect_t *request, int status) {
  struct gateway_call *call = request->data;
  if (call->problem != NULL) return; /* it was stopped */
  if (status == 0) status = fluxbp_conn_start(call->conn);
  if (status == 0) {
    int queued = fluxbp_conn_send(call->conn, call->request);
    status = queued < 0 ? queued : 0;
  }
  if (status != 0) gateway_call_stop(call, uv_strerror(status));
}

static int make_request(struct gateway_call *call, fluxbp_pool_t *pool, const struct gateway_target *target,
                        const struct gateway_question *question) {
  static const char form[] = "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%sContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s";
  const char *token = target->token;
  const char *head = token != NULL ? "Authorization: Bearer " : "";
  char text[REQUEST_BYTES_MAX];
  int length = snprintf(text, sizeof text, form, question->method, question->path, target->name, head,
                        token != NULL ? token : "", token != NULL ? "\r\n" : "", question->length,
                        (int) question->length, question->body != NULL ? question->body : "");
  if (length < 0 || (size_t) length >= sizeof text) return UV_E2BIG;
  return fluxbp_msg_create(pool, text, (size_t) length, &call->request);
}

static int make_conn(struct gateway_call *call, fluxbp_hub_t *hub) {
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.handlers = &handlers;
  options.user = call;
  return fluxbp_conn_create(hub, &options, &call->conn);
}

int gateway_call_begin(struct gateway_call *call, fluxbp_hub_t *hub, const struct gateway_target *target,
                       const struct gateway_question *question) {
  call->problem = NULL;
  call->heard_ms = uv_now(fluxbp_hub_loop(hub));
  call->response = (struct response_reader){.on_head = on_head, .on_body = on_body, .user = call};
  int err = make_request(call, fluxbp_hub_pool(hub), target, question);
  if (err == 0 && !response_reader_init(&call->response)) err = UV_ENOMEM;
  if (err == 0) err = make_conn(call, hub);
  if (err != 0) {
    free_parts(call);
    return err;
  }
  call->connect.data = call;
  err = uv_tcp_connect(&call->connect, (uv_tcp_t *) fluxbp_conn_stream(call->conn),
                       (const struct sockaddr *) &target->address, on_connected);
  if (err != 0) gateway_call_stop(call, uv_strerror(err));
  return 0;
}

void gateway_call_stop(struct gateway_call *call, const char *problem) {
  if (call->conn == NULL || call->problem != NULL) return;
  call->problem = problem;
  fluxbp_conn_reset(call->conn);
}
