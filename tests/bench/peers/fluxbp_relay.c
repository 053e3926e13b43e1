/* SPDX-License-Identifier: MIT */
/*
 * fluxbp_relay PORT: a server of the library's, as small as it can be, beside the other peers: one loop, one topic, the
 * defaults. See relay.h.
 */
#include "fluxbp/fluxbp.h"

#include "relay.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t *loop;
static fluxbp_hub_t *hub;
static fluxbp_topic_t *topic;
static char partial[RELAY_BYTES];
static size_t filled;

static void must(int err, const char *what) {
  if (err >= 0) return;
  (void) fprintf(stderr, "fluxbp_relay: %s: %s\n", what, uv_strerror(err));
  exit(1);
}

static void publish(const char *data) {
  fluxbp_msg_t *msg;
  must(fluxbp_msg_create(fluxbp_hub_pool(hub), data, RELAY_BYTES, &msg), "message");
  must(fluxbp_topic_publish(topic, msg), "publish");
  fluxbp_msg_unref(msg);
}

static void on_data(fluxbp_conn_t *conn, const char *data, size_t len) {
  (void) fluxbp_topic_unsubscribe(topic, conn);
  while (len > 0) {
    size_t part = len < RELAY_BYTES - filled ? len : RELAY_BYTES - filled;
    memcpy(partial + filled, data, part);
    filled = (filled + part) % RELAY_BYTES;
    data += part;
    len -= part;
    if (filled == 0) publish(partial);
  }
}

static void on_connection(uv_stream_t *server, int status) {
  static const fluxbp_conn_handlers_t handlers = {.size = sizeof handlers, .on_data = on_data};
  fluxbp_conn_options_t options;
  fluxbp_conn_t *conn;
  must(status, "listen");
  fluxbp_conn_options_init(&options);
  options.handlers = &handlers;
  must(fluxbp_conn_create(hub, &options, &conn), "connection");
  must(uv_accept(server, fluxbp_conn_stream(conn)), "accept");
  must(fluxbp_conn_start(conn), "start");
  must(fluxbp_topic_subscribe(topic, conn), "subscribe");
}

int main(int argc, char **argv) {
  static uv_tcp_t server;
  struct sockaddr_in address;
  fluxbp_hub_options_t options;
  if (argc != 2) return 2;
  loop = uv_default_loop();
  fluxbp_hub_options_init(&options);
  options.block_sigpipe = 1;
  must(fluxbp_hub_create(loop, &options, &hub), "hub");
  must(fluxbp_topic_open(hub, "relay", &topic), "topic");
  must(uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address), "address");
  must(uv_tcp_init(loop, &server), "server");
  must(uv_tcp_bind(&server, (struct sockaddr *) &address, 0), "bind");
  must(uv_listen((uv_stream_t *) &server, 1024, on_connection), "listen");
  return uv_run(loop, UV_RUN_DEFAULT);
}
