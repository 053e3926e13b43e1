/* SPDX-License-Identifier: MIT */
/*
 * hello: the smallest broadcast server. Everybody who connects gets a line a second: nc 127.0.0.1 7000
 *
 * Copy it. A client that doesn't read is evicted after 5 s and costs the others nothing; Ctrl-C ends it in good order.
 */
#include <fluxbp/fluxbp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static uv_loop_t *loop;
static fluxbp_hub_t *hub;
static fluxbp_topic_t *topic;
static uv_tcp_t server;
static uv_timer_t clock_timer;
static uv_signal_t interrupt;

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "hello: cannot %s: %s\n", what, uv_strerror(result));
  exit(1);
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  (void) conn;
  printf("client %llu evicted: %s\n", (unsigned long long) record->conn_id, fluxbp_evict_reason_words(record->reason));
}

static const fluxbp_conn_handlers_t handlers = {.size = sizeof handlers, .on_evicted = on_evicted};

static void on_connection(uv_stream_t *listener, int status) {
  if (status < 0) {
    fprintf(stderr, "hello: cannot accept: %s\n", uv_strerror(status));
    return;
  }
  fluxbp_conn_options_t options;
  fluxbp_conn_t *conn;
  fluxbp_conn_options_init(&options);
  options.codec = &fluxbp_codec_newline;
  options.handlers = &handlers;
  check(fluxbp_conn_create(hub, &options, &conn), "make a connection"); /* only without memory */

  int err = uv_accept(listener, fluxbp_conn_stream(conn));
  if (err == 0) err = fluxbp_conn_start(conn);
  if (err == 0) err = fluxbp_topic_subscribe(topic, conn);
  if (err < 0) { /* gone again, as a rule: that client's loss alone */
    fprintf(stderr, "hello: cannot serve a client: %s\n", uv_strerror(err));
    fluxbp_conn_reset(conn);
  }
}

static void on_second(uv_timer_t *timer) {
  static unsigned count;
  char text[32];
  (void) timer;
  int length = snprintf(text, sizeof text, "%u hello", ++count);
  int err = fluxbp_topic_publish_bytes(topic, text, (size_t) length);
  if (err < 0) fprintf(stderr, "hello: line %u is lost: %s\n", count, uv_strerror(err));
}

static void on_interrupt(uv_signal_t *handle, int number) {
  (void) number;
  uv_close((uv_handle_t *) handle, NULL);
  uv_close((uv_handle_t *) &clock_timer, NULL);
  uv_close((uv_handle_t *) &server, NULL);
  fluxbp_hub_close(hub, NULL); /* resets the clients; the loop ends when all is closed */
}

int main(int argc, char **argv) {
  struct sockaddr_in address;
  loop = uv_default_loop();
  signal(SIGPIPE, SIG_IGN); /* a client that goes away must not end the server */
  check(uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 7000, &address), "use that port");
  check(fluxbp_hub_create(loop, NULL, &hub), "make a hub");
  check(fluxbp_topic_open(hub, "hello", &topic), "make a topic");
  check(uv_tcp_init(loop, &server), "make a socket");
  check(uv_tcp_bind(&server, (const struct sockaddr *) &address, 0), "bind the port");
  check(uv_listen((uv_stream_t *) &server, 128, on_connection), "listen");
  check(uv_timer_init(loop, &clock_timer), "make a timer");
  check(uv_timer_start(&clock_timer, on_second, 0, 1000), "start the timer");
  check(uv_signal_init(loop, &interrupt), "watch for Ctrl-C");
  check(uv_signal_start(&interrupt, on_interrupt, SIGINT), "watch for Ctrl-C");
  uv_run(loop, UV_RUN_DEFAULT);
  check(uv_loop_close(loop), "close the loop");
  return 0;
}
