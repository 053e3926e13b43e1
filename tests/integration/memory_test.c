/* SPDX-License-Identifier: MIT */
/*
 * What a hub takes of memory: nothing in steady state, an error or one connection when there is none, never a leak.
 */
#include "audit.h"
#include "support/fixture.h"

#include "support/socketpair.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct counted {
  uint64_t calls;
  uint64_t fails_at;  /* 0: never */
  size_t fails_bytes; /* a piece of that size isn't to be had; 0: they all are */
  size_t bytes;
} counted_t;

static void *counted_alloc(size_t size, void *arg) {
  counted_t *counted = arg;
  if (++counted->calls == counted->fails_at || size == counted->fails_bytes) return NULL;
  void *memory = malloc(size);
  assert_non_null(memory);
  counted->bytes += size;
  return memory;
}

static void counted_free(void *memory, size_t size, void *arg) {
  ((counted_t *) arg)->bytes -= size;
  free(memory);
}

static void publish_batch(fixture_t *fx, peer_t **peers, int count, int messages) {
  static char sink[65536];
  char data[32] = "0123456789abcdef0123456789abcde";
  for (int i = 0; i < messages; i++) {
    fluxbp_msg_t *msg;
    assert_int_equal(fluxbp_msg_create(fx->pool, data, sizeof data, &msg), 0);
    assert_int_equal(fluxbp_topic_publish(fx->topic, msg), count);
    fluxbp_msg_unref(msg);
  }
  fixture_turns(fx, 1);
  for (int i = 0; i < count; i++) {
    ssize_t len = read(peers[i]->fd, sink, sizeof sink);
    if (len > 0) peers[i]->received += (size_t) len;
  }
}

static void steady_load_allocates_nothing(void **state) {
  enum { PEERS = 100, BATCH = 100, BYTES = 32, BATCHES = FIXTURE_IS_SANITIZED ? 50 : 2000 };
  static peer_t *peers[PEERS];
  fixture_t fx;
  counted_t counted = {0};
  fluxbp_pool_stats_t before;
  fluxbp_pool_stats_t after;
  (void) state;
  fixture_init(&fx);
  fx.options.slice_us = 10000000;
  fx.pool_options.allocator = (fluxbp_allocator_t){counted_alloc, counted_free, &counted};
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) peers[i] = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 5; i++) publish_batch(&fx, peers, PEERS, BATCH);

  fluxbp_pool_get_stats(fx.pool, &before);
  uint64_t calls = counted.calls;
  for (int i = 0; i < BATCHES; i++) publish_batch(&fx, peers, PEERS, BATCH);
  fluxbp_pool_get_stats(fx.pool, &after);
  assert_int_equal(after.allocator_calls, before.allocator_calls);
  assert_int_equal(counted.calls, calls);
  assert_int_equal(after.refused, 0);
  assert_int_equal(fixture_metrics(&fx).written, (BATCHES + 5) * (uint64_t) BATCH * PEERS);
  for (int i = 0; i < PEERS; i++) assert_int_equal(peers[i]->received, (BATCHES + 5) * (size_t) BATCH * (BYTES + 1));
  assert_int_equal(fixture_metrics(&fx).dropped, 0);
  fixture_close(&fx);
  assert_int_equal(counted.bytes, 0);
}

/* Its struct with the stream, and its places in the hub and in a topic. What the allocator itself adds isn't
 * counted. */
static void an_idle_connection_takes_little(void **state) {
  enum { CONNS = 256, BYTES_MAX = 432 };
  fixture_t fx;
  counted_t counted = {0};
  (void) state;
  fixture_init(&fx);
  fx.pool_options.allocator = (fluxbp_allocator_t){counted_alloc, counted_free, &counted};
  fixture_open(&fx);
  size_t before = counted.bytes;
  for (int i = 0; i < CONNS; i++) {
    fluxbp_conn_t *conn;
    assert_int_equal(fluxbp_conn_create(fx.hub, NULL, &conn), 0);
    assert_int_equal(fluxbp_topic_subscribe(fx.topic, conn), 1);
  }
  assert_in_range((counted.bytes - before) / CONNS, sizeof(uv_tcp_t), BYTES_MAX);
  fixture_close(&fx);
}

/* What the user has of it is rounded up to where the struct may begin. */
static void the_users_bytes_cost_no_more_than_they_are(void **state) {
  static const struct {
    size_t user_bytes;
    size_t taken;
  } cases[] = {{0, sizeof(void *)}, {1, 8}, {8, 8}, {9, 16}, {144, 144}, {150, 152}};
  fixture_t fx;
  counted_t counted = {0};
  fluxbp_conn_t *conn;
  (void) state;
  fixture_init(&fx);
  fx.pool_options.allocator = (fluxbp_allocator_t){counted_alloc, counted_free, &counted};
  fixture_open(&fx);
  assert_int_equal(fluxbp_conn_create(fx.hub, NULL, &conn), 0); /* the hub has its array for some more now */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fluxbp_conn_options_t options;
    fluxbp_conn_options_init(&options);
    options.user_bytes = cases[i].user_bytes;
    size_t before = counted.bytes;
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), 0);
    assert_int_equal(counted.bytes - before, cases[i].taken + offsetof(fluxbp_conn_t, uv) + sizeof(uv_tcp_t));
  }
  fixture_close(&fx);
  assert_int_equal(counted.bytes, 0);
}

