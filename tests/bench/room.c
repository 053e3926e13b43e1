/* SPDX-License-Identifier: MIT */
/*
 * room: see room.h.
 */
#include "room.h"

#include "bench.h"

#include <stdlib.h>
#include <string.h>

void room_prepare(room_t *room) {
  memset(room, 0, sizeof *room);
  fluxbp_pool_options_init(&room->pool_options);
  fluxbp_hub_options_init(&room->options);
  fluxbp_policy_init(&room->policy);
  room->options.policy = &room->policy;
  room->options.block_sigpipe = 1;
  room->transport = FLUXBP_TCP;
}

void room_open(room_t *room, size_t capacity) {
  room->capacity = capacity;
  room->conns = bench_alloc(capacity, sizeof(fluxbp_conn_t *));
  bench_must(uv_loop_init(&room->loop), "loop");
  bench_must(fluxbp_pool_create(&room->pool_options, &room->pool), "pool");
  room->options.pool = room->pool;
  bench_must(fluxbp_hub_create(&room->loop, &room->options, &room->hub), "hub");
  bench_must(fluxbp_topic_open(room->hub, "broadcast", &room->topic), "topic");
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  (void) conn;
  (void) record;
  bench_die("a client was evicted", UV_ECONNABORTED);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  (void) conn;
  if (status != UV_ECANCELED) bench_die("a client is gone", status);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers, .on_evicted = on_evicted, .on_close = on_close};

void room_seat(room_t *room, const int *fds, size_t count) {
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.handlers = room->lets_evict ? NULL : &handlers;
  options.transport = room->transport;
  if (room->count + count > room->capacity) bench_die("seats", UV_ENOSPC);
  for (size_t i = 0; i < count; i++) {
    fluxbp_conn_t *conn;
    bench_must(fluxbp_conn_create(room->hub, &options, &conn), "connection");
    bench_must(uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(conn), fds[i]), "uv_tcp_open");
    bench_must(fluxbp_conn_start(conn), "start");
    if (fluxbp_topic_subscribe(room->topic, conn) != 1) bench_die("subscribe", UV_EINVAL);
    room->conns[room->count++] = conn;
  }
  (void) uv_run(&room->loop, UV_RUN_NOWAIT); /* what was begun for reading becomes the kernel's now */
}

void room_publish(room_t *room, fluxbp_topic_t *topic, const void *data, size_t size, uint64_t burst) {
  for (uint64_t i = 0; i < burst; i++) {
    fluxbp_msg_t *msg;
    bench_must(fluxbp_msg_create(room->pool, data, size, &msg), "message");
    int receivers = fluxbp_topic_publish(topic, msg);
    fluxbp_msg_unref(msg);
    if (receivers < 0) bench_die("publish", receivers);
  }
}

fluxbp_metrics_t room_metrics(const room_t *room) {
  fluxbp_metrics_t metrics;
  fluxbp_hub_get_metrics(room->hub, &metrics);
  return metrics;
}

void room_flush(room_t *room) {
  uint64_t writes;
  do {
    writes = room_metrics(room).writes;
    (void) uv_run(&room->loop, UV_RUN_NOWAIT);
  } while (room_metrics(room).writes != writes); /* an iteration writes something as long as anybody is dirty */
}

void room_close(room_t *room) {
  fluxbp_hub_close(room->hub, NULL);
  while (uv_run(&room->loop, UV_RUN_DEFAULT) != 0) {
  }
  bench_must(fluxbp_pool_destroy(room->pool), "pool");
  bench_must(uv_loop_close(&room->loop), "loop");
  free(room->conns);
}
