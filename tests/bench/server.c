/* SPDX-License-Identifier: MIT */
/*
 * server: what is known of a connection before there is one goes with it as its user pointer. Whatever fails ends the
 * program, a client that is evicted included: then something else is measured than was meant.
 */
#include "server.h"

#include "bench.h"
#include "sockets.h"

#include <stdlib.h>
#include <string.h>

typedef struct arrival {
  server_t *server;
  uv_os_sock_t fd;
  fluxbp_permit_t permit;
  bool gets_broadcast;
} arrival_t;

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  (void) conn;
  (void) record;
  bench_die("a client was evicted", UV_ECONNABORTED);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  arrival_t *arrival = fluxbp_conn_user(conn);
  server_t *server = arrival->server;
  (void) status;
  bench_must(fluxbp_listener_release(server->listener, arrival->permit), "release");
  free(arrival);
  (void) atomic_fetch_sub(&server->connections, 1);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers, .on_evicted = on_evicted, .on_close = on_close};

/* On the thread of the hub that it was handed to. */
static void arrive(fluxbp_hub_t *hub, void *arg) {
  arrival_t *arrival = arg;
  fluxbp_conn_options_t options;
  fluxbp_conn_t *conn;
  fluxbp_topic_t *topic;
  fluxbp_conn_options_init(&options);
  options.handlers = &handlers;
  options.user = arrival;
  bench_must(fluxbp_conn_create(hub, &options, &conn), "connection");
  bench_must(uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(conn), arrival->fd), "uv_tcp_open");
  bench_must(fluxbp_topic_open(hub, arrival->gets_broadcast ? "broadcast" : "silence", &topic), "topic");
  if (fluxbp_topic_subscribe(topic, conn) != 1) bench_die("subscribe", UV_EINVAL);
  bench_must(fluxbp_conn_start(conn), "start");
  (void) atomic_fetch_add(&arrival->server->connections, 1);
  if (!arrival->gets_broadcast && arrival->server->others != NULL) (void) atomic_fetch_add(arrival->server->others, 1);
}

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  server_t *server = fluxbp_listener_user(listener);
  arrival_t *arrival = bench_alloc(1, sizeof *arrival);
  (void) peer;
  *arrival = (arrival_t){.server = server, .fd = fd, .permit = permit};
  arrival->gets_broadcast = server->accepted++ < server->audience;
  bench_must(fluxbp_workers_hand_over(server->workers, arrive, arrival), "hand over");
}

static void on_error(fluxbp_listener_t *listener, int err) {
  (void) listener;
  bench_die("accept", err);
}

static void open_listener(fluxbp_hub_t *hub, void *arg) {
  server_t *server = arg;
  struct sockaddr_in address = sockets_loopback(1, 0);
  int length = sizeof address;
  fluxbp_listener_options_t options;
  fluxbp_listener_options_init(&options);
  options.on_accept = on_accept;
  options.on_error = on_error;
  options.user = server;
  bench_must(fluxbp_listener_open_tcp(fluxbp_hub_loop(hub), (struct sockaddr *) &address, &options, &server->listener),
             "listen");
  bench_must(fluxbp_listener_address(server->listener, (struct sockaddr *) &address, &length), "address");
  server->port = ntohs(address.sin_port);
  uv_sem_post(&server->is_done);
}

static void on_stop(fluxbp_hub_t *hub, size_t index, void *arg) {
  server_t *server = arg;
  (void) hub;
  if (index == 0) fluxbp_listener_close(server->listener, NULL);
}

static void start_workers(server_t *server, uint32_t threads, const fluxbp_policy_t *policy) {
  fluxbp_hub_options_t hub;
  fluxbp_hub_options_init(&hub);
  hub.pool = server->pool;
  hub.bus = server->bus;
  hub.policy = policy;
  fluxbp_workers_options_t options;
  fluxbp_workers_options_init(&options);
  options.threads = threads;
  options.hub = &hub;
  options.on_stop = on_stop;
  options.arg = server;
  bench_must(fluxbp_workers_start(&options, &server->workers), "workers");
}

void server_open(server_t *server, uint32_t threads, uint64_t audience, _Atomic uint64_t *others,
                 const fluxbp_policy_t *policy) {
  memset(server, 0, sizeof *server);
  server->audience = audience;
  server->others = others;
  bench_must(uv_sem_init(&server->is_done, 0), "semaphore");
  bench_must(fluxbp_pool_create(NULL, &server->pool), "pool");
  bench_must(fluxbp_bus_create(server->pool, NULL, &server->bus), "bus");
  bench_must(fluxbp_bus_topic(server->bus, "broadcast", &server->topic), "topic");
  start_workers(server, threads, policy);
  bench_must(fluxbp_hub_post(fluxbp_workers_hub(server->workers, 0), open_listener, server), "post");
  uv_sem_wait(&server->is_done);
}

void server_close(server_t *server) {
  fluxbp_workers_stop(server->workers, 0);
  bench_must(fluxbp_bus_destroy(server->bus), "bus");
  bench_must(fluxbp_pool_destroy(server->pool), "pool");
  uv_sem_destroy(&server->is_done);
}

void server_wait_for(server_t *server, uint64_t connections) {
  while (atomic_load(&server->connections) != connections) uv_sleep(1);
}

/* ---- counters ---- */

typedef struct inquiry {
  server_t *server;
  server_counters_t sum;
} inquiry_t;

static void add_counters(fluxbp_hub_t *hub, void *arg) {
  inquiry_t *inquiry = arg;
  fluxbp_metrics_t metrics;
  fluxbp_hub_get_metrics(hub, &metrics);
  inquiry->sum.written += metrics.written;
  inquiry->sum.writes += metrics.writes;
  inquiry->sum.lost += metrics.dropped + metrics.discarded;
  inquiry->sum.queued += metrics.queued;
  uv_sem_post(&inquiry->server->is_done);
}

server_counters_t server_counters(server_t *server) {
  inquiry_t inquiry = {.server = server};
  for (size_t i = 0; i < fluxbp_workers_count(server->workers); i++) {
    bench_must(fluxbp_hub_post(fluxbp_workers_hub(server->workers, i), add_counters, &inquiry), "post");
    uv_sem_wait(&server->is_done);
  }
  return inquiry.sum;
}