static void open_refused(fixture_t *fx, peer_t *peer, counted_t *counted) {
  fixture_init(fx);
  fx->pool_options.allocator = (fluxbp_allocator_t){counted_alloc, counted_free, counted};
  fixture_open(fx);
  peer_open(fx, peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  counted->fails_bytes = sizeof(fluxbp__rare_t);
}

static void a_loss_that_cannot_be_counted_evicts(void **state) {
  fixture_t fx;
  peer_t peer;
  counted_t counted = {0};
  (void) state;
  open_refused(&fx, &peer, &counted);
  fx.calls++; /* whatever happens, nothing is told inside of the calls */
  while (peer_state(&peer) == FLUXBP__CONN_OPEN) (void) fixture_send(&peer, "x", 1);
  fx.calls--;
  fluxbp_conn_stats_t stats = peer_stats(&peer);
  assert_int_equal(stats.dropped, 0);
  assert_int_equal(stats.discarded, 1);
  assert_int_equal(stats.accepted, stats.written + stats.queued + 1);
  fixture_balances(&fx);
  peer_wait_for_close(&peer);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_BUDGET);
  fixture_close(&fx);
  assert_int_equal(counted.bytes, 0);
}

static void set_value(fixture_t *fx, fluxbp_topic_t *topic) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create_keyed(fx->pool, 1, "value", 5, &msg), 0);
  assert_int_equal(fluxbp_topic_publish(topic, msg), 1);
  fluxbp_msg_unref(msg);
}

static void a_value_that_cannot_be_counted_as_replaced_is_queued(void **state) {
  fixture_t fx;
  peer_t peer;
  counted_t counted = {0};
  fluxbp_topic_t *values;
  (void) state;
  open_refused(&fx, &peer, &counted);
  counted.fails_bytes = 0; /* the topic has a piece of the same size */
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "values", 10, &values), 0);
  counted.fails_bytes = sizeof(fluxbp__rare_t);
  assert_int_equal(fluxbp_topic_subscribe(values, peer.conn), 1);
  uint64_t queued = peer_stats(&peer).queued;
  for (int i = 0; i < 3; i++) set_value(&fx, values);
  assert_int_equal(peer_stats(&peer).queued, queued + 3);
  assert_int_equal(peer_stats(&peer).conflated, 0);

  counted.fails_bytes = 0;
  set_value(&fx, values);
  assert_int_equal(peer_stats(&peer).queued, queued + 3);
  assert_int_equal(peer_stats(&peer).conflated, 1);
  fixture_balances(&fx);
  fixture_close(&fx);
  assert_int_equal(counted.bytes, 0);
}

static void send_burst(peer_t *peer) {
  for (int i = 0; i < FLUXBP__LENT_SLOTS; i++) assert_int_equal(fixture_send(peer, "x", 1), 1);
}

static void the_slots_for_bursts_go_from_one_connection_to_the_next(void **state) {
  enum { PEERS = 4 };
  fixture_t fx;
  peer_t *peers[PEERS];
  counted_t counted = {0};
  (void) state;
  fixture_init(&fx);
  fx.pool_options.allocator = (fluxbp_allocator_t){counted_alloc, counted_free, &counted};
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) peers[i] = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 2; i++) send_burst(peers[i]); /* the pool has the messages from here on */
  fixture_turns(&fx, 1);
  size_t before = counted.bytes;
  for (int i = 0; i < PEERS; i++) {
    send_burst(peers[i]);
    assert_true(peers[i]->conn->ring.has_array);
    fixture_turns(&fx, 1);
    assert_false(peers[i]->conn->ring.has_array);
  }
  assert_int_equal(counted.bytes, before);
  fixture_close(&fx);
  assert_int_equal(counted.bytes, 0);
}

static void count_close(fluxbp_hub_t *hub) {
  (*(int *) fluxbp_hub_user(hub))++;
}

