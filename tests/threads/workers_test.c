/* SPDX-License-Identifier: MIT */
/*
 * Workers: several threads with a hub each, real sockets, publishers on other threads. Every client gets everything, in
 * the one order of the bus; tasks posted to a hub run once and in order; stopping at any moment is clean.
 */
#include "fluxbp/fluxbp.h"

#include "support/socketpair.h"
#include "support/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WATCH_SECONDS = 60, WORKERS = 3, CLIENTS = 12, PUBLISHERS = 2, MESSAGES = 20000 };

/* ---- starting and stopping ---- */

typedef struct life {
  atomic_int started;
  atomic_int stopped;
  int fails_at; /* the index of the worker whose start fails, or -1 */
} life_t;

static int on_start(fluxbp_hub_t *hub, size_t index, void *arg) {
  life_t *life = arg;
  THREADS_CHECK(hub != NULL);
  if ((int) index == life->fails_at) return UV_EIO;
  (void) atomic_fetch_add(&life->started, 1);
  return 0;
}

static void on_stop(fluxbp_hub_t *hub, size_t index, void *arg) {
  life_t *life = arg;
  (void) index;
  THREADS_CHECK(hub != NULL);
  (void) atomic_fetch_add(&life->stopped, 1);
}

static fluxbp_workers_options_t options_of(life_t *life, uint32_t threads) {
  fluxbp_workers_options_t options;
  fluxbp_workers_options_init(&options);
  options.threads = threads;
  options.on_start = on_start;
  options.on_stop = on_stop;
  options.arg = life;
  return options;
}

static void workers_start_all_or_none(void **state) {
  fluxbp_workers_t *workers;
  (void) state;
  for (int fails_at = -1; fails_at < 3; fails_at++) {
    life_t life = {.fails_at = fails_at};
    fluxbp_workers_options_t options = options_of(&life, 3);
    int err = fluxbp_workers_start(&options, &workers);
    if (fails_at >= 0) {
      assert_int_equal(err, UV_EIO);
      assert_int_equal(life.started, fails_at);
      assert_int_equal(life.stopped, fails_at);
      continue;
    }
    assert_int_equal(err, 0);
    assert_int_equal(fluxbp_workers_count(workers), 3);
    assert_null(fluxbp_workers_hub(workers, 3));
    fluxbp_workers_stop(workers, 0);
    assert_int_equal(life.started, 3);
    assert_int_equal(life.stopped, 3);
  }
}

static void workers_refuse_wrong_options(void **state) {
  fluxbp_workers_options_t options;
  fluxbp_workers_t *workers;
  fluxbp_hub_options_t hub;
  (void) state;
  fluxbp_workers_options_init(&options);
  options.threads = FLUXBP_WORKERS_MAX + 1;
  assert_int_equal(fluxbp_workers_start(&options, &workers), UV_EINVAL);
  options.threads = 2;
  fluxbp_hub_options_init(&hub);
  hub.slice_us = 0;
  options.hub = &hub;
  assert_int_equal(fluxbp_workers_start(&options, &workers), UV_EINVAL);
  fluxbp_workers_stop(NULL, 0);
}

/* ---- tasks ---- */

typedef struct poster {
  fluxbp_hub_t *hub;
  uv_thread_t thread;
  uint64_t posted;
  uint64_t run; /* on the hub's thread alone, until it has ended */
} poster_t;

static void count_run(fluxbp_hub_t *hub, void *arg) {
  poster_t *poster = arg;
  THREADS_CHECK(hub == poster->hub);
  poster->run++;
  threads_progress();
}

static void post_many(void *arg) {
  poster_t *poster = arg;
  uint64_t rounds = THREADS_ROUNDS(50000);
  for (uint64_t i = 0; i < rounds; i++) {
    THREADS_CHECK(fluxbp_hub_post(poster->hub, count_run, poster) == 0);
    poster->posted++;
  }
}

static void every_task_that_was_taken_runs_once(void **state) {
  fluxbp_workers_t *workers;
  poster_t posters[4];
  (void) state;
  life_t life = {.fails_at = -1};
  fluxbp_workers_options_t options = options_of(&life, 2);
  assert_int_equal(fluxbp_workers_start(&options, &workers), 0);
  for (int i = 0; i < 4; i++) {
    posters[i] = (poster_t){.hub = fluxbp_workers_hub(workers, (size_t) i % 2)};
    threads_start(&posters[i].thread, post_many, &posters[i]);
  }
  for (int i = 0; i < 4; i++) threads_join(&posters[i].thread);
  fluxbp_workers_stop(workers, 0);
  for (int i = 0; i < 4; i++) assert_int_equal(posters[i].run, posters[i].posted);
}

