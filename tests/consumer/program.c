/* SPDX-License-Identifier: MIT */
/*
 * A program of a user's, in C11: one client connects to it and gets one message. Exits with 0 if the message has
 * arrived. The scripts in this folder build it in every way in which the library can be used. It includes public
 * headers only.
 */
#include <fluxbp/fluxbp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t loop;
static fluxbp_hub_t *hub;
static fluxbp_topic_t *topic;
static uv_tcp_t server, client;
static uv_connect_t connecting;
static char received[64];
static size_t received_length;

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "program: cannot %s: %s\n", what, uv_strerror(result));
  exit(1);
}

static void on_connection(uv_stream_t *stream, int status) {
  fluxbp_conn_options_t options;
  fluxbp_conn_t *conn;
  fluxbp_msg_t *msg;
  check(status, "accept");
  fluxbp_conn_options_init(&options);
  options.codec = &fluxbp_codec_newline;
  check(fluxbp_conn_create(hub, &options, &conn), "make a connection");
  check(uv_accept(stream, fluxbp_conn_stream(conn)), "accept");
  check(fluxbp_conn_start(conn), "start the connection");
  check(fluxbp_topic_subscribe(topic, conn), "subscribe");

  check(fluxbp_msg_create(fluxbp_hub_pool(hub), "hello", 5, &msg), "make a message");
  check(fluxbp_topic_publish(topic, msg), "publish");
  fluxbp_msg_unref(msg);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf) {
  (void) buf;
  check((int) length, "read");
  received_length += (size_t) length;
  if (memchr(received, '\n', received_length) == NULL) return;
  uv_close((uv_handle_t *) stream, NULL);
  uv_close((uv_handle_t *) &server, NULL);
  fluxbp_hub_close(hub, NULL);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void) handle, (void) suggested;
  *buf = uv_buf_init(received + received_length, (unsigned) (sizeof received - received_length));
}

static void on_connect(uv_connect_t *request, int status) {
  check(status, "connect");
  check(uv_read_start(request->handle, on_alloc, on_read), "read");
}

int main(void) {
  struct sockaddr_in address;
  int length = sizeof address;
  check(uv_loop_init(&loop), "make a loop");
  check(fluxbp_hub_create(&loop, NULL, &hub), "make a hub");
  check(fluxbp_topic_open(hub, "news", &topic), "open a topic");
  check(uv_ip4_addr("127.0.0.1", 0, &address), "read the address");
  check(uv_tcp_init(&loop, &server), "make a server");
  check(uv_tcp_bind(&server, (const struct sockaddr *) &address, 0), "bind");
  check(uv_listen((uv_stream_t *) &server, 1, on_connection), "listen");
  check(uv_tcp_getsockname(&server, (struct sockaddr *) &address, &length), "read the port");
  check(uv_tcp_init(&loop, &client), "make a client");
  check(uv_tcp_connect(&connecting, &client, (const struct sockaddr *) &address, on_connect), "connect");
  check(uv_run(&loop, UV_RUN_DEFAULT), "run");
  check(uv_loop_close(&loop), "close the loop");

  if (received_length != 6 || memcmp(received, "hello\n", 6) != 0) return 1;
  if (strcmp(fluxbp_version(), FLUXBP_VERSION_STRING) != 0) return 1; /* other headers than the library's */
  printf("hello from libfluxbp %s\n", fluxbp_version());
  return 0;
}
