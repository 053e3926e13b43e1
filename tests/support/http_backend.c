/* SPDX-License-Identifier: MIT */
/*
 * http_backend: see the header. A connection stays open behind an answer, as the backend's clients may use it again.
 */
#include "http_backend.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD_BYTES 8192
#define REPLY_BYTES 131072

/* A connection, and what of the next request has come. */
struct http_backend_connection {
  uv_tcp_t handle;
  struct http_backend *backend;
  struct http_backend_connection *next;
  size_t length;
  char head[HEAD_BYTES];
};

/* An answer on its way. */
struct answer {
  uv_write_t write;
  char bytes[];
};

static void on_closed(uv_handle_t *handle) {
  struct http_backend_connection *connection = handle->data;
  connection->backend->open_handles--;
  free(connection);
}

static void close_connection(struct http_backend_connection *connection) {
  struct http_backend *backend = connection->backend;
  struct http_backend_connection **place = &backend->open;
  for (size_t i = 0; i < backend->requests; i++)
    if (backend->connections[i] == connection) backend->connections[i] = NULL;
  while (*place != connection) place = &(*place)->next;
  *place = connection->next;
  uv_close((uv_handle_t *) &connection->handle, on_closed);
}

static void take_request(struct http_backend_connection *connection) {
  struct http_backend *backend = connection->backend;
  assert_true(backend->requests < HTTP_BACKEND_REQUESTS_MAX);
  backend->connections[backend->requests] = connection;
  backend->heads[backend->requests++] = strdup(connection->head);
  connection->length = 0;
  if (backend->answer != NULL) http_backend_answer(backend, backend->requests - 1, backend->answer);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  struct http_backend_connection *connection = handle->data;
  (void) suggested;
  *buffer = uv_buf_init(connection->head + connection->length, (unsigned) (HEAD_BYTES - 1 - connection->length));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  struct http_backend_connection *connection = stream->data;
  (void) buffer;
  if (length < 0) {
    close_connection(connection);
    return;
  }
  connection->length += (size_t) length;
  connection->head[connection->length] = '\0';
  if (strstr(connection->head, "\r\n\r\n") != NULL) take_request(connection);
}

static void on_connection(uv_stream_t *listener, int status) {
  struct http_backend *backend = listener->data;
  assert_int_equal(status, 0);
  struct http_backend_connection *connection = calloc(1, sizeof *connection);
  assert_non_null(connection);
  connection->backend = backend;
  connection->next = backend->open;
  backend->open = connection;
  (void) uv_tcp_init(listener->loop, &connection->handle);
  connection->handle.data = connection;
  backend->open_handles++;
  assert_int_equal(uv_accept(listener, (uv_stream_t *) &connection->handle), 0);
  (void) uv_read_start((uv_stream_t *) &connection->handle, on_alloc, on_read);
}

void http_backend_start(struct http_backend *backend, struct server_fixture *fixture) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int length = sizeof address;
  *backend = (struct http_backend){.fixture = fixture, .open_handles = 1};
  (void) uv_tcp_init(&fixture->loop, &backend->listener);
  backend->listener.data = backend;
  assert_int_equal(uv_tcp_bind(&backend->listener, (const struct sockaddr *) &address, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *) &backend->listener, 128, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&backend->listener, (struct sockaddr *) &address, &length), 0);
  (void) snprintf(backend->url, sizeof backend->url, "http://127.0.0.1:%d/who?is=it", ntohs(address.sin_port));
}

void http_backend_expect(struct http_backend *backend, size_t requests) {
  run_until_count(backend->fixture, &backend->requests, requests);
  assert_int_equal(backend->requests, requests);
}

const char *http_backend_head(const struct http_backend *backend, size_t place) {
  assert_true(place < backend->requests);
  return backend->heads[place];
}

static void on_written(uv_write_t *write, int status) {
  (void) status;
  free(write->data);
}

void http_backend_answer(struct http_backend *backend, size_t place, const char *bytes) {
  size_t length = strlen(bytes);
  struct answer *answer = malloc(sizeof *answer + length);
  assert_non_null(answer);
  assert_true(place < backend->requests);
  assert_non_null(backend->connections[place]);
  memcpy(answer->bytes, bytes, length);
  answer->write.data = answer;
  uv_buf_t buffer = uv_buf_init(answer->bytes, (unsigned) length);
  uv_stream_t *stream = (uv_stream_t *) &backend->connections[place]->handle;
  assert_int_equal(uv_write(&answer->write, stream, &buffer, 1, on_written), 0);
}

bool http_backend_is_waited_for(const struct http_backend *backend, size_t place) {
  assert_true(place < backend->requests);
  return backend->connections[place] != NULL;
}

const char *http_backend_reply(const char *status, const char *headers, const char *body) {
  static char reply[REPLY_BYTES];
  int length = snprintf(reply, sizeof reply, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
                        headers, body);
  assert_true(length > 0 && (size_t) length < sizeof reply);
  return reply;
}

static void on_listener_closed(uv_handle_t *handle) {
  struct http_backend *backend = handle->data;
  backend->open_handles--;
}

void http_backend_stop(struct http_backend *backend) {
  while (backend->open != NULL) close_connection(backend->open);
  uv_close((uv_handle_t *) &backend->listener, on_listener_closed);
  while (backend->open_handles > 0) step_once(backend->fixture);
  for (size_t i = 0; i < backend->requests; i++) free(backend->heads[i]);
}
