/* SPDX-License-Identifier: MIT */
/*
 * adopt: broadcasts inside of a server that you have already. The server accepts connections and reads from them by
 * libuv. A client that says JOIN becomes a connection of the library; every other line is the server's own business.
 *
 *   adopt [PORT]      then: nc 127.0.0.1 PORT, and type JOIN, or anything else
 *
 * The connections have a transport of the program's own besides: TCP with a count of the bytes that it has taken.
 */
#include <fluxbp/fluxbp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static fluxbp_hub_t *hub;
static fluxbp_topic_t *topic;
static unsigned long long taken_bytes;

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "adopt: cannot %s: %s\n", what, uv_strerror(result));
  exit(1);
}

/* A transport on top of a built-in one. */

static int counted_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  int taken = fluxbp_transport_tcp()->try_write(conn, buffers, count);
  if (taken > 0) taken_bytes += (unsigned) taken;
  return taken;
}

static fluxbp_transport_t counted; /* TCP, but for its name and try_write: see main */

/* The server's own part. */

typedef struct client {
  uv_tcp_t tcp;
  uv_write_t write;
} client_t;

static void on_client_closed(uv_handle_t *handle) {
  free(handle->data);
}

static void on_answered(uv_write_t *request, int status) {
  (void) status;
  uv_close((uv_handle_t *) request->handle, on_client_closed);
}

static void answer(client_t *client) {
  static char text[] = "say JOIN for the news\n";
  uv_buf_t buffer = uv_buf_init(text, sizeof text - 1);
  (void) uv_read_stop((uv_stream_t *) &client->tcp);
  if (uv_write(&client->write, (uv_stream_t *) &client->tcp, &buffer, 1, on_answered) != 0)
    uv_close((uv_handle_t *) &client->tcp, on_client_closed);
}

/* The library's part: from here on it reads, writes and closes. */

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  (void) conn;
  printf("a member says: %.*s", (int) length, data);
  fflush(stdout);
}

static const fluxbp_conn_handlers_t handlers = {.size = sizeof handlers, .on_data = on_data};

static void join(client_t *client, const char *rest, size_t length) {
  fluxbp_conn_options_t options;
  fluxbp_conn_t *conn;
  fluxbp_conn_options_init(&options);
  options.transport = &counted;
  options.codec = &fluxbp_codec_newline;
  options.handlers = &handlers;
  uv_stream_t *stream = (uv_stream_t *) &client->tcp;
  int err = fluxbp_conn_adopt_stream(hub, stream, on_client_closed, rest, length, &options, &conn);
  if (err == 0) {
    if (fluxbp_topic_subscribe(topic, conn) < 0) fluxbp_conn_reset(conn);
  } else { /* the handle is still ours */
    fprintf(stderr, "adopt: cannot adopt a client: %s\n", uv_strerror(err));
    uv_close((uv_handle_t *) &client->tcp, on_client_closed);
  }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  client_t *client = stream->data;
  if (count < 0)
    uv_close((uv_handle_t *) stream, on_client_closed);
  else if (count >= 5 && memcmp(buffer->base, "JOIN\n", 5) == 0)
    join(client, buffer->base + 5, (size_t) count - 5); /* what came behind it is the connection's */
  else if (count > 0)
    answer(client);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  static char memory[4096];
  (void) handle;
  (void) suggested;
  *buffer = uv_buf_init(memory, sizeof memory);
}

static void on_connection(uv_stream_t *listener, int status) {
  client_t *client = status == 0 ? malloc(sizeof *client) : NULL;
  if (client == NULL) return;
  check(uv_tcp_init(listener->loop, &client->tcp), "make a handle");
  client->tcp.data = client;
  int err = uv_accept(listener, (uv_stream_t *) &client->tcp);
  if (err == 0) err = uv_read_start((uv_stream_t *) &client->tcp, on_alloc, on_read);
  if (err != 0) uv_close((uv_handle_t *) &client->tcp, on_client_closed);
}

static void on_second(uv_timer_t *timer) {
  char text[64];
  (void) timer;
  int length = snprintf(text, sizeof text, "news, after %llu bytes", taken_bytes);
  (void) fluxbp_topic_publish_bytes(topic, text, (size_t) length);
}

int main(int argc, char **argv) {
  static uv_tcp_t server;
  static uv_timer_t second;
  uv_loop_t *loop = uv_default_loop();
  struct sockaddr_in address;
  int length = sizeof address;
  fluxbp_hub_options_t options;
  fluxbp_hub_options_init(&options);
  options.block_sigpipe = 1;
  check(fluxbp_hub_create(loop, &options, &hub), "make a hub");
  check(fluxbp_topic_open(hub, "news", &topic), "open a topic");
  counted = *fluxbp_transport_tcp();
  counted.name = "counted";
  counted.try_write = counted_try_write;

  check(uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 7000, &address), "read the address");
  check(uv_tcp_init(loop, &server), "make a listener");
  check(uv_tcp_bind(&server, (const struct sockaddr *) &address, 0), "bind");
  check(uv_listen((uv_stream_t *) &server, 128, on_connection), "listen");
  check(uv_tcp_getsockname(&server, (struct sockaddr *) &address, &length), "ask for the port");
  printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  check(uv_timer_init(loop, &second), "make a timer");
  check(uv_timer_start(&second, on_second, 100, 1000), "start a timer");
  return uv_run(loop, UV_RUN_DEFAULT);
}
