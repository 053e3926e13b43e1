/* SPDX-License-Identifier: MIT */
/*
 * A program of a user's on libfluxbp-server: a client that speaks lines comes and gets one message. Exits with 0 if the
 * message has arrived. It includes public headers only.
 */
#include <fluxbp/server.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t loop;
static fluxbp_server_t *server;
static uv_tcp_t client;
static uv_connect_t connecting;
static char received[1024];
static size_t received_length;
static int has_hello;

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "program: cannot %s: %s\n", what, uv_strerror(result));
  exit(1);
}

static void on_open(fluxbp_session_t *session) {
  check(fluxbp_server_publish(fluxbp_session_server(session), "news", NULL, "hello", 5), "publish");
}

static const fluxbp_server_handlers_t handlers = {.size = sizeof handlers, .on_open = on_open};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void) handle, (void) suggested;
  *buf = uv_buf_init(received + received_length, (unsigned) (sizeof received - 1 - received_length));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf) {
  (void) buf;
  check((int) length, "read");
  received_length += (size_t) length;
  has_hello = strstr(received, "hello\n") != NULL;
  if (!has_hello) return;
  uv_close((uv_handle_t *) stream, NULL);
  fluxbp_server_close(server, 0, NULL);
}

static void on_connect(uv_connect_t *request, int status) {
  check(status, "connect");
  check(uv_read_start(request->handle, on_alloc, on_read), "read");
}

int main(void) {
  fluxbp_server_options_t options;
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  struct sockaddr_in address;
  signal(SIGPIPE, SIG_IGN);
  check(uv_loop_init(&loop), "make a loop");
  fluxbp_server_options_init(&options);
  options.loop = &loop;
  options.handlers = &handlers;
  options.topic = "news";
  check(fluxbp_server_create(&options, &server), "make a server");
  int listener = fluxbp_server_listen(server, "127.0.0.1:0", FLUXBP_SPEAK_LINES);
  check(listener, "listen");
  fluxbp_server_address(server, listener, text);

  check(uv_ip4_addr("127.0.0.1", atoi(strchr(text, ':') + 1), &address), "read the address");
  check(uv_tcp_init(&loop, &client), "make a client");
  check(uv_tcp_connect(&connecting, &client, (const struct sockaddr *) &address, on_connect), "connect");
  check(uv_run(&loop, UV_RUN_DEFAULT), "run");
  check(uv_loop_close(&loop), "close the loop");
  printf("hello from libfluxbp-server\n");
  return has_hello ? 0 : 1;
}