/* A short life with everything in it that allocates; each step may fail. True if nothing did. */
static bool live(fluxbp_pool_t *pool, uv_loop_t *loop) {
  enum { CONNS = 20 };
  static char data[8192];
  int closes = 0;
  int fds[CONNS][2];
  int opened = 0;
  bool is_whole = true;
  fluxbp_hub_t *hub;
  fluxbp_hub_options_t options;
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.slots = 64;
  fluxbp_hub_options_init(&options);
  options.pool = pool;
  options.policy = &policy;
  options.user = &closes;
  if (fluxbp_hub_create(loop, &options, &hub) != 0) return false;

  fluxbp_topic_t *topic = NULL;
  fluxbp_topic_t *other = NULL;
  is_whole = fluxbp_topic_open(hub, "topic", &topic) == 0 && fluxbp_topic_open(hub, "other", &other) == 0;
  for (int i = 0; i < CONNS && is_whole; i++) {
    fluxbp_conn_t *conn;
    fluxbp_conn_options_t conn_options;
    fluxbp_conn_options_init(&conn_options);
    conn_options.transport = FLUXBP_PIPE;
    conn_options.codec = i % 2 ? &fluxbp_codec_newline : &fluxbp_codec_raw;
    if (fluxbp_conn_create(hub, &conn_options, &conn) != 0) {
      is_whole = false;
      break;
    }
    assert_int_equal(socketpair_make(FLUXBP_PIPE, true, fds[opened]), 0);
    assert_int_equal(socketpair_open(conn, FLUXBP_PIPE, fds[opened][0]), 0);
    opened++;
    assert_int_equal(fluxbp_conn_start(conn), 0);
    if (fluxbp_topic_subscribe(topic, conn) != 1 || fluxbp_topic_subscribe(other, conn) != 1) is_whole = false;
    if (i == 0 && fluxbp_conn_set_policy(conn, &policy) != 0) is_whole = false;
  }
  for (int i = 0; i < 100 && topic != NULL; i++) {
    fluxbp_msg_t *msg;
    size_t len = i < 10 ? sizeof data : 40;
    memset(data, 'd', len);
    int err = fluxbp_msg_create(pool, data, len, &msg);
    if (!err) {
      if (fluxbp_topic_publish(topic, msg) != opened) is_whole = false;
      fluxbp_msg_unref(msg);
    } else {
      assert_int_equal(err, UV_ENOMEM);
      is_whole = false;
    }
    if (i % 10 == 0) (void) uv_run(loop, UV_RUN_NOWAIT);
    assert_true(fluxbp__audit_balances(&hub->engine));
  }
  for (int turn = 0; turn < 60; turn++) {
    for (int i = 0; i < opened; i += 2) (void) read(fds[i][1], data, sizeof data);
    (void) uv_run(loop, UV_RUN_NOWAIT);
  }
  fluxbp_metrics_t metrics;
  fluxbp_hub_get_metrics(hub, &metrics);
  for (int reason = 0; reason < FLUXBP_EVICT_REASON_COUNT; reason++) is_whole = is_whole && !metrics.evictions[reason];
  assert_true(fluxbp__audit_balances(&hub->engine));
  fluxbp_hub_drain(hub, 0, NULL);
  (void) uv_run(loop, UV_RUN_NOWAIT);
  fluxbp_hub_close(hub, count_close);
  for (int turn = 0; turn < 20 && closes == 0; turn++) (void) uv_run(loop, UV_RUN_NOWAIT);
  assert_int_equal(closes, 1);
  for (int i = 0; i < opened; i++) (void) close(fds[i][1]);
  return is_whole;
}

static void any_allocation_may_fail(void **state) {
  enum { ALLOCATIONS_MAX = 2000 };
  (void) state;
  bool is_whole = false;
  uint64_t n = 0;
  (void) signal(SIGPIPE, SIG_IGN);
  while (!is_whole && n < ALLOCATIONS_MAX) {
    counted_t counted = {.fails_at = ++n};
    fluxbp_pool_options_t options;
    fluxbp_pool_t *pool;
    uv_loop_t loop;
    fluxbp_pool_options_init(&options);
    options.allocator = (fluxbp_allocator_t){counted_alloc, counted_free, &counted};
    assert_int_equal(uv_loop_init(&loop), 0);
    int err = fluxbp_pool_create(&options, &pool);
    if (err) {
      assert_int_equal(err, UV_ENOMEM);
    } else {
      (void) live(pool, &loop);
      is_whole = counted.calls < n;
      assert_int_equal(fluxbp_pool_destroy(pool), 0);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(counted.bytes, 0);
  }
  assert_true(is_whole);
  assert_in_range(n, 20, ALLOCATIONS_MAX);
}

static void budget_refuses_the_publisher_and_costs_nobody_his_connection(void **state) {
  fixture_t fx;
  peer_t peer;
  char data[10000];
  int err = 0;
  (void) state;
  memset(data, 'x', sizeof data);
  fixture_init(&fx);
  fx.pool_options.max_bytes = 256 * 1024;
  fx.policy.max_bytes = 10u << 20;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (int i = 0; i < 200 && err >= 0; i++) err = fixture_publish(&fx, fx.topic, data, sizeof data);
  assert_int_equal(err, UV_ENOBUFS);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  size_t accepted = (size_t) peer_stats(&peer).accepted;
  peer_wait_for(&peer, accepted * sizeof data);
  assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 1);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(steady_load_allocates_nothing),
      cmocka_unit_test(an_idle_connection_takes_little),
      cmocka_unit_test(the_users_bytes_cost_no_more_than_they_are),
      cmocka_unit_test(a_loss_that_cannot_be_counted_evicts),
      cmocka_unit_test(a_value_that_cannot_be_counted_as_replaced_is_queued),
      cmocka_unit_test(the_slots_for_bursts_go_from_one_connection_to_the_next),
      cmocka_unit_test(any_allocation_may_fail),
      cmocka_unit_test(budget_refuses_the_publisher_and_costs_nobody_his_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
