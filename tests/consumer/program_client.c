/* SPDX-License-Identifier: MIT */
/*
 * A program of a user's on libfluxbp-client alone: it connects to a server that isn't ours and gets one line. Exits
 * with 0 if the line has arrived. It includes public headers only.
 */
#include <fluxbp/client.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t loop;
static uv_tcp_t server, peer;
static uv_write_t write_request;
static int has_hello;

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "program: cannot %s: %s\n", what, uv_strerror(result));
  exit(1);
}

static void on_connection(uv_stream_t *stream, int status) {
  uv_buf_t hello = uv_buf_init((char *) "hello\n", 6);
  check(status, "accept");
  check(uv_tcp_init(&loop, &peer), "make a connection");
  check(uv_accept(stream, (uv_stream_t *) &peer), "accept");
  check(uv_write(&write_request, (uv_stream_t *) &peer, &hello, 1, NULL), "write");
}

static void on_message(fluxbp_client_t *client, const fluxbp_client_event_t *message) {
  has_hello = message->length == 5 && memcmp(message->data, "hello", 5) == 0;
  fluxbp_client_reset(client);
}

static void on_close(fluxbp_client_t *client, int status) {
  (void) client, (void) status;
  uv_close((uv_handle_t *) &peer, NULL);
  uv_close((uv_handle_t *) &server, NULL);
}

static const fluxbp_client_handlers_t handlers = {
    .size = sizeof handlers, .on_message = on_message, .on_close = on_close};

int main(void) {
  struct sockaddr_in address;
  int length = sizeof address;
  char url[64];
  fluxbp_client_options_t options;
  fluxbp_client_t *client;
  signal(SIGPIPE, SIG_IGN);
  check(uv_loop_init(&loop), "make a loop");
  check(uv_ip4_addr("127.0.0.1", 0, &address), "read the address");
  check(uv_tcp_init(&loop, &server), "make a server");
  check(uv_tcp_bind(&server, (const struct sockaddr *) &address, 0), "bind");
  check(uv_listen((uv_stream_t *) &server, 1, on_connection), "listen");
  check(uv_tcp_getsockname(&server, (struct sockaddr *) &address, &length), "read the port");

  snprintf(url, sizeof url, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
  fluxbp_client_options_init(&options);
  options.url = url;
  options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  options.handlers = &handlers;
  check(fluxbp_client_create(&loop, &options, &client), "make a client");
  check(fluxbp_client_connect(client), "connect");
  check(uv_run(&loop, UV_RUN_DEFAULT), "run");
  check(uv_loop_close(&loop), "close the loop");
  printf("hello from libfluxbp-client\n");
  return has_hello ? 0 : 1;
}