/* ---- everybody gets everything ---- */

typedef struct server {
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
  fluxbp_workers_t *workers;
  atomic_int connected;
  atomic_int closed;
  atomic_int evicted;
} server_t;

typedef struct arrival {
  server_t *server;
  int fd;
} arrival_t;

typedef struct publisher {
  server_t *server;
  uv_thread_t thread;
  uint32_t number;
} publisher_t;

/* What a client reads of one message. */
typedef struct record {
  uint32_t publisher;
  uint32_t sequence;
} record_t;

typedef struct client {
  int fd;
  uv_thread_t thread;
  uint32_t next[PUBLISHERS];
  uint64_t order; /* a hash of everything in its order */
  uint64_t count;
} client_t;

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  server_t *server = fluxbp_conn_user(conn);
  (void) record;
  (void) atomic_fetch_add(&server->evicted, 1);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  server_t *server = fluxbp_conn_user(conn);
  (void) status;
  (void) atomic_fetch_add(&server->closed, 1);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers, .on_evicted = on_evicted, .on_close = on_close};

static void take_arrival(fluxbp_hub_t *hub, void *arg) {
  const arrival_t *arrival = arg;
  fluxbp_conn_options_t options;
  fluxbp_conn_t *conn;
  fluxbp_topic_t *topic;
  fluxbp_conn_options_init(&options);
  options.handlers = &handlers;
  options.user = arrival->server;
  THREADS_CHECK(fluxbp_conn_create(hub, &options, &conn) == 0);
  THREADS_CHECK(socketpair_open(conn, FLUXBP_TCP, arrival->fd) == 0);
  THREADS_CHECK(fluxbp_topic_open(hub, "all", &topic) == 0);
  THREADS_CHECK(fluxbp_topic_subscribe(topic, conn) == 1);
  THREADS_CHECK(fluxbp_conn_start(conn) == 0);
  (void) atomic_fetch_add(&arrival->server->connected, 1);
}

static void publish_many(void *arg) {
  publisher_t *publisher = arg;
  server_t *server = publisher->server;
  for (uint32_t i = 0; i < THREADS_ROUNDS(MESSAGES); i++) {
    record_t record = {.publisher = publisher->number, .sequence = i};
    fluxbp_msg_t *msg;
    THREADS_CHECK(fluxbp_msg_create(server->pool, &record, sizeof record, &msg) == 0);
    int err;
    while ((err = fluxbp_bus_publish(server->bus, server->topic, msg, NULL)) == UV_EAGAIN) uv_sleep(0);
    THREADS_CHECK(err == 0);
    fluxbp_msg_unref(msg);
    threads_progress();
  }
}

static void read_all(void *arg) {
  client_t *client = arg;
  record_t records[512];
  size_t filled = 0;
  ssize_t len;
  while ((len = recv(client->fd, (char *) records + filled, sizeof records - filled, 0)) > 0) {
    filled += (size_t) len;
    size_t whole = filled / sizeof records[0];
    for (size_t i = 0; i < whole; i++) {
      const record_t *record = &records[i];
      THREADS_CHECK(record->publisher < PUBLISHERS);
      THREADS_CHECK(record->sequence == client->next[record->publisher]);
      client->next[record->publisher]++;
      client->order = (client->order ^ record->publisher) * 1099511628211u;
      client->count++;
    }
    filled -= whole * sizeof records[0];
    memmove(records, &records[whole], filled);
    threads_progress();
  }
}

static void open_server(server_t *server, uint32_t threads) {
  memset(server, 0, sizeof *server);
  assert_int_equal(fluxbp_pool_create(NULL, &server->pool), 0);
  assert_int_equal(fluxbp_bus_create(server->pool, NULL, &server->bus), 0);
  assert_int_equal(fluxbp_bus_topic(server->bus, "all", &server->topic), 0);
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.overflow = FLUXBP_OVERFLOW_EVICT;
  policy.stall_ms = policy.slow_ms = 0; /* a loaded machine is not what this is about */
  fluxbp_hub_options_t hub;
  fluxbp_hub_options_init(&hub);
  hub.pool = server->pool;
  hub.bus = server->bus;
  hub.policy = &policy;
  hub.patience_ms = 60000;
  fluxbp_workers_options_t options;
  fluxbp_workers_options_init(&options);
  options.threads = threads;
  options.hub = &hub;
  assert_int_equal(fluxbp_workers_start(&options, &server->workers), 0);
}

static void close_server(server_t *server, uint32_t drain_ms) {
  fluxbp_workers_stop(server->workers, drain_ms);
  assert_int_equal(fluxbp_bus_destroy(server->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(server->pool), 0);
}

static void connect_clients(server_t *server, client_t *clients, arrival_t *arrivals) {
  for (int i = 0; i < CLIENTS; i++) {
    int fds[2];
    clients[i] = (client_t){.order = 14695981039346656037u};
    assert_int_equal(socketpair_make(FLUXBP_TCP, false, fds), 0);
    arrivals[i] = (arrival_t){.server = server, .fd = fds[0]};
    clients[i].fd = fds[1];
    socketpair_block(fds[1]);
    assert_int_equal(fluxbp_workers_hand_over(server->workers, take_arrival, &arrivals[i]), 0);
  }
  while (atomic_load(&server->connected) < CLIENTS) uv_sleep(0);
}

static void count_connections(fluxbp_hub_t *hub, void *arg) {
  atomic_int *most = arg;
  int count = (int) fluxbp_hub_connections(hub);
  int before = atomic_load(most);
  while (count > before && !atomic_compare_exchange_weak(most, &before, count)) {
  }
}

static void everybody_gets_everything_in_one_order(void **state) {
  server_t server;
  client_t clients[CLIENTS];
  arrival_t arrivals[CLIENTS];
  publisher_t publishers[PUBLISHERS];
  (void) state;
  threads_watch(WATCH_SECONDS);
  open_server(&server, WORKERS);
  connect_clients(&server, clients, arrivals);
  atomic_int most = 0;
  for (size_t i = 0; i < WORKERS; i++)
    assert_int_equal(fluxbp_hub_post(fluxbp_workers_hub(server.workers, i), count_connections, &most), 0);
  for (int i = 0; i < CLIENTS; i++) threads_start(&clients[i].thread, read_all, &clients[i]);
  for (uint32_t i = 0; i < PUBLISHERS; i++) {
    publishers[i] = (publisher_t){.server = &server, .number = i};
    threads_start(&publishers[i].thread, publish_many, &publishers[i]);
  }
  for (int i = 0; i < PUBLISHERS; i++) threads_join(&publishers[i].thread);

  fluxbp_bus_stats_t stats;
  do { /* what is still in the bus isn't anybody's yet, and draining would leave it there */
    uv_sleep(0);
    fluxbp_bus_get_stats(server.bus, &stats);
  } while (stats.lag > 0);
  close_server(&server, 30000);
  for (int i = 0; i < CLIENTS; i++) {
    threads_join(&clients[i].thread);
    (void) close(clients[i].fd);
    assert_int_equal(clients[i].count, PUBLISHERS * THREADS_ROUNDS(MESSAGES));
    assert_int_equal(clients[i].order, clients[0].order);
  }
  assert_int_equal(server.evicted, 0);
  assert_int_equal(server.closed, CLIENTS);
  assert_int_equal(most, CLIENTS / WORKERS); /* dealt out evenly */
  threads_unwatch();
}

/* ---- stopping at any moment ---- */

static void stopping_while_tasks_and_messages_come_is_clean(void **state) {
  uint32_t seed = 7;
  (void) state;
  threads_watch(WATCH_SECONDS);
  for (int round = 0; round < THREADS_ROUNDS(400) + 10; round++) {
    server_t server;
    client_t clients[CLIENTS];
    arrival_t arrivals[CLIENTS];
    poster_t poster;
    open_server(&server, 2);
    connect_clients(&server, clients, arrivals);
    poster = (poster_t){.hub = fluxbp_workers_hub(server.workers, 0)};
    for (uint32_t i = threads_random(&seed) % 200; i > 0; i--) {
      fluxbp_msg_t *msg;
      assert_int_equal(fluxbp_msg_create(server.pool, "m", 1, &msg), 0);
      assert_int_equal(fluxbp_bus_publish(server.bus, server.topic, msg, NULL), 0);
      fluxbp_msg_unref(msg);
      assert_int_equal(fluxbp_hub_post(poster.hub, count_run, &poster), 0);
      poster.posted++;
    }
    close_server(&server, threads_random(&seed) % 2); /* destroying the pool proves that nothing is left */
    assert_int_equal(poster.run, poster.posted);
    assert_int_equal(server.closed, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) (void) close(clients[i].fd);
    threads_progress();
  }
  threads_unwatch();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(workers_start_all_or_none),
      cmocka_unit_test(workers_refuse_wrong_options),
      cmocka_unit_test(every_task_that_was_taken_runs_once),
      cmocka_unit_test(everybody_gets_everything_in_one_order),
      cmocka_unit_test(stopping_while_tasks_and_messages_come_is_clean),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
